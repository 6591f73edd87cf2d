// SPDX-License-Identifier: GPL-2.0

//! Writeback: dirty pages to the disk, in as few bios as its layout allows.

use super::{
    answer,
    plan::{Place, Planner, Run, Step},
    queue::RunQueue,
    submit::LIMITS,
    write::{Chosen, WriteMap},
};
use crate::vfs::{
    bio::OpenBio,
    block_state::BlockState,
    folio::LockedFolio,
    inode::Inode,
    sync::NoFsScope,
    ticket::Ticket,
    trace::Direction,
    writeback::{plugged, Plug, Writeback},
};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

/// `address_space_operations::writepages`.
///
/// A folio that cannot be written for want of memory stays dirty. Any other failure is noted in the mapping, so that
/// everybody who syncs the file is told once, and given to the caller.
pub(crate) fn writepages<T: WriteMap>(pass: &mut Writeback<'_, T>) -> Result {
    let inode = pass.inode();
    T::check_live(inode)?;
    let range = pass.range();
    inode.trace_window(
        range.start,
        range.end.saturating_sub(range.start),
        Direction::Write,
    );
    // Memory may be short because these pages are dirty: what is allocated on their way must not wait for other files.
    let _nofs = NoFsScope::new();
    let ticket = Ticket::new()?;
    let size = inode.size();
    plugged(|plug| {
        let mut writer = Writer {
            inode,
            plug,
            size,
            planner: Planner::new(inode.block_bits(), size, 0..size, LIMITS),
            rest: RunQueue::new(),
            open: None,
            ticket,
            awaited: false,
            scattered: false,
            version: 0,
            fresh: false,
            untold: 0..0,
            untold_disk: 0,
            refused: None,
            error: None,
        };
        while let Some(folio) = pass.next() {
            if let Err(error) = writer.folio(pass, folio).and(writer.told()) {
                pass.set_error(error);
            }
        }
        if let Some(reason) = writer.planner.finish() {
            writer.send(reason);
        }
        if let Err(error) = writer.told() {
            pass.set_error(error);
        }
        writer.ticket.leave(true);
    });
    pass.result()
}

/// One pass over a file.
pub(super) struct Writer<'a, 'p, T> {
    pub(super) inode: &'a Inode<T>,
    pub(super) plug: &'a mut Plug<'p>,
    /// The file's size when the pass began, in bytes.
    size: u64,
    planner: Planner,
    /// The runs behind the one that the planner has.
    pub(super) rest: RunQueue,
    pub(super) open: Option<OpenBio>,
    /// What the fresh blocks of the open bio wait for, if it has some.
    pub(super) ticket: Arc<Ticket>,
    /// Some blocks do.
    pub(super) awaited: bool,
    /// The last bio went out because the next block was elsewhere: the next one may be short too.
    pub(super) scattered: bool,
    /// [`WriteMap::map_version`] when the run was mapped.
    version: u64,
    /// The run mapped last is one of blocks that are not reachable on disk yet.
    pub(super) fresh: bool,
    /// Fresh blocks of the file in the open bio, of which the file system has not been told.
    pub(super) untold: Range<u64>,
    /// Where the first of them lies.
    pub(super) untold_disk: u64,
    /// What the file system said when it was told of blocks in the open bio, if it did not agree.
    pub(super) refused: Option<Error>,
    /// The same of a bio that therefore failed.
    pub(super) error: Option<Error>,
}

/// What a pass holds of a folio's count of bytes under writeback.
const HELD: u32 = 1;

/// A block of a folio, counted from its first, that cannot be written.
struct Failed {
    block: u32,
    error: Error,
}

/// What two parts of a folio came to: what can be written when there is memory again is to be tried again.
fn worse(one: Result, other: Result) -> Result {
    match other {
        Err(error) if error == ENOMEM => other,
        _ => one.and(other),
    }
}

/// A folio that is being given to bios.
struct Pieces {
    /// Given away whole: one piece.
    single: bool,
    /// The pieces' bytes are counted in the folio's record, and [`HELD`] for the pass.
    counted: bool,
}

impl<T: WriteMap> Writer<'_, '_, T> {
    /// Writes one folio, which is locked and no longer dirty.
    fn folio(&mut self, pass: &mut Writeback<'_, T>, folio: LockedFolio<'_>) -> Result {
        let bits = self.inode.block_bits();
        // The file may have grown since the pass began, and what lies beyond its end is nobody's.
        self.size = self.inode.size();
        self.planner.set_size(self.size);
        let version = T::map_version(self.inode);
        if version != self.version {
            self.version = version;
            self.planner.forget_run();
            self.rest.clear();
        }
        let end = self.size.saturating_sub(folio.pos()).min(folio.size());
        if end == 0 {
            return Ok(());
        }
        let mask = (1u64 << bits).saturating_sub(1);
        let io_end = end.saturating_add(mask) & !mask;
        // A mapping may have left something past the end, which must not show when the file grows. Only a folio that is
        // up to date was ever mapped.
        let tail = match folio.is_uptodate() {
            true => folio.size(),
            false => io_end,
        };
        folio.zero(end..tail);
        folio.start_writeback();
        let mut pieces = Pieces {
            single: false,
            counted: false,
        };
        let written = match folio.state() {
            None => self.whole(pass, &folio, io_end, &mut pieces),
            Some(state) => {
                state.begin_write(HELD);
                pieces.counted = true;
                // A mapping makes all blocks dirty, and those past the end have no place on disk.
                state.clear_dirty((io_end >> bits) as u32..state.blocks());
                self.dirty_blocks(pass, &folio, state, 0..(io_end >> bits) as u32, &mut pieces)
            }
        };
        self.leave(pass, folio, &pieces, &written);
        written
    }

    /// Writes a folio without a record up to byte `io_end`, all of it.
    fn whole(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        io_end: u64,
        pieces: &mut Pieces,
    ) -> Result {
        match self.range(pass, folio, 0..io_end, pieces, true) {
            Ok(()) => Ok(()),
            Err(failed) => {
                let bits = self.inode.block_bits();
                let state = self.counted(folio, pieces);
                let rest = failed.block..(io_end >> bits) as u32;
                state.set_dirty(rest.clone());
                let behind = rest.start.saturating_add(1)..rest.end;
                let others = self.dirty_blocks(pass, folio, state, behind, pieces);
                worse(Err(failed.error), others)
            }
        }
    }

    /// Writes the dirty blocks among `rest` of a folio with a record. One that cannot be written stays dirty there, and keeps
    /// no other from being written.
    fn dirty_blocks(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        state: &BlockState,
        mut rest: Range<u32>,
        pieces: &mut Pieces,
    ) -> Result {
        let bits = self.inode.block_bits();
        let mut written = Ok(());
        while let Some(blocks) = state.next_dirty(rest.clone()) {
            rest.start = blocks.end;
            let bytes = u64::from(blocks.start) << bits..u64::from(blocks.end) << bits;
            // Before the I/O: whatever gets dirty from now on is to be written again.
            state.clear_dirty(blocks.clone());
            if let Err(failed) = self.range(pass, folio, bytes, pieces, false) {
                let block = failed
                    .block
                    .clamp(blocks.start, blocks.end.saturating_sub(1));
                state.set_dirty(block..blocks.end);
                rest.start = block.saturating_add(1);
                written = worse(written, Err(failed.error));
            }
        }
        written
    }

    /// Plans and issues the writes of `bytes` of the folio. `whole` if that is all there is to write of it. What comes before
    /// the block that failed is on its way.
    fn range(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        bytes: Range<u64>,
        pieces: &mut Pieces,
        whole: bool,
    ) -> Result<(), Failed> {
        pass.account(folio, bytes.end.saturating_sub(bytes.start));
        let first = folio.pos() >> self.inode.block_bits();
        let failed = |block: u64, error| Failed {
            block: block.saturating_sub(first) as u32,
            error,
        };
        self.planner.range(
            folio.pos().saturating_add(bytes.start),
            bytes.end.saturating_sub(bytes.start),
        );
        loop {
            match self.planner.step() {
                Step::Done => return Ok(()),
                Step::Map { block, max } => self
                    .map(folio, block, max)
                    .map_err(|error| failed(block, error))?,
                Step::Send(reason) => self.send(reason),
                Step::Zero { .. } => {}
                Step::Append {
                    offset,
                    len,
                    sector,
                    ahead,
                } => {
                    let piece = bytes.start.saturating_add(offset)
                        ..bytes.start.saturating_add(offset).saturating_add(len);
                    if whole && piece == bytes {
                        pieces.single = true;
                    } else {
                        self.count(folio, len as u32, pieces);
                    }
                    if !self.append(pass, folio, piece, sector, ahead) {
                        self.planner.restarted(len);
                    }
                }
            }
        }
    }

    /// Counts `bytes` more in the folio's record, which is made if need be.
    fn count(&self, folio: &LockedFolio<'_>, bytes: u32, pieces: &mut Pieces) {
        self.counted(folio, pieces).begin_write(bytes);
    }

    /// The folio's record, which is made if need be and counts the pieces from now on.
    fn counted<'f>(&self, folio: &'f LockedFolio<'_>, pieces: &mut Pieces) -> &'f BlockState {
        let state = folio.make_state(self.inode.block_bits());
        if !pieces.counted {
            self.inode
                .trace_per_block(folio.pos(), folio.size(), Direction::Write);
            state.begin_write(HELD);
            pieces.counted = true;
        }
        state
    }

    /// Answers the planner where `block`, which lies in the folio, is to be written.
    fn map(&mut self, folio: &LockedFolio<'_>, block: u64, max: u64) -> Result {
        let waiting = self.rest.take(block);
        let mut chosen = match waiting.filter(|run| run.place != Place::Hole) {
            Some(run) => Chosen { run, fresh: false },
            None => {
                self.rest.clear();
                T::map_write(self.inode, block, max, &mut self.rest)?
            }
        };
        if chosen.run.place == Place::Hole {
            chosen = self.in_hole(folio, chosen.run)?;
        }
        let Chosen { run, fresh } = chosen;
        self.fresh = fresh;
        // What pages need to be written goes out together, whatever has to be read meanwhile.
        let run = Run {
            boundary: false,
            ..run
        };
        answer(self.inode, &mut self.planner, run)
    }

    /// What is to be written of the folio where the file has no space, from the beginning of `hole` on. Who makes one page of
    /// a mapping dirty makes the whole folio so: its other blocks are zeroes, and need none. If the first is not, somebody
    /// changed it who never asked, and it is not too late.
    #[cold]
    fn in_hole(&mut self, folio: &LockedFolio<'_>, hole: Run) -> Result<Chosen> {
        let bits = self.inode.block_bits();
        let start = (hole.first << bits).saturating_sub(folio.pos());
        let blocks = (folio.size().saturating_sub(start) >> bits).min(hole.len);
        let is_zero = |index: u64| {
            let start = start.saturating_add(index << bits);
            folio.is_zero(start..start.saturating_add(1 << bits))
        };
        let len = (0..blocks).find(|index| !is_zero(*index)).unwrap_or(blocks);
        if len > 0 {
            let run = Run { len, ..hole };
            return Ok(Chosen { run, fresh: false });
        }
        T::reserve(self.inode, hole.first, 1)?;
        let chosen = T::map_write(self.inode, hole.first, 1, &mut self.rest)?;
        match chosen.run.place {
            Place::Mapped(_) => Ok(chosen),
            Place::Hole => Err(EIO),
        }
    }

    /// Ends the pass over the folio: unlocks it, and leaves its writeback to its pieces in flight.
    fn leave(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: LockedFolio<'_>,
        pieces: &Pieces,
        written: &Result,
    ) {
        match written {
            Ok(()) => {}
            Err(error) if *error == ENOMEM => folio.redirty(pass),
            Err(error) => folio.note_error(*error),
        }
        if pieces.single {
            drop(folio);
        } else {
            // Without a record nothing was given away, and this is the only end of the writeback.
            folio.skip_write(HELD);
            drop(folio);
        }
    }
}

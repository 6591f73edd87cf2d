// SPDX-License-Identifier: GPL-2.0

//! Writeback: dirty pages to the disk, in as few bios as its layout allows.

use super::{
    answer,
    plan::{Place, Planner, Reason, Run, Step, SECTOR_SHIFT},
    queue::RunQueue,
    submit::{segments_for, FEW_SEGMENTS, LIMITS},
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
struct Writer<'a, 'p, T> {
    inode: &'a Inode<T>,
    plug: &'a mut Plug<'p>,
    /// The file's size when the pass began, in bytes.
    size: u64,
    planner: Planner,
    /// The runs behind the one that the planner has.
    rest: RunQueue,
    open: Option<OpenBio>,
    /// What the blocks of the open bio wait for.
    ticket: Arc<Ticket>,
    /// Some blocks do.
    awaited: bool,
    /// The last bio went out because the next block was elsewhere: the next one may be short too.
    scattered: bool,
    /// [`WriteMap::map_version`] when the run was mapped.
    version: u64,
    /// The run mapped last is one of blocks that are not reachable on disk yet.
    fresh: bool,
    /// Fresh blocks of the file in the open bio, of which the file system has not been told.
    untold: Range<u64>,
    /// Where the first of them lies.
    untold_disk: u64,
    /// What the file system said when it was told of blocks in the open bio, if it did not agree.
    refused: Option<Error>,
    /// The same of a bio that therefore failed.
    error: Option<Error>,
}

/// What a pass holds of a folio's count of bytes under writeback.
const HELD: u32 = 1;

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
            None => self
                .range(pass, &folio, 0..io_end, &mut pieces, true)
                .inspect_err(|_| {
                    // A record made on the way says nothing yet of what is still to be written.
                    if let Some(state) = folio.state() {
                        state.set_dirty(0..(io_end >> bits) as u32);
                    }
                }),
            Some(state) => {
                state.begin_write(HELD);
                pieces.counted = true;
                // A mapping makes all blocks dirty, and those past the end have no place on disk.
                state.clear_dirty((io_end >> bits) as u32..state.blocks());
                self.dirty_blocks(pass, &folio, state, (io_end >> bits) as u32, &mut pieces)
            }
        };
        self.leave(pass, folio, &pieces, &written);
        written
    }

    /// Writes the dirty blocks of a folio with a record, up to block `end`.
    fn dirty_blocks(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        state: &BlockState,
        end: u32,
        pieces: &mut Pieces,
    ) -> Result {
        let bits = self.inode.block_bits();
        let mut rest = 0..end;
        while let Some(blocks) = state.next_dirty(rest.clone()) {
            rest.start = blocks.end;
            let bytes = u64::from(blocks.start) << bits..u64::from(blocks.end) << bits;
            // Before the I/O: whatever gets dirty from now on is to be written again.
            state.clear_dirty(blocks.clone());
            self.range(pass, folio, bytes, pieces, false)
                .inspect_err(|_| state.set_dirty(blocks))?;
        }
        Ok(())
    }

    /// Plans and issues the writes of `bytes` of the folio. `whole` if that is all there is to write of it.
    fn range(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        bytes: Range<u64>,
        pieces: &mut Pieces,
        whole: bool,
    ) -> Result {
        pass.account(folio, bytes.end.saturating_sub(bytes.start));
        self.planner.range(
            folio.pos().saturating_add(bytes.start),
            bytes.end.saturating_sub(bytes.start),
        );
        loop {
            match self.planner.step() {
                Step::Done => return Ok(()),
                Step::Map { block, max } => self.map(block, max)?,
                Step::Send(reason) => self.send(reason),
                // A write map gives no holes.
                Step::Zero { .. } => return Err(EIO),
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
        let state = folio.make_state(self.inode.block_bits());
        if !pieces.counted {
            self.inode
                .trace_per_block(folio.pos(), folio.size(), Direction::Write);
            state.begin_write(HELD);
            pieces.counted = true;
        }
        state.begin_write(bytes);
    }

    fn map(&mut self, block: u64, max: u64) -> Result {
        let waiting = self.rest.take(block);
        let Chosen { run, fresh } = match waiting.filter(|run| run.place != Place::Hole) {
            Some(run) => Chosen { run, fresh: false },
            None => {
                self.rest.clear();
                T::map_write(self.inode, block, max, &mut self.rest)?
            }
        };
        self.fresh = fresh;
        if run.place == Place::Hole {
            return Err(EIO);
        }
        // What pages need to be written goes out together, whatever has to be read meanwhile.
        let run = Run {
            boundary: false,
            ..run
        };
        answer(self.inode, &mut self.planner, run)
    }

    /// Appends `range` of the folio to the open bio. `false` if that was full, and a new one was begun.
    fn append(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        range: Range<u64>,
        sector: u64,
        expected: u64,
    ) -> bool {
        if let Some(open) = &mut self.open {
            if open.append(folio, range.clone()) {
                self.tell(folio, &range, sector);
                return true;
            }
        }
        let first = self.open.is_none();
        if !first {
            self.send(Reason::Full);
        }
        let segments = match self.scattered {
            true => FEW_SEGMENTS,
            false => segments_for(expected),
        };
        if self.scattered {
            self.plug.separate(self.rest.runs().len());
        }
        let mut open = OpenBio::write(pass, sector, segments);
        // An empty bio has room for one piece.
        let _ = open.append(folio, range.clone());
        self.open = Some(open);
        self.tell(folio, &range, sector);
        first
    }

    /// A ticket for another bio: one that fails costs its own blocks only. Without memory it shares that of the last.
    fn renew_ticket(&mut self) {
        if !self.awaited {
            return;
        }
        if let Ok(ticket) = Ticket::new() {
            core::mem::replace(&mut self.ticket, ticket).leave(true);
            self.awaited = false;
        }
    }

    /// Notes that fresh blocks have joined the open bio. The file system is told of them a row at a time, before they
    /// are sent: once a page is clean and gone, whoever needs it looks on the disk.
    fn tell(&mut self, folio: &LockedFolio<'_>, piece: &Range<u64>, sector: u64) {
        if !self.fresh {
            return;
        }
        if !self.open.as_ref().is_some_and(OpenBio::has_ticket) {
            self.renew_ticket();
            if let Some(open) = &mut self.open {
                open.hold(&self.ticket);
            }
        }
        let bits = self.inode.block_bits();
        let first = folio.pos().saturating_add(piece.start) >> bits;
        let end = folio.pos().saturating_add(piece.end) >> bits;
        if self.untold.end != first || self.untold.is_empty() {
            self.tell_now();
            self.untold.start = first;
            self.untold_disk = sector >> bits.saturating_sub(SECTOR_SHIFT);
        }
        self.untold.end = end;
    }

    fn tell_now(&mut self) {
        let untold = core::mem::replace(&mut self.untold, 0..0);
        if !untold.is_empty() {
            let told = T::submitted(self.inode, untold, self.untold_disk, &self.ticket);
            self.awaited = true;
            self.refused = self.refused.or(told.err());
        }
    }

    /// What came of telling the file system since the last time.
    fn told(&mut self) -> Result {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Sends the open bio, if there is one. If the file system could not be told of its blocks they may be another file's
    /// by now, and nobody would find what is written there: the bio fails.
    fn send(&mut self, reason: Reason) {
        self.tell_now();
        let refused = self.refused.take();
        self.error = self.error.or(refused);
        self.scattered = matches!(reason, Reason::NotAdjacent | Reason::Gap);
        if let Some(open) = self.open.take() {
            self.inode.trace_bio(&open, reason as u8, Direction::Write);
            match refused {
                None => open.send(),
                Some(_) => open.fail(),
            }
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

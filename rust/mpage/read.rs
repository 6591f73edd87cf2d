// SPDX-License-Identifier: GPL-2.0

//! Reading: `read_folio` and `readahead`.

use super::{
    ahead, answer,
    plan::{Planner, Step},
    queue::RunQueue,
    submit::{ReadBio, LIMITS},
    BlockMap,
};
use crate::vfs::{
    block_state::BlockState, folio::LockedFolio, inode::Inode, readahead::Readahead,
    trace::Direction,
};
use core::ops::Range;
use kernel::prelude::*;

/// `address_space_operations::read_folio`: reads what the folio lacks and unlocks it, now or when the I/O ends.
/// Errors also show in the folio.
pub(crate) fn read_folio<T: BlockMap>(inode: &Inode<T>, folio: LockedFolio<'_>) -> Result {
    let window = folio.pos()..folio.pos().saturating_add(folio.size());
    inode.trace_window(folio.pos(), folio.size(), Direction::Read);
    let mut reader = Reader::new(inode, window, false);
    let result = reader.folio(folio);
    reader.finish();
    result
}

/// `address_space_operations::readahead`: reads the window's folios. A folio whose blocks cannot be mapped is left
/// not up to date; whoever needs it reads it alone and gets the error.
pub(crate) fn readahead<T: BlockMap>(window: &mut Readahead<'_, T>) {
    let inode = window.inode();
    if let Some(longest) = window.longest() {
        window.extend(ahead::end(&window.window(), longest, inode.size()));
    }
    let range = window.window();
    inode.trace_window(
        range.start,
        range.end.wrapping_sub(range.start),
        Direction::Read,
    );
    let mut reader = Reader::new(inode, range, true);
    while let Some(folio) = window.next() {
        // The error is in the folio.
        let _ = reader.folio(folio);
    }
    reader.finish();
}

/// One pass over a window.
struct Reader<'a, T> {
    inode: &'a Inode<T>,
    planner: Planner,
    bio: ReadBio<'a, T>,
    /// The runs behind the one that the planner has.
    rest: RunQueue,
}

impl<'a, T: BlockMap> Reader<'a, T> {
    fn new(inode: &'a Inode<T>, window: Range<u64>, ahead: bool) -> Self {
        Self {
            inode,
            planner: Planner::new(inode.block_bits(), inode.size(), window, LIMITS),
            bio: ReadBio::new(inode, ahead),
            rest: RunQueue::new(),
        }
    }

    fn finish(mut self) {
        if let Some(reason) = self.planner.finish() {
            self.bio.send(reason);
        }
    }

    /// Reads what the folio lacks.
    #[inline(always)]
    fn folio(&mut self, folio: LockedFolio<'_>) -> Result {
        let mut pieces = Pieces::new(folio.size());
        let read = match folio.state() {
            None => self.range(&folio, 0..pieces.size, &mut pieces),
            Some(state) => {
                pieces.count(self.inode, &folio, 0);
                self.missing(&folio, state, &mut pieces)
            }
        };
        pieces.leave(folio, read.is_ok());
        read
    }

    /// Reads the blocks of a folio with a record that are not up to date.
    fn missing(
        &mut self,
        folio: &LockedFolio<'_>,
        state: &BlockState,
        pieces: &mut Pieces,
    ) -> Result {
        let bits = self.inode.block_bits();
        let mut rest = 0..state.blocks();
        while let Some(blocks) = state.next_missing(rest.clone()) {
            rest.start = blocks.end;
            let bytes = u64::from(blocks.start) << bits..u64::from(blocks.end) << bits;
            self.range(folio, bytes, pieces)?;
        }
        Ok(())
    }

    /// Plans and issues the reads of `bytes`, which lie in the folio.
    #[inline(never)]
    fn range(&mut self, folio: &LockedFolio<'_>, bytes: Range<u64>, pieces: &mut Pieces) -> Result {
        self.planner.range(
            folio.pos().wrapping_add(bytes.start),
            bytes.end.wrapping_sub(bytes.start),
        );
        loop {
            match self.planner.step() {
                Step::Done => return Ok(()),
                Step::Map { block, max } => self.map(block, max)?,
                Step::Send(reason) => self.bio.send(reason),
                Step::Zero { offset, len } => {
                    let start = bytes.start.wrapping_add(offset);
                    pieces.zero(self.inode, folio, start..start.wrapping_add(len));
                }
                Step::Append {
                    offset,
                    len,
                    sector,
                    ahead,
                } => {
                    let start = bytes.start.wrapping_add(offset);
                    let piece = start..start.wrapping_add(len);
                    pieces.add(self.inode, folio, &piece, self.planner.io_end());
                    if !self.bio.append(folio, piece, sector, ahead) {
                        self.planner.restarted(len);
                    }
                }
            }
        }
    }

    fn map(&mut self, block: u64, max: u64) -> Result {
        let run = match self.rest.take(block) {
            Some(run) => run,
            None => T::map_for_read(self.inode, block, max, &mut self.rest)?,
        };
        answer(self.inode, &mut self.planner, run)
    }
}

/// What a pass holds of a folio's count of bytes under read.
const HELD: u32 = 1;

/// The pieces of one folio that are given to bios.
///
/// While there is a record, one byte is held for the pass itself, so that the folio does not end before all its
/// pieces have been issued.
struct Pieces {
    /// The folio's size in bytes.
    size: u64,
    /// The folio is given away whole: one piece, and the rest of it zeroes.
    single: bool,
    /// The pieces' bytes are counted in the folio's record.
    counted: bool,
}

impl Pieces {
    fn new(size: u64) -> Self {
        Self {
            size,
            single: false,
            counted: false,
        }
    }

    /// The record in which the pieces are counted.
    fn state<'f>(&self, folio: &'f LockedFolio<'_>) -> Option<&'f BlockState> {
        match self.counted {
            true => folio.state(),
            false => None,
        }
    }

    /// From now on counts pieces in the folio's record. Everything before `done` (bytes) has been zeroed.
    fn count<T: BlockMap>(&mut self, inode: &Inode<T>, folio: &LockedFolio<'_>, done: u64) {
        inode.trace_per_block(folio.pos(), self.size, Direction::Read);
        let state = folio.make_state(inode.block_bits());
        state.set_uptodate(0..blocks(inode, done));
        state.begin_read(HELD);
        self.counted = true;
    }

    /// Bytes that no I/O brings.
    fn zero<T: BlockMap>(&self, inode: &Inode<T>, folio: &LockedFolio<'_>, bytes: Range<u64>) {
        folio.zero(bytes.clone());
        if let Some(state) = self.state(folio) {
            state.set_uptodate(blocks(inode, bytes.start)..blocks(inode, bytes.end));
        }
    }

    /// A piece is about to join a bio. There is no I/O from position `io_end` of the file on.
    fn add<T: BlockMap>(
        &mut self,
        inode: &Inode<T>,
        folio: &LockedFolio<'_>,
        piece: &Range<u64>,
        io_end: u64,
    ) {
        if !self.counted {
            if piece.end >= self.size || folio.pos().wrapping_add(piece.end) >= io_end {
                self.single = true;
                return;
            }
            self.count(inode, folio, piece.start);
        }
        if let Some(state) = self.state(folio) {
            // A folio has less than 4 GiB.
            state.begin_read(piece.end.wrapping_sub(piece.start) as u32);
        }
    }

    /// Ends the pass over the folio: it is left to its pieces in flight, or ended here if there are none.
    fn leave(self, folio: LockedFolio<'_>, ok: bool) {
        if self.single {
            return folio.leave_to_io();
        }
        let Some(state) = self.state(&folio) else {
            return folio.finish_read(ok);
        };
        match state.end_read(ok, HELD) {
            Some(_) => {
                let uptodate = state.is_all_uptodate();
                folio.finish_read(uptodate);
            }
            None => folio.leave_to_io(),
        }
    }
}

/// A length in bytes as blocks of the volume, rounded down.
fn blocks<T: BlockMap>(inode: &Inode<T>, bytes: u64) -> u32 {
    u32::try_from(bytes >> inode.block_bits()).unwrap_or(u32::MAX)
}

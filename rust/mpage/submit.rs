// SPDX-License-Identifier: GPL-2.0

//! The submitter: one open bio, to which the planner's steps are applied.

use super::plan::{Limits, Reason};
use crate::vfs::{
    bio::{OpenBio, MAX_BYTES, MAX_SEGMENTS},
    folio::LockedFolio,
    inode::Inode,
    trace::Direction,
    FileSystem,
};
use core::ops::Range;

/// What one bio can hold.
pub(super) const LIMITS: Limits = Limits {
    segments: MAX_SEGMENTS,
    bytes: MAX_BYTES,
};

/// Segments for a bio that is not expected to get many: those for which it needs no memory of its own.
pub(super) const FEW_SEGMENTS: u32 = 4;

/// Bytes in a page: the least that a segment of a bio holds of a large run.
const PAGE_SHIFT: u32 = 12;

/// Segments for a bio into which `bytes` may go: one a page, and one more at each end, where a page may be touched in
/// part only.
pub(super) fn segments_for(bytes: u64) -> u32 {
    u32::try_from(bytes >> PAGE_SHIFT)
        .unwrap_or(MAX_SEGMENTS)
        .saturating_add(2)
}

/// Segments for a bio into which `piece` bytes go, and then up to `rest` bytes in pieces that are likely as large: a
/// bio of few segments costs less, and one that reads grows if that is wrong.
fn segments_for_read(piece: u64, rest: u64) -> u32 {
    match rest.checked_div(piece) {
        Some(0) | None => 1,
        Some(more) => u32::try_from(more)
            .unwrap_or(MAX_SEGMENTS)
            .saturating_add(2),
    }
}

/// The bio being built for a window of reads.
pub(super) struct ReadBio<'a, T> {
    inode: &'a Inode<T>,
    open: Option<OpenBio>,
    ahead: bool,
    /// The last bio went out because the next block was elsewhere: the next one may be short too.
    scattered: bool,
}

impl<'a, T: FileSystem> ReadBio<'a, T> {
    /// Starts without a bio. `ahead` marks the bios as readahead.
    pub(super) fn new(inode: &'a Inode<T>, ahead: bool) -> Self {
        Self {
            inode,
            open: None,
            ahead,
            scattered: false,
        }
    }

    /// Appends `range` (bytes) of a folio; the first of them lies at `sector`, and up to `expected` bytes from there on
    /// can come into the same bio. `false` if the open bio turned out to be full: it has been sent and a new one begun.
    pub(super) fn append(
        &mut self,
        folio: &LockedFolio<'_>,
        range: Range<u64>,
        sector: u64,
        expected: u64,
    ) -> bool {
        if let Some(open) = &mut self.open {
            if open.append(folio, range.clone()) {
                return true;
            }
        }
        let fresh = self.open.is_none();
        if !fresh {
            self.send(Reason::Full);
        }
        let piece = range.end.wrapping_sub(range.start);
        let segments = if self.scattered {
            1
        } else {
            segments_for_read(piece, expected.wrapping_sub(piece))
        };
        let mut open = OpenBio::read(self.inode.sb(), sector, segments, self.ahead);
        // An empty bio has room for one piece.
        let _ = open.append(folio, range);
        self.open = Some(open);
        fresh
    }

    /// Sends the open bio, if there is one.
    pub(super) fn send(&mut self, reason: Reason) {
        self.scattered = reason == Reason::NotAdjacent;
        if let Some(open) = self.open.take() {
            self.inode.trace_bio(&open, reason as u8, Direction::Read);
            open.send();
        }
    }
}

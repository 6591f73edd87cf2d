// SPDX-License-Identifier: GPL-2.0

//! The engine's trace events, for an inode. See `docs/tracing.md`.

use super::{inode::Inode, FileSystem};
use crate::bindings::trace;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

impl<T: FileSystem> Inode<T> {
    /// `mpage_window`: a window of `len` bytes at `pos` begins.
    #[inline(always)]
    pub(crate) fn trace_window(&self, pos: u64, len: u64, direction: Direction) {
        // SAFETY: The inode is live.
        unsafe { trace::mpage_window(self.as_raw(), pos, len, direction == Direction::Write) };
    }

    /// `mpage_map`: `len` blocks from `first` on were mapped to `disk`, or to a hole.
    #[inline(always)]
    pub(crate) fn trace_map(&self, first: u64, len: u64, disk: Option<u64>, boundary: bool) {
        // SAFETY: The inode is live.
        unsafe {
            trace::mpage_map(self.as_raw(), first, len, disk.unwrap_or(0), disk.is_none(), boundary)
        };
    }

    /// `mpage_bio`: a bio of `bytes` at `sector` (512 bytes), from `folios` pieces, was sent for `reason`.
    #[inline(always)]
    pub(crate) fn trace_bio(&self, sector: u64, bytes: u32, folios: u32, reason: u8, direction: Direction) {
        // SAFETY: The inode is live.
        unsafe {
            trace::mpage_bio(self.as_raw(), sector, bytes, folios, reason, direction == Direction::Write)
        };
    }

    /// `mpage_per_block`: the folio of `len` bytes at `pos` is not one piece of I/O.
    #[inline(always)]
    pub(crate) fn trace_per_block(&self, pos: u64, len: u64, direction: Direction) {
        // SAFETY: The inode is live.
        unsafe { trace::mpage_per_block(self.as_raw(), pos, len, direction == Direction::Write) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The engine's trace events, for an inode. See `docs/tracing.md`.

use super::{bio::OpenBio, inode::Inode, super_block::SuperBlock, FileSystem};
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
            trace::mpage_map(
                self.as_raw(),
                first,
                len,
                disk.unwrap_or(0),
                disk.is_none(),
                boundary,
            )
        };
    }

    /// `mpage_bio`: the bio is about to be sent for `reason`.
    #[inline(always)]
    pub(crate) fn trace_bio(&self, bio: &OpenBio, reason: u8, direction: Direction) {
        // SAFETY: The inode is live; the bio is open and holds folios of the inode's file.
        unsafe {
            trace::mpage_bio(
                self.as_raw(),
                bio.as_raw(),
                bio.folios(),
                reason,
                direction == Direction::Write,
            )
        };
    }

    /// `mpage_per_block`: the folio of `len` bytes at `pos` is not one piece of I/O.
    #[inline(always)]
    pub(crate) fn trace_per_block(&self, pos: u64, len: u64, direction: Direction) {
        // SAFETY: The inode is live.
        unsafe { trace::mpage_per_block(self.as_raw(), pos, len, direction == Direction::Write) };
    }

    /// `reserve_blocks`: space was set aside for `len` blocks from `first` on; with their pointer blocks for `total`.
    #[inline(always)]
    pub(crate) fn trace_reserve(&self, first: u64, len: u64, total: u64) {
        // SAFETY: The inode is live.
        unsafe { trace::reserve_blocks(self.as_raw(), first, len, total) };
    }

    /// `commit_blocks`: `extents` runs of the file became reachable, by `links` rows of pointers that were set, and `made` new
    /// pointer blocks.
    #[inline(always)]
    pub(crate) fn trace_commit(&self, extents: usize, made: usize, links: usize) {
        // SAFETY: The inode is live.
        unsafe { trace::commit_blocks(self.as_raw(), extents as u32, made as u32, links as u32) };
    }
}

/// Blocks that were chosen, for `alloc_blocks`. All in blocks of the volume.
pub(crate) struct Chosen {
    /// The inode that gets them.
    pub(crate) ino: u64,
    /// Where they were wished to begin.
    pub(crate) goal: u32,
    /// How many were wished for.
    pub(crate) want: u32,
    /// The first of them.
    pub(crate) disk: u32,
    /// How many there are.
    pub(crate) len: u32,
    /// They come out of what was set aside before.
    pub(crate) reserved: bool,
}

impl<T: FileSystem> SuperBlock<T> {
    /// `alloc_blocks`: blocks were chosen.
    #[inline(always)]
    pub(crate) fn trace_alloc(&self, chosen: &Chosen) {
        let Chosen {
            ino,
            goal,
            want,
            disk,
            len,
            reserved,
        } = *chosen;
        // SAFETY: The super block is live.
        unsafe { trace::alloc_blocks(self.as_raw(), ino, goal, want, disk, len, reserved) };
    }

    /// `damage`: something is wrong with the inode or the block of the volume; zero for one that does not apply.
    #[inline(always)]
    pub(crate) fn trace_damage(&self, ino: u64, block: u64) {
        // SAFETY: The super block is live.
        unsafe { trace::damage(self.as_raw(), ino, block) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Giving out blocks, and reserving them beforehand.

use super::SuperBlock;
use crate::vfs::errno::EOPNOTSUPP;
use kernel::prelude::*;

/// Where the blocks of a request are accounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// They were reserved before: as many blocks of the reservation as are given out are used up.
    Reserved,
    /// They were not; the request fails if what is free is spoken for.
    Free,
}

/// A wish for blocks in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// The block to begin at, or as near to it as there is room. A number that is no block means anywhere.
    pub(super) goal: u32,
    /// The most blocks to give, at least 1.
    pub(super) len: u32,
    /// Who pays.
    pub(super) from: Budget,
    /// The inode that gets them.
    pub(super) owner: u64,
}

/// Blocks in a row on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run32 {
    /// The first.
    pub(super) start: u32,
    /// How many, at least 1.
    pub(super) len: u32,
}

impl SuperBlock {
    /// Sets `count` blocks aside, so that a later [`allocate`](Self::allocate) with [`Budget::Reserved`] finds them.
    /// Fails with `ENOSPC`; blocks kept for the administrator count only for those who may use them.
    pub(super) fn reserve_blocks(&self, _count: u64) -> Result {
        Err(EOPNOTSUPP())
    }

    /// Gives `count` blocks of a reservation back.
    pub(super) fn release_blocks(&self, _count: u64) {}

    /// Gives out blocks: the longest row near the goal. Sleeps. `ENOSPC`, `EIO`, `EUCLEAN`.
    pub(super) fn allocate(&self, _want: &Request) -> Result<Run32> {
        Err(EOPNOTSUPP())
    }

    /// The block at which a file of that number should begin when nothing else tells.
    pub(super) fn first_goal(&self, _ino: u64) -> u32 {
        0
    }

    /// Takes back blocks that nothing in memory points to any more, while the disk still may. The caller has cleared
    /// the pointers in their (dirty) buffers. They are given out again after the next [`quiesce`](Self::quiesce).
    pub(super) fn free_run(&self, _start: u32, _len: u32) {}

    /// Takes back blocks that never were reachable on disk: they can be given out again at once.
    pub(super) fn return_run(&self, _start: u32, _len: u32) {}

    /// Makes everything freed so far durable on the device, then lets it be given out again. Sleeps; `EIO`.
    pub(super) fn quiesce(&self) -> Result {
        Ok(())
    }

    /// Blocks and inodes that are free, for `statfs(2)`: reserved ones are not, those in quarantine are.
    pub(super) fn free_counts(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Writes the counts of free blocks and inodes into the (then dirty) buffers of descriptors and superblock.
    pub(super) fn store_counts(&self) -> Result {
        Ok(())
    }
}

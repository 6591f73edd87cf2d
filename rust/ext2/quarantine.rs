// SPDX-License-Identifier: GPL-2.0

//! Blocks and inodes that are free in memory while the disk may still point to them.
//!
//! A block that was freed and given to another file at once could be written with the new file's contents before the
//! old pointer to it is gone from the disk: after a crash the old file would show them. So what is freed waits here,
//! its bits set, until a [`quiesce`](super::SuperBlock::quiesce) has made the cleared pointers durable.

use super::alloc::Run32;
use crate::vfs::sync::NoFsScope;
use core::mem;
use kernel::{alloc::AllocError, prelude::*};

/// An inode number that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreedInode {
    /// The number.
    pub(super) ino: u32,
    /// Whether it was a directory.
    pub(super) is_dir: bool,
}

/// What waits.
pub(super) struct Quarantine {
    runs: KVVec<Run32>,
    inodes: KVVec<FreedInode>,
    /// Blocks in the runs.
    blocks: u64,
}

impl Quarantine {
    /// Nothing waits.
    pub(super) fn new() -> Self {
        Self {
            runs: KVVec::new(),
            inodes: KVVec::new(),
            blocks: 0,
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.inodes.is_empty()
    }

    /// The blocks that wait.
    pub(super) fn runs(&self) -> &[Run32] {
        &self.runs
    }

    /// The inodes that wait.
    pub(super) fn inodes(&self) -> &[FreedInode] {
        &self.inodes
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::new())
    }

    /// Adds blocks. Fails without memory.
    pub(super) fn add_run(&mut self, run: Run32) -> Result<(), AllocError> {
        let joined = self.runs.last_mut().is_some_and(|last| last.join(run));
        if !joined {
            let _scope = NoFsScope::new();
            self.runs.push(run, GFP_KERNEL)?;
        }
        self.blocks = self.blocks.saturating_add(run.len.into());
        Ok(())
    }

    /// How many blocks wait.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Adds an inode. Fails without memory.
    pub(super) fn add_inode(&mut self, inode: FreedInode) -> Result<(), AllocError> {
        let _scope = NoFsScope::new();
        self.inodes.push(inode, GFP_KERNEL)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What is noted of directory blocks that are [held back](super::held), and of the names that they wait for.

use super::{
    commit,
    overlay::Found,
    Inode, //
};
use crate::vfs::buffer::Buffer;
use kernel::prelude::*;

/// How many blocks are kept track of before a release. Each pins a page of the device's page cache.
const MOST: usize = 128;

/// A block that has lost a name.
pub(super) struct Held {
    pub(super) buffer: Buffer,
    /// Its directory.
    pub(super) dir: u32,
    /// Which of its blocks it is.
    pub(super) index: u64,
    /// The name was that of a directory.
    pub(super) of_directory: bool,
}

/// A name that is about to go from a directory.
#[derive(Clone, Copy)]
pub(super) struct Leaving<'a> {
    /// The directory.
    pub(super) dir: &'a Inode,
    /// Which of its blocks the name stands in.
    pub(super) index: u64,
    /// That block.
    pub(super) buffer: &'a Buffer,
}

impl Leaving<'_> {
    /// Sees to it that the directory's pointers lead to the block. One that is ahead of them has to be written before they
    /// do, and cannot be held back; and a commit that is under way may have written it, with the name. Sleeps; `EIO`,
    /// `ENOSPC`.
    pub(super) fn link(&self) -> Result {
        let block = u32::try_from(self.index)?;
        let found = self.dir.data().map.read().overlay.find(block);
        match found {
            Found::Nothing(_) => Ok(()),
            _ => commit::commit(self.dir, commit::Extents::All),
        }
    }
}

/// What goes through one release.
pub(super) struct Batch {
    pub(super) held: KVec<Held>,
    /// Blocks that got a name.
    pub(super) news: KVec<u64>,
    /// The directories of these.
    pub(super) dirs: KVec<u32>,
}

impl Batch {
    pub(super) const fn new() -> Self {
        Self {
            held: KVec::new(),
            news: KVec::new(),
            dirs: KVec::new(),
        }
    }

    pub(super) fn holds(&self, block: u64) -> bool {
        self.held.iter().any(|held| held.buffer.block() == block)
    }

    pub(super) fn is_full(&self) -> bool {
        self.held.len().max(self.news.len()).max(self.dirs.len()) >= MOST
    }
}

/// The batch that is being collected, and the one that is being released.
pub(super) struct Lists {
    pub(super) next: Batch,
    pub(super) current: Batch,
}

impl Lists {
    pub(super) fn holds(&self, block: u64) -> bool {
        self.next.holds(block) || self.current.holds(block)
    }

    pub(super) fn waits_for(&self, block: u64) -> bool {
        self.next.news.contains(&block) || self.current.news.contains(&block)
    }

    /// The next release writes directory `dir`, which got a name in `block`. `ENOMEM`.
    pub(super) fn wait_for(&mut self, dir: u32, block: u64) -> Result {
        if !self.next.news.contains(&block) {
            self.next.news.push(block, GFP_KERNEL)?;
        }
        if !self.next.dirs.contains(&dir) {
            self.next.dirs.push(dir, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Holds back the block from which a name of `inode` goes. `ENOMEM`.
    pub(super) fn hold(&mut self, inode: &Inode, from: &Leaving<'_>) -> Result {
        let of_directory = inode.is_directory();
        let mut before = self.next.held.iter_mut();
        if let Some(held) = before.find(|held| held.buffer.block() == from.buffer.block()) {
            held.of_directory |= of_directory;
            return Ok(());
        }
        let held = Held {
            buffer: from.buffer.clone(),
            dir: u32::try_from(from.dir.ino())?,
            index: from.index,
            of_directory,
        };
        self.next.held.push(held, GFP_KERNEL)?;
        from.buffer.keep_back();
        Ok(())
    }
}

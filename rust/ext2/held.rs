// SPDX-License-Identifier: GPL-2.0

//! Order among the blocks of directories: a name that moves from one block to another, by a rename or by a
//! [link](super::new_links) and the removal of the old name.
//!
//! If the disk had the block that lost a file's name and not the one that got it, a power cut would leave the file
//! without a name. So the block that loses one is *held back*: it is changed in memory and not dirty, so that nobody
//! writes it. A *release* makes the new names durable, one flush for all that were collected, and then makes the blocks
//! held back dirty. It happens when a directory or the volume is synced, when the flusher writes a directory, before a
//! directory is deleted, and when there are too many blocks to keep track of.
//!
//! No block is both held back and one whose new names others wait for: what would make it so releases first.
//!
//! # Locks
//!
//! `releasing` is held for the length of a release, outside of the maps of the directories. `lists` is inside of the
//! maps; only buffers are touched under it.

use super::{
    commit,
    dir::Dir,
    held_lists::{Batch, Held, Leaving, Lists},
    inode_write,
    ondisk::superblock::ROOT_INO,
    Inode,
    SuperBlock, //
};
use crate::vfs::sync::NoFsScope;
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Acquire, Full, Relaxed, Release},
            Atomic, //
        },
        Mutex, MutexGuard,
    },
};

/// How often a block is tried to be held back.
const TRIES: u32 = 16;

/// How many directories deep a path is followed that nobody has synced.
const DEEPEST: u32 = 4096;

/// The blocks held back on a volume.
#[pin_data]
pub(super) struct HeldBlocks {
    /// Whether there are any, or were until a moment ago.
    any: Atomic<bool>,
    #[pin]
    lists: Mutex<Lists>,
    #[pin]
    releasing: Mutex<()>,
    /// How often a block was held back.
    holds: Atomic<u64>,
    /// Syncs of the whole volume that were begun.
    begun: Atomic<u64>,
    /// The last of them that is done.
    done: Atomic<u64>,
}

impl HeldBlocks {
    /// Nothing is held back. `ENOMEM`.
    pub(super) fn new() -> Result<Pin<KBox<Self>>> {
        let lists = Lists {
            next: Batch::new(),
            current: Batch::new(),
        };
        let held = pin_init!(Self {
            any: Atomic::new(false),
            lists <- new_mutex!(lists, "rext2_held"),
            releasing <- new_mutex!((), "rext2_releasing"),
            holds: Atomic::new(0),
            begun: Atomic::new(0),
            done: Atomic::new(0),
        });
        KBox::pin_init(held, GFP_KERNEL)
    }

    /// The lists, locked, for something to be added.
    fn to_add(&self) -> MutexGuard<'_, Lists> {
        let lists = self.lists.lock();
        // First: who makes everything dirty durable must not miss that a block is not dirty any more.
        self.any.store(true, Release);
        self.holds.fetch_add(1u64, Full);
        lists
    }

    /// A number if no block is held back. As long as it is the same, none was in between.
    pub(super) fn at_rest(&self) -> Option<u64> {
        let holds = self.holds.load(Acquire);
        (!self.any.load(Acquire)).then_some(holds)
    }

    /// The number of the first sync of the volume that will find a directory that is being made: the next one may begin
    /// too soon for that.
    pub(super) fn next_sync(&self) -> u64 {
        self.begun.load(Relaxed).wrapping_add(2)
    }

    /// A sync of the whole volume begins. Gives its number.
    pub(super) fn begin_sync(&self) -> u64 {
        self.begun.fetch_add(1u64, Full).wrapping_add(1)
    }

    /// The sync of that number has made everything durable.
    pub(super) fn end_sync(&self, number: u64) {
        if number > self.done.load(Relaxed) {
            self.done.store(number, Relaxed);
        }
    }

    /// Whether the sync of that number, or a later one, has been done.
    fn has_synced(&self, number: u64) -> bool {
        number <= self.done.load(Relaxed)
    }
}

impl SuperBlock {
    /// Whether blocks are held back.
    pub(super) fn has_held(&self) -> bool {
        self.data().held.any.load(Acquire)
    }

    /// Whether that block is held back.
    pub(super) fn is_held(&self, block: u64) -> bool {
        self.has_held() && self.data().held.lists.lock().holds(block)
    }

    /// Calls `change`, telling it whether the block is held back, which it stays meanwhile if it is. The directory of
    /// the block is locked for writing.
    pub(super) fn with_held<R>(&self, block: u64, change: impl FnOnce(bool) -> R) -> R {
        if self.has_held() {
            let lists = self.data().held.lists.lock();
            if lists.holds(block) {
                return change(true);
            }
        }
        change(false)
    }

    /// A name is about to leave block `old`, for `new` if that is known already. Releases what stands in the way. The
    /// directories are locked for writing. Sleeps; `EIO`, `ENOSPC`.
    pub(super) fn before_move(&self, old: u64, new: Option<u64>) -> Result {
        if !self.has_held() || new == Some(old) {
            return Ok(());
        }
        let in_the_way = {
            let lists = self.data().held.lists.lock();
            lists.next.is_full()
                || lists.waits_for(old)
                || new.is_some_and(|block| lists.holds(block))
        };
        match in_the_way {
            true => self.release_held(),
            false => Ok(()),
        }
    }

    /// The name of `inode` that stands in block `new` of `to` is to be durable before the one in `old` goes: that block is
    /// held back from now on. The directory that loses the name is locked for writing. Sleeps; `ENOMEM`, and `EIO`,
    /// `ENOSPC`, `EBUSY` if something is in the way that cannot be released.
    pub(super) fn hold(&self, inode: &Inode, from: Leaving<'_>, (to, new): (u32, u64)) -> Result {
        if from.buffer.block() == new {
            return Ok(());
        }
        from.link()?;
        self.without_conflict(|| {
            let mut lists = self.data().held.to_add();
            if lists.holds(new) || lists.waits_for(from.buffer.block()) {
                return Ok(false);
            }
            lists.wait_for(to, new)?;
            lists.hold(inode, &from)?;
            Ok(true)
        })
    }

    /// The next release makes the names in block `new` of directory `to` durable. Sleeps; errors as of
    /// [`hold`](Self::hold).
    pub(super) fn await_name(&self, to: u32, new: u64) -> Result {
        self.without_conflict(|| {
            let mut lists = self.data().held.to_add();
            if lists.holds(new) {
                return Ok(false);
            }
            lists.wait_for(to, new)?;
            Ok(true)
        })
    }

    /// Changes the lists by `change`, which tells whether it could; releases and tries again if not. Others change
    /// them too: hardly ever does it take more than two times.
    fn without_conflict(&self, change: impl Fn() -> Result<bool>) -> Result {
        for _ in 0..TRIES {
            let changed = {
                let _scope = NoFsScope::new();
                change()?
            };
            if changed {
                return Ok(());
            }
            self.release_held()?;
        }
        Err(EBUSY)
    }

    /// Makes the new names durable, and lets the blocks that lost them be written. Sleeps; `EIO`, `ENOSPC`: then they
    /// are written all the same.
    pub(super) fn release_held(&self) -> Result {
        // Blocks that are being released count as held back until they are not.
        if !self.has_held() {
            return Ok(());
        }
        let held = &self.data().held;
        let _releasing = held.releasing.lock();
        if !self.has_held() {
            return Ok(());
        }
        {
            let mut lists = held.lists.lock();
            lists.current = mem::replace(&mut lists.next, Batch::new());
        }
        let settled = self
            .check_live()
            .and_then(|()| self.settle_new_names())
            .and_then(|()| self.flush_device());
        let done = {
            let mut lists = held.lists.lock();
            let done = mem::replace(&mut lists.current, Batch::new());
            for block in done.held.iter() {
                // One that has lost another name meanwhile waits for the next release.
                if !lists.next.holds(block.buffer.block()) {
                    block.buffer.mark_dirty();
                }
            }
            done
        };
        for block in done.held.iter() {
            if let Some(dir) = self.find_inode(block.dir.into()) {
                self.give_room_back(&dir, block);
            }
        }
        {
            let lists = held.lists.lock();
            let rest = !lists.next.held.is_empty() || !lists.next.news.is_empty();
            held.any.store(rest, Release);
        }
        settled.and_then(|()| Self::write_lost_directories(&done.held))
    }

    /// e2fsck lets a directory keep one name only, and that may be the old one: it has to go at once.
    fn write_lost_directories(blocks: &[Held]) -> Result {
        let blocks = || blocks.iter().filter(|held| held.of_directory);
        blocks().for_each(|held| held.buffer.write_start());
        blocks().try_for_each(|held| held.buffer.wait())
    }

    /// `fsync` of a directory has to write a block that is not held back any more, and names may be entered there.
    fn give_room_back(&self, dir: &Inode, block: &Held) {
        let lists = self.data().held.lists.lock();
        if !lists.holds(block.buffer.block()) {
            dir.change_metadata(&block.buffer, |_| ());
        }
        drop(lists);
        dir.data().hints.may_have_room(block.index);
    }

    /// Writes the directories that got names, and what leads to them.
    fn settle_new_names(&self) -> Result {
        let next = |index: usize| {
            let lists = self.data().held.lists.lock();
            lists.current.dirs.get(index).copied()
        };
        let mut index = 0;
        while let Some(dir) = next(index) {
            self.settle_path(dir)?;
            index = index.saturating_add(1);
        }
        Ok(())
    }

    /// Writes a directory, and those above it up to one that was there when the volume was synced last.
    fn settle_path(&self, dir: u32) -> Result {
        let mut ino = dir;
        for _ in 0..DEEPEST {
            let Some(dir) = self.find_inode(ino.into()).filter(|dir| dir.links() != 0) else {
                // One that left memory was stored before.
                return inode_write::write_table(self, core::iter::once(ino));
            };
            commit::commit(&dir, commit::Extents::All)?;
            dir.sync_metadata()?;
            inode_write::store(&dir)?;
            inode_write::write_table(self, core::iter::once(ino))?;
            let born = dir.data().attributes.first_sync();
            if ino == ROOT_INO || self.data().held.has_synced(born) {
                return Ok(());
            }
            (_, ino) = Dir::new(&dir).parent()?;
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What is free on a mounted volume: counters, and the locks of the bitmaps.
//!
//! # Locks
//!
//! A group's lock protects its bitmaps and changes of its counters, which are read without it. Groups share locks;
//! nobody takes two. Outside of it: everything up to the map of an inode, and `quiescing`. Inside of it: the record
//! of the superblock, and buffers.

use super::{
    ondisk::{
        group::GroupDesc,
        policy::{Average, GroupUse, Windows},
        superblock::Superblock,
    },
    quarantine::Quarantine,
};
use crate::vfs::{
    errno::EUCLEAN,
    lost_writes::{LostBlocks, LostWrites},
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        lock::{mutex::MutexBackend, Guard},
        new_mutex, Mutex,
    },
};

/// Locks for all groups of a volume: more than processors that allocate at the same time.
const LOCKS: usize = 32;

/// What is known of a bitmap on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It was not looked at since the mount.
    Unknown,
    /// It does not contradict the rest of the volume.
    Good,
    /// It does: nothing is allocated or freed there.
    Bad,
}

impl Trust {
    fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::Unknown,
            1 => Self::Good,
            _ => Self::Bad,
        }
    }
}

/// One of the two bitmaps of a group, in numbers. The group's lock is held for changes.
pub(super) struct Count {
    /// Clear bits.
    free: Atomic<u32>,
    /// [`Trust`].
    trust: Atomic<u32>,
}

impl Count {
    fn new(free: u32) -> Self {
        Self {
            free: Atomic::new(free),
            trust: Atomic::new(Trust::Unknown as u32),
        }
    }

    /// Clear bits that can be taken.
    pub(super) fn free(&self) -> u32 {
        self.free.load(Relaxed)
    }

    pub(super) fn trust(&self) -> Trust {
        Trust::from_bits(self.trust.load(Relaxed))
    }

    /// Sets what is known now, and gives the number of clear bits that was believed before.
    pub(super) fn settle(&self, trust: Trust, free: u32) -> u32 {
        self.trust.store(trust as u32, Relaxed);
        self.free.xchg(free, Relaxed)
    }

    fn take(&self, count: u32) {
        self.free.store(self.free().saturating_sub(count), Relaxed);
    }

    fn give(&self, count: u32) {
        self.free.store(self.free().saturating_add(count), Relaxed);
    }
}

/// A group.
pub(super) struct Group {
    /// The bitmap of blocks.
    pub(super) blocks: Count,
    /// The bitmap of inodes.
    pub(super) inodes: Count,
    directories: Atomic<u32>,
    /// No inode before this one, counted in the group, is free. Read and changed under the group's lock.
    first_inode: Atomic<u32>,
    /// No row of free blocks is longer than this.
    longest: Atomic<u32>,
    /// The descriptor on disk is out of date.
    changed: Atomic<bool>,
}

impl Group {
    fn new(desc: &GroupDesc) -> Self {
        Self {
            blocks: Count::new(desc.free_blocks.into()),
            inodes: Count::new(desc.free_inodes.into()),
            directories: Atomic::new(desc.used_dirs.into()),
            first_inode: Atomic::new(0),
            longest: Atomic::new(u32::MAX),
            changed: Atomic::new(false),
        }
    }

    /// Directories in the group.
    pub(super) fn directories(&self) -> u32 {
        self.directories.load(Relaxed)
    }

    /// A row of free blocks that is longer than this cannot be found here.
    pub(super) fn bound(&self) -> u32 {
        self.longest.load(Relaxed).min(self.blocks.free())
    }

    /// Notes the length of the longest row of free blocks.
    pub(super) fn set_bound(&self, longest: u32) {
        self.longest.store(longest, Relaxed);
    }

    /// Notes that `count` blocks were taken.
    pub(super) fn take_blocks(&self, count: u32) {
        self.blocks.take(count);
        self.mark_changed();
    }

    /// Notes that `count` blocks became free.
    pub(super) fn give_blocks(&self, count: u32) {
        self.blocks.give(count);
        self.set_bound(u32::MAX);
        self.mark_changed();
    }

    /// Where the search for a free inode begins, counted in the group.
    pub(super) fn first_inode(&self) -> u32 {
        self.first_inode.load(Relaxed)
    }

    /// Notes that inode `index`, the first that was free, was taken.
    pub(super) fn take_inode(&self, index: u32, is_dir: bool) {
        self.first_inode.store(index.saturating_add(1), Relaxed);
        self.inodes.take(1);
        let dirs = self.directories().saturating_add(is_dir.into());
        self.directories.store(dirs, Relaxed);
        self.mark_changed();
    }

    /// Notes that inode `index` became free.
    pub(super) fn give_inode(&self, index: u32, is_dir: bool) {
        self.first_inode
            .store(self.first_inode().min(index), Relaxed);
        self.inodes.give(1);
        let dirs = self.directories().saturating_sub(is_dir.into());
        self.directories.store(dirs, Relaxed);
        self.mark_changed();
    }

    /// Notes that the descriptor on disk is out of date.
    pub(super) fn mark_changed(&self) {
        self.changed.store(true, Relaxed);
    }

    /// Whether the descriptor on disk is out of date, which the caller now changes.
    pub(super) fn begin_store(&self) -> bool {
        self.changed.load(Relaxed) && self.changed.xchg(false, Relaxed)
    }

    /// For the choice of a group.
    pub(super) fn usage(&self) -> GroupUse {
        GroupUse {
            free_blocks: self.blocks.free(),
            free_inodes: self.inodes.free(),
            directories: self.directories(),
        }
    }
}

/// What is free on a volume.
#[pin_data]
pub(super) struct Space {
    /// Blocks that are free or in quarantine, less those reserved. Negative if the volume lied about them.
    pub(super) available: Atomic<i64>,
    /// Inodes that are free or in quarantine.
    pub(super) available_inodes: Atomic<i64>,
    /// Directories on the volume.
    pub(super) directories: Atomic<i64>,
    /// No group has a longer row of free blocks.
    longest: Atomic<u32>,
    /// All groups.
    pub(super) groups: KVVec<Group>,
    /// What was freed and waits.
    #[pin]
    pub(super) quarantine: Mutex<Quarantine>,
    /// Held while the device's page cache is written and quarantine is emptied; outside of the groups' locks.
    #[pin]
    pub(super) quiescing: Mutex<LostBlocks>,
    /// Metadata whose write failed.
    pub(super) lost: LostWrites,
    #[pin]
    locks: [Mutex<Windows>; LOCKS],
}

impl Space {
    /// What is free according to the descriptors. `ENOMEM`.
    pub(super) fn new(disk: &Superblock, descs: &[GroupDesc]) -> Result<Pin<KBox<Self>>> {
        let mut groups = KVVec::with_capacity(descs.len(), GFP_KERNEL)?;
        let (mut blocks, mut inodes, mut directories) = (0i64, 0i64, 0i64);
        for desc in descs {
            blocks = blocks.saturating_add(desc.free_blocks.into());
            inodes = inodes.saturating_add(desc.free_inodes.into());
            directories = directories.saturating_add(desc.used_dirs.into());
            groups.push(Group::new(desc), GFP_KERNEL)?;
        }
        let longest = disk.geometry.blocks_per_group();
        let space = pin_init!(Self {
            available: Atomic::new(blocks),
            available_inodes: Atomic::new(inodes),
            directories: Atomic::new(directories),
            longest: Atomic::new(longest),
            groups,
            quarantine <- new_mutex!(Quarantine::new(), "rext2_quarantine"),
            quiescing <- new_mutex!(LostBlocks::new(), "rext2_quiescing"),
            lost: LostWrites::new(),
            locks <- pin_init::pin_init_array_from_fn(|_| new_mutex!(Windows::new(), "rext2_group")),
        });
        KBox::pin_init(space, GFP_KERNEL)
    }

    /// A group. `EUCLEAN` if there is none of that number.
    pub(super) fn group(&self, group: u32) -> Result<&Group> {
        self.groups.get(group as usize).ok_or_else(EUCLEAN)
    }

    /// Locks a group, and what is kept for files that grow there.
    pub(super) fn lock(&self, group: u32) -> Result<Guard<'_, Windows, MutexBackend>> {
        let lock = self.locks.get(group as usize % LOCKS).ok_or_else(EUCLEAN)?;
        Ok(lock.lock())
    }

    /// Means over all groups.
    pub(super) fn average(&self) -> Average {
        let mean = |sum: &Atomic<i64>| {
            let groups = i64::try_from(self.groups.len()).unwrap_or(i64::MAX).max(1);
            let mean = sum.load(Relaxed).checked_div(groups).unwrap_or(0);
            u32::try_from(mean.max(0)).unwrap_or(u32::MAX)
        };
        Average {
            free_blocks: mean(&self.available),
            free_inodes: mean(&self.available_inodes),
            directories: mean(&self.directories),
        }
    }

    /// A row of free blocks that is longer than this is not to be found.
    pub(super) fn bound(&self) -> u32 {
        self.longest.load(Relaxed)
    }

    /// Notes that no group has a longer row of free blocks.
    pub(super) fn set_bound(&self, longest: u32) {
        self.longest.store(longest, Relaxed);
    }
}

/// Adds to a counter, which may become negative.
pub(super) fn add(counter: &Atomic<i64>, change: i64) {
    counter.fetch_add(change, Relaxed);
}

/// Takes between `least` and `most` from a counter, of which `kept` must stay; `None` if there is not enough.
pub(super) fn take(counter: &Atomic<i64>, least: i64, most: i64, kept: i64) -> Option<i64> {
    let mut now = counter.load(Relaxed);
    loop {
        let count = now.saturating_sub(kept).min(most);
        if count < least {
            return None;
        }
        match counter.cmpxchg(now, now.saturating_sub(count), Relaxed) {
            Ok(_) => return Some(count),
            Err(other) => now = other,
        }
    }
}

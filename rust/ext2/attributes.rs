// SPDX-License-Identifier: GPL-2.0

//! What an inode has beside the fields that the VFS keeps.

use super::{flags, ondisk::time::Time};
use kernel::sync::atomic::{
    ordering::{Acquire, Full, Relaxed, Release},
    Atomic,
};

/// The attributes of one inode. Those that change do so under the inode's lock, but for the time of deletion, which
/// is set when nobody else has the inode.
pub(crate) struct Attributes {
    /// `i_flags`.
    flags: Atomic<u32>,
    /// `i_projid`.
    project: Atomic<u32>,
    /// `i_file_acl`: the block of extended attributes.
    attr_block: Atomic<u32>,
    /// `i_dtime` of an inode that is deleted.
    deleted: Atomic<u32>,
    /// Nothing of the inode has been written yet: what its place in the inode table has is of an earlier one.
    fresh: Atomic<bool>,
    /// How often the inode was put into its block of the inode table. Begins at 1: whoever did so in an earlier life of
    /// the inode may not have had the block written.
    stores: Atomic<u32>,
    /// How many of these the device has stored durably, with what else leads to the file.
    durable: Atomic<u32>,
    /// The first sync of the volume that found the directory, if it was made in this mount; else 0.
    first_sync: Atomic<u64>,
    /// `i_extra_isize`.
    pub(super) extra_isize: u16,
    /// When the file was made, if the inode has room for it.
    pub(super) created: Option<Time>,
}

impl Attributes {
    /// The attributes of an inode that has not been read.
    pub(super) fn new() -> Self {
        Self::of(0, 0, 0, 0, None)
    }

    /// Attributes as an inode on disk has them.
    pub(super) fn of(
        flags: u32,
        project: u32,
        attr_block: u32,
        extra_isize: u16,
        created: Option<Time>,
    ) -> Self {
        Self {
            flags: Atomic::new(flags),
            project: Atomic::new(project),
            attr_block: Atomic::new(attr_block),
            deleted: Atomic::new(0),
            fresh: Atomic::new(false),
            stores: Atomic::new(1),
            durable: Atomic::new(0),
            first_sync: Atomic::new(0),
            extra_isize,
            created,
        }
    }

    /// `i_flags`: the attributes of `chattr(1)`.
    pub(super) fn flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    pub(super) fn set_flags(&self, flags: u32) {
        self.flags.store(flags, Relaxed);
    }

    /// The directory has no hash tree any more, because it is changed without care for that.
    pub(super) fn clear_index(&self) {
        let flags = self.flags();
        if flags & flags::INDEX != 0 {
            self.set_flags(flags & !flags::INDEX);
        }
    }

    /// The project.
    pub(super) fn project(&self) -> u32 {
        self.project.load(Relaxed)
    }

    pub(super) fn set_project(&self, project: u32) {
        self.project.store(project, Relaxed);
    }

    /// The block of extended attributes; 0 for none.
    pub(super) fn attr_block(&self) -> u32 {
        self.attr_block.load(Relaxed)
    }

    pub(super) fn set_attr_block(&self, block: u32) {
        self.attr_block.store(block, Relaxed);
    }

    /// When the inode was deleted, in seconds since 1970; 0 if it was not.
    pub(super) fn deleted(&self) -> u32 {
        self.deleted.load(Relaxed)
    }

    pub(super) fn set_deleted(&self, seconds: u32) {
        self.deleted.store(seconds, Relaxed);
    }

    /// Whether nothing of the inode has been written yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.load(Relaxed)
    }

    pub(super) fn set_fresh(&self, fresh: bool) {
        self.fresh.store(fresh, Relaxed);
    }

    /// The first sync of the volume that found the directory; 0 if it is older than the mount.
    pub(super) fn first_sync(&self) -> u64 {
        self.first_sync.load(Relaxed)
    }

    pub(super) fn set_first_sync(&self, number: u64) {
        self.first_sync.store(number, Relaxed);
    }

    /// Notes that the inode is in its block of the inode table, which has to be written.
    pub(super) fn note_store(&self) {
        self.stores.fetch_add(1u32, Full);
    }

    /// How often the inode was put into its block of the inode table.
    pub(super) fn stores(&self) -> u32 {
        self.stores.load(Acquire)
    }

    /// Whether the inode is durable as it was put into its block last.
    pub(super) fn is_durable(&self) -> bool {
        self.durable.load(Acquire) == self.stores.load(Acquire)
    }

    /// Notes that the device has stored durably what [`stores`](Self::stores) had counted before it was written.
    pub(super) fn set_durable(&self, stores: u32) {
        self.durable.store(stores, Release);
    }
}

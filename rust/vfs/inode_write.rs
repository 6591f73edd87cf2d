// SPDX-License-Identifier: GPL-2.0

//! Changing a live inode.
//!
//! The fields here are plain words that the VFS itself reads without a lock. Who changes one holds the inode's lock
//! for writing (`i_rwsem`), or that of the directory which the call is about, as each method says.

use super::{
    inode::{Inode, Timestamp},
    FileSystem,
};
use crate::bindings;
use kernel::{prelude::*, sync::aref::ARef};

/// What `fsync(2)` of the inode itself has to write.
const DIRTY_INODE: u32 = bindings::inode_state_flags_enum_I_DIRTY_SYNC
    | bindings::inode_state_flags_enum_I_DIRTY_DATASYNC;

/// `S_SYNC` and `S_DIRSYNC` of `include/linux/fs.h`, and `SB_SYNCHRONOUS` and `SB_DIRSYNC` of a mount.
const DIRSYNC_INODE: u32 = 1 << 0 | 1 << 6;
const DIRSYNC_MOUNT: usize = 1 << 4 | 1 << 7;

impl<T: FileSystem> Inode<T> {
    /// Has the inode written soon: [`write_inode`](super::super_ops::SuperOperations::write_inode) is called. Any
    /// lock may be held that `write_inode` is not called under.
    pub(crate) fn mark_dirty(&self) {
        // SAFETY: The inode is live or new, and belongs to a mounted volume.
        unsafe { bindings::__mark_inode_dirty(self.as_raw(), DIRTY_INODE as c_int) };
    }

    /// Takes the time: the inode changed. Gives that time. The inode's lock or its directory's is held.
    pub(crate) fn set_changed_now(&self) -> Timestamp {
        // SAFETY: The inode is live.
        let now = unsafe { bindings::inode_set_ctime_current(self.as_raw()) };
        Timestamp {
            seconds: now.tv_sec,
            nanoseconds: now.tv_nsec as u32,
        }
    }

    /// Takes the time: the contents changed, and with them the inode. The inode's lock is held for writing.
    pub(crate) fn set_modified_now(&self) {
        let now = self.set_changed_now();
        // SAFETY: The inode is live, and its lock is held.
        unsafe {
            (*self.as_raw()).i_mtime_sec = now.seconds;
            (*self.as_raw()).i_mtime_nsec = now.nanoseconds;
        }
    }

    /// Sets the size in bytes. The inode's lock is held for writing.
    pub(crate) fn set_size(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // SAFETY: The field is written in one piece on 64-bit machines, as `i_size_write` does there.
        unsafe { (&raw mut (*self.as_raw()).i_size).write_volatile(bytes) };
    }

    /// Counts one more link. The inode's lock or its directory's is held for writing.
    pub(crate) fn add_link(&self) {
        // SAFETY: The inode is live. One without links may get one only if it was made to be linked later.
        unsafe {
            if self.links() == 0 {
                bindings::set_nlink(self.as_raw(), 1);
            } else {
                bindings::inc_nlink(self.as_raw());
            }
        }
    }

    /// Counts one link less. A count that is zero, which a damaged volume can bring about, stays so.
    pub(crate) fn remove_link(&self) {
        if self.links() != 0 {
            // SAFETY: The inode is live, and its count is not zero: all who change it hold its lock.
            unsafe { bindings::drop_nlink(self.as_raw()) };
        }
    }

    /// Sets the number of links to zero: nothing leads to the inode any more.
    pub(crate) fn clear_links(&self) {
        // SAFETY: The inode is live.
        unsafe { bindings::clear_nlink(self.as_raw()) };
    }

    /// Sets those of the VFS's flags (`S_*`) that are in `mask`.
    pub(crate) fn set_vfs_flags(&self, flags: u32, mask: u32) {
        // SAFETY: The inode is live.
        unsafe { bindings::inode_set_flags(self.as_raw(), flags, mask) };
    }

    /// Sets the generation. The inode's lock is held for writing.
    pub(crate) fn set_generation(&self, generation: u32) {
        // SAFETY: The field is written in one piece.
        unsafe { (&raw mut (*self.as_raw()).i_generation).write_volatile(generation) };
    }

    /// Whether every change of this directory must be on disk before the call that made it returns.
    pub(crate) fn is_dirsync(&self) -> bool {
        // SAFETY: The inode is live; flags may change under us, and a stale answer is allowed.
        unsafe {
            let inode = self.as_raw();
            (&raw const (*inode).i_flags).read_volatile() & DIRSYNC_INODE != 0
                || (&raw const (*(*inode).i_sb).s_flags).read_volatile() & DIRSYNC_MOUNT != 0
        }
    }

    /// Whether every change of this inode must be on disk before the call that made it returns.
    pub(crate) fn is_sync(&self) -> bool {
        // SAFETY: The inode is live.
        unsafe { bindings::inode_needs_sync(self.as_raw()) != 0 }
    }

    /// Writes the inode and waits for it, as [`WriteReason::Durable`](super::super_ops::WriteReason). Sleeps; fails
    /// with `EIO`.
    pub(crate) fn write_now(&self) -> Result {
        // SAFETY: The inode is live or new.
        kernel::error::to_result(unsafe { bindings::sync_inode_metadata(self.as_raw(), 1) })
    }

    /// Owner and group, as the volume counts them.
    pub(crate) fn owner(&self) -> (u32, u32) {
        // SAFETY: The inode is live.
        unsafe {
            (
                bindings::rfs_i_uid_read(self.as_raw()),
                bindings::rfs_i_gid_read(self.as_raw()),
            )
        }
    }

    /// Space taken, in 512-byte sectors.
    pub(crate) fn sectors(&self) -> u64 {
        // SAFETY: Read in one piece.
        unsafe { (&raw const (*self.as_raw()).i_blocks).read_volatile() }
    }

    /// Times of the last access, the last change of the contents and the last change of the inode.
    pub(crate) fn times(&self) -> (Timestamp, Timestamp, Timestamp) {
        let stamp = |seconds, nanoseconds: u32| Timestamp {
            seconds,
            nanoseconds: nanoseconds & NANOSECONDS,
        };
        // SAFETY: The inode is live. A time that changes under us is written again: whoever changes it marks the
        // inode dirty afterwards.
        unsafe {
            let inode = self.as_raw();
            (
                stamp((*inode).i_atime_sec, (*inode).i_atime_nsec),
                stamp((*inode).i_mtime_sec, (*inode).i_mtime_nsec),
                stamp((*inode).i_ctime_sec, (*inode).i_ctime_nsec),
            )
        }
    }

    /// One more reference, to be kept.
    pub(crate) fn hold(&self) -> ARef<Self> {
        self.into()
    }
}

/// The bits of a nanosecond field that are the time; the kernel keeps a flag above them.
const NANOSECONDS: u32 = (1 << 31) - 1;

/// A change of owner, mode, times or size that has been found to be permitted.
pub(crate) struct SetAttr<'a, T: FileSystem> {
    inode: &'a Inode<T>,
    idmap: *mut bindings::mnt_idmap,
    raw: *mut bindings::iattr,
}

impl<'a, T: FileSystem> SetAttr<'a, T> {
    /// Checks whether the change is permitted: `EPERM`, `EFBIG` and what else `setattr_prepare` says.
    ///
    /// # Safety
    ///
    /// The arguments are those of a `setattr` call on an inode of `T`.
    pub(super) unsafe fn prepare(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        raw: *mut bindings::iattr,
    ) -> Result<Self> {
        // SAFETY: The caller's promise.
        unsafe {
            kernel::error::to_result(bindings::setattr_prepare(idmap, dentry, raw))?;
            Ok(Self {
                inode: Inode::from_raw((*dentry).d_inode),
                idmap,
                raw,
            })
        }
    }

    /// The inode, which is locked.
    pub(crate) fn inode(&self) -> &'a Inode<T> {
        self.inode
    }

    /// The size in bytes that the file is to have, if that is what changes.
    pub(crate) fn size(&self) -> Option<u64> {
        // SAFETY: The attributes are ours during the call.
        let (valid, size) = unsafe { ((*self.raw).ia_valid, (*self.raw).ia_size) };
        (valid & bindings::ATTR_SIZE != 0).then_some(u64::try_from(size).unwrap_or(0))
    }

    /// Takes over everything but the size, and has the inode written.
    pub(crate) fn apply(self) {
        // SAFETY: The attributes are ours during the call, and were checked by `prepare`.
        unsafe { bindings::setattr_copy(self.idmap, self.inode.as_raw(), self.raw) };
        self.inode.mark_dirty();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Making inodes for new files.
//!
//! States: *blank* ([`BlankInode`]: memory alone) → *new* ([`NewInode`]: has a number, and is in the hash, where
//! everybody who finds it waits) → live with a name ([`NewInode::instantiate`]) or without
//! ([`NewInode::live`], [`NewInode::finish_tmpfile`]). One that is dropped before loses its links and is deleted.

use super::{
    dentry::Dentry,
    idmap::IdMap,
    inode::{Inode, NewInode, Timestamp},
    super_block::SuperBlock,
    FileSystem,
};
use crate::bindings;
use core::mem;
use kernel::{error::to_result, prelude::*, sync::aref::ARef};

/// An inode without a number, which nobody else knows.
#[must_use = "an inode that is dropped blank is given back"]
pub(crate) struct BlankInode<T: FileSystem>(*mut bindings::inode, core::marker::PhantomData<T>);

impl<T: FileSystem> SuperBlock<T> {
    /// Memory for a new inode. Sleeps; fails with `ENOMEM`.
    pub(crate) fn blank_inode(&self) -> Result<BlankInode<T>> {
        // SAFETY: The super block is live.
        let raw = unsafe { bindings::new_inode(self.as_raw()) };
        match raw.is_null() {
            true => Err(ENOMEM),
            false => Ok(BlankInode(raw, core::marker::PhantomData)),
        }
    }

    /// The inode of that number if it is in memory, be it without a name yet: one that is being made counts from when it
    /// is dirty. Sleeps while it is being read or evicted.
    pub(crate) fn find_inode(&self, ino: u64) -> Option<ARef<Inode<T>>> {
        // SAFETY: The super block is live; the inode comes with a reference ("Typed inode"). One that is being made had
        // its data filled before it was made dirty.
        unsafe {
            let mut raw = bindings::ilookup(self.as_raw(), ino);
            if raw.is_null() {
                raw = bindings::rfs_find_new_inode(self.as_raw(), ino);
            }
            (!raw.is_null()).then(|| Inode::own(raw))
        }
    }

    /// The inode of that number if it is in memory and not being evicted. Does not sleep, but to let go of the reference can
    /// mean to evict the inode.
    pub(crate) fn find_live_inode(&self, ino: u64) -> Option<ARef<Inode<T>>> {
        // SAFETY: As above. Inodes that are being read are found by nobody who knows their number from memory alone.
        unsafe {
            let raw = bindings::rfs_find_live_inode(self.as_raw(), ino);
            (!raw.is_null()).then(|| Inode::own(raw))
        }
    }

    /// Whether deleting an inode has to wait until the volume is thawed. The caller holds `s_umount`.
    pub(crate) fn is_frozen(&self) -> bool {
        // SAFETY: The super block is live.
        unsafe { bindings::rfs_sb_is_frozen(self.as_raw()) }
    }

    /// Whether there is such an inode in memory, and no name leads to it, be it evicted just now. Does not sleep, and takes no
    /// reference, whose end could be the inode's.
    pub(crate) fn is_nameless(&self, ino: u64) -> bool {
        // SAFETY: The super block is live.
        unsafe { bindings::rfs_inode_has_no_links(self.as_raw(), ino) }
    }
}

impl<T: FileSystem> BlankInode<T> {
    /// Gives it a number that is free on the volume. Fails with `EIO` if an inode of that number is in use in
    /// memory: the volume's bitmap lies.
    pub(crate) fn insert(self, ino: u64) -> Result<NewInode<T>> {
        // SAFETY: The inode is ours alone.
        unsafe {
            (*self.0).i_ino = ino;
            to_result(bindings::insert_inode_locked(self.0)).map_err(|_| EIO)?;
            Ok(NewInode::created(mem::ManuallyDrop::new(self).0))
        }
    }
}

impl<T: FileSystem> Drop for BlankInode<T> {
    fn drop(&mut self) {
        // SAFETY: The reference is ours. A bad inode is not deleted on the volume, where it never was.
        unsafe {
            bindings::make_bad_inode(self.0);
            bindings::iput(self.0);
        }
    }
}

/// Where the group of a new file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupFrom {
    /// The task, or the directory if that has the set-group-id bit (System V).
    Task,
    /// The directory (BSD).
    Directory,
}

impl<T: FileSystem> NewInode<T> {
    /// Sets mode, owner and group as for a file that the current task makes in `dir`.
    pub(crate) fn set_owner(
        &mut self,
        dir: &Inode<T>,
        mode: u16,
        group: GroupFrom,
        idmap: IdMap<'_>,
    ) {
        let inode: *mut bindings::inode = self.raw();
        // SAFETY: The inode is ours alone; the map is valid.
        unsafe {
            match group {
                GroupFrom::Task => {
                    bindings::inode_init_owner(idmap.as_raw(), inode, dir.as_raw(), mode)
                }
                GroupFrom::Directory => {
                    bindings::rfs_inode_init_owner_bsd(idmap.as_raw(), inode, dir.as_raw(), mode);
                }
            }
        }
    }

    /// Sets all times to now, which is given back, and the generation to chance.
    pub(crate) fn set_born_now(&mut self) -> Timestamp {
        let inode = self.raw();
        // SAFETY: The inode is ours alone.
        let now = unsafe {
            inode.i_generation = bindings::get_random_u32();
            bindings::simple_inode_init_ts(inode)
        };
        Timestamp {
            seconds: now.tv_sec,
            nanoseconds: now.tv_nsec as u32,
        }
    }

    /// Publishes the inode under the name of `dentry`, which had none.
    pub(super) fn instantiate(self, dentry: &Dentry<T>) {
        let raw = mem::ManuallyDrop::new(self).as_raw();
        // SAFETY: The inode is new and complete; our reference goes to the dentry, which is negative: the directory
        // is locked.
        unsafe { bindings::d_instantiate_new(dentry.as_raw(), raw) };
    }

    /// Publishes the inode as a file without a name (`O_TMPFILE`), which loses its link.
    ///
    /// # Safety
    ///
    /// `file` is the one of a `tmpfile` call.
    pub(super) unsafe fn finish_tmpfile(self, file: *mut bindings::file) -> Result {
        let raw = mem::ManuallyDrop::new(self).as_raw();
        // SAFETY: The inode is new and complete; our reference goes to the dentry of `file`.
        unsafe {
            bindings::d_tmpfile(file, raw);
            bindings::unlock_new_inode(raw);
            to_result(bindings::finish_open(
                file,
                (*file).__bindgen_anon_1.f_path.dentry,
                None,
            ))
        }
    }
}

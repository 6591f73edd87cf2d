// SPDX-License-Identifier: GPL-2.0

//! Inodes, with the file system's own data beside them.
//!
//! States: *new* ([`NewInode`], `I_NEW`: nobody else may look) → *live* ([`Inode`], shared) → evicted.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    aops::{AddressSpaceOperations, AopsTable},
    file_ops::FileOperations,
    file_table::FileTable,
    inode_ops::InodeOperations,
    inode_slab::Storage,
    inode_table::InodeTable,
    super_block::SuperBlock,
    FileSystem,
};
use crate::bindings;
use core::{marker::PhantomData, mem, ops::Deref, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

/// An instant: seconds since 1970 and nanoseconds below one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timestamp {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub(crate) seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub(crate) nanoseconds: u32,
}

/// A live inode of the file system `T`, with `T`'s data.
///
/// # Invariants
///
/// See "Typed inode" in [the module](super).
#[repr(transparent)]
pub(crate) struct Inode<T>(Opaque<bindings::inode>, PhantomData<T>);

// SAFETY: The kernel shares inodes between threads; what is not atomic in them is under their locks.
unsafe impl<T: FileSystem> Send for Inode<T> {}
// SAFETY: As above; `T::Inode` is `Sync`.
unsafe impl<T: FileSystem> Sync for Inode<T> {}

// SAFETY: `ihold` and `iput` count references.
unsafe impl<T: FileSystem> AlwaysRefCounted for Inode<T> {
    fn inc_ref(&self) {
        // SAFETY: A shared reference exists, so the count is not zero.
        unsafe { bindings::ihold(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up one reference.
        unsafe { bindings::iput(obj.as_ptr().cast()) };
    }
}

impl<T: FileSystem> Inode<T> {
    /// Wraps a pointer.
    ///
    /// # Safety
    ///
    /// `raw` is an inode of `T` and is referenced for the lifetime chosen.
    pub(super) unsafe fn from_raw<'a>(raw: *const bindings::inode) -> &'a Self {
        // SAFETY: `Inode` is transparent over `Opaque`; the rest is the caller's promise.
        unsafe { &*raw.cast() }
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `raw` is an inode of `T`, and the caller owns a reference on it.
    pub(super) unsafe fn own(raw: *mut bindings::inode) -> ARef<Self> {
        // SAFETY: The caller's promise; a live inode is not null.
        unsafe { ARef::from_raw(NonNull::new_unchecked(raw.cast())) }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::inode {
        self.0.get()
    }

    /// What the file system keeps for the inode.
    pub(crate) fn data(&self) -> &T::Inode {
        // SAFETY: "Typed inode".
        unsafe { (*self.as_raw().cast::<Storage<T>>()).data.assume_init_ref() }
    }

    /// The list of dirty metadata blocks that belong to the inode.
    pub(super) fn metadata(&self) -> *mut bindings::mapping_metadata_bhs {
        // SAFETY: "Typed inode"; the pointer is only formed.
        unsafe { (*self.as_raw().cast::<Storage<T>>()).metadata.get() }
    }

    /// The volume.
    pub(crate) fn sb(&self) -> &SuperBlock<T> {
        // SAFETY: An inode that is referenced keeps its super block live.
        unsafe { SuperBlock::from_raw((*self.as_raw()).i_sb) }
    }

    /// The inode's number.
    pub(crate) fn ino(&self) -> u64 {
        // SAFETY: Written once, before the inode is live.
        unsafe { (*self.as_raw()).i_ino }
    }

    /// The file's size, in bytes. May change at any time unless the inode is locked.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: The field is read in one piece on 64-bit machines, as `i_size_read` does there.
        let size = unsafe { (&raw const (*self.as_raw()).i_size).read_volatile() };
        u64::try_from(size).unwrap_or(0)
    }

    /// Type and permission bits.
    pub(crate) fn mode(&self) -> u16 {
        // SAFETY: As `size`.
        unsafe { (&raw const (*self.as_raw()).i_mode).read_volatile() }
    }

    /// The type alone: `S_IFREG`, `S_IFDIR`, …
    pub(crate) fn kind(&self) -> u32 {
        u32::from(self.mode()) & bindings::S_IFMT
    }

    /// The block size as a power of two.
    ///
    /// Below 32, as the compiler can see: shifts by it need no check.
    pub(crate) fn block_bits(&self) -> u32 {
        // SAFETY: Written once, before the inode is live.
        u32::from(unsafe { (*self.as_raw()).i_blkbits }) & 31
    }

    /// The generation: tells a file from a later one of the same number.
    pub(crate) fn generation(&self) -> u32 {
        // SAFETY: As `size`.
        unsafe { (&raw const (*self.as_raw()).i_generation).read_volatile() }
    }

    /// The number of links.
    pub(crate) fn links(&self) -> u32 {
        // SAFETY: As `size`.
        unsafe { (&raw const (*self.as_raw()).__bindgen_anon_1.i_nlink).read_volatile() }
    }
}

/// The inode's lock (`i_rwsem`), held shared.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct SharedLock<'a, T: FileSystem>(&'a Inode<T>);

impl<T: FileSystem> Drop for SharedLock<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This guard holds the lock.
        unsafe { bindings::rfs_inode_unlock_shared(self.0.as_raw()) };
    }
}

impl<T: FileSystem> Inode<T> {
    /// Locks the inode against changes of its size and its map. Sleeps.
    pub(crate) fn lock_shared(&self) -> SharedLock<'_, T> {
        // SAFETY: The inode is live.
        unsafe { bindings::rfs_inode_lock_shared(self.as_raw()) };
        SharedLock(self)
    }

    /// The same if it does not sleep. The guard exists only then: dropping one unlocks.
    pub(crate) fn try_lock_shared(&self) -> Option<SharedLock<'_, T>> {
        // SAFETY: The inode is live.
        unsafe { bindings::rfs_inode_trylock_shared(self.as_raw()) }.then(|| SharedLock(self))
    }
}

/// The fields of an inode that every file system fills from disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InodeFields {
    /// Type and permission bits.
    pub(crate) mode: u16,
    /// Owner, as the volume counts users.
    pub(crate) uid: u32,
    /// Group, as the volume counts groups.
    pub(crate) gid: u32,
    /// Number of links.
    pub(crate) links: u32,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Space taken, in 512-byte sectors.
    pub(crate) sectors: u64,
    /// Generation, for NFS.
    pub(crate) generation: u32,
    /// Last access.
    pub(crate) accessed: Timestamp,
    /// Last change of the contents.
    pub(crate) modified: Timestamp,
    /// Last change of the inode.
    pub(crate) changed: Timestamp,
    /// `S_IMMUTABLE`, `S_APPEND`, … of the VFS.
    pub(crate) vfs_flags: u32,
}

/// An inode that is being filled: in the hash, but everybody who finds it waits. Dropping it makes it bad, or deletes
/// it if it was being made, and wakes them; [`live`](Self::live) publishes it.
#[must_use = "an inode that is dropped unfinished is marked bad or deleted"]
pub(crate) struct NewInode<T: FileSystem>(ARef<Inode<T>>, Origin);

/// What becomes of a [`NewInode`] that is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was being read: it becomes bad.
    Disk,
    /// It was being made: it is deleted.
    Created,
}

impl<T: FileSystem> Deref for NewInode<T> {
    type Target = Inode<T>;

    fn deref(&self) -> &Inode<T> {
        &self.0
    }
}

impl<T: FileSystem> NewInode<T> {
    /// Takes over a reference on an inode with `I_NEW`.
    ///
    /// # Safety
    ///
    /// `raw` is an inode of `T`, the caller owns a reference on it and is the one who fills it.
    pub(super) unsafe fn from_raw(raw: *mut bindings::inode) -> Self {
        // SAFETY: The caller's promise.
        Self(unsafe { Inode::own(raw) }, Origin::Disk)
    }

    /// Takes over a reference on an inode with `I_NEW` that has just been made: one that is dropped is deleted.
    ///
    /// # Safety
    ///
    /// As [`from_raw`](Self::from_raw).
    pub(super) unsafe fn created(raw: *mut bindings::inode) -> Self {
        // SAFETY: The caller's promise.
        Self(unsafe { Inode::own(raw) }, Origin::Created)
    }

    pub(super) fn raw(&mut self) -> &mut bindings::inode {
        // SAFETY: While the inode is new, nobody but the holder of `self` touches its plain fields.
        unsafe { &mut *self.0.as_raw() }
    }

    /// The file system's data, to be filled.
    pub(crate) fn data_mut(&mut self) -> Pin<&mut T::Inode> {
        // SAFETY: "Typed inode", and the inode is new: nobody else looks at its data. It stays where it is.
        unsafe {
            Pin::new_unchecked(
                (*self.0.as_raw().cast::<Storage<T>>())
                    .data
                    .assume_init_mut(),
            )
        }
    }

    /// Fills what every inode has.
    pub(crate) fn set_fields(&mut self, fields: &InodeFields) {
        let inode = self.raw();
        inode.i_mode = fields.mode;
        inode.i_size = i64::try_from(fields.size).unwrap_or(i64::MAX);
        inode.i_blocks = fields.sectors;
        inode.i_generation = fields.generation;
        inode.i_atime_sec = fields.accessed.seconds;
        inode.i_atime_nsec = fields.accessed.nanoseconds;
        inode.i_mtime_sec = fields.modified.seconds;
        inode.i_mtime_nsec = fields.modified.nanoseconds;
        inode.i_ctime_sec = fields.changed.seconds;
        inode.i_ctime_nsec = fields.changed.nanoseconds;
        inode.i_flags |= fields.vfs_flags;
        let raw: *mut bindings::inode = inode;
        // SAFETY: The inode is ours alone.
        unsafe {
            bindings::rfs_i_uid_write(raw, fields.uid);
            bindings::rfs_i_gid_write(raw, fields.gid);
            bindings::set_nlink(raw, fields.links);
        }
    }

    /// Sets the operations of the inode itself.
    pub(crate) fn set_inode_ops<O: InodeOperations<FS = T>>(&mut self) {
        self.raw().i_op = &InodeTable::<O>::OPS;
    }

    /// Sets the operations of its open files.
    pub(crate) fn set_file_ops<O: FileOperations<FS = T>>(&mut self) {
        self.raw().__bindgen_anon_3.i_fop = &FileTable::<O>::OPS;
    }

    /// Sets the operations of its pages, and lets the page cache use folios of any size for it.
    pub(crate) fn set_aops<O: AddressSpaceOperations<FS = T>>(&mut self) {
        let inode = self.raw();
        inode.i_data.a_ops = &AopsTable::<O>::OPS;
        // SAFETY: The inode is ours alone.
        unsafe { bindings::rfs_mapping_set_large_folios(&mut inode.i_data) };
    }

    /// Makes it a device, FIFO or socket, according to its mode. `device` is the kernel's device number.
    pub(crate) fn set_special(&mut self, device: u32) {
        let inode = self.raw();
        let mode = inode.i_mode;
        // SAFETY: The inode is ours alone and its mode is set.
        unsafe { bindings::init_special_inode(inode, mode, device) };
    }

    /// Gives a symlink its target, which the VFS then follows by itself. Fails with `ENOMEM`.
    pub(crate) fn set_link(&mut self, target: &[u8]) -> Result {
        // SAFETY: `target` is valid for reading; the copy ends with a NUL.
        let copy = unsafe {
            bindings::kmemdup_nul(target.as_ptr().cast(), target.len(), bindings::GFP_KERNEL)
        };
        if copy.is_null() {
            return Err(ENOMEM);
        }
        self.raw().__bindgen_anon_5.i_link = copy;
        Ok(())
    }

    /// Publishes the inode.
    pub(crate) fn live(self) -> ARef<Inode<T>> {
        let inode = self.0.clone();
        let raw = inode.as_raw();
        // The reference in `self` becomes the caller's; only the drop that marks the inode bad is left out.
        let unfinished = mem::ManuallyDrop::new(self);
        // SAFETY: The inode is new and complete; its first reference is given up, `inode` is the second.
        unsafe {
            bindings::unlock_new_inode(raw);
            bindings::iput(unfinished.0.as_raw());
        }
        inode
    }
}

impl<T: FileSystem> Drop for NewInode<T> {
    fn drop(&mut self) {
        // What is called gives up a reference, and so does the field: take one more.
        let extra = ARef::into_raw(self.0.clone()).as_ptr().cast();
        // SAFETY: The inode is new; the reference given up is `extra`.
        unsafe {
            match self.1 {
                Origin::Disk => bindings::iget_failed(extra),
                Origin::Created => {
                    bindings::clear_nlink(extra);
                    bindings::discard_new_inode(extra);
                }
            }
        }
    }
}

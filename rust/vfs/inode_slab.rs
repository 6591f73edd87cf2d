// SPDX-License-Identifier: GPL-2.0

//! The memory of inodes: a slab cache for each file system, and what the VFS calls to get an inode and to give it back.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{fs_type::Registration, FileSystem};
use crate::bindings;
use core::mem;
use kernel::{prelude::*, types::Opaque};

/// What lies in the slab: the kernel's inode first, the file system's data behind it.
#[repr(C)]
pub(super) struct Storage<T: FileSystem> {
    inode: Opaque<bindings::inode>,
    /// Where the storage came from: the super block may be gone when it goes back.
    cache: *mut bindings::kmem_cache,
    /// The dirty metadata blocks that `fsync` of the inode has to write.
    pub(super) metadata: Opaque<bindings::mapping_metadata_bhs>,
    /// What the file system keeps for the inode.
    pub(super) data: mem::MaybeUninit<T::Inode>,
}

unsafe extern "C" fn construct(slot: *mut c_void) {
    // SAFETY: The slab hands its constructor a fresh object, whose first field is the inode.
    unsafe { bindings::inode_init_once(slot.cast()) };
}

/// Makes the slab cache for inodes of `T`. Fails with `ENOMEM`.
pub(super) fn create_cache<T: FileSystem>() -> Result<*mut bindings::kmem_cache> {
    let size = u32::try_from(mem::size_of::<Storage<T>>())?;
    let align = u32::try_from(mem::align_of::<Storage<T>>())?;
    // SAFETY: The name is a static string; `construct` fits objects of this layout.
    let cache = unsafe {
        bindings::rfs_inode_cache_create(T::CACHE_NAME.as_char_ptr(), size, align, Some(construct))
    };
    match cache.is_null() {
        true => Err(ENOMEM),
        false => Ok(cache),
    }
}

/// `super_operations::alloc_inode`.
pub(super) unsafe extern "C" fn alloc_inode<T: FileSystem>(
    sb: *mut bindings::super_block,
) -> *mut bindings::inode {
    // SAFETY: "Callback pointer"; "Typed super block" gives us the cache, and its objects have `Storage`'s layout.
    // The data is initialised in place and not moved until `destroy_inode` drops it.
    unsafe {
        let cache = Registration::<T>::cache(sb);
        let storage: *mut Storage<T> = bindings::rfs_alloc_inode_sb(sb, cache).cast();
        if storage.is_null() {
            return core::ptr::null_mut();
        }
        (*storage).cache = cache;
        bindings::mmb_init(
            (*storage).metadata.get(),
            &raw mut (*storage.cast::<bindings::inode>()).i_data,
        );
        let slot = (&raw mut (*storage).data).cast::<T::Inode>();
        // The initialiser's error type has no values.
        let _ = T::new_inode_data().__pinned_init(slot);
        storage.cast()
    }
}

/// `super_operations::destroy_inode`: the inode is evicted; only lock-free path walks may still see it.
pub(super) unsafe extern "C" fn destroy_inode<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: "Typed inode": the data is initialised, and nobody uses it after eviction. A buffer must not stay on a
    // list whose memory goes.
    unsafe {
        let storage = inode.cast::<Storage<T>>();
        bindings::mmb_invalidate((*storage).metadata.get());
        (*storage).data.assume_init_drop();
    }
}

/// `super_operations::free_inode`: a grace period later the memory goes back.
pub(super) unsafe extern "C" fn free_inode<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: "Typed inode"; a symlink's `i_link` is null or was set by `NewInode::set_link`.
    unsafe {
        if u32::from((*inode).i_mode) & bindings::S_IFMT == bindings::S_IFLNK {
            bindings::kfree((*inode).__bindgen_anon_5.i_link.cast());
        }
        bindings::kmem_cache_free((*inode.cast::<Storage<T>>()).cache, inode.cast());
    }
}

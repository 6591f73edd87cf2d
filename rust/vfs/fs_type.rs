// SPDX-License-Identifier: GPL-2.0

//! Registration of a file system, and the slab cache of its inodes.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{context, inode_slab, super_block, FileSystem};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{error::to_result, prelude::*, str::CStr, types::Opaque};

/// A registered file system type. Dropping it takes the name away; the VFS holds a reference on the module for
/// every mount, so that cannot happen while one is left.
///
/// # Invariants
///
/// **Pinned type**: `raw` is the first field, so that `super_block::s_type` points at the registration; it is
/// registered, and `cache` is a live slab cache, from the end of `new` to `drop`.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: FileSystem> {
    #[pin]
    raw: Opaque<bindings::file_system_type>,
    cache: *mut bindings::kmem_cache,
    _fs: PhantomData<T>,
}

// SAFETY: The registration is only read after `new`, and the functions that read it may run on any thread.
unsafe impl<T: FileSystem> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Registration<T> {}

impl<T: FileSystem> Registration<T> {
    /// Registers `T` under `name`. Fails with `EBUSY` when the name is taken.
    pub(crate) fn new(
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> impl PinInit<Self, Error> {
        let init = move |slot: *mut Self| -> Result {
            let cache = inode_slab::create_cache::<T>()?;
            let raw = bindings::file_system_type {
                name: name.as_char_ptr(),
                fs_flags: (bindings::FS_REQUIRES_DEV | bindings::FS_ALLOW_IDMAP) as i32,
                init_fs_context: Some(context::init_fs_context::<T>),
                kill_sb: Some(super_block::kill_sb::<T>),
                ..Default::default()
            };
            // SAFETY: `slot` is valid for writing, and pinned: its address may be registered. Should that fail, the
            // cache has no objects.
            unsafe {
                (&raw mut (*slot).raw)
                    .cast::<bindings::file_system_type>()
                    .write(raw);
                (&raw mut (*slot).cache).write(cache);
                let registered = bindings::rfs_register_filesystem(slot.cast(), module.as_ptr());
                to_result(registered).inspect_err(|_| bindings::kmem_cache_destroy(cache))
            }
        };
        // SAFETY: The closure initialises every field, or fails and leaves nothing behind.
        unsafe { pin_init::pin_init_from_closure(init) }
    }

    /// The slab cache for inodes of `sb`.
    ///
    /// # Safety
    ///
    /// `sb` is a super block of a registered `T`.
    pub(super) unsafe fn cache(sb: *mut bindings::super_block) -> *mut bindings::kmem_cache {
        // SAFETY: By "Pinned type" `s_type` points at a `Registration<T>`.
        unsafe { (*(*sb).s_type.cast::<Self>()).cache }
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By "Pinned type" the type is registered and the cache is live. No mount is left, and after the
        // barrier no inode waits for a grace period before it goes back to the cache.
        unsafe {
            bindings::unregister_filesystem(self.raw.get());
            bindings::rcu_barrier();
            bindings::kmem_cache_destroy(self.cache);
        }
    }
}

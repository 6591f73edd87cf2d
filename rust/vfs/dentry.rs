// SPDX-License-Identifier: GPL-2.0

//! Names in the directory cache.
//!
//! C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)

use super::{inode::Inode, FileSystem};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{sync::aref::ARef, types::Opaque};

/// A name and, if the file exists, its inode.
#[repr(transparent)]
pub(crate) struct Dentry<T>(Opaque<bindings::dentry>, PhantomData<T>);

impl<T: FileSystem> Dentry<T> {
    /// Wraps a pointer.
    ///
    /// # Safety
    ///
    /// `raw` is a dentry of a volume of `T` and is referenced, with its name stable (the parent is locked), for the
    /// lifetime chosen.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::dentry) -> &'a Self {
        // SAFETY: `Dentry` is transparent over `Opaque`; the rest is the caller's promise.
        unsafe { &*raw.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::dentry {
        self.0.get()
    }

    /// The last component, in bytes; at most 255.
    pub(crate) fn name(&self) -> &[u8] {
        // SAFETY: The name is stable while the parent is locked, as `from_raw` asks.
        unsafe {
            let name = &(*self.as_raw()).__bindgen_anon_1.d_name;
            core::slice::from_raw_parts(
                name.name,
                name.__bindgen_anon_1.__bindgen_anon_1.len as usize,
            )
        }
    }

    /// Makes the name stand for `inode`. It stood for nothing, and its directory is locked.
    pub(super) fn instantiate(&self, inode: ARef<Inode<T>>) {
        // SAFETY: The dentry is negative while its directory is locked; our reference goes to it.
        unsafe { bindings::d_instantiate(self.as_raw(), ARef::into_raw(inode).as_ptr().cast()) };
    }

    /// The file that the name stands for.
    pub(crate) fn inode(&self) -> Option<&Inode<T>> {
        // SAFETY: A referenced dentry keeps its inode.
        unsafe {
            let inode = (*self.as_raw()).d_inode;
            (!inode.is_null()).then(|| Inode::from_raw(inode))
        }
    }
}

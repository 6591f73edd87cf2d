// SPDX-License-Identifier: GPL-2.0

//! Open files.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{inode::Inode, FileSystem};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{error::to_result, prelude::*, types::Opaque};

/// An open file of the file system `T`.
#[repr(transparent)]
pub(crate) struct File<T>(Opaque<bindings::file>, PhantomData<T>);

impl<T: FileSystem> File<T> {
    /// Wraps a pointer.
    ///
    /// # Safety
    ///
    /// `raw` is an open file of `T`, and stays so for the lifetime chosen.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::file) -> &'a Self {
        // SAFETY: `File` is transparent over `Opaque`; the rest is the caller's promise.
        unsafe { &*raw.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::file {
        self.0.get()
    }

    /// The file's inode.
    pub(crate) fn inode(&self) -> &Inode<T> {
        // SAFETY: An open file keeps its inode.
        unsafe { Inode::from_raw((*self.as_raw()).f_inode) }
    }

    /// Whether the current task owns the file, or may do as if it did.
    pub(crate) fn is_owner_or_capable(&self) -> bool {
        // SAFETY: An open file keeps its mount and its inode.
        unsafe {
            let mount = (*self.as_raw()).__bindgen_anon_1.f_path.mnt;
            bindings::inode_owner_or_capable((*mount).mnt_idmap, (*self.as_raw()).f_inode)
        }
    }

    /// Keeps the file's mount writable while the answer exists. `EROFS` if it is not. Sleeps while the volume is
    /// frozen.
    pub(crate) fn want_write(&self) -> Result<WriteAccess<'_, T>> {
        // SAFETY: The file is open.
        to_result(unsafe { bindings::mnt_want_write_file(self.as_raw()) })?;
        Ok(WriteAccess(self))
    }
}

/// The right to write to a mount.
#[must_use = "the right ends when the guard is dropped"]
pub(crate) struct WriteAccess<'a, T: FileSystem>(&'a File<T>);

impl<T: FileSystem> Drop for WriteAccess<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This guard holds the right.
        unsafe { bindings::mnt_drop_write_file(self.0.as_raw()) };
    }
}

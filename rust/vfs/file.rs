// SPDX-License-Identifier: GPL-2.0

//! Open files.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{inode::Inode, FileSystem};
use crate::bindings;
use core::marker::PhantomData;
use kernel::types::Opaque;

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
}

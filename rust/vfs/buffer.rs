// SPDX-License-Identifier: GPL-2.0

//! Metadata blocks, in the page cache of the device.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use crate::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A metadata block that is up to date and referenced. Dropping it gives the reference back.
///
/// # Invariants
///
/// **Referenced buffer**: `raw` is a buffer on which we own a reference, with `b_size` bytes at `b_data`.
///
/// The bytes of a block change only through this module, under the file system's own locks (the inode's for a
/// directory or an indirect block, the group's for a bitmap). A process with the right to write to a mounted device
/// can break that, as it can for every file system; the values read are checked anyway.
pub(crate) struct Buffer {
    raw: NonNull<bindings::buffer_head>,
}

// SAFETY: A buffer belongs to no thread.
unsafe impl Send for Buffer {}
// SAFETY: As above; shared access reads only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Reads a block. Sleeps; fails with `EIO`.
    ///
    /// # Safety
    ///
    /// `sb` is a live super block whose block size is set.
    pub(super) unsafe fn read(sb: *mut bindings::super_block, block: u64) -> Result<Self> {
        // SAFETY: The caller's promise.
        let raw = unsafe { bindings::rfs_sb_bread(sb, block) };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or(EIO)
    }

    /// A block that is in memory and up to date.
    ///
    /// # Safety
    ///
    /// As [`read`](Self::read).
    pub(super) unsafe fn find(sb: *mut bindings::super_block, block: u64) -> Option<Self> {
        // SAFETY: The caller's promise.
        let found = NonNull::new(unsafe { bindings::rfs_sb_find_get_block(sb, block) })?;
        let buffer = Self { raw: found };
        // SAFETY: "Referenced buffer".
        unsafe { bindings::rfs_buffer_uptodate(found.as_ptr()) }.then_some(buffer)
    }

    /// The block's number.
    pub(crate) fn block(&self) -> u64 {
        // SAFETY: "Referenced buffer".
        unsafe { (*self.raw.as_ptr()).b_blocknr }
    }

    /// The block's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: "Referenced buffer".
        unsafe {
            let raw = self.raw.as_ptr();
            core::slice::from_raw_parts((*raw).b_data.cast(), (*raw).b_size)
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: "Referenced buffer".
        unsafe { bindings::__brelse(self.raw.as_ptr()) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Metadata blocks, in the page cache of the device.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use super::{inode::Inode, super_block::SuperBlock, FileSystem};
use crate::bindings;
use core::{ops::Range, ptr::NonNull};
use kernel::{error::to_result, prelude::*};

/// A metadata block that is up to date and referenced. Dropping it gives the reference back.
///
/// A change makes the block *dirty*: the kernel writes it in its own time, or at once on [`write`](Self::write).
///
/// # Invariants
///
/// **Referenced buffer**: `raw` is a buffer on which we own a reference, with `b_size` bytes at `b_data`.
///
/// **Owned bytes**: the bytes of a block change only through this module, under the file system's own locks (the
/// inode's for a directory or an indirect block and for its part of the inode table, the group's for a bitmap), and
/// whoever reads bytes holds the lock of those bytes. A process with the right to write to a mounted device can break
/// that, as it can for every file system; the values read are checked anyway.
pub(crate) struct Buffer {
    raw: NonNull<bindings::buffer_head>,
}

// SAFETY: A buffer belongs to no thread.
unsafe impl Send for Buffer {}
// SAFETY: As above; shared access reads only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Reads a block; one whose last write failed is valid as it is in memory, and written again. Sleeps; fails with
    /// `EIO`.
    ///
    /// # Safety
    ///
    /// `sb` is a live super block whose block size is set.
    pub(super) unsafe fn read(sb: *mut bindings::super_block, block: u64) -> Result<Self> {
        // SAFETY: The caller's promise.
        let raw = unsafe { bindings::rfs_sb_bread(sb, block) };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or(EIO)
    }

    /// Takes over a reference on a buffer.
    ///
    /// # Safety
    ///
    /// `raw` is null or a buffer that is mapped, with a reference that nobody else gives back.
    pub(super) unsafe fn from_raw(raw: *mut bindings::buffer_head) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw })
    }

    /// A block that is in memory and up to date, or whose last write failed, which makes it dirty again.
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

    /// A block that is about to get its first contents: zeroed, up to date, not read from the device, not dirty.
    ///
    /// # Safety
    ///
    /// As [`read`](Self::read).
    pub(super) unsafe fn fresh(sb: *mut bindings::super_block, block: u64) -> Result<Self> {
        // SAFETY: The caller's promise.
        let raw = NonNull::new(unsafe { bindings::rfs_sb_getblk(sb, block) }).ok_or(ENOMEM)?;
        let buffer = Self { raw };
        // SAFETY: "Referenced buffer". The lock keeps I/O on an earlier life of the block away; nobody else knows
        // the new one ("Owned bytes").
        unsafe {
            let raw = raw.as_ptr();
            bindings::rfs_lock_buffer(raw);
            (*raw).b_data.write_bytes(0, (*raw).b_size);
            bindings::rfs_set_buffer_uptodate(raw);
            bindings::unlock_buffer(raw);
        }
        Ok(buffer)
    }

    pub(super) fn as_raw(&self) -> *mut bindings::buffer_head {
        self.raw.as_ptr()
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

    /// Some of the block's bytes; fewer if the block ends before.
    pub(crate) fn range(&self, range: Range<usize>) -> &[u8] {
        let (start, len) = self.clip(&range);
        // SAFETY: "Referenced buffer"; `clip` keeps the range inside the block.
        unsafe {
            core::slice::from_raw_parts((*self.raw.as_ptr()).b_data.cast::<u8>().add(start), len)
        }
    }

    /// First byte and length of the part of `range` that is inside the block.
    fn clip(&self, range: &Range<usize>) -> (usize, usize) {
        // SAFETY: "Referenced buffer".
        let size = unsafe { (*self.raw.as_ptr()).b_size };
        let start = range.start.min(size);
        (start, range.end.min(size).saturating_sub(start))
    }

    /// Lets `apply` change bytes of the block and gives its answer; the block is not made dirty.
    fn apply<R>(&self, range: &Range<usize>, apply: impl FnOnce(&mut [u8]) -> R) -> R {
        let (start, len) = self.clip(range);
        // SAFETY: "Referenced buffer"; `clip` keeps the range inside the block. By "Owned bytes" the caller holds
        // the lock of these bytes for writing.
        apply(unsafe {
            core::slice::from_raw_parts_mut(
                (*self.raw.as_ptr()).b_data.cast::<u8>().add(start),
                len,
            )
        })
    }

    /// Changes the block and makes it dirty. The caller holds the lock of the whole block.
    pub(crate) fn change<R>(&self, apply: impl FnOnce(&mut [u8]) -> R) -> R {
        self.change_range(0..usize::MAX, apply)
    }

    /// Changes bytes of the block, fewer if it ends before, and makes it dirty. The caller holds their lock.
    pub(crate) fn change_range<R>(
        &self,
        range: Range<usize>,
        apply: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let answer = self.apply(&range, apply);
        self.mark_dirty();
        answer
    }

    /// Makes the block dirty.
    pub(crate) fn mark_dirty(&self) {
        // SAFETY: "Referenced buffer"; the contents in memory are the valid ones.
        unsafe { bindings::rfs_mark_buffer_dirty(self.raw.as_ptr()) };
    }

    /// Waits until the block is not being written, and makes it clean: its contents stay in memory until it is made dirty
    /// again, also if it could not be written before. Sleeps. Nobody else changes the block meanwhile.
    pub(crate) fn keep_back(&self) {
        // SAFETY: "Referenced buffer", which keeps the block in memory. The lock keeps I/O away.
        unsafe { bindings::rfs_keep_buffer_back(self.raw.as_ptr()) };
    }

    /// Changes a block that was [kept back](Self::keep_back). The caller holds the lock of the whole block.
    pub(crate) fn change_kept_back<R>(&self, apply: impl FnOnce(&mut [u8]) -> R) -> R {
        self.apply(&(0..usize::MAX), apply)
    }

    /// Starts writing the block if it is dirty. Sleeps only while an earlier write of it is on its way.
    pub(crate) fn write_start(&self) {
        // SAFETY: "Referenced buffer".
        unsafe { bindings::rfs_write_buffer(self.raw.as_ptr()) };
    }

    /// The same for a block that the caller is about to wait for: it does not queue behind what the flusher writes.
    pub(crate) fn write_now(&self) {
        // SAFETY: "Referenced buffer".
        unsafe { bindings::rfs_write_buffer_now(self.raw.as_ptr()) };
    }

    /// Waits for I/O on the block. Fails with `EIO` if its last write failed.
    pub(crate) fn wait(&self) -> Result {
        // SAFETY: "Referenced buffer".
        let failed = unsafe {
            bindings::__wait_on_buffer(self.raw.as_ptr());
            bindings::rfs_buffer_write_io_error(self.raw.as_ptr())
        };
        if failed {
            Err(EIO)
        } else {
            Ok(())
        }
    }

    /// Writes the block if it is dirty, and waits. Fails with `EIO`.
    pub(crate) fn write(&self) -> Result {
        self.write_now();
        self.wait()
    }

    /// Gives the block up because it is free again: if it is dirty, it is not written any more.
    pub(crate) fn forget(self) {
        let buffer = core::mem::ManuallyDrop::new(self);
        // SAFETY: "Referenced buffer"; the reference goes with it.
        unsafe { bindings::rfs_bforget(buffer.raw.as_ptr()) };
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        // SAFETY: "Referenced buffer"; the new value owns the new reference.
        unsafe { bindings::rfs_get_bh(self.raw.as_ptr()) };
        Self { raw: self.raw }
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// A metadata block that is about to get its first contents: zeroed, up to date, not read. Sleeps; fails with
    /// `ENOMEM`. It is not dirty until it is changed.
    pub(crate) fn new_buffer(&self, block: u64) -> Result<Buffer> {
        // SAFETY: The super block is live and its block size set.
        unsafe { Buffer::fresh(self.as_raw(), block) }
    }

    /// Drops what the device's page cache holds of `len` blocks from `block`, dirty or not: they become a file's
    /// data and are written without it.
    pub(crate) fn forget_blocks(&self, block: u64, len: u64) {
        // SAFETY: The super block is live and its device open.
        unsafe { bindings::clean_bdev_aliases(self.device(), block, len) };
    }

    /// Makes the device store durably what it has been given. Nothing is sent to a device without a volatile cache.
    /// Sleeps; fails with `EIO`.
    pub(crate) fn flush_device(&self) -> Result {
        // SAFETY: The super block is live and its device open.
        unsafe {
            let device = self.device();
            if !bindings::rfs_bdev_write_cache(device) {
                return Ok(());
            }
            to_result(bindings::blkdev_issue_flush(device))
        }
    }
}

impl<T: FileSystem> Inode<T> {
    /// Changes a metadata block that belongs to the inode, makes it dirty, and notes that `fsync` of the inode has
    /// to write it. The caller holds the lock of the whole block.
    pub(crate) fn change_metadata<R>(
        &self,
        buffer: &Buffer,
        apply: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        self.change_metadata_range(buffer, 0..usize::MAX, apply)
    }

    /// The same for some of the block's bytes.
    pub(crate) fn change_metadata_range<R>(
        &self,
        buffer: &Buffer,
        range: Range<usize>,
        apply: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let answer = buffer.apply(&range, apply);
        // SAFETY: "Referenced buffer", and see `mark_dirty`; "Typed inode" keeps the list initialised and in place.
        unsafe { bindings::rfs_mmb_mark_buffer_dirty(buffer.raw.as_ptr(), self.metadata()) };
        answer
    }

    /// Writes the blocks noted by [`change_metadata`](Self::change_metadata), and waits. Fails with `EIO`.
    pub(crate) fn sync_metadata(&self) -> Result {
        // SAFETY: "Typed inode" keeps the list initialised and in place.
        to_result(unsafe { bindings::mmb_sync(self.metadata()) })
    }

    /// Whether blocks were noted that may not be written yet.
    pub(crate) fn has_metadata(&self) -> bool {
        // SAFETY: As above.
        unsafe { bindings::mmb_has_buffers(self.metadata()) }
    }

    /// Forgets which blocks were noted: the inode goes, and they are left to the device's own writeback.
    pub(crate) fn forget_metadata(&self) {
        // SAFETY: As above.
        unsafe { bindings::mmb_invalidate(self.metadata()) };
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: "Referenced buffer".
        unsafe { bindings::__brelse(self.raw.as_ptr()) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! An inode's page cache as a whole: its size, its locks, waiting for its I/O.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::{inode::Inode, super_block::SuperBlock, FileSystem};
use crate::bindings;
use core::ops::Range;
use kernel::{error::to_result, prelude::*};

/// The invalidate lock, held for writing: no page of the file is read in or made writable.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InvalidateLock<'a, T: FileSystem>(&'a Inode<T>);

impl<T: FileSystem> Drop for InvalidateLock<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This guard holds the lock.
        unsafe { bindings::rfs_filemap_invalidate_unlock((*self.0.as_raw()).i_mapping) };
    }
}

/// The inode's lock (`i_rwsem`), held for writing.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct ExclusiveLock<'a, T: FileSystem>(&'a Inode<T>);

impl<T: FileSystem> Drop for ExclusiveLock<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This guard holds the lock.
        unsafe { bindings::rfs_inode_unlock(self.0.as_raw()) };
    }
}

/// A position as the kernel counts it.
fn position(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl<T: FileSystem> Inode<T> {
    /// Locks the inode for writing. Sleeps.
    pub(crate) fn lock(&self) -> ExclusiveLock<'_, T> {
        // SAFETY: The inode is live.
        unsafe { bindings::rfs_inode_lock(self.as_raw()) };
        ExclusiveLock(self)
    }

    /// The same if it does not sleep. The guard exists only then: dropping one unlocks.
    pub(super) fn try_lock(&self) -> Option<ExclusiveLock<'_, T>> {
        // SAFETY: The inode is live.
        unsafe { bindings::rfs_inode_trylock(self.as_raw()) }.then(|| ExclusiveLock(self))
    }

    /// Whether the inode has changed and was not written since, or is just being written; times alone do not count if
    /// `data_only`.
    pub(crate) fn is_dirty(&self, data_only: bool) -> bool {
        let times = if data_only {
            0
        } else {
            bindings::inode_state_flags_enum_I_DIRTY_SYNC
                | bindings::inode_state_flags_enum_I_DIRTY_TIME
        };
        let mask = bindings::inode_state_flags_enum_I_DIRTY_DATASYNC
            | bindings::inode_state_flags_enum_I_SYNC
            | times;
        // SAFETY: The inode is live, and its state a word that is read in one piece.
        let state = unsafe { (&raw const (*self.as_raw()).i_state.__state).read_volatile() };
        state & mask != 0
    }

    /// Whether it is a regular file.
    pub(crate) fn is_regular(&self) -> bool {
        self.kind() == bindings::S_IFREG
    }

    /// Whether it is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.kind() == bindings::S_IFDIR
    }

    /// Keeps pages from being read in or made writable. Taken after `i_rwsem`. Sleeps.
    pub(crate) fn lock_invalidate(&self) -> InvalidateLock<'_, T> {
        // SAFETY: The inode is live.
        unsafe { bindings::rfs_filemap_invalidate_lock((*self.as_raw()).i_mapping) };
        InvalidateLock(self)
    }

    /// Waits for direct I/O that is on its way. The inode is locked for writing, so that no more begins.
    pub(crate) fn wait_for_direct(&self) {
        // SAFETY: The inode is live.
        unsafe { bindings::inode_dio_wait(self.as_raw()) };
    }

    /// Sets the size in bytes, and drops what the page cache holds past it. The inode is locked for writing.
    pub(crate) fn set_size_and_cache(&self, size: u64) {
        // SAFETY: The inode is live.
        unsafe { bindings::truncate_setsize(self.as_raw(), position(size)) };
    }

    /// Drops what the page cache holds of `bytes`, whole pages and parts of pages. Invalidate lock held.
    pub(crate) fn drop_cache(&self, bytes: &Range<u64>) {
        if bytes.start < bytes.end {
            // SAFETY: The inode is live.
            unsafe {
                bindings::truncate_pagecache_range(
                    self.as_raw(),
                    position(bytes.start),
                    position(bytes.end.saturating_sub(1)),
                )
            };
        }
    }

    /// The file grew to `to` from `from`, where a page of a mapping may end: writing to it has to be asked for again.
    pub(crate) fn size_extended_from(&self, from: u64, to: u64) {
        // SAFETY: The inode is live.
        unsafe { bindings::pagecache_isize_extended(self.as_raw(), position(from), position(to)) };
    }

    /// Writes dirty pages in `bytes` and waits for them. Fails with what the device said; the error stays to be told
    /// to `fsync`.
    pub(crate) fn write_and_wait(&self, bytes: &Range<u64>) -> Result {
        let last = position(bytes.end.saturating_sub(1));
        // SAFETY: The inode is live.
        to_result(unsafe {
            bindings::filemap_write_and_wait_range(
                (*self.as_raw()).i_mapping,
                position(bytes.start),
                last,
            )
        })
    }

    /// Whether pages are dirty or on their way to the disk.
    pub(crate) fn has_dirty_pages(&self) -> bool {
        // SAFETY: The inode is live.
        unsafe { bindings::rfs_mapping_dirty((*self.as_raw()).i_mapping) }
    }

    /// Whether the page cache holds any of `bytes`.
    pub(crate) fn has_pages(&self, bytes: &Range<u64>) -> bool {
        let last = position(bytes.end.saturating_sub(1));
        // SAFETY: The inode is live.
        unsafe {
            bindings::filemap_range_has_page(
                (*self.as_raw()).i_mapping,
                position(bytes.start),
                last,
            )
        }
    }

    /// Counts 512-byte sectors that the file takes more, or less.
    pub(crate) fn add_sectors(&self, sectors: i64) {
        let bytes = sectors.saturating_mul(512);
        // SAFETY: The inode is live; the functions lock it.
        unsafe {
            if bytes >= 0 {
                bindings::inode_add_bytes(self.as_raw(), bytes);
            } else {
                bindings::inode_sub_bytes(self.as_raw(), bytes.saturating_neg());
            }
        }
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Writes zeroes to `len` blocks from `block` on the device, and waits. Fails with `EIO`.
    pub(crate) fn zero_blocks(&self, block: u64, len: u64) -> Result {
        let shift = self.block_bits().saturating_sub(9);
        // SAFETY: The super block is live and its device open.
        to_result(unsafe {
            bindings::blkdev_issue_zeroout(
                self.device(),
                block << shift,
                len << shift,
                bindings::GFP_NOFS,
                0,
            )
        })
    }
}

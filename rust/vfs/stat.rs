// SPDX-License-Identifier: GPL-2.0

//! The answers to `statfs(2)` and `statx(2)`.
//!
//! C headers: [`include/linux/statfs.h`](srctree/include/linux/statfs.h),
//! [`include/linux/stat.h`](srctree/include/linux/stat.h)

use super::inode::Timestamp;
use crate::bindings;
use kernel::prelude::*;

/// The answer to `statfs(2)` being filled.
pub(crate) struct StatFs<'a>(&'a mut bindings::kstatfs);

/// Numbers for `statfs(2)`. Blocks are blocks of the volume.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Bytes in a block.
    pub(crate) block_size: u32,
    /// Blocks for files, in all.
    pub(crate) blocks: u64,
    /// Blocks that are free.
    pub(crate) free: u64,
    /// Blocks that are free to users without privilege.
    pub(crate) available: u64,
    /// Inodes in all.
    pub(crate) inodes: u64,
    /// Inodes that are free.
    pub(crate) free_inodes: u64,
    /// The longest name, in bytes.
    pub(crate) name_len: u32,
}

impl<'a> StatFs<'a> {
    /// An answer that names the file system by the magic number of `sb` and by its device.
    ///
    /// # Safety
    ///
    /// `raw` is valid and ours for `'a`; `sb` is live.
    pub(super) unsafe fn from_raw(
        raw: *mut bindings::kstatfs,
        sb: *const bindings::super_block,
    ) -> Self {
        // SAFETY: The caller's promise.
        let (answer, magic, device) = unsafe { (&mut *raw, (*sb).s_magic, (*sb).s_dev) };
        answer.f_type = magic as c_long;
        let mut answer = Self(answer);
        answer.set_id(device.into());
        answer
    }

    /// Sets the volume's identity, where it has one beside its device.
    pub(crate) fn set_id(&mut self, id: u64) {
        self.0.f_fsid.val = [id as i32, (id >> 32) as i32];
    }

    /// Sets the numbers.
    pub(crate) fn set(&mut self, usage: &Usage) {
        self.0.f_bsize = usage.block_size as c_long;
        self.0.f_frsize = usage.block_size as c_long;
        self.0.f_blocks = usage.blocks;
        self.0.f_bfree = usage.free;
        self.0.f_bavail = usage.available;
        self.0.f_files = usage.inodes;
        self.0.f_ffree = usage.free_inodes;
        self.0.f_namelen = usage.name_len as c_long;
    }
}

/// The answer to `statx(2)`, after the VFS has filled what it knows.
pub(crate) struct Stat<'a>(&'a mut bindings::kstat);

impl<'a> Stat<'a> {
    /// # Safety
    ///
    /// `raw` is valid and ours for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::kstat) -> Self {
        // SAFETY: The caller's promise.
        Self(unsafe { &mut *raw })
    }

    /// Sets the time of creation.
    pub(crate) fn set_created(&mut self, time: Timestamp) {
        self.0.btime.tv_sec = time.seconds;
        self.0.btime.tv_nsec = time.nanoseconds as c_long;
        self.0.result_mask |= bindings::STATX_BTIME;
    }

    /// Counts space, in 512-byte sectors, that the inode does not count yet.
    pub(crate) fn add_sectors(&mut self, sectors: u64) {
        self.0.blocks = self.0.blocks.saturating_add(sectors);
    }

    /// Sets `STATX_ATTR_*` bits, among those that the file system knows (`mask`).
    pub(crate) fn set_attributes(&mut self, attributes: u32, mask: u32) {
        self.0.attributes |= u64::from(attributes);
        self.0.attributes_mask |= u64::from(mask);
    }
}

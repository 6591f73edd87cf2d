// SPDX-License-Identifier: GPL-2.0

//! Metadata whose write failed.
//!
//! The kernel takes leave of a metadata block whose write failed: the buffer is clean, and not up to date. Who reads it
//! again would get from the disk what was there before the change. Here memory has the only valid copy of such a block:
//! it counts as up to date, stays in memory, is written again before anything is called durable, and until then nothing is.
//!
//! C header: [`include/linux/errseq.h`](srctree/include/linux/errseq.h)

use super::{buffer::Buffer, super_block::SuperBlock, FileSystem};
use crate::bindings;
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        ordering::{Acquire, Release},
        Atomic,
    },
};

/// Which failures of metadata writes have been dealt with.
pub(crate) struct LostWrites {
    /// The device's count of failures when it was last looked at.
    seen: Atomic<u32>,
    /// Blocks are to be written again, and may not be yet.
    pending: Atomic<bool>,
}

impl LostWrites {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            seen: Atomic::new(0),
            pending: Atomic::new(false),
        }
    }
}

/// Blocks that must stay in memory because their last write failed.
pub(crate) struct LostBlocks(KVVec<Buffer>);

impl LostBlocks {
    /// None.
    pub(crate) fn new() -> Self {
        Self(KVVec::new())
    }
}

/// Blocks found by one look at the page cache: as many as there are in the pages that it looks at, if these are small.
const BATCH: usize = 256;

impl<T: FileSystem> SuperBlock<T> {
    /// Whether metadata that is not dirty may be in memory only.
    pub(crate) fn has_lost_writes(&self, lost: &LostWrites) -> bool {
        // SAFETY: The device is open.
        let errors = unsafe { bindings::rfs_bdev_write_errors(self.device()) };
        lost.pending.load(Acquire) || errors != lost.seen.load(Acquire)
    }

    /// Makes dirty again what was lost since the last call. Gives whether that may be anything.
    fn revive(&self, lost: &LostWrites, blocks: &mut LostBlocks) -> bool {
        let mut seen = lost.seen.load(Acquire);
        // SAFETY: The device is open.
        let failed = unsafe { bindings::rfs_bdev_advance_errors(self.device(), &mut seen) };
        if failed {
            lost.pending.store(true, Release);
            self.revive_blocks(blocks);
        }
        lost.seen.store(seen, Release);
        failed
    }

    /// Makes all failed blocks dirty, and keeps them in memory; those kept before were among them or are written.
    fn revive_blocks(&self, blocks: &mut LostBlocks) {
        let mut kept = KVVec::new();
        let mut index = 0;
        loop {
            let mut found = [ptr::null_mut(); BATCH];
            // SAFETY: The device is open, and `found` has room for so many. What was freed was forgotten, and is not
            // made dirty.
            let count = unsafe {
                let room = BATCH as c_uint;
                bindings::rfs_bdev_revive_buffers(
                    self.device(),
                    &mut index,
                    found.as_mut_ptr(),
                    room,
                )
            };
            if count == 0 {
                break;
            }
            for raw in found.into_iter().take(count as usize) {
                // SAFETY: Null, or a buffer with a reference that is ours.
                if let Some(buffer) = unsafe { Buffer::from_raw(raw) } {
                    // Without memory for it, it is dirty all the same.
                    let _ = kept.push(buffer, GFP_KERNEL);
                }
            }
        }
        blocks.0 = kept;
    }

    /// Makes durable what is dirty in the device's page cache, and what was lost before. Sleeps; `EIO` if something was
    /// lost this time.
    pub(crate) fn settle_device(&self, lost: &LostWrites, blocks: &mut LostBlocks) -> Result {
        self.revive(lost, blocks);
        // SAFETY: The device is open.
        let sent = to_result(unsafe { bindings::rfs_bdev_write_and_wait(self.device()) });
        if self.revive(lost, blocks) {
            return Err(EIO);
        }
        sent?;
        self.flush_device()?;
        lost.pending.store(false, Release);
        *blocks = LostBlocks::new();
        Ok(())
    }
}

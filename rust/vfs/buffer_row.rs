// SPDX-License-Identifier: GPL-2.0

//! Writing metadata blocks that lie in a row with one bio.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use super::{
    bio::MAX_SEGMENTS, buffer::Buffer, super_block::SuperBlock, sync::NoFsScope, FileSystem,
};
use crate::bindings;
use kernel::prelude::*;

const REQ_SYNC: u32 = 1 << bindings::req_flag_bits___REQ_SYNC;

/// Whether `next` lies right behind `one`.
fn follows(one: &Buffer, next: &Buffer) -> bool {
    one.block().checked_add(1) == Some(next.block())
}

impl<T: FileSystem> SuperBlock<T> {
    /// Starts writing those of `buffers` that are dirty; blocks that follow each other, here and on disk, go together.
    /// [`Buffer::wait`] tells what became of each. Sleeps.
    pub(crate) fn write_buffers(&self, buffers: &[Buffer]) {
        for row in buffers.chunk_by(follows) {
            for row in row.chunks(MAX_SEGMENTS as usize) {
                // Without memory for a list each goes alone.
                if row.len() < 2 || self.write_row(row).is_err() {
                    row.iter().for_each(Buffer::write_start);
                }
            }
        }
    }

    /// Starts writing a row of blocks, at most [`MAX_SEGMENTS`]. Fails with `ENOMEM` before anything is done.
    fn write_row(&self, row: &[Buffer]) -> Result {
        let _nofs = NoFsScope::new();
        let mut members = KBox::new(KVec::with_capacity(row.len(), GFP_KERNEL)?, GFP_KERNEL)?;
        // Locked in ascending order, as everybody locks several. A clean one ends the row: it was written by somebody
        // else, or is to wait.
        for buffer in row {
            // SAFETY: "Referenced buffer".
            if !unsafe { bindings::rfs_lock_dirty_buffer(buffer.as_raw()) } {
                break;
            }
            // There is room.
            let _ = members.push_within_capacity(buffer.clone());
        }
        let taken = members.len();
        if let Some(first) = members.first().map(Buffer::block) {
            self.send_row(first, members);
        }
        row.iter().skip(taken).for_each(Buffer::write_start);
        Ok(())
    }

    /// Sends blocks that are locked for it, in a row from block `first` on.
    fn send_row(&self, first: u64, members: KBox<KVec<Buffer>>) {
        let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
        let bits = self.block_bits().saturating_sub(bindings::SECTOR_SHIFT) & 63;
        // SAFETY: The super block's device is open, and `fs_bio_set` the kernel's own pool, from which an allocation
        // that may sleep does not fail. The bio has room for each block. The blocks' locks, and the references in
        // `members`, go to the bio's end.
        unsafe {
            let bio = bindings::bio_alloc_bioset(
                self.device(),
                count,
                bindings::req_op_REQ_OP_WRITE | REQ_SYNC,
                bindings::GFP_NOFS,
                &raw mut bindings::fs_bio_set,
            );
            (*bio).bi_iter.bi_sector = first << bits;
            (*bio).bi_end_io = Some(end_row);
            for buffer in members.iter() {
                bindings::rfs_bio_add_buffer(bio, buffer.as_raw());
            }
            (*bio).bi_private = KBox::into_raw(members).cast();
            bindings::submit_bio(bio);
        }
    }
}

/// The end of a bio from `send_row`. A failure is noted in the block and in the device's page cache, where
/// [`lost_writes`](super::lost_writes) finds it.
unsafe extern "C" fn end_row(bio: *mut bindings::bio) {
    // SAFETY: The block layer gives the bio back; `bi_private` is the list that `send_row` put there. Each of its blocks
    // is locked for this write, and referenced as long as it is in the list.
    unsafe {
        let members = KBox::from_raw((*bio).bi_private.cast::<KVec<Buffer>>());
        let ok = (*bio).bi_status == 0;
        for buffer in members.iter() {
            bindings::rfs_end_buffer_write(buffer.as_raw(), ok);
        }
        bindings::bio_put(bio);
    }
}

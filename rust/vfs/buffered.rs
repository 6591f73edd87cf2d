// SPDX-License-Identifier: GPL-2.0

//! Writing through the page cache, to the last block that there is space for.

use crate::bindings;

/// Writes through the page cache, like `generic_perform_write`. When there is no space for as much as a folio takes, goes
/// on block by block: a write on a full volume writes what fits. Gives the bytes written, or an errno if that is none.
///
/// # Safety
///
/// `iocb` and `from` are those of a write call on a file that is locked for writing; its blocks have `1 << block_bits`
/// bytes.
pub(super) unsafe fn write(
    iocb: *mut bindings::kiocb,
    from: *mut bindings::iov_iter,
    block_bits: u32,
) -> isize {
    // SAFETY: The caller's promise.
    unsafe {
        let first = bindings::generic_perform_write(iocb, from);
        if first < 0 && first != -(bindings::ENOSPC as isize) {
            return first;
        }
        let mut written = first.max(0);
        loop {
            let left = bindings::rfs_iov_iter_count(from);
            if left == 0 {
                break;
            }
            let block = 1usize << block_bits;
            let into = (*iocb).ki_pos as usize & block.wrapping_sub(1);
            let len = block.wrapping_sub(into).min(left);
            bindings::rfs_iov_iter_truncate(from, len);
            let more = bindings::generic_perform_write(iocb, from);
            let done = more.max(0).unsigned_abs();
            bindings::rfs_iov_iter_reexpand(from, left.saturating_sub(done));
            written = written.saturating_add_unsigned(done);
            if done < len {
                break;
            }
        }
        if written > 0 {
            written
        } else {
            first
        }
    }
}

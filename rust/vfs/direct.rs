// SPDX-License-Identifier: GPL-2.0

//! Direct I/O: reading and writing past the page cache, through the kernel's `iomap`.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    file::File,
    inode::Inode,
    iomap::{IomapOperations, IomapTable, ALLOCATE, DURABLE, PLAIN},
};
use crate::bindings;
use core::{marker::PhantomData, ptr};
use kernel::{error::from_result, prelude::*};

/// What became of a direct write.
pub(super) enum Written {
    /// The answer to the call: bytes written, or an errno. What had to be synced is.
    Over(isize),
    /// So many bytes were written, and the page cache has to take the rest.
    Rest(isize),
}

/// Reads past the page cache. Fails as `iomap_dio_rw` does.
///
/// # Safety
///
/// `iocb` and `to` are those of a read call on a file of `M::FS`.
pub(super) unsafe fn read<M: IomapOperations>(
    iocb: *mut bindings::kiocb,
    to: *mut bindings::iov_iter,
) -> isize {
    // SAFETY: The caller's promise; the table lives for ever.
    unsafe {
        bindings::iomap_dio_rw(
            iocb,
            to,
            &IomapTable::<M, PLAIN>::OPS,
            ptr::null(),
            0,
            ptr::null_mut(),
            0,
        )
    }
}

/// Writes past the page cache: over blocks that exist, without waiting if the call is asynchronous; into holes and past
/// the end of the file, waiting.
///
/// # Safety
///
/// `iocb` and `from` are those of a write call on a file of `M::FS`, which is locked for writing.
pub(super) unsafe fn write<M: IomapOperations>(
    inode: &Inode<M::FS>,
    iocb: *mut bindings::kiocb,
    from: *mut bindings::iov_iter,
) -> Written {
    // SAFETY: The caller's promise; the tables live for ever.
    unsafe {
        let flags = (*iocb).ki_flags as u32;
        let over = match flags & bindings::IOCB_DSYNC != 0 || inode.is_sync() {
            true => &IomapTable::<M, DURABLE>::OPS,
            false => &IomapTable::<M, PLAIN>::OPS,
        };
        let done = bindings::iomap_dio_rw(iocb, from, over, ptr::null(), 0, ptr::null_mut(), 0);
        // Cached pages that cannot be dropped: what is written must go through them.
        if done == NOT_BLOCKS {
            return Written::Rest(0);
        }
        if done < 0 || bindings::rfs_iov_iter_count(from) == 0 {
            return Written::Over(done);
        }
        if flags & bindings::IOCB_NOWAIT != 0 {
            return Written::Over(match done {
                0 => EAGAIN.to_errno() as isize,
                done => done,
            });
        }
        match allocate::<M>(inode, iocb, from) {
            more if more >= 0 => Written::Rest(done.saturating_add(more)),
            _ if done > 0 => Written::Over(done),
            error => Written::Over(error),
        }
    }
}

/// `-ENOTBLK`: the write is one for the page cache.
const NOT_BLOCKS: isize = -(bindings::ENOTBLK as isize);

/// Writes what needs blocks first. Gives the bytes written, which are fewer than asked for if the page cache has to take
/// the rest, or an errno. What was given out and not written is taken back.
///
/// # Safety
///
/// As [`write`].
unsafe fn allocate<M: IomapOperations>(
    inode: &Inode<M::FS>,
    iocb: *mut bindings::kiocb,
    from: *mut bindings::iov_iter,
) -> isize {
    let position = |position: i64| u64::try_from(position).unwrap_or(0);
    // SAFETY: The caller's promise; the tables live for ever.
    unsafe {
        let start = position((*iocb).ki_pos);
        let end = start.saturating_add(bindings::rfs_iov_iter_count(from) as u64);
        let done = bindings::iomap_dio_rw(
            iocb,
            from,
            &IomapTable::<M, ALLOCATE>::OPS,
            &DirectTable::<M>::OPS,
            bindings::IOMAP_DIO_FORCE_WAIT,
            ptr::null_mut(),
            0,
        );
        let reached = position((*iocb).ki_pos);
        if reached < end {
            M::unwritten(inode, reached..end);
        }
        match done {
            NOT_BLOCKS => 0,
            done => done,
        }
    }
}

/// The C table that goes with a direct write to new blocks.
struct DirectTable<M>(PhantomData<M>);

impl<M: IomapOperations> DirectTable<M> {
    const OPS: bindings::iomap_dio_ops = bindings::iomap_dio_ops {
        end_io: Some(Self::end_io),
        submit_io: None,
        bio_set: ptr::null_mut(),
    };

    /// Everything that was sent has ended, in the task that makes the call.
    unsafe extern "C" fn end_io(
        iocb: *mut bindings::kiocb,
        size: isize,
        error: c_int,
        _flags: c_uint,
    ) -> c_int {
        if error != 0 || size <= 0 {
            return error;
        }
        // SAFETY: "Callback pointer"; the file is one of `M::FS`.
        let (inode, position) = unsafe {
            (
                File::<M::FS>::from_raw((*iocb).ki_filp).inode(),
                (*iocb).ki_pos,
            )
        };
        from_result(|| {
            let start = u64::try_from(position)?;
            let end = start.saturating_add(size.unsigned_abs() as u64);
            M::written(inode, start..end).map(|()| 0)
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The kernel's `iomap` helpers on a file system's block map: `SEEK_HOLE` and `SEEK_DATA`, FIEMAP, `bmap` and swap files
//! here, and direct I/O in [`direct`](super::direct).
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{inode::Inode, FileSystem};
use crate::bindings;
use core::{marker::PhantomData, ops::Range};
use kernel::{error::from_result, prelude::*};

/// What a mapping is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// Blocks will be written, and have to be allocated where there are none.
    pub(crate) write: bool,
    /// For direct I/O.
    pub(crate) direct: bool,
    /// Do not sleep; fail with `EAGAIN` instead.
    pub(crate) nowait: bool,
    /// Only blocks that exist may be written; fail with `EAGAIN` where there is a hole.
    pub(crate) overwrite_only: bool,
    /// Holes get blocks; otherwise a write that needs some fails with `ENOTBLK`.
    pub(crate) allocate: bool,
    /// What is written must be durable when the call returns: [`Extent::is_dirty`] counts.
    pub(crate) durable: bool,
}

/// A range of a file and where it lies, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Position in the file, in bytes.
    pub(crate) offset: u64,
    /// Length in bytes, never zero.
    pub(crate) len: u64,
    /// Position on the device, in bytes; `None` for a hole.
    pub(crate) address: Option<u64>,
    /// The blocks were allocated by this call and hold old bytes.
    pub(crate) is_new: bool,
    /// Metadata that is needed to reach the data is not on disk yet.
    pub(crate) is_dirty: bool,
    /// The range is a single piece of several mappings.
    pub(crate) is_merged: bool,
}

/// Maps a file for `iomap`.
pub(crate) trait IomapOperations {
    /// The file system.
    type FS: FileSystem;
    /// Whether files of this kind have blocks of their own that can be reported.
    const HAS_MAP: bool;
    /// Whether this kind of file is a symbolic link.
    const IS_LINK: bool = false;

    /// The extent at `position` (bytes), of which `len` bytes are of use. May sleep unless `purpose.nowait`.
    fn begin(inode: &Inode<Self::FS>, position: u64, len: u64, purpose: Purpose) -> Result<Extent>;

    /// Takes back what `begin` allocated beyond the `written` bytes that were used of `len` at `position`.
    fn end(
        _inode: &Inode<Self::FS>,
        _position: u64,
        _len: u64,
        _written: u64,
        _purpose: Purpose,
    ) -> Result {
        Ok(())
    }

    /// A direct write to blocks that [`begin`](Self::begin) allocated has filled `bytes`, which now become part of the
    /// file. The inode is locked for writing.
    fn written(_inode: &Inode<Self::FS>, _bytes: Range<u64>) -> Result {
        Ok(())
    }

    /// A direct write ended before `bytes`: takes back what [`begin`](Self::begin) allocated there. The inode is locked
    /// for writing.
    fn unwritten(_inode: &Inode<Self::FS>, _bytes: Range<u64>) {}
}

/// For files without blocks of their own.
pub(crate) struct NoMap<T>(PhantomData<T>);

impl<T: FileSystem> IomapOperations for NoMap<T> {
    type FS = T;
    const HAS_MAP: bool = false;

    fn begin(_: &Inode<T>, _: u64, _: u64, _: Purpose) -> Result<Extent> {
        Err(EINVAL)
    }
}

/// For symbolic links whose target the VFS knows.
pub(crate) struct LinkMap<T>(PhantomData<T>);

impl<T: FileSystem> IomapOperations for LinkMap<T> {
    type FS = T;
    const HAS_MAP: bool = false;
    const IS_LINK: bool = true;

    fn begin(_: &Inode<T>, _: u64, _: u64, _: Purpose) -> Result<Extent> {
        Err(EINVAL)
    }
}

/// Of a table: for everything that allocates nothing.
pub(super) const PLAIN: u8 = 0;
/// Of a table: for writes that must be durable when they end.
pub(super) const DURABLE: u8 = 1;
/// Of a table: for writes that need blocks.
pub(super) const ALLOCATE: u8 = 2;

/// The C table of `M`, for one of the purposes above.
pub(super) struct IomapTable<M, const FOR: u8>(PhantomData<M>);

impl<M: IomapOperations, const FOR: u8> IomapTable<M, FOR> {
    pub(super) const OPS: bindings::iomap_ops = bindings::iomap_ops {
        iomap_begin: Some(Self::begin),
        iomap_end: Some(Self::end),
        iomap_next: None,
    };

    fn purpose(flags: c_uint) -> Purpose {
        Purpose {
            write: flags & bindings::IOMAP_WRITE != 0,
            direct: flags & bindings::IOMAP_DIRECT != 0,
            nowait: flags & bindings::IOMAP_NOWAIT != 0,
            overwrite_only: flags & bindings::IOMAP_OVERWRITE_ONLY != 0,
            allocate: FOR == ALLOCATE,
            durable: FOR == DURABLE,
        }
    }

    unsafe extern "C" fn begin(
        inode: *mut bindings::inode,
        position: i64,
        len: i64,
        flags: c_uint,
        iomap: *mut bindings::iomap,
        _source: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both.
        let (inode, iomap) = unsafe { (Inode::<M::FS>::from_raw(inode), &mut *iomap) };
        from_result(|| {
            let (position, len) = (u64::try_from(position)?, u64::try_from(len)?);
            let extent = M::begin(inode, position, len, Self::purpose(flags))?;
            iomap.offset = i64::try_from(extent.offset)?;
            iomap.length = extent.len;
            iomap.bdev = inode.sb().device();
            let (kind, address) = match extent.address {
                Some(address) => (bindings::IOMAP_MAPPED, address),
                None => (bindings::IOMAP_HOLE, u64::MAX),
            };
            iomap.type_ = kind as u16;
            iomap.addr = address;
            let flag = |set: bool, bit: u32| if set { bit as u16 } else { 0 };
            iomap.flags = flag(extent.is_new, bindings::IOMAP_F_NEW)
                | flag(extent.is_dirty, bindings::IOMAP_F_DIRTY)
                | flag(extent.is_merged, bindings::IOMAP_F_MERGED);
            Ok(0)
        })
    }

    unsafe extern "C" fn end(
        inode: *mut bindings::inode,
        position: i64,
        len: i64,
        written: isize,
        flags: c_uint,
        _iomap: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: "Callback pointer".
        let inode = unsafe { Inode::<M::FS>::from_raw(inode) };
        from_result(|| {
            let (position, len) = (u64::try_from(position)?, u64::try_from(len)?);
            let written = u64::try_from(written).unwrap_or(0);
            M::end(inode, position, len, written, Self::purpose(flags)).map(|()| 0)
        })
    }
}

/// `inode_operations::fiemap`. The inode's lock is taken, shared.
///
/// # Safety
///
/// `info` is the VFS's own.
pub(super) unsafe fn fiemap<M: IomapOperations>(
    inode: &Inode<M::FS>,
    info: *mut bindings::fiemap_extent_info,
    start: u64,
    len: u64,
) -> c_int {
    // `iomap_fiemap` refuses an empty range, which a file of size zero would make of an ioctl for all of it.
    let size = inode.size().max(1);
    let len = len.min(size.saturating_sub(start.min(size)).max(1));
    let _locked = inode.lock_shared();
    // SAFETY: The caller's promise, and the table fits the inode.
    unsafe {
        bindings::iomap_fiemap(
            inode.as_raw(),
            info,
            start,
            len,
            &IomapTable::<M, PLAIN>::OPS,
        )
    }
}

/// `address_space_operations::bmap`.
///
/// # Safety
///
/// `mapping` is that of a file of `M::FS`.
pub(super) unsafe fn bmap<M: IomapOperations>(
    mapping: *mut bindings::address_space,
    block: bindings::sector_t,
) -> bindings::sector_t {
    // SAFETY: The caller's promise.
    unsafe { bindings::iomap_bmap(mapping, block, &IomapTable::<M, PLAIN>::OPS) }
}

/// `SEEK_HOLE` and `SEEK_DATA` from `offset`. The inode is locked, shared.
///
/// # Safety
///
/// `whence` is one of the two.
pub(super) unsafe fn seek<M: IomapOperations>(
    inode: &Inode<M::FS>,
    offset: i64,
    whence: c_int,
) -> i64 {
    let ops = &IomapTable::<M, PLAIN>::OPS;
    // SAFETY: The table fits the inode.
    unsafe {
        match whence as u32 {
            bindings::SEEK_HOLE => bindings::iomap_seek_hole(inode.as_raw(), offset, ops),
            _ => bindings::iomap_seek_data(inode.as_raw(), offset, ops),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What can be done with an open file: `struct file_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    dir::DirEmitter, file::File, folio::LockedFolio, inode::Inode, iomap::IomapOperations,
    FileSystem,
};
use crate::bindings;
use core::ops::Range;
use kernel::{
    error::{to_result, VTABLE_DEFAULT_ERROR},
    prelude::*,
    uaccess::UserPtr,
};

/// Operations on an open file. Directories give [`iterate`](Self::iterate); files that carry data set
/// [`HAS_DATA`](Self::HAS_DATA) and get reads through the page cache and past it, `mmap`, `splice` and seeks.
#[vtable]
pub(crate) trait FileOperations {
    /// The file system.
    type FS: FileSystem;
    /// Where the file's blocks are.
    type Map: IomapOperations<FS = Self::FS>;
    /// Whether the file's bytes are in the page cache of its own inode.
    const HAS_DATA: bool;

    /// Whether the file can be written.
    const WRITES: bool = false;

    /// The file is about to be written from `position` on, past its end at `size` (bytes): makes what lies behind its
    /// old end zeroes. The inode is locked for writing.
    fn prepare_extension(_inode: &Inode<Self::FS>, _size: u64, _position: u64) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A page, at these bytes of the file, is about to be written through a shared mapping: sets space aside for it, or
    /// for all of its folio, which is locked, up to date and in the file, and makes that dirty. `ENOSPC` becomes `SIGBUS`.
    fn page_mkwrite(
        _inode: &Inode<Self::FS>,
        _folio: &LockedFolio<'_>,
        _page: Range<u64>,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Makes the file durable. Called without locks. An error of the data is reported besides.
    fn sync(_inode: &Inode<Self::FS>, _range: &SyncRange<'_, Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// `fallocate(2)` on `bytes` of the file. Inode and page cache are locked.
    fn allocate(_inode: &Inode<Self::FS>, _how: Allocation, _bytes: Range<u64>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// An `ioctl(2)` that the VFS does not know: a command, and what comes with it, mostly an address of the calling
    /// program. `ENOTTY` for a command that is not known here either.
    fn ioctl(_file: &File<Self::FS>, _command: u32, _argument: UserPtr) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Hands on directory entries from the emitter's position. The directory is locked, shared.
    fn iterate(_file: &File<Self::FS>, _out: &mut DirEmitter<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// What `fallocate(2)` is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// Give blocks to holes.
    Allocate {
        /// The file does not grow.
        keep_size: bool,
    },
    /// Take blocks away; the range reads as zeroes, and the file keeps its size.
    PunchHole,
    /// Make the range zeroes that have blocks.
    ZeroRange {
        /// The file does not grow.
        keep_size: bool,
    },
}

impl Allocation {
    /// What a mode asks for; `None` for one that is not known here.
    pub(super) fn from_mode(mode: u32) -> Option<Self> {
        let keep_size = mode & bindings::FALLOC_FL_KEEP_SIZE != 0;
        match mode & !bindings::FALLOC_FL_KEEP_SIZE {
            bindings::FALLOC_FL_ALLOCATE_RANGE => Some(Self::Allocate { keep_size }),
            bindings::FALLOC_FL_PUNCH_HOLE if keep_size => Some(Self::PunchHole),
            bindings::FALLOC_FL_ZERO_RANGE => Some(Self::ZeroRange { keep_size }),
            _ => None,
        }
    }
}

/// What `fsync(2)` was asked for.
pub(crate) struct SyncRange<'a, T: FileSystem> {
    pub(super) inode: &'a Inode<T>,
    pub(super) file: *mut bindings::file,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) data_only: bool,
}

impl<T: FileSystem> SyncRange<'_, T> {
    /// Writes the dirty pages and waits. An error is one that was not told to this open file before.
    pub(crate) fn write_and_wait(&self) -> Result {
        // SAFETY: The file is that of the call, and its pages are those of the inode.
        unsafe {
            let mapping = (*self.inode.as_raw()).i_mapping;
            let sent = to_result(bindings::filemap_fdatawrite_range(
                mapping, self.start, self.end,
            ));
            // To look for pages on their way costs more than to know that there are none.
            if bindings::rfs_mapping_under_writeback(mapping) && sent != Err(EIO) {
                bindings::filemap_fdatawait_range_keep_errors(mapping, self.start, self.end);
            }
            sent.and(to_result(bindings::file_check_and_advance_wb_err(
                self.file,
            )))
        }
    }

    /// Whether the inode has to be written too: it has changed in a way that was asked for.
    pub(crate) fn needs_inode(&self) -> bool {
        self.inode.is_dirty(self.data_only)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A regular file: what can be done with it when it is open, and with its pages.

use super::{file, ioctl, Ext2, Inode};
use crate::{
    mpage::{read, write, writeback, FileMap},
    vfs::{
        aops::AddressSpaceOperations,
        file::File,
        file_ops::{Allocation, FileOperations, SyncRange},
        folio::{CachedFolio, LockedFolio},
        readahead::Readahead,
        writeback::Writeback,
    },
};
use core::ops::Range;
use kernel::{prelude::*, uaccess::UserPtr};

/// An open regular file.
pub(super) struct RegularFile;

#[vtable]
impl FileOperations for RegularFile {
    type FS = Ext2;
    type Map = FileMap<Ext2>;
    const HAS_DATA: bool = true;
    const WRITES: bool = true;

    fn prepare_extension(inode: &Inode, size: u64, position: u64) -> Result {
        file::prepare_end(inode, size, position)
    }

    fn page_mkwrite(inode: &Inode, folio: &LockedFolio<'_>, page: Range<u64>) -> Result {
        write::make_writable(inode, folio, page)
    }

    fn sync(inode: &Inode, range: &SyncRange<'_, Ext2>) -> Result {
        file::sync(inode, range)
    }

    fn ioctl(file: &File<Ext2>, command: u32, argument: UserPtr) -> Result {
        ioctl::ioctl(file, command, argument)
    }

    fn allocate(inode: &Inode, how: Allocation, bytes: Range<u64>) -> Result {
        file::allocate(inode, how, bytes)
    }
}

/// A regular file's pages.
pub(super) struct Pages;

#[vtable]
impl AddressSpaceOperations for Pages {
    type FS = Ext2;
    type Map = FileMap<Ext2>;

    fn read_folio(inode: &Inode, folio: LockedFolio<'_>) -> Result {
        read::read_folio(inode, folio)
    }

    fn readahead(window: &mut Readahead<'_, Ext2>) {
        read::readahead(window);
    }

    fn write_begin(inode: &Inode, pos: u64, len: u64, nowait: bool) -> Result<CachedFolio> {
        write::write_begin(inode, pos, len, nowait)
    }

    fn write_end(inode: &Inode, folio: CachedFolio, pos: u64, len: u64, copied: u64) -> u64 {
        write::write_end(inode, folio, pos, len, copied)
    }

    fn writepages(pass: &mut Writeback<'_, Ext2>) -> Result {
        writeback::writepages(pass)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Which operations each kind of file has.

use super::{dir::Dir, flags, Ext2, Inode};
use crate::{
    mpage::{read, ReadMap},
    vfs::{
        aops::AddressSpaceOperations,
        dir::DirEmitter,
        file::File,
        file_ops::FileOperations,
        folio::LockedFolio,
        inode::Timestamp,
        inode_ops::InodeOperations,
        iomap::{LinkMap, NoMap},
        readahead::Readahead,
        stat::Stat,
    },
};
use kernel::{prelude::*, sync::aref::ARef};

/// What `statx(2)` shows of every kind of file.
fn getattr(inode: &Inode, stat: &mut Stat<'_>) {
    let node = inode.data();
    if let Some(time) = node.created {
        stat.set_created(Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds });
    }
    stat.set_attributes(node.flags & flags::STATX, flags::STATX);
}

/// A regular file's inode.
pub(super) struct RegularInode;

#[vtable]
impl InodeOperations for RegularInode {
    type FS = Ext2;
    type Map = ReadMap<Ext2>;

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        getattr(inode, stat);
        Ok(())
    }
}

/// A directory's inode.
pub(super) struct DirectoryInode;

#[vtable]
impl InodeOperations for DirectoryInode {
    type FS = Ext2;
    type Map = NoMap<Ext2>;

    fn lookup(dir: &Inode, name: &[u8]) -> Result<Option<ARef<Inode>>> {
        Dir::new(dir).lookup(name)
    }

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        getattr(inode, stat);
        Ok(())
    }
}

/// A symbolic link's inode.
pub(super) struct SymlinkInode;

#[vtable]
impl InodeOperations for SymlinkInode {
    type FS = Ext2;
    type Map = LinkMap<Ext2>;

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        getattr(inode, stat);
        Ok(())
    }
}

/// The inode of a device, FIFO or socket.
pub(super) struct SpecialInode;

#[vtable]
impl InodeOperations for SpecialInode {
    type FS = Ext2;
    type Map = NoMap<Ext2>;

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        getattr(inode, stat);
        Ok(())
    }
}

/// An open regular file.
pub(super) struct RegularFile;

#[vtable]
impl FileOperations for RegularFile {
    type FS = Ext2;
    type Map = ReadMap<Ext2>;
    const HAS_DATA: bool = true;
}

/// An open directory.
pub(super) struct Directory;

#[vtable]
impl FileOperations for Directory {
    type FS = Ext2;
    type Map = NoMap<Ext2>;
    const HAS_DATA: bool = false;

    fn iterate(file: &File<Ext2>, out: &mut DirEmitter<'_>) -> Result {
        Dir::new(file.inode()).iterate(out)
    }
}

/// A regular file's pages.
pub(super) struct Pages;

#[vtable]
impl AddressSpaceOperations for Pages {
    type FS = Ext2;
    type Map = ReadMap<Ext2>;

    fn read_folio(inode: &Inode, folio: LockedFolio<'_>) -> Result {
        read::read_folio(inode, folio)
    }

    fn readahead(window: &mut Readahead<'_, Ext2>) {
        read::readahead(window);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Which operations each kind of file has.

use super::{children, create, dir::Dir, file, flags, ioctl, namei, Ext2, Inode};
use crate::{
    mpage::ReadMap,
    vfs::{
        dir::DirEmitter,
        file::File,
        file_ops::{FileOperations, SyncRange},
        fileattr::FileAttr,
        idmap::IdMap,
        inode::{NewInode, Timestamp},
        inode_ops::{AttributeOperations, InodeOperations, New, Rename},
        inode_write::SetAttr,
        iomap::{LinkMap, NoMap},
        stat::Stat,
    },
};
use kernel::{prelude::*, sync::aref::ARef, uaccess::UserPtr};

/// The attributes of every kind of file.
pub(super) struct CommonAttributes;

#[vtable]
impl AttributeOperations for CommonAttributes {
    type FS = Ext2;

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        let node = inode.data();
        if let Some(time) = node.attributes.created {
            stat.set_created(Timestamp {
                seconds: time.seconds,
                nanoseconds: time.nanoseconds,
            });
        }
        stat.set_attributes(node.attributes.flags() & flags::STATX, flags::STATX);
        // Programs take a file with fewer blocks than bytes for one with holes.
        let delayed = node.map.read().overlay.reserved();
        stat.add_sectors(delayed << inode.block_bits().saturating_sub(9));
        Ok(())
    }

    fn setattr(change: SetAttr<'_, Ext2>) -> Result {
        let inode = change.inode();
        inode.sb().check_live()?;
        if let Some(size) = change.size().filter(|size| *size != inode.size()) {
            file::truncate(inode, size)?;
            // Of ftruncate(2) alone the VFS says that the times change.
            inode.set_modified_now();
        }
        change.apply();
        match inode.is_sync() {
            true => inode.write_now(),
            false => Ok(()),
        }
    }

    fn fileattr_get(inode: &Inode, attr: &mut FileAttr<'_>) -> Result {
        flags::get(inode, attr);
        Ok(())
    }

    fn fileattr_set(inode: &Inode, attr: &FileAttr<'_>) -> Result {
        inode.sb().check_live()?;
        flags::set(inode, attr)
    }
}

/// A regular file's inode.
pub(super) struct RegularInode;

#[vtable]
impl InodeOperations for RegularInode {
    type FS = Ext2;
    type Map = ReadMap<Ext2>;
    type Attributes = CommonAttributes;
}

/// A directory's inode.
pub(super) struct DirectoryInode;

#[vtable]
impl InodeOperations for DirectoryInode {
    type FS = Ext2;
    type Map = NoMap<Ext2>;
    type Attributes = CommonAttributes;

    fn lookup(dir: &Inode, name: &[u8]) -> Result<Option<ARef<Inode>>> {
        Dir::new(dir).lookup(name)
    }

    fn create(dir: &Inode, name: &[u8], what: &New<'_>) -> Result<NewInode<Ext2>> {
        namei::create(dir, name, what)
    }

    fn symlink(
        dir: &Inode,
        name: &[u8],
        target: &[u8],
        idmap: IdMap<'_>,
    ) -> Result<NewInode<Ext2>> {
        namei::symlink(dir, name, target, idmap)
    }

    fn tmpfile(dir: &Inode, what: &New<'_>) -> Result<NewInode<Ext2>> {
        dir.sb().check_live()?;
        create::file(dir, what)
    }

    fn link(inode: &Inode, dir: &Inode, name: &[u8]) -> Result {
        namei::link(inode, dir, name)
    }

    fn unlink(dir: &Inode, name: &[u8], inode: &Inode) -> Result {
        namei::unlink(dir, name, inode)
    }

    fn rmdir(dir: &Inode, name: &[u8], inode: &Inode) -> Result {
        namei::rmdir(dir, name, inode)
    }

    fn rename(what: &Rename<'_, Ext2>) -> Result {
        namei::rename(what)
    }
}

/// A symbolic link's inode.
pub(super) struct SymlinkInode;

#[vtable]
impl InodeOperations for SymlinkInode {
    type FS = Ext2;
    type Map = LinkMap<Ext2>;
    type Attributes = CommonAttributes;
}

/// The inode of a device, FIFO or socket.
pub(super) struct SpecialInode;

#[vtable]
impl InodeOperations for SpecialInode {
    type FS = Ext2;
    type Map = NoMap<Ext2>;
    type Attributes = CommonAttributes;
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

    fn sync(inode: &Inode, range: &SyncRange<'_, Ext2>) -> Result {
        inode.sb().release_held()?;
        {
            let _syncing = inode.data().syncing.lock();
            children::sync(inode)?;
        }
        file::sync(inode, range)
    }

    fn ioctl(file: &File<Ext2>, command: u32, argument: UserPtr) -> Result {
        ioctl::ioctl(file, command, argument)
    }
}

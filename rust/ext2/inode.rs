// SPDX-License-Identifier: GPL-2.0

//! Reading inodes, and what is kept for each.

use super::{
    flags, map,
    ondisk::{self, inode::Kind, inode::MAP_SIZE, raw::le32, time::Time},
    ops,
    volume::Place,
    Ext2, Inode, SuperBlock,
};
use crate::vfs::{
    errno::{ESTALE, EUCLEAN},
    inode::{InodeFields, NewInode, Timestamp},
    super_block::Iget,
    sync::{new_rwsem, RwSem},
};
use kernel::{prelude::*, sync::aref::ARef};

/// What is kept for an inode in memory.
#[pin_data]
pub(crate) struct Node {
    /// `i_block`: the pointers from which the file's blocks are found. Held for reading while they are followed.
    #[pin]
    pub(super) pointers: RwSem<[u8; MAP_SIZE]>,
    /// `i_flags`: the attributes of `chattr(1)`.
    pub(super) flags: u32,
    /// When the file was made, if the inode has room for it.
    pub(super) created: Option<Time>,
}

impl Node {
    /// The data of an inode that has not been read.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self { pointers <- new_rwsem!([0; MAP_SIZE]), flags: 0, created: None })
    }
}

/// The inode of that number, which a directory or the format itself names. `EUCLEAN` if it cannot be one.
pub(super) fn get(sb: &SuperBlock, ino: u32) -> Result<ARef<Inode>> {
    let place = Place { ino: ino.into(), block: 0 };
    sb.data().disk.geometry.check_file_ino(ino).map_err(|error| sb.damaged(place, &error))?;
    match sb.iget(ino.into())? {
        Iget::Live(inode) => Ok(inode),
        Iget::New(inode) => read(sb, inode, ino).map_err(|error| match error {
            Failure::Io(error) => error,
            Failure::Disk(block, error) => sb.damaged(Place { ino: ino.into(), block }, &error),
        }),
    }
}

/// The inode of that number from a file handle, which may be out of date: `ESTALE` if there is no such file.
pub(super) fn by_handle(sb: &SuperBlock, ino: u64) -> Result<ARef<Inode>> {
    let number = u32::try_from(ino).map_err(|_| ESTALE())?;
    sb.data().disk.geometry.check_file_ino(number).map_err(|_| ESTALE())?;
    match sb.iget(ino)? {
        Iget::Live(inode) => Ok(inode),
        Iget::New(inode) => read(sb, inode, number).map_err(|error| match error {
            Failure::Io(error) => error,
            Failure::Disk(..) => ESTALE(),
        }),
    }
}

/// Why an inode was not read.
enum Failure {
    Io(Error),
    /// The block of the inode table, and what is wrong there.
    Disk(u64, ondisk::error::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Io(error)
    }
}

/// Fills a new inode from disk and publishes it.
fn read(sb: &SuperBlock, mut inode: NewInode<Ext2>, ino: u32) -> Result<ARef<Inode>, Failure> {
    let disk = &sb.data().disk;
    let place = disk.geometry.inode_place(ino).map_err(|error| Failure::Disk(0, error))?;
    let table = sb.data().group(place.group).ok_or(EUCLEAN())?.inode_table();
    let block = u64::from(table).saturating_add(place.table_block.into());
    let buffer = sb.read(block).inspect_err(|_| {
        pr_err!("{}: inode {}: block {}: cannot read the inode table\n", sb.id(), ino, block);
    })?;
    let bytes = buffer.bytes().get(place.offset as usize..).unwrap_or_default();
    let parsed = ondisk::inode::Inode::parse(bytes, ino, disk).map_err(|error| Failure::Disk(block, error))?;
    fill(sb, &mut inode, &parsed)?;
    Ok(inode.live())
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds }
}

/// Takes over what the disk says.
fn fill(sb: &SuperBlock, inode: &mut NewInode<Ext2>, disk: &ondisk::inode::Inode) -> Result {
    inode.set_fields(&InodeFields {
        mode: disk.mode,
        uid: disk.uid,
        gid: disk.gid,
        links: disk.links.into(),
        size: disk.size,
        sectors: disk.sectors,
        generation: disk.generation,
        accessed: timestamp(disk.atime),
        modified: timestamp(disk.mtime),
        changed: timestamp(disk.ctime),
        vfs_flags: flags::to_vfs(disk.flags),
    });
    let node = inode.data_mut().project();
    *node.pointers.write() = disk.map;
    *node.flags = disk.flags;
    *node.created = disk.crtime;
    match disk.kind {
        Kind::Regular => {
            inode.set_inode_ops::<ops::RegularInode>();
            inode.set_file_ops::<ops::RegularFile>();
            inode.set_aops::<ops::Pages>();
        }
        Kind::Directory => {
            inode.set_inode_ops::<ops::DirectoryInode>();
            inode.set_file_ops::<ops::Directory>();
        }
        Kind::Symlink => {
            inode.set_inode_ops::<ops::SymlinkInode>();
            match disk.fast_symlink(sb.data().disk.geometry.block_size()) {
                Some(target) => inode.set_link(target)?,
                None => set_slow_link(sb, inode, disk)?,
            }
        }
        Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
            inode.set_inode_ops::<ops::SpecialInode>();
            let device = disk.device();
            inode.set_special(device.major.wrapping_shl(20) | device.minor);
        }
    }
    Ok(())
}

/// Reads the target of a symlink that has a block of its own.
fn set_slow_link(sb: &SuperBlock, inode: &mut NewInode<Ext2>, disk: &ondisk::inode::Inode) -> Result {
    let block = le32(&disk.map, 0).unwrap_or(0);
    let place = Place { ino: inode.ino(), block: block.into() };
    sb.data().check_run(block, 1).map_err(|error| sb.damaged(place, &error))?;
    let buffer = map::read_metadata(sb, place.ino, place.block)?;
    let len = usize::try_from(disk.size)?;
    match buffer.bytes().get(..len) {
        Some(target) if !target.contains(&0) => inode.set_link(target),
        _ => {
            let limit = sb.data().disk.geometry.block_size().into();
            let error = ondisk::error::Corruption::SymlinkTarget { size: disk.size, limit };
            Err(sb.damaged(place, &error.into()))
        }
    }
}

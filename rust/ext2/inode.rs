// SPDX-License-Identifier: GPL-2.0

//! Reading inodes, and what is kept for each.

use super::{
    attributes::Attributes,
    children::Children,
    dir::Hints,
    flags,
    ondisk::{
        self,
        error::Corruption,
        inode::Kind,
        raw::le32,
        superblock::Superblock,
        time::Time, //
    },
    ops, regular,
    runs::RunCache,
    state::MapState,
    volume::Place,
    walk::Walk,
    Ext2, Inode, SuperBlock,
};
use crate::vfs::{
    errno::{ESTALE, EUCLEAN},
    inode::{InodeFields, NewInode, Timestamp},
    super_block::Iget,
    sync::{new_rwsem, RwSem},
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Mutex},
};

/// What is kept for an inode in memory.
#[pin_data]
pub(crate) struct Node {
    /// Where the file's blocks lie, or will. Held for reading while its pointers are followed.
    #[pin]
    pub(super) map: RwSem<MapState>,
    /// Where blocks were found lately.
    #[pin]
    pub(super) runs: RunCache,
    /// What an inode has beside the fields that the VFS keeps.
    pub(super) attributes: Attributes,
    /// Where to begin to search, in a directory.
    pub(super) hints: Hints,
    /// Files that were made in a directory and may not be on disk yet.
    #[pin]
    pub(super) children: Mutex<Children>,
    /// Held while what leads to the file is written for `fsync`: what one call has taken upon itself to write looks clean
    /// to the next, which must not end before it.
    #[pin]
    pub(super) syncing: Mutex<()>,
}

impl Node {
    /// The data of an inode that has not been read.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            map <- new_rwsem!(MapState::new()),
            runs <- RunCache::new(),
            attributes: Attributes::new(),
            hints: Hints::new(),
            children <- new_mutex!(Children::new()),
            syncing <- new_mutex!((), "rext2_syncing"),
        })
    }
}

/// Looks up a number that the volume itself names. `EUCLEAN` if no file can have it.
fn iget(sb: &SuperBlock, ino: u32) -> Result<Iget<Ext2>> {
    sb.data()
        .disk
        .geometry
        .check_file_ino(ino)
        .map_err(|error| sb.damaged(Place::inode(ino), &error))?;
    sb.iget(ino.into())
}

/// The inode of that number, which a directory or the format itself names. `EUCLEAN` if it cannot be one.
pub(super) fn get(sb: &SuperBlock, ino: u32) -> Result<ARef<Inode>> {
    match iget(sb, ino)? {
        Iget::Live(inode) => Ok(inode),
        Iget::New(inode) => read(sb, inode, ino, ondisk::inode::Inode::parse)
            .map(|(inode, _)| inode)
            .map_err(|failure| failure.report(sb, ino)),
    }
}

/// The inode of that number, which the list of orphans names, and what its `i_dtime` says.
pub(super) fn get_orphan(sb: &SuperBlock, ino: u32) -> Result<(ARef<Inode>, u32)> {
    match iget(sb, ino)? {
        Iget::Live(_) => {
            let error = Corruption::AlreadyInUse { bit: ino };
            Err(sb.damaged(Place::inode(ino), &error.into()))
        }
        Iget::New(inode) => read(sb, inode, ino, ondisk::inode::Inode::parse_unlinked)
            .map_err(|failure| failure.report(sb, ino)),
    }
}

/// The inode of that number from a file handle, which may be out of date: `ESTALE` if there is no such file.
pub(super) fn by_handle(sb: &SuperBlock, ino: u64) -> Result<ARef<Inode>> {
    let number = u32::try_from(ino).map_err(|_| ESTALE())?;
    sb.data()
        .disk
        .geometry
        .check_file_ino(number)
        .map_err(|_| ESTALE())?;
    match sb.iget(ino)? {
        Iget::Live(inode) => Ok(inode),
        Iget::New(inode) => read(sb, inode, number, ondisk::inode::Inode::parse)
            .map(|(inode, _)| inode)
            .map_err(|failure| match failure {
                Failure::Io(error) => error,
                Failure::Disk(..) => ESTALE(),
            }),
    }
}

/// Why an inode was not read.
pub(super) enum Failure {
    /// No memory, or the device failed.
    Io(Error),
    /// The block of the inode table, and what is wrong there.
    Disk(u64, ondisk::error::Error),
}

impl Failure {
    /// Logs what is wrong with inode `ino`, and gives the errno for it.
    pub(super) fn report(self, sb: &SuperBlock, ino: u32) -> Error {
        match self {
            Self::Io(error) => error,
            Self::Disk(block, error) => sb.damaged(
                Place {
                    ino: ino.into(),
                    block,
                },
                &error,
            ),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Io(error)
    }
}

/// Where an inode stands in the inode table: the block, and the first byte there.
pub(super) fn table_place(sb: &SuperBlock, ino: u32) -> Result<(u64, usize), Failure> {
    let place = sb
        .data()
        .disk
        .geometry
        .inode_place(ino)
        .map_err(|error| Failure::Disk(0, error))?;
    let table = sb.data().group(place.group).ok_or(EUCLEAN())?.inode_table();
    Ok((
        u64::from(table).saturating_add(place.table_block.into()),
        place.offset as usize,
    ))
}

/// What checks an inode's bytes.
type Parse = fn(&[u8], u32, &Superblock) -> ondisk::error::Result<ondisk::inode::Inode>;

/// Fills a new inode from disk and publishes it. Gives its `i_dtime` too.
fn read(
    sb: &SuperBlock,
    mut inode: NewInode<Ext2>,
    ino: u32,
    parse: Parse,
) -> Result<(ARef<Inode>, u32), Failure> {
    let (block, offset) = table_place(sb, ino)?;
    let buffer = sb.read(block).inspect_err(|_| {
        pr_err!(
            "{}: inode {}: block {}: cannot read the inode table\n",
            sb.id(),
            ino,
            block
        );
    })?;
    let bytes = buffer.bytes().get(offset..).unwrap_or_default();
    let parsed = parse(bytes, ino, &sb.data().disk).map_err(|error| Failure::Disk(block, error))?;
    fill(sb, &mut inode, &parsed)?;
    Ok((inode.live(), parsed.dtime))
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp {
        seconds: time.seconds,
        nanoseconds: time.nanoseconds,
    }
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
    node.map.write().pointers = disk.map;
    *node.attributes = Attributes::of(
        disk.flags,
        disk.project,
        disk.attr_block,
        disk.extra_isize,
        disk.crtime,
    );
    let device = disk.device();
    set_ops(
        inode,
        disk.kind,
        device.major.wrapping_shl(20) | device.minor,
    );
    match disk.kind {
        Kind::Symlink => match disk.fast_symlink(sb.data().disk.geometry.block_size()) {
            Some(target) => inode.set_link(target),
            None => set_slow_link(sb, inode, disk),
        },
        _ => Ok(()),
    }
}

/// Gives a new inode the operations of its kind. `device` is the kernel's device number, for a device.
pub(super) fn set_ops(inode: &mut NewInode<Ext2>, kind: Kind, device: u32) {
    match kind {
        Kind::Regular => {
            inode.set_inode_ops::<ops::RegularInode>();
            inode.set_file_ops::<regular::RegularFile>();
            inode.set_aops::<regular::Pages>();
        }
        Kind::Directory => {
            inode.set_inode_ops::<ops::DirectoryInode>();
            inode.set_file_ops::<ops::Directory>();
        }
        Kind::Symlink => inode.set_inode_ops::<ops::SymlinkInode>(),
        Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
            inode.set_inode_ops::<ops::SpecialInode>();
            inode.set_special(device);
        }
    }
}

/// Reads the target of a symlink that has a block of its own.
fn set_slow_link(
    sb: &SuperBlock,
    inode: &mut NewInode<Ext2>,
    disk: &ondisk::inode::Inode,
) -> Result {
    let block = le32(&disk.map, 0).unwrap_or(0);
    let buffer = Walk::new(inode).read(block)?;
    let len = usize::try_from(disk.size)?;
    match buffer.bytes().get(..len) {
        Some(target) if !target.contains(&0) => inode.set_link(target),
        _ => {
            let limit = sb.data().disk.geometry.block_size().into();
            let error = ondisk::error::Corruption::SymlinkTarget {
                size: disk.size,
                limit,
            };
            let place = Place {
                ino: inode.ino(),
                block: block.into(),
            };
            Err(sb.damaged(place, &error.into()))
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Making files. A file that is not finished is dropped as a [`NewInode`], which deletes it again.

use super::{
    attributes::Attributes,
    dir::Dir,
    file, flags,
    inode::set_ops,
    inode_write::{device, time},
    ondisk::{
        error::Corruption,
        inode::{Kind, MAP_SIZE},
        inode_write::{fast_symlink_map, has_creation_time, has_project},
    },
    volume::Place,
    Ext2, Inode,
};
use crate::vfs::{
    errno::ENAMETOOLONG, idmap::IdMap, inode::NewInode, inode_new::GroupFrom, inode_ops::New,
};
use kernel::prelude::*;

/// Mode of a symbolic link, whose permissions nobody asks for.
const SYMLINK_MODE: u16 = 0o120777;

/// Mode of a white-out: a character device 0:0 with no permissions, as overlayfs knows it.
const WHITEOUT_MODE: u16 = 0o020000;

/// A file of any kind but symlink, with one link and no name yet; a directory has two links and its first block.
pub(super) fn file(dir: &Inode, what: &New<'_>) -> Result<NewInode<Ext2>> {
    let kind = Kind::from_mode(what.mode).ok_or(EINVAL)?;
    let mut inode = new(dir, what.mode, what.idmap)?;
    set_ops(&mut inode, kind, what.device);
    match kind {
        Kind::Directory => {
            inode.add_link();
            Dir::new(&inode).init(dir)?;
        }
        Kind::CharDevice | Kind::BlockDevice => {
            inode.data().map.write().pointers = device(what.device).to_map();
        }
        _ => {}
    }
    inode.mark_dirty();
    Ok(inode)
}

/// A symbolic link without a name yet. `ENAMETOOLONG` if the target does not fit a block.
pub(super) fn symlink(dir: &Inode, target: &[u8], idmap: IdMap<'_>) -> Result<NewInode<Ext2>> {
    if target.len() >= 1 << dir.block_bits() {
        return Err(ENAMETOOLONG());
    }
    let mut inode = new(dir, SYMLINK_MODE, idmap)?;
    set_ops(&mut inode, Kind::Symlink, 0);
    inode.set_link(target)?;
    match fast_symlink_map(target) {
        Some(map) => inode.data().map.write().pointers = map,
        None => {
            file::dir_block(&inode, 0, target.len() as u64, |bytes| {
                bytes
                    .iter_mut()
                    .zip(target)
                    .for_each(|(to, from)| *to = *from);
            })?;
        }
    }
    inode.set_size(target.len() as u64);
    inode.mark_dirty();
    Ok(inode)
}

/// What `RENAME_WHITEOUT` leaves in place of the file that goes.
pub(super) fn whiteout(dir: &Inode, idmap: IdMap<'_>) -> Result<NewInode<Ext2>> {
    file(
        dir,
        &New {
            mode: WHITEOUT_MODE,
            device: 0,
            idmap,
        },
    )
}

/// An inode with a number, an owner, times and what it takes from its directory.
fn new(dir: &Inode, mode: u16, idmap: IdMap<'_>) -> Result<NewInode<Ext2>> {
    let sb = dir.sb();
    let is_dir = Kind::from_mode(mode) == Some(Kind::Directory);
    let blank = sb.blank_inode()?;
    let ino = sb.allocate_inode(dir, is_dir)?;
    let mut inode = blank.insert(ino.into()).map_err(|_| {
        // The bitmap has the number as free while the inode is in use.
        sb.damaged(
            Place::inode(ino),
            &Corruption::AlreadyInUse { bit: ino }.into(),
        )
    })?;
    let volume = sb.data();
    let bsd = volume
        .options()
        .group_of_directory
        .unwrap_or(volume.disk.default_options.bsd_groups());
    let group = if bsd {
        GroupFrom::Directory
    } else {
        GroupFrom::Task
    };
    inode.set_owner(dir, mode, group, idmap);
    let now = time(inode.set_born_now());
    inode.data().map.write().pointers = [0; MAP_SIZE];
    let from = &dir.data().attributes;
    let extra_isize = volume.disk.new_extra_isize;
    let inherited = flags::inherited(from.flags(), mode);
    let project = match from.flags() & flags::PROJECT_INHERIT != 0 && has_project(extra_isize) {
        true => from.project(),
        false => 0,
    };
    let created = has_creation_time(extra_isize).then_some(now);
    *inode.data_mut().project().attributes =
        Attributes::of(inherited, project, 0, extra_isize, created);
    inode.data().attributes.set_fresh(true);
    inode
        .data()
        .attributes
        .set_first_sync(volume.held.next_sync());
    inode.set_vfs_flags(flags::to_vfs(inherited), flags::VFS_MASK);
    Ok(inode)
}

// SPDX-License-Identifier: GPL-2.0

//! Changing names. The VFS holds the locks of the directories and inodes concerned, and has checked permissions,
//! numbers of links, and that what is to be made is not there.
//!
//! The order of changes is the one in which a mistake of the disk's does least harm: what can fail comes first, a
//! name is entered before another goes, and link counts follow the names.

use super::{
    children, create,
    dir::{Dir, Entry},
    flags, inode,
    ondisk::inode::Kind,
    orphan, Ext2, Inode,
};
use crate::vfs::{
    errno::{ENOTEMPTY, ESTALE},
    idmap::IdMap,
    inode::NewInode,
    inode_ops::{New, Rename},
};
use kernel::{prelude::*, sync::aref::ARef};

/// What a directory entry says of the inode.
fn kind(inode: &Inode) -> Result<Kind> {
    Kind::from_mode(inode.mode()).ok_or(EIO)
}

fn number(inode: &Inode) -> Result<u32> {
    u32::try_from(inode.ino()).map_err(|_| EIO)
}

fn is_dir(inode: &Inode) -> bool {
    Kind::from_mode(inode.mode()) == Some(Kind::Directory)
}

/// Enters a new inode in its directory.
fn enter(dir: &Inode, name: &[u8], inode: NewInode<Ext2>) -> Result<NewInode<Ext2>> {
    children::note(dir, &inode)?;
    Dir::new(dir).insert(name, number(&inode)?, kind(&inode)?)?;
    if is_dir(&inode) {
        dir.add_link();
    }
    match made(dir) {
        Ok(()) => Ok(inode),
        Err(error) => {
            // The inode goes, and nothing may lead to it.
            let names = Dir::new(dir);
            if let Ok(entry) = entry(&names, name, &inode) {
                names.remove(&entry);
                if is_dir(&inode) {
                    dir.remove_link();
                }
            }
            Err(error)
        }
    }
}

/// Has what changed in a directory written now if that is asked for; called when the change is complete.
fn made(dir: &Inode) -> Result {
    match dir.is_dirsync() {
        true => sync(dir),
        false => Ok(()),
    }
}

/// Makes the names of a directory durable but for the device's own cache: the inodes made in it, its blocks, itself.
pub(super) fn sync(dir: &Inode) -> Result {
    dir.sb().release_held()?;
    let _syncing = dir.data().syncing.lock();
    children::sync(dir)?;
    dir.sync_metadata()?;
    dir.write_now()
}

/// Makes a file, directory, device, FIFO or socket.
pub(super) fn create(dir: &Inode, name: &[u8], what: &New<'_>) -> Result<NewInode<Ext2>> {
    dir.sb().check_live()?;
    enter(dir, name, create::file(dir, what)?)
}

/// Makes a symbolic link.
pub(super) fn symlink(
    dir: &Inode,
    name: &[u8],
    target: &[u8],
    idmap: IdMap<'_>,
) -> Result<NewInode<Ext2>> {
    dir.sb().check_live()?;
    enter(dir, name, create::symlink(dir, target, idmap)?)
}

/// Enters a file under one more name.
pub(super) fn link(inode: &Inode, dir: &Inode, name: &[u8]) -> Result {
    dir.sb().check_live()?;
    check_project(dir, inode)?;
    children::note(dir, inode)?;
    let block = Dir::new(dir).insert(name, number(inode)?, kind(inode)?)?;
    dir.sb().note_link(inode, dir, block).inspect_err(|_| {
        let names = Dir::new(dir);
        if let Ok(entry) = entry(&names, name, inode) {
            names.remove(&entry);
        }
    })?;
    let had_none = inode.links() == 0;
    inode.set_changed_now();
    inode.add_link();
    inode.mark_dirty();
    if had_none {
        orphan::remove(inode)?;
    }
    made(dir)
}

/// What leaves a directory that hands on its project must not end up in another one (`EXDEV`): its space would be
/// accounted wrongly.
fn check_project(dir: &Inode, inode: &Inode) -> Result {
    let (dir, inode) = (&dir.data().attributes, &inode.data().attributes);
    let inherits = dir.flags() & flags::PROJECT_INHERIT != 0;
    match inherits && dir.project() != inode.project() {
        true => Err(EXDEV),
        false => Ok(()),
    }
}

/// The entry of `inode` in `dir`. `ENOENT` if there is none: the directory is damaged, or changed under the VFS.
fn entry(dir: &Dir<'_>, name: &[u8], inode: &Inode) -> Result<Entry> {
    dir.find(name)?
        .filter(|entry| u64::from(entry.ino) == inode.ino())
        .ok_or(ENOENT)
}

/// A name of `inode` is gone.
fn lost_name(inode: &Inode) {
    inode.set_changed_now();
    inode.remove_link();
    inode.mark_dirty();
}

/// The last name of the directory `inode` is gone, and with it ".." of the directory that held it.
fn lost_directory(inode: &Inode) {
    inode.set_changed_now();
    inode.clear_links();
    inode.mark_dirty();
}

/// Removes the name of a file that is not a directory.
pub(super) fn unlink(dir: &Inode, name: &[u8], inode: &Inode) -> Result {
    dir.sb().check_live()?;
    let names = Dir::new(dir);
    let old = entry(&names, name, inode)?;
    if inode.links() > 1 {
        dir.sb().hold_for_links(inode, old.leaves(dir))?;
    }
    names.remove(&old);
    lost_name(inode);
    made(dir)
}

/// Removes an empty directory.
pub(super) fn rmdir(dir: &Inode, name: &[u8], inode: &Inode) -> Result {
    dir.sb().check_live()?;
    if !Dir::new(inode).is_empty()? {
        return Err(ENOTEMPTY());
    }
    inode.sb().release_held()?;
    let names = Dir::new(dir);
    names.remove(&entry(&names, name, inode)?);
    lost_directory(inode);
    dir.remove_link();
    dir.mark_dirty();
    made(dir)
}

/// Renames: moves, replaces, or exchanges.
pub(super) fn rename(what: &Rename<'_, Ext2>) -> Result {
    what.from.sb().check_live()?;
    check_project(what.to, what.inode)?;
    if what.exchange {
        exchange(what)?;
    } else {
        move_entry(what)?;
    }
    made(what.to)?;
    made(what.from)
}

fn same(one: &Inode, other: &Inode) -> bool {
    one.ino() == other.ino()
}

fn move_entry(what: &Rename<'_, Ext2>) -> Result {
    let (from, to) = (Dir::new(what.from), Dir::new(what.to));
    let (ino, kind_of) = (number(what.inode)?, kind(what.inode)?);
    let sb = what.from.sb();
    let leaves = entry(&from, what.name, what.inode)?.buffer.block();
    let moves_dir = is_dir(what.inode);
    let parent = match moves_dir && !same(what.from, what.to) {
        true => Some(Dir::new(what.inode).parent()?.0),
        false => None,
    };
    let whiteout = match what.whiteout {
        true => {
            let whiteout = create::whiteout(what.from, what.idmap)?;
            children::note(what.from, &whiteout)?;
            Some(whiteout)
        }
        false => None,
    };
    if !same(what.from, what.to) {
        children::note(what.to, what.inode)?;
    }
    let enters = match what.target {
        Some(target) => {
            if moves_dir {
                if !Dir::new(target).is_empty()? {
                    return Err(ENOTEMPTY());
                }
                target.sb().release_held()?;
            }
            let new = entry(&to, what.new_name, target)?;
            sb.before_move(leaves, Some(new.buffer.block()))?;
            to.replace(&new, ino, kind_of);
            new.buffer.block()
        }
        None => {
            sb.before_move(leaves, None)?;
            to.insert(what.new_name, ino, kind_of)?
        }
    };
    // Entering the new name may have moved what lies around the old one.
    let old = entry(&from, what.name, what.inode).and_then(|old| {
        sb.hold(
            what.inode,
            old.leaves(what.from),
            (number(what.to)?, enters),
        )?;
        Ok(old)
    });
    let old = old.inspect_err(|_| undo(&to, what))?;
    match &whiteout {
        Some(whiteout) => from.replace(&old, number(whiteout)?, Kind::CharDevice),
        None => from.remove(&old),
    }
    if let Some(whiteout) = whiteout {
        whiteout.live();
    }
    if let Some(first) = parent {
        Dir::new(what.inode).set_parent(&first, number(what.to)?)?;
    }
    match what.target {
        Some(target) if moves_dir => lost_directory(target),
        Some(target) => lost_name(target),
        None if moves_dir => what.to.add_link(),
        None => {}
    }
    if moves_dir {
        what.from.remove_link();
    }
    what.from.mark_dirty();
    what.to.mark_dirty();
    what.inode.set_changed_now();
    what.inode.mark_dirty();
    Ok(())
}

/// Takes back the new name of a rename that failed half way.
fn undo(to: &Dir<'_>, what: &Rename<'_, Ext2>) {
    let Ok(new) = entry(to, what.new_name, what.inode) else {
        return;
    };
    match what.target.map(|target| (number(target), kind(target))) {
        Some((Ok(ino), Ok(kind))) => to.replace(&new, ino, kind),
        _ => to.remove(&new),
    }
}

fn exchange(what: &Rename<'_, Ext2>) -> Result {
    let target = what.target.ok_or(ENOENT)?;
    check_project(what.from, target)?;
    what.from.sb().release_held()?;
    let (from, to) = (Dir::new(what.from), Dir::new(what.to));
    let one = entry(&from, what.name, what.inode)?;
    let other = entry(&to, what.new_name, target)?;
    let (one_kind, other_kind) = (kind(what.inode)?, kind(target)?);
    let apart = !same(what.from, what.to);
    let parent_of = |inode: &Inode| match apart && is_dir(inode) {
        true => Dir::new(inode).parent().map(|(first, _)| Some(first)),
        false => Ok(None),
    };
    let (one_parent, other_parent) = (parent_of(what.inode)?, parent_of(target)?);
    if apart {
        children::note(what.to, what.inode)?;
        children::note(what.from, target)?;
    }
    from.replace(&one, other.ino, other_kind);
    to.replace(&other, one.ino, one_kind);
    if let Some(first) = one_parent {
        Dir::new(what.inode).set_parent(&first, number(what.to)?)?;
        what.to.add_link();
        what.from.remove_link();
    }
    if let Some(first) = other_parent {
        Dir::new(target).set_parent(&first, number(what.from)?)?;
        what.from.add_link();
        what.to.remove_link();
    }
    for inode in [what.from, what.to, what.inode, target] {
        inode.mark_dirty();
    }
    what.inode.set_changed_now();
    target.set_changed_now();
    Ok(())
}

/// The directory that holds directory `inode`, by "..".
pub(super) fn parent(inode: &Inode) -> Result<ARef<Inode>> {
    let (_, ino) = Dir::new(inode).parent().map_err(|_| ESTALE())?;
    inode::by_handle(inode.sb(), ino.into())
}

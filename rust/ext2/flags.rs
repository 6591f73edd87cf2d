// SPDX-License-Identifier: GPL-2.0

//! `i_flags`: the attributes of `chattr(1)`. The numbers are those of `FS_*_FL` in `include/uapi/linux/fs.h`, which
//! the format took over.

use super::{ondisk::inode_write::has_project, Inode};
use crate::vfs::{errno::EOPNOTSUPP, fileattr::FileAttr};
use kernel::prelude::*;

/// Deleted bytes are overwritten; kept for those who set it, not done.
const SECURE: u32 = 0x1;
/// Deleted files can be restored; the same.
const UNDELETE: u32 = 0x2;
/// Contents are compressed; the same.
const COMPRESS: u32 = 0x4;
/// Writes are synchronous.
pub(super) const SYNC: u32 = 0x8;
/// The file cannot be changed.
pub(super) const IMMUTABLE: u32 = 0x10;
/// The file can only grow.
pub(super) const APPEND: u32 = 0x20;
/// `dump(8)` leaves the file out.
pub(super) const NODUMP: u32 = 0x40;
/// The time of the last access is not kept.
pub(super) const NOATIME: u32 = 0x80;
/// The directory has a hash tree.
pub(super) const INDEX: u32 = 0x1000;
/// Data go through a journal.
const JOURNAL_DATA: u32 = 0x4000;
/// The end of the file is not merged with others'.
const NOTAIL: u32 = 0x8000;
/// Changes of the directory are synchronous.
pub(super) const DIRSYNC: u32 = 0x1_0000;
/// The directory's subdirectories have little to do with each other.
pub(super) const TOPDIR: u32 = 0x2_0000;
/// What is made in the directory gets its project.
pub(super) const PROJECT_INHERIT: u32 = 0x2000_0000;

/// Attributes that `statx(2)` shows; it has the same bits for them.
pub(super) const STATX: u32 = COMPRESS | IMMUTABLE | APPEND | NODUMP;

/// Attributes that users may set.
const MODIFIABLE: u32 = SECURE
    | UNDELETE
    | COMPRESS
    | SYNC
    | IMMUTABLE
    | APPEND
    | NODUMP
    | NOATIME
    | JOURNAL_DATA
    | NOTAIL
    | DIRSYNC
    | TOPDIR
    | PROJECT_INHERIT;

/// Attributes that users may see.
const VISIBLE: u32 = MODIFIABLE | 0x1_dfff;

/// Attributes that a new file takes from its directory.
const INHERITED: u32 = SECURE
    | UNDELETE
    | COMPRESS
    | SYNC
    | NODUMP
    | NOATIME
    | 0x200
    | 0x400
    | JOURNAL_DATA
    | NOTAIL
    | DIRSYNC
    | PROJECT_INHERIT;

/// The VFS's own flag (`S_*` of `include/linux/fs.h`) for each attribute that it heeds.
const VFS: [(u32, u32); 5] = [
    (SYNC, 1 << 0),
    (NOATIME, 1 << 1),
    (APPEND, 1 << 2),
    (IMMUTABLE, 1 << 3),
    (DIRSYNC, 1 << 6),
];

/// All of those flags of the VFS.
pub(super) const VFS_MASK: u32 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6;

/// The VFS's flags for an inode with these attributes.
pub(super) fn to_vfs(flags: u32) -> u32 {
    VFS.iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(0, |all, (_, vfs)| all | vfs)
}

/// Those of the attributes that mean something for a file of that mode.
fn for_mode(flags: u32, mode: u16) -> u32 {
    const DIRECTORY: u16 = 0x4000;
    const REGULAR: u16 = 0x8000;
    match mode & 0xf000 {
        DIRECTORY => flags,
        REGULAR => flags & !(DIRSYNC | TOPDIR | PROJECT_INHERIT),
        _ => flags & (NODUMP | NOATIME),
    }
}

/// The attributes of a new file of that mode in a directory with these.
pub(super) fn inherited(dir: u32, mode: u16) -> u32 {
    for_mode(dir & INHERITED, mode)
}

/// Answers `lsattr(1)`.
pub(super) fn get(inode: &Inode, attr: &mut FileAttr<'_>) {
    let attributes = &inode.data().attributes;
    attr.fill(attributes.flags() & VISIBLE, attributes.project());
}

/// Does what `chattr(1)` asks for. `EOPNOTSUPP` for what the format or this inode has no place for.
pub(super) fn set(inode: &Inode, attr: &FileAttr<'_>) -> Result {
    let attributes = &inode.data().attributes;
    if attr.has_foreign() || attr.flags() & !VISIBLE != 0 {
        return Err(EOPNOTSUPP());
    }
    let project = attr
        .project()
        .filter(|project| *project != attributes.project());
    if project.is_some() && !has_project(attributes.extra_isize) {
        return Err(EOPNOTSUPP());
    }
    let kept = attributes.flags() & !MODIFIABLE;
    let flags = kept | for_mode(attr.flags() & MODIFIABLE, inode.mode());
    attributes.set_flags(flags);
    if let Some(project) = project {
        attributes.set_project(project);
    }
    inode.set_vfs_flags(to_vfs(flags), VFS_MASK);
    inode.set_changed_now();
    inode.mark_dirty();
    Ok(())
}

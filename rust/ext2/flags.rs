// SPDX-License-Identifier: GPL-2.0

//! `i_flags`: the attributes of `chattr(1)`. The numbers are those of `FS_*_FL` in `include/uapi/linux/fs.h`, which
//! the format took over.

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
/// Changes of the directory are synchronous.
pub(super) const DIRSYNC: u32 = 0x1_0000;

/// Attributes that `statx(2)` shows; it has the same bits for them.
pub(super) const STATX: u32 = IMMUTABLE | APPEND | NODUMP;

/// The VFS's own flag (`S_*` of `include/linux/fs.h`) for each attribute that it heeds.
const VFS: [(u32, u32); 5] = [
    (SYNC, 1 << 0),
    (NOATIME, 1 << 1),
    (APPEND, 1 << 2),
    (IMMUTABLE, 1 << 3),
    (DIRSYNC, 1 << 6),
];

/// The VFS's flags for an inode with these attributes.
pub(super) fn to_vfs(flags: u32) -> u32 {
    VFS.iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(0, |all, (_, vfs)| all | vfs)
}

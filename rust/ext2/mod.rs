// SPDX-License-Identifier: GPL-2.0

//! The ext2 file system.
//!
//! | module | answers |
//! | --- | --- |
//! | [`ondisk`] | what bytes on disk mean, and whether they can be believed; pure |
//! | [`options`] | mount options |
//! | [`volume`] | what is kept for a mounted volume; what happens when it turns out to be damaged |
//! | [`mount`] | from a device to a root directory |
//! | [`mode`] | from a volume at rest to one that is written, and back |
//! | [`trim`] | ioctls for the volume |
//! | [`alloc`], [`ialloc`] | which blocks and inodes are given out |
//! | [`space`], [`bitmaps`] | what is free: counters, locks, bitmaps |
//! | [`quarantine`], [`free`] | taking back what is freed |
//! | [`record`] | what the superblock on disk says |
//! | [`inode`] | reading inodes, and what is kept for each |
//! | [`map`], [`walk`] | where a file's blocks lie |
//! | [`direct`] | blocks for direct writes |
//! | [`inode_write`], [`attributes`] | writing inodes, deleting them; what an inode has beside the VFS's fields |
//! | [`dir`], [`dir_write`] | names in blocks of entries |
//! | [`name_index`], [`name_table`] | finding names in large directories |
//! | [`namei`], [`create`] | making, linking, renaming, removing files |
//! | [`held`], [`held_lists`], [`new_links`] | which of two directory blocks goes first when a name moves; names a file got beside others |
//! | [`children`], [`orphan`] | new files that an `fsync` of their directory writes; open files without a name |
//! | [`attr_block`] | the block of extended attributes |
//! | [`flags`], [`ioctl`] | the attributes of `chattr(1)`; versions |
//! | [`ops`] | which operations each kind of file has |

#![forbid(unsafe_code)]

mod alloc;
mod assign;
mod attr_block;
mod attributes;
mod background;
mod batch;
mod bitmaps;
mod children;
mod commit;
mod create;
mod cut;
mod dir;
mod dir_write;
mod direct;
mod few;
mod file;
mod flags;
mod free;
mod held;
mod held_lists;
mod ialloc;
mod inode;
mod inode_write;
mod ioctl;
mod links;
mod map;
mod mode;
mod mount;
mod name_index;
// As `overlay`.
#[allow(unreachable_pub)]
mod name_table;
mod namei;
mod new_links;
// It describes more of the format than the file system uses; its items are `pub` for the host, where it is part of a
// crate of its own.
#[allow(dead_code, unreachable_pub)]
mod ondisk;
mod ops;
mod options;
mod orphan;
// As above.
#[allow(unreachable_pub)]
mod overlay;
mod quarantine;
mod record;
mod regular;
mod runs;
mod space;
mod state;
mod submit;
mod trim;
mod volume;
mod walk;
mod zones;

/// The file system, as a type for [`vfs`](crate::vfs).
pub(crate) struct Ext2;

/// An inode of a mounted volume.
type Inode = crate::vfs::inode::Inode<Ext2>;
/// A mounted volume.
type SuperBlock = crate::vfs::super_block::SuperBlock<Ext2>;

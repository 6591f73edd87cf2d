// SPDX-License-Identifier: GPL-2.0

//! The ext2 file system.
//!
//! | module | answers |
//! | --- | --- |
//! | [`ondisk`] | what bytes on disk mean, and whether they can be believed; pure |
//! | [`options`] | mount options |
//! | [`volume`] | what is kept for a mounted volume; what happens when it turns out to be damaged |
//! | [`mount`] | from a device to a root directory |
//! | [`alloc`], [`ialloc`] | which blocks and inodes are given out |
//! | [`space`], [`bitmaps`] | what is free: counters, locks, bitmaps |
//! | [`quarantine`], [`free`] | taking back what is freed |
//! | [`record`] | what the superblock on disk says |
//! | [`inode`] | reading inodes, and what is kept for each |
//! | [`map`] | where a file's blocks lie |
//! | [`dir`] | names |
//! | [`flags`] | the attributes of `chattr(1)` |
//! | [`ops`] | which operations each kind of file has |

#![forbid(unsafe_code)]

#[allow(dead_code)]
mod alloc;
#[allow(dead_code)]
mod bitmaps;
mod dir;
mod flags;
#[allow(dead_code)]
mod free;
#[allow(dead_code)]
mod ialloc;
mod inode;
mod map;
mod mount;
#[allow(dead_code, unreachable_pub)]
mod ondisk;
mod ops;
mod options;
#[allow(dead_code)]
mod quarantine;
#[allow(dead_code)]
mod record;
#[allow(dead_code)]
mod space;
mod volume;

/// The file system, as a type for [`vfs`](crate::vfs).
pub(crate) struct Ext2;

/// An inode of a mounted volume.
type Inode = crate::vfs::inode::Inode<Ext2>;
/// A mounted volume.
type SuperBlock = crate::vfs::super_block::SuperBlock<Ext2>;

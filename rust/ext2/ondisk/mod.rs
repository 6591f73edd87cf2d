// SPDX-License-Identifier: GPL-2.0

//! The ext2 format on disk: bytes in, validated values out.
//!
//! | Module           | Answers                                                    |
//! | ---------------- | ---------------------------------------------------------- |
//! | [`raw`]          | How is a little-endian field of a record read and written? |
//! | [`fields`]       | Which records and fields are there, and where?             |
//! | [`features`]     | Which format features are there, and which can be served?  |
//! | [`superblock`]   | Is this an ext2 volume, and what does it say of itself?    |
//! | [`geometry`]     | Where are groups, descriptors and inodes?                  |
//! | [`group`]        | Where are a group's bitmaps and its inode table?           |
//! | [`inode`]        | What does an inode say, and is it believable?              |
//! | [`inode_write`]  | How is it written?                                         |
//! | [`time`]         | What time is meant by a time stamp?                        |
//! | [`dirent`]       | What names does a directory block hold?                    |
//! | [`dirent_write`] | How are they changed?                                      |
//! | [`path`]         | Through which pointers is a file block reached?            |
//! | [`bitmap`]       | What is free?                                              |
//! | [`policy`]       | Where do new blocks and inodes go?                         |
//! | [`mount`]        | What does a mounted volume write into its superblock?      |
//! | [`error`]        | What was wrong, in one line?                               |
//!
//! Everything here is a pure function of bytes: `core` only, no allocation, no kernel types, no
//! `unsafe`, so that the same files compile in the kernel and in the host's test crate.
//!
//! **Raw and valid are different types.** A [`raw::Raw`] is a view of bytes that anybody may have
//! written. A [`superblock::Superblock`], [`group::GroupDesc`], [`inode::Inode`] or
//! [`dirent::DirEntry`] can only be made by its `parse`, which checks everything once and names
//! what is wrong.
//!
//! **No panic.** Bytes come from a disk that nobody trusts, and the kernel is built with overflow
//! checks. So nothing here indexes with `[]`, unwraps, divides by a number that may be zero or does
//! unchecked arithmetic on numbers from the disk. The object code is to have no reference to
//! `core::panicking`.
//!
//! Field names are those of the kernel's `Documentation/filesystems/ext4/` (the only complete
//! description of the format that ext2 shares), in capitals.
#![forbid(unsafe_code)]

pub mod bitmap;
pub mod dirent;
pub mod dirent_write;
pub mod error;
pub mod features;
pub mod fields;
pub mod geometry;
pub mod group;
pub mod inode;
pub mod inode_write;
pub mod mount;
pub mod path;
pub mod policy;
pub mod raw;
mod shape;
pub mod superblock;
pub mod time;

// SPDX-License-Identifier: GPL-2.0

//! What can be wrong with bytes that claim to be ext2.
//!
//! Every lie has a name and carries the numbers that show it. `Display` prints one line without the
//! place; the caller knows device, inode and block and puts them in front.

use super::features::{
    Incompat,
    RoCompat, //
};
use core::fmt;

/// The result of checking something from disk.
pub type Result<T = ()> = core::result::Result<T, Error>;

/// Why something from disk is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no ext2 superblock here (`EINVAL`).
    NotExt2 {
        /// What stands where `s_magic` should be.
        magic: u16,
    },
    /// The format is sound as far as it was read, but uses something that is not served (`EINVAL`).
    Unsupported(Unsupported),
    /// The bytes contradict the format or each other (`EUCLEAN`).
    Corrupt(Corruption),
}

impl From<Corruption> for Error {
    fn from(value: Corruption) -> Self {
        Self::Corrupt(value)
    }
}

impl From<Unsupported> for Error {
    fn from(value: Unsupported) -> Self {
        Self::Unsupported(value)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExt2 { magic } => write!(f, "not ext2: magic {magic:#06x}, not 0xef53"),
            Self::Unsupported(what) => what.fmt(f),
            Self::Corrupt(what) => what.fmt(f),
        }
    }
}

/// Declares an enum whose every variant stands next to the line that it prints.
macro_rules! complaints {
    (
        $(#[$enum_doc:meta])*
        pub enum $enum:ident {
            $(
                $(#[$doc:meta])*
                $variant:ident { $($field:ident: $ty:ty),* } => $line:literal,
            )*
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The fields are what the variant's line says of them.
        pub enum $enum {
            $(
                $(#[$doc])*
                $variant { $($field: $ty),* },
            )*
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant { $($field),* } => write!(f, $line),)*
                }
            }
        }
    };
}

complaints! {
    /// Valid parts of the format that are not served.
    pub enum Unsupported {
        /// `s_rev_level` is above 1.
        Revision { level: u32 } => "revision {level} is not supported",
        /// `s_feature_incompat` has bits without which the volume must not be mounted.
        Incompat { features: Incompat } => "unsupported incompatible features: {features}",
        /// `s_feature_ro_compat` has bits that change even what is read.
        RoCompat { features: RoCompat } => "unsupported features: {features}",
        /// The block size in bytes is valid, but more than 4096.
        BlockSize { bytes: u32 } => "block size {bytes} is not supported (1024, 2048, 4096 are)",
        /// The fragment size differs from the block size; both in bytes, as log2 less 10.
        Fragments { log_size: u32, log_block_size: u32 } =>
            "fragments are not supported: s_log_cluster_size {log_size}, s_log_block_size {log_block_size}",
    }
}

complaints! {
    /// One contradiction, with the numbers that show it.
    pub enum Corruption {
        /// Fewer bytes than the record needs.
        Truncated { record: &'static str, len: usize } => "{record}: only {len} bytes",
        /// A superblock field has a value that the format does not allow.
        SuperField { field: &'static str, value: u64 } => "superblock: bad {field} {value}",
        /// Two superblock fields contradict each other.
        SuperMismatch { field: &'static str, value: u64, expected: u64 } =>
            "superblock: {field} is {value}, expected {expected}",
        /// The volume claims to be longer than its device; both in blocks.
        BeyondDevice { blocks: u64, device_blocks: u64 } =>
            "volume of {blocks} blocks on a device of {device_blocks}",
        /// The last group is too short to hold its own metadata; both in blocks.
        LastGroupShort { blocks: u32, needed: u32 } =>
            "last group has {blocks} blocks, its metadata need {needed}",
        /// A group's bitmap or inode table is outside the volume or on top of the superblock or
        /// descriptors.
        GroupBlock { group: u32, what: &'static str, block: u32 } =>
            "group {group}: {what} at invalid block {block}",
        /// A group's bitmaps and inode table overlap.
        GroupOverlap { group: u32, block: u32 } =>
            "group {group}: bitmaps and inode table overlap at block {block}",
        /// A group counts more things than it can have.
        GroupCount { group: u32, what: &'static str, value: u32, limit: u32 } =>
            "group {group}: {value} {what}, at most {limit} possible",
        /// A group's bitmap of blocks has a block as free that holds metadata.
        MetadataFree { group: u32, block: u32 } =>
            "group {group}: the bitmap has metadata block {block} as free",
        /// A group's bitmap of inodes has an inode as free that is reserved.
        ReservedFree { group: u32, ino: u32 } =>
            "group {group}: the bitmap has reserved inode {ino} as free",
        /// The inode number is zero or beyond the volume's inodes.
        InodeOutOfRange { ino: u32, limit: u32 } => "inode number {ino} not in 1..={limit}",
        /// The inode is reserved for the format's own use and is no file.
        InodeReserved { ino: u32, first: u32 } =>
            "inode number {ino} is reserved, files begin at {first}",
        /// The inode is not in use: it has no mode, or no links left.
        InodeDeleted { mode: u16, dtime: u32 } =>
            "deleted inode (mode {mode:#o}, deletion time {dtime})",
        /// The file type in `i_mode` is none of the seven.
        FileType { mode: u16 } => "unknown file type in mode {mode:#o}",
        /// The root is not a directory.
        RootNotDirectory { mode: u16 } => "the root is not a directory (mode {mode:#o})",
        /// `i_extra_isize` is not a multiple of four or does not fit the inode.
        ExtraIsize { value: u16, room: u16 } => "bad i_extra_isize {value}, room for {room}",
        /// The size in bytes is more than the block map allows.
        SizeTooLarge { size: u64, limit: u64 } => "size {size} above the limit {limit}",
        /// A directory's size is not a whole number of blocks, or there is none.
        DirectorySize { size: u64, block_size: u32 } =>
            "directory size {size} is not a multiple of {block_size} above zero",
        /// A symlink's length is zero or does not fit its place, or its target has a NUL.
        SymlinkTarget { size: u64, limit: u64 } =>
            "bad symlink target: length {size}, place for {limit} with the final NUL",
        /// The inode has flags for a representation that the volume does not use.
        InodeFlags { flags: u32 } => "inode flags {flags:#x} have no place on ext2",
        /// A block pointer leads outside the volume or onto its metadata.
        BlockOutOfRange { block: u32, len: u32, limit: u32 } =>
            "invalid block {block} (and {len} in all) on a volume of {limit}",
        /// A directory entry's header is wrong; offsets are bytes in the block.
        EntryHeader { offset: usize, rec_len: u16, name_len: u16, reason: &'static str } =>
            "directory entry at byte {offset}: {reason} (rec_len {rec_len}, name_len {name_len})",
        /// A directory entry's inode number is beyond the volume's inodes.
        EntryInode { offset: usize, ino: u32, limit: u32 } =>
            "directory entry at byte {offset}: inode number {ino} not in 1..={limit}",
        /// A directory entry's name has a slash or a NUL.
        EntryName { offset: usize } => "directory entry at byte {offset}: slash or NUL in the name",
        /// There is no directory entry where one was to be changed.
        EntryMissing { offset: usize } => "no directory entry in use at byte {offset}",
        /// A directory's first block does not begin with "." and "..".
        DotEntries { reason: &'static str } => "directory: {reason}",
        /// Something free was to be freed, or something beyond the end of a bitmap.
        AlreadyFree { bit: u32 } => "bitmap: bit {bit} is already clear",
        /// Something in use was to be taken, or something beyond the end of a bitmap.
        AlreadyInUse { bit: u32 } => "bitmap: bit {bit} is already set",
        /// The list of inodes without a name that were open.
        OrphanCircle { ino: u32 } => "list of orphans: comes back to inode {ino}",
    }
}

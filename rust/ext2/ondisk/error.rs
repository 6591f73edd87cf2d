// SPDX-License-Identifier: GPL-2.0

//! What can be wrong with bytes that claim to be ext2.
//!
//! Every lie has a name and carries the numbers that show it. `Display` prints one line without the
//! place; the caller knows device, inode and block and puts them in front.

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
            Self::NotExt2 { magic } => {
                write!(
                    f,
                    "not an ext2 volume (magic {magic:#06x}, expected 0xef53)"
                )
            }
            Self::Unsupported(what) => what.fmt(f),
            Self::Corrupt(what) => what.fmt(f),
        }
    }
}

/// Valid parts of the format that are not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// `s_rev_level` is above 1.
    Revision(u32),
    /// `s_feature_incompat` has these bits, without which the volume must not be mounted.
    Incompat(super::features::Incompat),
    /// `s_feature_ro_compat` has these bits, with which the volume must not be written (or, for
    /// some that change what is read, not mounted).
    RoCompat(super::features::RoCompat),
    /// The block size in bytes is more than 4096.
    BlockSize(u32),
    /// `s_log_cluster_size` differs from `s_log_block_size`: fragments or clusters.
    Fragments {
        /// Fragment size in bytes, as log2 less 10.
        log_size: u32,
    },
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(level) => write!(f, "unsupported revision level {level}"),
            Self::Incompat(bits) => write!(f, "unsupported incompatible features: {bits}"),
            Self::RoCompat(bits) => write!(f, "unsupported read-only-compatible features: {bits}"),
            Self::BlockSize(bytes) => {
                write!(f, "unsupported block size {bytes} (1024, 2048 or 4096)")
            }
            Self::Fragments { log_size } => write!(
                f,
                "unsupported fragments (log size {log_size} differs from the block's)"
            ),
        }
    }
}

/// One contradiction, with the numbers that show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are what the variant's sentence and its `Display` line say.
pub enum Corruption {
    /// Fewer bytes than the record needs.
    Truncated { record: &'static str, len: usize },
    /// A superblock field has a value that the format does not allow.
    SuperField { field: &'static str, value: u64 },
    /// Two superblock fields contradict each other: `field` should be `expected`.
    SuperMismatch {
        field: &'static str,
        value: u64,
        expected: u64,
    },
    /// The volume claims to be longer than its device; both in blocks.
    BeyondDevice { blocks: u64, device_blocks: u64 },
    /// The last group is too short to hold its own metadata; both in blocks.
    LastGroupShort { blocks: u32, needed: u32 },
    /// A group's bitmap or inode table is outside the volume or on top of the superblock or
    /// descriptors.
    GroupBlock {
        group: u32,
        what: &'static str,
        block: u32,
    },
    /// A group's bitmaps and inode table overlap.
    GroupOverlap { group: u32, block: u32 },
    /// A group counts more free things than it has things.
    GroupCount {
        group: u32,
        what: &'static str,
        value: u32,
        limit: u32,
    },
    /// The inode number is zero or beyond the volume's inodes.
    InodeOutOfRange { ino: u32, limit: u32 },
    /// The inode is not in use (no links left).
    InodeDeleted { mode: u16, dtime: u32 },
    /// The file type in `i_mode` is none of the seven.
    FileType { mode: u16 },
    /// `i_extra_isize` is not a multiple of four or does not fit the inode.
    ExtraIsize { value: u16, room: u16 },
    /// The size in bytes is more than the type or the block map allows.
    SizeTooLarge { size: u64, limit: u64 },
    /// A directory's size is not a whole number of blocks, or there is none.
    DirectorySize { size: u64, block_size: u32 },
    /// A symlink's length is zero or does not fit its block or inode, or its target has a NUL.
    SymlinkTarget { size: u64, limit: u64 },
    /// The inode has flags for a representation that the volume does not use.
    InodeFlags { flags: u32 },
    /// The inode is reserved for the format's own use and no file.
    InodeReserved { ino: u32, first: u32 },
    /// The root is not a directory.
    RootNotDirectory { mode: u16 },
    /// A block pointer leads outside the volume or onto its metadata.
    BlockOutOfRange { block: u32, len: u32, limit: u32 },
    /// A directory entry's header is wrong; offsets are bytes in the block.
    EntryHeader {
        offset: usize,
        rec_len: u16,
        name_len: u16,
        reason: &'static str,
    },
    /// A directory entry's inode number is beyond the volume's inodes.
    EntryInode { offset: usize, ino: u32, limit: u32 },
    /// A directory entry's name has a slash or a NUL.
    EntryName { offset: usize },
    /// A directory's first block does not begin with "." and "..".
    DotEntries { reason: &'static str },
    /// A bitmap bit already has the value that it was to be given.
    BitmapState { bit: u32, set: bool },
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { record, len } => write!(f, "{record}: only {len} bytes"),
            Self::SuperField { field, value } => write!(f, "superblock: bad {field} {value}"),
            Self::SuperMismatch {
                field,
                value,
                expected,
            } => write!(f, "superblock: {field} is {value}, expected {expected}"),
            Self::BeyondDevice {
                blocks,
                device_blocks,
            } => write!(
                f,
                "volume of {blocks} blocks on a device of {device_blocks} blocks"
            ),
            Self::LastGroupShort { blocks, needed } => {
                write!(
                    f,
                    "last group has {blocks} blocks, its metadata need {needed}"
                )
            }
            Self::GroupBlock { group, what, block } => {
                write!(f, "group {group}: {what} at invalid block {block}")
            }
            Self::GroupOverlap { group, block } => {
                write!(
                    f,
                    "group {group}: bitmaps and inode table overlap at block {block}"
                )
            }
            Self::GroupCount {
                group,
                what,
                value,
                limit,
            } => write!(f, "group {group}: {what} {value} of {limit}"),
            other => other.fmt_file(f),
        }
    }
}

impl Corruption {
    /// The lines about inodes, directories and bitmaps.
    fn fmt_file(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InodeOutOfRange { ino, limit } => {
                write!(f, "inode number {ino} not in 1..={limit}")
            }
            Self::InodeDeleted { mode, dtime } => {
                write!(f, "deleted inode (mode {mode:#o}, deletion time {dtime})")
            }
            Self::FileType { mode } => write!(f, "unknown file type in mode {mode:#o}"),
            Self::ExtraIsize { value, room } => {
                write!(f, "bad i_extra_isize {value} (room for {room})")
            }
            Self::SizeTooLarge { size, limit } => write!(f, "size {size} above the limit {limit}"),
            Self::DirectorySize { size, block_size } => {
                write!(f, "directory size {size} is not a multiple of {block_size}")
            }
            Self::SymlinkTarget { size, limit } => {
                write!(f, "bad symlink target (length {size}, limit {limit})")
            }
            Self::InodeFlags { flags } => write!(f, "inode flags {flags:#x} have no place on ext2"),
            Self::InodeReserved { ino, first } => {
                write!(f, "inode {ino} is reserved (files begin at {first})")
            }
            Self::RootNotDirectory { mode } => {
                write!(f, "the root is not a directory (mode {mode:#o})")
            }
            Self::BlockOutOfRange { block, len, limit } => write!(
                f,
                "invalid block pointer {block} (length {len}, volume of {limit} blocks)"
            ),
            Self::EntryHeader {
                offset,
                rec_len,
                name_len,
                reason,
            } => write!(
                f,
                "bad directory entry at byte {offset}: {reason} (rec_len {rec_len}, name_len {name_len})"
            ),
            Self::EntryInode { offset, ino, limit } => write!(
                f,
                "bad directory entry at byte {offset}: inode {ino} not in 1..={limit}"
            ),
            Self::EntryName { offset } => write!(
                f,
                "bad directory entry at byte {offset}: slash or NUL in the name"
            ),
            Self::DotEntries { reason } => write!(f, "bad directory: {reason}"),
            Self::BitmapState { bit, set } => write!(
                f,
                "bitmap: bit {bit} is already {}",
                if set { "set" } else { "clear" }
            ),
            _ => f.write_str("corrupt"),
        }
    }
}

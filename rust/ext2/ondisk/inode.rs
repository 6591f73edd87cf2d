// SPDX-License-Identifier: GPL-2.0

//! Inodes.
//!
//! Format: `Documentation/filesystems/ext4/inodes.rst`. An inode has 128 bytes, and on volumes with
//! larger inodes extra fields behind them, of which `i_extra_isize` says how many bytes are in use.

use super::{
    error::{
        Corruption,
        Result, //
    },
    fields::*,
    path,
    raw::{
        le32,
        Field,
        Raw,
        Value, //
    },
    superblock::{
        Superblock,
        MIN_INODE_SIZE,
        ROOT_INO, //
    },
    time::Time, //
};

/// An inode that nobody has checked.
pub type RawInode<'a> = Raw<'a, InodeLayout>;

/// Length of `i_block` in bytes.
pub const MAP_SIZE: usize = 60;

/// `i_flags`: `i_blocks` counts file-system blocks (huge_file).
const HUGE_FILE_FL: u32 = 0x4_0000;

/// `i_flags` that say that the contents are represented in a way that ext2 does not have:
/// encrypted, extents, verity, attribute value, inline data, case-insensitive.
const FOREIGN_FLAGS: u32 = 0x800 | 0x8_0000 | 0x10_0000 | 0x20_0000 | 0x1000_0000 | 0x4000_0000;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    Regular,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
}

impl Kind {
    /// The kind in the upper four bits of `i_mode`.
    pub const fn from_mode(mode: u16) -> Option<Self> {
        Some(match mode & 0xf000 {
            0x1000 => Self::Fifo,
            0x2000 => Self::CharDevice,
            0x4000 => Self::Directory,
            0x6000 => Self::BlockDevice,
            0x8000 => Self::Regular,
            0xa000 => Self::Symlink,
            0xc000 => Self::Socket,
            _ => return None,
        })
    }

    /// The upper four bits of `i_mode`.
    pub const fn mode_bits(self) -> u16 {
        match self {
            Self::Fifo => 0x1000,
            Self::CharDevice => 0x2000,
            Self::Directory => 0x4000,
            Self::BlockDevice => 0x6000,
            Self::Regular => 0x8000,
            Self::Symlink => 0xa000,
            Self::Socket => 0xc000,
        }
    }

    /// The kind in a directory entry's `file_type`; `None` if it is unknown there.
    pub const fn from_entry(file_type: u8) -> Option<Self> {
        Some(match file_type {
            1 => Self::Regular,
            2 => Self::Directory,
            3 => Self::CharDevice,
            4 => Self::BlockDevice,
            5 => Self::Fifo,
            6 => Self::Socket,
            7 => Self::Symlink,
            _ => return None,
        })
    }

    /// The directory entry's `file_type`.
    pub const fn entry_type(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::CharDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }
}

/// A device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which driver, 12 bits.
    pub major: u32,
    /// Which of its devices, 20 bits.
    pub minor: u32,
}

/// An inode that has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// Kind and permissions as in `st_mode`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Names that lead to the inode.
    pub links: u16,
    /// Blocks in use, metadata included, in units of 512 bytes.
    pub sectors: u64,
    /// Attributes of `chattr`.
    pub flags: u32,
    /// Distinguishes files that had the same inode number.
    pub generation: u32,
    /// Block of extended attributes, checked to be on the volume; 0 for none.
    pub attr_block: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of the contents.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Creation, if the inode has room for it.
    pub crtime: Option<Time>,
    /// Deletion in seconds since 1970, or the next inode on the list of orphans.
    pub dtime: u32,
    /// Project; 0 if the inode has no room for it.
    pub project: u32,
    /// Bytes of extra fields.
    pub extra_isize: u16,
    /// Block pointers, the target of a fast symlink, or a device number. The pointers are **not**
    /// checked.
    pub map: [u8; MAP_SIZE],
}

impl Inode {
    /// Checks the inode `ino` at the beginning of `bytes`, which are at least the volume's inode
    /// size long.
    ///
    /// # Errors
    ///
    /// [`Corruption::InodeDeleted`] if it has no links, and the other variants about inodes.
    pub fn parse(bytes: &[u8], ino: u32, volume: &Superblock) -> Result<Self> {
        let inode = Self::parse_unlinked(bytes, ino, volume)?;
        if inode.links == 0 {
            return Err(Corruption::InodeDeleted {
                mode: inode.mode,
                dtime: inode.dtime,
            }
            .into());
        }
        if inode.kind == Kind::Directory && inode.size == 0 {
            return Err(Corruption::DirectorySize {
                size: 0,
                block_size: volume.geometry.block_size(),
            }
            .into());
        }
        Ok(inode)
    }

    /// Like [`Self::parse`] for an inode that may have no links left: an orphan.
    pub fn parse_unlinked(bytes: &[u8], ino: u32, volume: &Superblock) -> Result<Self> {
        let inode_size = volume.geometry.inode_size();
        let bytes = bytes
            .get(..usize::from(inode_size))
            .ok_or(Corruption::Truncated {
                record: "inode",
                len: bytes.len(),
            })?;
        let raw = RawInode::new(bytes).ok_or(Corruption::Truncated {
            record: "inode",
            len: bytes.len(),
        })?;
        let mode = raw.get(I_MODE);
        if mode == 0 {
            let dtime = raw.get(I_DTIME);
            return Err(Corruption::InodeDeleted { mode, dtime }.into());
        }
        let kind = Kind::from_mode(mode).ok_or(Corruption::FileType { mode })?;
        if ino == ROOT_INO && kind != Kind::Directory {
            return Err(Corruption::RootNotDirectory { mode }.into());
        }
        let extra = Extra::parse(bytes, inode_size)?;
        let inode = Self {
            kind,
            mode,
            uid: wide(raw.get(I_UID), raw.get(I_UID_HIGH)),
            gid: wide(raw.get(I_GID), raw.get(I_GID_HIGH)),
            size: size(&raw, kind),
            links: raw.get(I_LINKS_COUNT),
            sectors: sectors(&raw, volume),
            flags: raw.get(I_FLAGS),
            generation: raw.get(I_GENERATION),
            attr_block: raw.get(I_FILE_ACL),
            atime: Time::decode(raw.get(I_ATIME), extra.get(I_ATIME_EXTRA)),
            mtime: Time::decode(raw.get(I_MTIME), extra.get(I_MTIME_EXTRA)),
            ctime: Time::decode(raw.get(I_CTIME), extra.get(I_CTIME_EXTRA)),
            crtime: extra
                .get(I_CRTIME)
                .map(|low| Time::decode(low, extra.get(I_CRTIME_EXTRA))),
            dtime: raw.get(I_DTIME),
            project: extra.get(I_PROJID).unwrap_or(0),
            extra_isize: extra.len,
            map: raw.get(I_BLOCK),
        };
        inode.check(volume)?;
        Ok(inode)
    }

    /// What the fields say about each other and the volume.
    fn check(&self, volume: &Superblock) -> Result {
        let flags = self.flags & FOREIGN_FLAGS;
        if flags != 0 {
            return Err(Corruption::InodeFlags { flags }.into());
        }
        if self.attr_block != 0 {
            volume.geometry.check_data_run(self.attr_block, 1)?;
        }
        let bits = volume.geometry.block_bits();
        let block_size = volume.geometry.block_size();
        let limit = path::max_blocks(bits).wrapping_shl(bits);
        match self.kind {
            Kind::Regular | Kind::Directory if self.size > limit => Err(Corruption::SizeTooLarge {
                size: self.size,
                limit,
            }
            .into()),
            Kind::Directory if self.size & u64::from(block_size).wrapping_sub(1) != 0 => {
                Err(Corruption::DirectorySize {
                    size: self.size,
                    block_size,
                }
                .into())
            }
            Kind::Symlink => self.check_symlink(block_size),
            _ => Ok(()),
        }
    }

    fn check_symlink(&self, block_size: u32) -> Result {
        let fast = self.is_fast_symlink(block_size);
        let limit = match fast {
            true => MAP_SIZE as u64,
            false => u64::from(block_size),
        };
        let size = self.size;
        if size == 0 || size >= limit || (fast && self.fast_target().is_none()) {
            return Err(Corruption::SymlinkTarget { size, limit }.into());
        }
        Ok(())
    }

    /// Whether this is a symlink whose target stands in the inode: one that has no block, or only
    /// one of attributes.
    pub fn is_fast_symlink(&self, block_size: u32) -> bool {
        let attributes = match self.attr_block {
            0 => 0,
            _ => u64::from(block_size / 512),
        };
        self.kind == Kind::Symlink && self.sectors <= attributes
    }

    /// The target in the inode, if it ends where the size says.
    fn fast_target(&self) -> Option<&[u8]> {
        let len = usize::try_from(self.size).ok()?;
        let (target, rest) = self.map.split_at_checked(len)?;
        (rest.first() == Some(&0) && !target.contains(&0)).then_some(target)
    }

    /// The target of a fast symlink; `None` for everything else.
    pub fn fast_symlink(&self, block_size: u32) -> Option<&[u8]> {
        self.fast_target()
            .filter(|_| self.is_fast_symlink(block_size))
    }

    /// The device number of a device file.
    ///
    /// The first pointer holds the old form (8 bits of major, 8 of minor); if it is zero, the
    /// second holds the new one.
    pub fn device(&self) -> Device {
        let word = |at| le32(&self.map, at).unwrap_or(0);
        match word(0) {
            0 => {
                let new = word(4);
                Device {
                    major: (new & 0xf_ff00) >> 8,
                    minor: (new & 0xff) | ((new >> 12) & 0xf_ff00),
                }
            }
            old => Device {
                major: (old >> 8) & 0xff,
                minor: old & 0xff,
            },
        }
    }
}

fn wide(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high).wrapping_shl(16)
}

/// The length in bytes. Only a regular file's has more than 32 bits.
fn size(raw: &RawInode<'_>, kind: Kind) -> u64 {
    let low = u64::from(raw.get(I_SIZE));
    match kind {
        Kind::Regular => low | u64::from(raw.get(I_SIZE_HIGH)).wrapping_shl(32),
        _ => low,
    }
}

/// Blocks in use in units of 512 bytes.
fn sectors(raw: &RawInode<'_>, volume: &Superblock) -> u64 {
    let low = u64::from(raw.get(I_BLOCKS));
    if !volume.features.huge_file() {
        return low;
    }
    let blocks = low | u64::from(raw.get(I_BLOCKS_HIGH)).wrapping_shl(32);
    match raw.get(I_FLAGS) & HUGE_FILE_FL {
        0 => blocks,
        _ => blocks.wrapping_shl(volume.geometry.block_bits().wrapping_sub(9)),
    }
}

/// The extra fields of an inode.
struct Extra<'a> {
    bytes: &'a [u8],
    len: u16,
}

impl<'a> Extra<'a> {
    /// Checks `i_extra_isize`; inodes of 128 bytes do not have it.
    fn parse(bytes: &'a [u8], inode_size: u16) -> Result<Self> {
        let room = inode_size.saturating_sub(MIN_INODE_SIZE);
        let len = u16::read(bytes, I_EXTRA_ISIZE.start())
            .filter(|_| room > 0)
            .unwrap_or(0);
        if len > room || len % 4 != 0 {
            return Err(Corruption::ExtraIsize { value: len, room }.into());
        }
        Ok(Self { bytes, len })
    }

    /// The field, if the inode has it.
    fn get<T: Value>(&self, field: Field<LargeInodeLayout, T>) -> Option<T> {
        let end = usize::from(MIN_INODE_SIZE).saturating_add(usize::from(self.len));
        T::read(self.bytes.get(..end)?, field.start())
    }
}

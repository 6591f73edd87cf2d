// SPDX-License-Identifier: GPL-2.0

//! Where things are on a volume: groups, superblock copies, descriptors, inodes.
//!
//! Block numbers are in units of the volume's block size, counted from the start of the device. A
//! group's number is counted from zero, an inode's from one.

use super::{
    error::{
        Corruption,
        Result, //
    },
    superblock::ROOT_INO, //
};
use core::num::NonZeroU32;

/// Length of a group descriptor in bytes (without the 64bit feature).
pub const DESC_SIZE: u32 = 32;

/// The size and shape of a volume.
///
/// # Invariants
///
/// - `first_data_block < blocks_count`, and `group_count` groups of `blocks_per_group` cover
///   exactly the blocks between; the last group may be shorter and is not empty.
/// - `blocks_per_group` and `inodes_per_group` are at most the number of bits in a block.
/// - `group_count * inodes_per_group == inodes_count`, without overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub(super) block_bits: u32,
    pub(super) blocks_count: u32,
    pub(super) first_data_block: u32,
    pub(super) blocks_per_group: NonZeroU32,
    pub(super) inodes_per_group: NonZeroU32,
    pub(super) inodes_count: u32,
    pub(super) inode_size: u16,
    pub(super) first_ino: u32,
    pub(super) group_count: u32,
    pub(super) backups: Backups,
    /// First group whose descriptors are in their own meta group; `None` without meta_bg.
    pub(super) first_meta_bg: Option<u32>,
    pub(super) reserved_gdt_blocks: u16,
}

/// Which groups hold a copy of the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backups {
    /// Every group.
    All,
    /// sparse_super: groups 0 and 1 and the powers of 3, 5 and 7.
    Sparse,
    /// sparse_super2: group 0 and these two (zero for none).
    Two([u32; 2]),
}

/// The place of an inode on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodePlace {
    /// The group whose table holds the inode.
    pub group: u32,
    /// Index in the group's inode table and inode bitmap.
    pub index: u32,
    /// Block of the table, counted from its first.
    pub table_block: u32,
    /// First byte in that block.
    pub offset: u32,
}

/// Whether `n` is a power of `base` (which is above one).
fn is_power_of(mut n: u32, base: NonZeroU32) -> bool {
    while n > 1 && n % base == 0 {
        n /= base;
    }
    n == 1
}

/// How many units `value` needs.
///
/// Not `u32::div_ceil`, whose addition is checked where the caller's is.
pub(super) fn div_up(value: u32, unit: NonZeroU32) -> u32 {
    (value / unit).saturating_add(u32::from(value % unit != 0))
}

impl Geometry {
    /// Block size in bytes: 1024, 2048 or 4096.
    pub fn block_size(&self) -> u32 {
        1u32.wrapping_shl(self.block_bits)
    }

    /// Binary logarithm of the block size: 10, 11 or 12.
    ///
    /// Below 32, as the compiler can see: shifts by it need no check.
    pub fn block_bits(&self) -> u32 {
        self.block_bits & 31
    }

    /// Blocks on the volume, those before the first group included (`s_blocks_count`).
    pub fn blocks_count(&self) -> u32 {
        self.blocks_count
    }

    /// First block of group 0 (`s_first_data_block`).
    pub fn first_data_block(&self) -> u32 {
        self.first_data_block
    }

    /// Blocks in every group but the last (`s_blocks_per_group`).
    pub fn blocks_per_group(&self) -> u32 {
        self.blocks_per_group.get()
    }

    /// Inodes in every group (`s_inodes_per_group`).
    pub fn inodes_per_group(&self) -> u32 {
        self.inodes_per_group.get()
    }

    /// Inodes on the volume (`s_inodes_count`): the highest inode number.
    pub fn inodes_count(&self) -> u32 {
        self.inodes_count
    }

    /// Size of an inode on disk in bytes (`s_inode_size`).
    pub fn inode_size(&self) -> u16 {
        self.inode_size
    }

    /// First inode number that is not reserved (`s_first_ino`).
    pub fn first_ino(&self) -> u32 {
        self.first_ino
    }

    /// Number of groups; at least one.
    pub fn group_count(&self) -> u32 {
        self.group_count
    }

    /// Group descriptors in a block.
    pub fn desc_per_block(&self) -> u32 {
        self.block_size() / DESC_SIZE
    }

    /// Blocks that hold all group descriptors.
    pub fn desc_blocks(&self) -> u32 {
        div_up(self.group_count, self.desc_per_block_nonzero())
    }

    fn desc_per_block_nonzero(&self) -> NonZeroU32 {
        // A block is at least 1024 bytes: the fallback is not taken.
        NonZeroU32::new(self.desc_per_block()).unwrap_or(NonZeroU32::MIN)
    }

    /// Blocks of a group's inode table.
    pub fn inode_table_blocks(&self) -> u32 {
        let bytes = u64::from(self.inodes_per_group()).wrapping_mul(u64::from(self.inode_size));
        let blocks = bytes.wrapping_add(u64::from(self.block_size()).wrapping_sub(1))
            >> (self.block_bits & 63);
        // At most 32768 inodes of at most one block each.
        blocks as u32
    }

    /// The first block of a group. `group` is below [`Self::group_count`].
    pub fn group_first_block(&self, group: u32) -> u32 {
        group
            .wrapping_mul(self.blocks_per_group())
            .wrapping_add(self.first_data_block)
    }

    /// The number of blocks of a group. `group` is below [`Self::group_count`].
    pub fn group_blocks(&self, group: u32) -> u32 {
        self.blocks_count
            .saturating_sub(self.group_first_block(group))
            .min(self.blocks_per_group())
    }

    /// The group of a block, and the block's bit in the group's bitmap. `None` for a block before
    /// the first group or beyond the volume.
    pub fn block_place(&self, block: u32) -> Option<(u32, u32)> {
        if block >= self.blocks_count {
            return None;
        }
        let relative = block.checked_sub(self.first_data_block)?;
        Some((
            relative / self.blocks_per_group,
            relative % self.blocks_per_group,
        ))
    }

    /// Where inode `ino` is.
    ///
    /// # Errors
    ///
    /// [`Corruption::InodeOutOfRange`] if there is no such inode.
    pub fn inode_place(&self, ino: u32) -> Result<InodePlace> {
        let number = ino
            .checked_sub(1)
            .filter(|_| ino <= self.inodes_count)
            .ok_or(Corruption::InodeOutOfRange {
                ino,
                limit: self.inodes_count,
            })?;
        let index = number % self.inodes_per_group;
        let byte = u64::from(index).wrapping_mul(u64::from(self.inode_size));
        Ok(InodePlace {
            group: number / self.inodes_per_group,
            index,
            table_block: (byte >> (self.block_bits & 63)) as u32,
            offset: byte as u32 & self.block_size().wrapping_sub(1),
        })
    }

    /// Checks that inode `ino` can be a file: it is the root or not reserved.
    ///
    /// # Errors
    ///
    /// [`Corruption::InodeOutOfRange`], [`Corruption::InodeReserved`].
    pub fn check_file_ino(&self, ino: u32) -> Result {
        self.inode_place(ino)?;
        if ino < self.first_ino && ino != ROOT_INO {
            let first = self.first_ino;
            return Err(Corruption::InodeReserved { ino, first }.into());
        }
        Ok(())
    }

    /// The inode at `index` of `group`; the inverse of [`Self::inode_place`].
    pub fn inode_number(&self, group: u32, index: u32) -> u32 {
        group
            .wrapping_mul(self.inodes_per_group())
            .wrapping_add(index)
            .wrapping_add(1)
    }

    /// Whether a group begins with a copy of the superblock.
    pub fn has_superblock(&self, group: u32) -> bool {
        const BASES: [NonZeroU32; 3] = {
            let one = NonZeroU32::MIN;
            [
                one.saturating_add(2),
                one.saturating_add(4),
                one.saturating_add(6),
            ]
        };
        group == 0
            || match self.backups {
                Backups::All => true,
                Backups::Sparse => BASES.iter().any(|&base| is_power_of(group, base)),
                Backups::Two(groups) => groups.contains(&group),
            }
    }

    /// The first group of the descriptor block's meta group, if that block is placed by meta_bg.
    fn meta_group(&self, desc_block: u32) -> Option<u32> {
        let first = self.first_meta_bg?;
        (desc_block >= first).then(|| desc_block.wrapping_mul(self.desc_per_block()))
    }

    /// The block that holds descriptor block number `desc_block` (below [`Self::desc_blocks`]).
    ///
    /// `super_block` is the block of the superblock that was mounted: the primary one, or the
    /// backup that `sb=` chose, in which case the descriptors next to that backup are used.
    ///
    /// Without meta_bg (or before `s_first_meta_bg`) the descriptors follow the superblock. With
    /// it, a descriptor block is in the first group that it describes, behind a superblock copy if
    /// there is one.
    pub fn desc_block(&self, desc_block: u32, super_block: u32) -> u32 {
        let Some(group) = self.meta_group(desc_block) else {
            return super_block.wrapping_add(1).wrapping_add(desc_block);
        };
        // Backups of a meta group's descriptors are in its second and last group.
        let group =
            if super_block != self.first_data_block && group.wrapping_add(1) < self.group_count {
                group.wrapping_add(1)
            } else {
                group
            };
        self.group_first_block(group)
            .wrapping_add(u32::from(self.has_superblock(group)))
    }

    /// The descriptor block and the byte in it where a group's descriptor is.
    pub fn desc_place(&self, group: u32) -> (u32, u32) {
        let per_block = self.desc_per_block_nonzero();
        (
            group / per_block,
            (group % per_block).wrapping_mul(DESC_SIZE),
        )
    }

    /// Blocks at the beginning of a group taken by a superblock copy, descriptors and room for more
    /// descriptors.
    pub fn group_overhead(&self, group: u32) -> u32 {
        let copy = match self.has_superblock(group) {
            true => self.plain_desc_blocks(group).wrapping_add(1),
            false => 0,
        };
        copy.wrapping_add(u32::from(self.has_meta_desc(group)))
    }

    /// Blocks of descriptors, and of room for more, that follow a superblock copy in the group. Where
    /// meta_bg places descriptors, none do.
    fn plain_desc_blocks(&self, group: u32) -> u32 {
        let (own, _) = self.desc_place(group);
        match self.first_meta_bg {
            Some(first) if own >= first => 0,
            Some(first) => first,
            None => self
                .desc_blocks()
                .wrapping_add(u32::from(self.reserved_gdt_blocks)),
        }
    }

    /// Whether the group holds a descriptor block or its backup because of meta_bg: it is the
    /// first, second or last of a meta group.
    fn has_meta_desc(&self, group: u32) -> bool {
        let (desc_block, byte) = self.desc_place(group);
        let index = byte / DESC_SIZE;
        self.meta_group(desc_block).is_some()
            && (index < 2 || index == self.desc_per_block().wrapping_sub(1))
    }

    /// Whether the block is outside of what files may use for a reason known without descriptors:
    /// beyond the volume, before the first group, or part of a superblock copy or of descriptors.
    pub fn is_reserved(&self, block: u32) -> bool {
        match self.block_place(block) {
            Some((group, bit)) => bit < self.group_overhead(group),
            None => true,
        }
    }

    /// Whether any of `len` blocks from `block` [is reserved](Self::is_reserved). The range is
    /// shorter than a group.
    ///
    /// Reserved blocks stand at the beginnings of groups, so only the first block and those of a
    /// group that begins inside the range need a look.
    pub fn overlaps_reserved(&self, block: u32, len: u32) -> bool {
        let last = block.saturating_add(len).saturating_sub(1);
        match (self.block_place(block), self.block_place(last)) {
            (Some((first, bit)), Some((end, _))) => {
                bit < self.group_overhead(first) || (first != end && self.group_overhead(end) > 0)
            }
            _ => true,
        }
    }

    /// Checks that `len` blocks from `block` are on the volume, behind the first superblock.
    ///
    /// This is the cheap check for pointers on their way to I/O. [`Self::is_reserved`] and
    /// [`super::group::GroupDesc::contains`] together are the thorough one.
    ///
    /// # Errors
    ///
    /// [`Corruption::BlockOutOfRange`].
    pub fn check_data_run(&self, block: u32, len: u32) -> Result {
        let end = block.checked_add(len);
        if block > self.first_data_block && end.is_some_and(|end| end <= self.blocks_count) {
            Ok(())
        } else {
            Err(Corruption::BlockOutOfRange {
                block,
                len,
                limit: self.blocks_count,
            }
            .into())
        }
    }
}

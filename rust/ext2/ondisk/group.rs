// SPDX-License-Identifier: GPL-2.0

//! Group descriptors.
//!
//! Format: `Documentation/filesystems/ext4/group_descr.rst`, the 32-byte form.

use super::{
    error::{
        Corruption,
        Result, //
    },
    fields::*,
    geometry::Geometry,
    raw::{
        Raw,
        RawMut, //
    }, //
};

/// A group descriptor that nobody has checked.
pub type RawGroupDesc<'a> = Raw<'a, GroupDescLayout>;

/// A group descriptor of a mounted volume, to be changed.
pub type RawGroupDescMut<'a> = RawMut<'a, GroupDescLayout>;

/// A group descriptor that has been checked.
///
/// # Invariants
///
/// The bitmaps and the whole inode table are on the volume, not on a superblock or group
/// descriptors, and do not overlap each other. They need not be in their group: the format demands
/// it only of volumes that `mke2fs` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDesc {
    block_bitmap: u32,
    inode_bitmap: u32,
    inode_table: u32,
    inode_table_blocks: u32,
    /// Free blocks of the group, at most its blocks.
    pub free_blocks: u16,
    /// Free inodes of the group, at most its inodes.
    pub free_inodes: u16,
    /// Directories among the group's inodes, at most its inodes.
    pub used_dirs: u16,
}

/// Whether the two ranges of blocks (first, length) have a block in common.
fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    a.0 < b.0.saturating_add(b.1) && b.0 < a.0.saturating_add(a.1)
}

impl GroupDesc {
    /// Checks the descriptor of `group` at the beginning of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Corruption::GroupBlock`], [`Corruption::GroupOverlap`], [`Corruption::GroupCount`].
    pub fn parse(bytes: &[u8], group: u32, geometry: &Geometry) -> Result<Self> {
        let raw = RawGroupDesc::new(bytes).ok_or(Corruption::Truncated {
            record: "group descriptor",
            len: bytes.len(),
        })?;
        let desc = Self {
            block_bitmap: raw.get(BG_BLOCK_BITMAP),
            inode_bitmap: raw.get(BG_INODE_BITMAP),
            inode_table: raw.get(BG_INODE_TABLE),
            inode_table_blocks: geometry.inode_table_blocks(),
            free_blocks: raw.get(BG_FREE_BLOCKS_COUNT),
            free_inodes: raw.get(BG_FREE_INODES_COUNT),
            used_dirs: raw.get(BG_USED_DIRS_COUNT),
        };
        desc.check_places(group, geometry)?;
        desc.check_counts(group, geometry)?;
        Ok(desc)
    }

    fn check_places(&self, group: u32, geometry: &Geometry) -> Result {
        let [bitmap, inodes, table] = self.ranges();
        for (what, range) in [
            ("block bitmap", bitmap),
            ("inode bitmap", inodes),
            ("inode table", table),
        ] {
            let (block, len) = range;
            if geometry.check_data_run(block, len).is_err()
                || geometry.overlaps_reserved(block, len)
            {
                return Err(Corruption::GroupBlock { group, what, block }.into());
            }
        }
        if overlap(bitmap, inodes) || overlap(bitmap, table) {
            let block = self.block_bitmap;
            return Err(Corruption::GroupOverlap { group, block }.into());
        }
        if overlap(inodes, table) {
            let block = self.inode_bitmap;
            return Err(Corruption::GroupOverlap { group, block }.into());
        }
        Ok(())
    }

    fn check_counts(&self, group: u32, geometry: &Geometry) -> Result {
        let inodes = geometry.inodes_per_group();
        for (what, value, limit) in [
            (
                "free blocks",
                self.free_blocks,
                geometry.group_blocks(group),
            ),
            ("free inodes", self.free_inodes, inodes),
            ("directories", self.used_dirs, inodes),
        ] {
            let value = u32::from(value);
            if value > limit {
                return Err(Corruption::GroupCount {
                    group,
                    what,
                    value,
                    limit,
                }
                .into());
            }
        }
        Ok(())
    }

    /// Block bitmap, inode bitmap and inode table, each as first block and length.
    pub fn ranges(&self) -> [(u32, u32); 3] {
        [
            (self.block_bitmap, 1),
            (self.inode_bitmap, 1),
            (self.inode_table, self.inode_table_blocks),
        ]
    }

    /// Whether any of `len` blocks from `block` is one of this group's bitmaps or its inode table.
    pub fn contains(&self, block: u32, len: u32) -> bool {
        self.ranges().iter().any(|&own| overlap(own, (block, len)))
    }

    /// Block of the block bitmap.
    pub fn block_bitmap(&self) -> u32 {
        self.block_bitmap
    }

    /// Block of the inode bitmap.
    pub fn inode_bitmap(&self) -> u32 {
        self.inode_bitmap
    }

    /// First block of the inode table.
    pub fn inode_table(&self) -> u32 {
        self.inode_table
    }
}

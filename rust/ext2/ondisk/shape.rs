// SPDX-License-Identifier: GPL-2.0

//! Is the shape that a superblock claims for its volume believable?

use super::{
    error::{
        Corruption,
        Result,
        Unsupported, //
    },
    features::{
        Compat,
        Features,
        Incompat,
        RoCompat, //
    },
    fields::*,
    geometry::{
        div_up,
        Backups,
        Geometry, //
    },
    superblock::{
        bad_field,
        in_range,
        RawSuperblock,
        MIN_INODE_SIZE,
        REV0_FIRST_INO, //
    }, //
};
use core::num::NonZeroU32;

impl Geometry {
    /// Checks size and shape of a volume.
    pub(super) fn parse(
        raw: &RawSuperblock<'_>,
        revision: u32,
        features: Features,
        device_bytes: u64,
    ) -> Result<Self> {
        let block_bits = block_bits(raw)?;
        let bits_per_block = 8u32.wrapping_shl(block_bits);
        let blocks_count = in_range(raw, "s_blocks_count", S_BLOCKS_COUNT, 1, u32::MAX)?;
        let device_blocks = device_bytes >> (block_bits & 63);
        if u64::from(blocks_count) > device_blocks {
            return Err(Corruption::BeyondDevice {
                blocks: u64::from(blocks_count),
                device_blocks,
            }
            .into());
        }
        // A 1 KiB block 0 is the boot block's; larger ones hold boot block and superblock.
        let first = u32::from(block_bits == 10);
        let first_data_block =
            in_range(raw, "s_first_data_block", S_FIRST_DATA_BLOCK, first, first)?;
        let blocks = blocks_count
            .checked_sub(first_data_block)
            .filter(|&blocks| blocks > 0)
            .ok_or(bad_field("s_blocks_count", blocks_count))?;
        let blocks_per_group = nonzero(in_range(
            raw,
            "s_blocks_per_group",
            S_BLOCKS_PER_GROUP,
            1,
            bits_per_block,
        )?);
        let inodes_per_group = nonzero(in_range(
            raw,
            "s_inodes_per_group",
            S_INODES_PER_GROUP,
            1,
            bits_per_block,
        )?);
        let (inode_size, first_ino) = inode_shape(raw, revision, block_bits)?;
        let geometry = Self {
            block_bits,
            blocks_count,
            first_data_block,
            blocks_per_group,
            inodes_per_group,
            inodes_count: raw.get(S_INODES_COUNT),
            inode_size,
            first_ino,
            group_count: div_up(blocks, blocks_per_group),
            backups: backups(raw, features),
            first_meta_bg: features
                .incompat
                .contains(Incompat::META_BG)
                .then(|| raw.get(S_FIRST_META_BG)),
            reserved_gdt_blocks: match features.compat.contains(Compat::RESIZE_INODE) {
                true => raw.get(S_RESERVED_GDT_BLOCKS),
                false => 0,
            },
        };
        geometry.check()?;
        Ok(geometry)
    }

    /// What the fields say about each other.
    fn check(&self) -> Result {
        let expected = u64::from(self.group_count).wrapping_mul(u64::from(self.inodes_per_group()));
        if u64::from(self.inodes_count) != expected {
            return Err(Corruption::SuperMismatch {
                field: "s_inodes_count",
                value: u64::from(self.inodes_count),
                expected,
            }
            .into());
        }
        if self.first_ino > self.inodes_count {
            return Err(bad_field("s_first_ino", self.first_ino));
        }
        if let Some(first) = self
            .first_meta_bg
            .filter(|&first| first > self.desc_blocks())
        {
            return Err(bad_field("s_first_meta_bg", first));
        }
        // Two bitmaps and the inode table on top of what the group begins with.
        let own = self.inode_table_blocks().wrapping_add(2);
        let needed = self.group_overhead(0).wrapping_add(own);
        if self.group_count > 1 && needed > self.blocks_per_group() {
            return Err(bad_field("s_blocks_per_group", self.blocks_per_group()));
        }
        let last = self.group_count.saturating_sub(1);
        let blocks = self.group_blocks(last);
        let needed = self.group_overhead(last).wrapping_add(own);
        if blocks < needed {
            return Err(Corruption::LastGroupShort { blocks, needed }.into());
        }
        Ok(())
    }
}

/// A number that was checked to be above zero.
fn nonzero(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
}

/// The binary logarithm of the block size.
fn block_bits(raw: &RawSuperblock<'_>) -> Result<u32> {
    let log_size = in_range(raw, "s_log_block_size", S_LOG_BLOCK_SIZE, 0, 6)?;
    if log_size > 2 {
        return Err(Unsupported::BlockSize {
            bytes: 1024u32.wrapping_shl(log_size),
        }
        .into());
    }
    let fragment = raw.get(S_LOG_CLUSTER_SIZE);
    if fragment != log_size {
        return Err(Unsupported::Fragments {
            log_size: fragment,
            log_block_size: log_size,
        }
        .into());
    }
    Ok(log_size.wrapping_add(10))
}

/// Inode size in bytes and the first inode that is not reserved.
fn inode_shape(raw: &RawSuperblock<'_>, revision: u32, block_bits: u32) -> Result<(u16, u32)> {
    if revision == 0 {
        return Ok((MIN_INODE_SIZE, REV0_FIRST_INO));
    }
    let size = raw.get(S_INODE_SIZE);
    if !size.is_power_of_two()
        || size < MIN_INODE_SIZE
        || u32::from(size) > 1u32.wrapping_shl(block_bits)
    {
        return Err(bad_field("s_inode_size", u32::from(size)));
    }
    let first_ino = in_range(raw, "s_first_ino", S_FIRST_INO, REV0_FIRST_INO, u32::MAX)?;
    Ok((size, first_ino))
}

fn backups(raw: &RawSuperblock<'_>, features: Features) -> Backups {
    if features.compat.contains(Compat::SPARSE_SUPER2) {
        Backups::Two([raw.get(S_BACKUP_BG0), raw.get(S_BACKUP_BG1)])
    } else if features.ro_compat.contains(RoCompat::SPARSE_SUPER) {
        Backups::Sparse
    } else {
        Backups::All
    }
}

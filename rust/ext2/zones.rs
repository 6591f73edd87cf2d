// SPDX-License-Identifier: GPL-2.0

//! Where in each group blocks of files can be, for a quick look at pointers on their way to I/O.
//!
//! As `mke2fs` lays groups out, a group's metadata (copies of superblock and descriptors, bitmaps, inode table) stand in a
//! row at its beginning, and all behind them is for files. Then one comparison says that a run is good. Groups that look
//! different get the thorough check each time.

use super::ondisk::{geometry::Geometry, group::GroupDesc};
use kernel::prelude::*;

/// For each group the first block behind its metadata; [`UNKNOWN`] where they are not in a row.
pub(super) struct Zones(KVVec<u32>);

/// No block is behind the metadata.
const UNKNOWN: u32 = u32::MAX;

impl Zones {
    /// The zones of a volume. If `scattered`, metadata may be in the group of another. `ENOMEM`.
    pub(super) fn new(geometry: &Geometry, groups: &[GroupDesc], scattered: bool) -> Result<Self> {
        let mut zones = KVVec::with_capacity(groups.len(), GFP_KERNEL)?;
        for (group, desc) in (0u32..).zip(groups) {
            let zone = if scattered {
                UNKNOWN
            } else {
                behind_metadata(geometry, group, desc)
            };
            zones.push(zone, GFP_KERNEL)?;
        }
        Ok(Self(zones))
    }

    /// Whether `len` blocks from `block` are all for files. `false` may only mean that this needs a closer look.
    pub(super) fn contains(&self, geometry: &Geometry, block: u32, len: u32) -> bool {
        let Some((group, bit)) = geometry.block_place(block) else {
            return false;
        };
        let Some(&zone) = self.0.get(group as usize) else {
            return false;
        };
        let room = geometry.group_blocks(group).saturating_sub(bit);
        block >= zone && len <= room
    }
}

/// The first block behind the metadata of a group, if they are in a row at its beginning.
fn behind_metadata(geometry: &Geometry, group: u32, desc: &GroupDesc) -> u32 {
    let first = geometry.group_first_block(group);
    let mut next = first.saturating_add(geometry.group_overhead(group));
    let mut left = desc.ranges();
    left.sort_unstable_by_key(|(start, _)| *start);
    for (start, len) in left {
        if start != next {
            return UNKNOWN;
        }
        next = start.saturating_add(len);
    }
    next
}

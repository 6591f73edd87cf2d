// SPDX-License-Identifier: GPL-2.0

//! The bitmaps of a mounted volume: read, believed or not, and brought in line with the counters.
//!
//! All functions need the group's lock, except [`SuperBlock::store_counts`].

use super::{
    ondisk::{
        self, bitmap,
        error::Corruption,
        fields::{BG_FREE_BLOCKS_COUNT, BG_FREE_INODES_COUNT, BG_USED_DIRS_COUNT},
        geometry::DESC_SIZE,
        group::RawGroupDescMut,
        superblock::STATE_VALID,
    },
    space::{self, Group, Trust},
    volume::{Place, Volume},
    SuperBlock,
};
use crate::vfs::{buffer::Buffer, errno::EUCLEAN, task};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{ordering::Relaxed, Atomic},
};

impl SuperBlock {
    /// The bitmap of the blocks of a group. `EIO`; `EUCLEAN` if the bitmap is not to be believed.
    pub(super) fn block_bitmap(&self, group: u32) -> Result<Buffer> {
        let volume = self.data();
        let state = volume.space.group(group)?;
        let block = volume.group(group).ok_or_else(EUCLEAN)?.block_bitmap();
        self.bitmap(block, &state.blocks, &volume.space.available, |bytes| {
            check_blocks(volume, group, bytes)?;
            Ok(bitmap::count_clear(
                bytes,
                volume.disk.geometry.group_blocks(group),
            ))
        })
    }

    /// The bitmap of the inodes of a group, likewise.
    pub(super) fn inode_bitmap(&self, group: u32) -> Result<Buffer> {
        let volume = self.data();
        let state = volume.space.group(group)?;
        let block = volume.group(group).ok_or_else(EUCLEAN)?.inode_bitmap();
        self.bitmap(
            block,
            &state.inodes,
            &volume.space.available_inodes,
            |bytes| {
                check_inodes(volume, group, bytes)?;
                Ok(bitmap::count_clear(
                    bytes,
                    volume.disk.geometry.inodes_per_group(),
                ))
            },
        )
    }

    /// Reads a bitmap. The first time `check` looks at it and counts its clear bits.
    fn bitmap(
        &self,
        block: u32,
        count: &space::Count,
        total: &Atomic<i64>,
        check: impl FnOnce(&[u8]) -> ondisk::error::Result<u32>,
    ) -> Result<Buffer> {
        if count.trust() == Trust::Bad {
            return Err(EUCLEAN());
        }
        let buffer = self.read(block.into()).inspect_err(|_| {
            self.report(format_args!("block {block}: cannot read the bitmap"));
        })?;
        if count.trust() == Trust::Good {
            return Ok(buffer);
        }
        let checked = check(buffer.bytes());
        let (trust, free) = match &checked {
            Ok(free) => (Trust::Good, *free),
            Err(_) => (Trust::Bad, 0),
        };
        let said = count.settle(trust, free);
        space::add(total, i64::from(free).saturating_sub(said.into()));
        let place = Place {
            ino: 0,
            block: block.into(),
        };
        checked.map_err(|error| self.damaged(place, &error))?;
        // After a crash the counts are expected to be out of date.
        if said != free && self.data().disk.state & STATE_VALID != 0 {
            self.report(format_args!(
                "block {block}: the bitmap has {free} free, its descriptor said {said}"
            ));
        }
        Ok(buffer)
    }

    /// Writes the counts of free blocks and inodes into the (then dirty) buffers of descriptors and superblock.
    pub(super) fn store_counts(&self) -> Result {
        let volume = self.data();
        let geometry = &volume.disk.geometry;
        let per_block = geometry.desc_per_block();
        for desc_block in 0..geometry.desc_blocks() {
            let first = desc_block.saturating_mul(per_block);
            let groups = first..first.saturating_add(per_block).min(geometry.group_count());
            self.store_groups(desc_block, groups)?;
        }
        let sum = |count: fn(&Group) -> u32| {
            volume
                .space
                .groups
                .iter()
                .map(|group| u64::from(count(group)))
                .fold(0, u64::saturating_add)
        };
        let blocks = u32::try_from(sum(|group| group.blocks.free())).unwrap_or(u32::MAX);
        let inodes = u32::try_from(sum(|group| group.inodes.free())).unwrap_or(u32::MAX);
        self.change_superblock(|raw| raw.set_free(blocks, inodes, task::wall_seconds()));
        Ok(())
    }

    /// Writes the counts of the groups of one block of descriptors, if they changed.
    fn store_groups(&self, desc_block: u32, groups: Range<u32>) -> Result {
        let volume = self.data();
        let mut buffer: Option<Buffer> = None;
        for group in groups {
            let state = volume.space.group(group)?;
            if !state.begin_store() {
                continue;
            }
            let held = match buffer.take() {
                Some(buffer) => buffer,
                None => self
                    .read(volume.desc_block(desc_block).into())
                    .inspect_err(|_| state.mark_changed())?,
            };
            let (_, offset) = volume.disk.geometry.desc_place(group);
            let range = offset as usize..offset.saturating_add(DESC_SIZE) as usize;
            held.change_range(range, |bytes| store_group(state, bytes));
            buffer = Some(held);
        }
        Ok(())
    }
}

/// Writes the counts of a group into its descriptor, but not those of a bitmap that is not believed.
fn store_group(state: &Group, bytes: &mut [u8]) {
    let Some(mut raw) = RawGroupDescMut::new(bytes) else {
        return;
    };
    let half = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
    if state.blocks.trust() != Trust::Bad {
        raw.set(BG_FREE_BLOCKS_COUNT, half(state.blocks.free()));
    }
    if state.inodes.trust() != Trust::Bad {
        raw.set(BG_FREE_INODES_COUNT, half(state.inodes.free()));
        raw.set(BG_USED_DIRS_COUNT, half(state.directories()));
    }
}

/// Checks that a bitmap of blocks has what lies in the group and is no file's as in use.
fn check_blocks(volume: &Volume, group: u32, bytes: &[u8]) -> ondisk::error::Result {
    let geometry = &volume.disk.geometry;
    let first = geometry.group_first_block(group);
    let len = geometry.group_blocks(group);
    let end = first.saturating_add(len);
    let check = |start: u32, count: u32| -> ondisk::error::Result {
        let from = start.max(first).saturating_sub(first);
        let to = start.saturating_add(count).min(end).saturating_sub(first);
        match bitmap::next_clear(bytes, to, from) {
            Some(bit) => Err(Corruption::MetadataFree {
                group,
                block: first.saturating_add(bit),
            }
            .into()),
            None => Ok(()),
        }
    };
    check(first, geometry.group_overhead(group))?;
    let own = volume
        .groups
        .get(group as usize..)
        .unwrap_or_default()
        .iter()
        .take(1);
    let all = volume
        .groups
        .iter()
        .take(if volume.scattered { usize::MAX } else { 0 });
    for (start, count) in Iterator::chain(own, all).flat_map(|desc| desc.ranges()) {
        check(start, count)?;
    }
    Ok(())
}

/// Checks that a bitmap of inodes has the reserved ones as in use.
fn check_inodes(volume: &Volume, group: u32, bytes: &[u8]) -> ondisk::error::Result {
    let geometry = &volume.disk.geometry;
    let reserved = geometry.first_ino().saturating_sub(1);
    let first = geometry.inode_number(group, 0);
    let count = reserved
        .saturating_add(1)
        .saturating_sub(first)
        .min(geometry.inodes_per_group());
    match bitmap::next_clear(bytes, count, 0) {
        Some(bit) => Err(Corruption::ReservedFree {
            group,
            ino: first.saturating_add(bit),
        }
        .into()),
        None => Ok(()),
    }
}

impl SuperBlock {
    /// Blocks and inodes that are free, for `statfs(2)`: reserved ones are not, those in quarantine are.
    pub(super) fn free_counts(&self) -> (u64, u64) {
        let space = &self.data().space;
        let read = |counter: &Atomic<i64>| u64::try_from(counter.load(Relaxed)).unwrap_or(0);
        (read(&space.available), read(&space.available_inodes))
    }
}

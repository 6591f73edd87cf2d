// SPDX-License-Identifier: GPL-2.0

//! Where new things should go. Policy only: numbers in, numbers out.
//!
//! A file goes to the group of its directory, its blocks go behind each other in the group of its
//! inode, and a directory goes near its parent as long as that group is not crowded. Directories
//! right below the root, which usually belong to different users or purposes, are spread over the
//! volume (Grigoriy Orlov's way, as in FreeBSD).
//!
//! Nothing here takes anything. Between asking and taking, others may be faster; the caller then
//! asks again.

use super::geometry::Geometry;
use core::{
    num::NonZeroU32,
    ops::Range, //
};

/// What is free and used in one group, or in all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Free blocks.
    pub free_blocks: u32,
    /// Free inodes.
    pub free_inodes: u32,
    /// Directories.
    pub directories: u32,
}

impl Load {
    /// The share of one of `groups` groups.
    fn share(self, groups: NonZeroU32) -> Self {
        Self {
            free_blocks: self.free_blocks / groups,
            free_inodes: self.free_inodes / groups,
            directories: self.directories / groups,
        }
    }
}

/// The groups of a volume and how full they are.
pub struct Groups<'a, F> {
    geometry: &'a Geometry,
    count: NonZeroU32,
    average: Load,
    load: F,
}

impl<'a, F: Fn(u32) -> Load> Groups<'a, F> {
    /// The groups of a volume whose free and used things are `total` in all, and `load` of a group.
    pub fn new(geometry: &'a Geometry, total: Load, load: F) -> Self {
        let count = NonZeroU32::new(geometry.group_count()).unwrap_or(NonZeroU32::MIN);
        Self {
            geometry,
            count,
            average: total.share(count),
            load,
        }
    }

    /// All groups, beginning with `first` and wrapping around.
    fn from(&self, first: u32) -> impl Iterator<Item = u32> {
        let count = self.count;
        let first = first % count;
        (first..count.get()).chain(0..first)
    }

    /// The group for a directory right below the root: the one with the fewest directories among
    /// those that have no less room than others. `random` decides between equals.
    ///
    /// `None` if no inode is free.
    pub fn for_top_directory(&self, random: u32) -> Option<u32> {
        let roomy = |load: &Load| {
            load.free_inodes > 0
                && load.free_inodes >= self.average.free_inodes
                && load.free_blocks >= self.average.free_blocks
        };
        self.from(random)
            .map(|group| (group, (self.load)(group)))
            .filter(|(_, load)| roomy(load))
            .min_by_key(|(_, load)| load.directories)
            .map(|(group, _)| group)
            .or_else(|| self.any(random))
    }

    /// The group for a directory inside one of group `parent`: the first from there on that is not
    /// crowded with directories and not much fuller than others.
    ///
    /// `None` if no inode is free.
    pub fn for_directory(&self, parent: u32) -> Option<u32> {
        let inodes = self.geometry.inodes_per_group();
        let blocks = self.geometry.blocks_per_group();
        let most_directories = self.average.directories.saturating_add(inodes / 16);
        let least_inodes = self.average.free_inodes.saturating_sub(inodes / 4).max(1);
        let least_blocks = self.average.free_blocks.saturating_sub(blocks / 4);
        self.from(parent)
            .find(|&group| {
                let load = (self.load)(group);
                load.directories <= most_directories
                    && load.free_inodes >= least_inodes
                    && load.free_blocks >= least_blocks
            })
            .or_else(|| self.any(parent))
    }

    /// The group for a file inside a directory of group `parent`: that one, or else one that
    /// `seed`, the same for all files of the directory, leads to, so that they stay together.
    ///
    /// `None` if no inode is free.
    pub fn for_file(&self, parent: u32, seed: u32) -> Option<u32> {
        let usable = |group: &u32| {
            let load = (self.load)(*group);
            load.free_inodes > 0 && load.free_blocks > 0
        };
        let count = self.count;
        let jumps = (0..u32::BITS).map(|bit| 1u32.wrapping_shl(bit));
        Some(parent % count)
            .filter(usable)
            .or_else(|| {
                jumps
                    .take_while(|&jump| jump < count.get())
                    .map(|jump| parent.wrapping_add(seed).wrapping_add(jump) % count)
                    .find(usable)
            })
            .or_else(|| self.any(parent))
    }

    /// The first group from `first` on that has a free inode.
    fn any(&self, first: u32) -> Option<u32> {
        self.from(first)
            .find(|&group| (self.load)(group).free_inodes > 0)
    }
}

/// A block of a file that has its place on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Block of the file.
    pub file_block: u64,
    /// Block on disk.
    pub block: u32,
}

/// The block on disk at which `file_block` would be best.
///
/// That is where it continues `before`, the nearest block before it that has a place; otherwise the
/// group `home` of the inode, at one of 16 starting points that `writer` (any number that differs
/// between concurrent writers) chooses, so that they do not get in each other's way, and at the
/// beginning of a stripe of `stripe` blocks.
pub fn block_goal(
    geometry: &Geometry,
    before: Option<Placed>,
    file_block: u64,
    home: u32,
    writer: u32,
    stripe: u32,
) -> u32 {
    let continued = before.and_then(|placed| {
        let distance = file_block.checked_sub(placed.file_block)?;
        let goal = placed.block.checked_add(u32::try_from(distance).ok()?)?;
        // Over a hole that is longer than a group, nearness means nothing.
        (distance < u64::from(geometry.blocks_per_group()) && goal < geometry.blocks_count())
            .then_some(goal)
    });
    continued.unwrap_or_else(|| {
        let first = geometry.group_first_block(home);
        let part = geometry.group_blocks(home) / 16;
        let start = first.saturating_add((writer % 16).saturating_mul(part));
        align_up(start, stripe)
            .filter(|&aligned| geometry.block_place(aligned).map(|(group, _)| group) == Some(home))
            .unwrap_or(start)
    })
}

/// The first multiple of `unit` at or behind `block`; `None` if there is no unit or no such block.
fn align_up(block: u32, unit: u32) -> Option<u32> {
    block.checked_next_multiple_of(unit)
}

/// Fewest blocks of a reservation window.
pub const WINDOW_MIN: u32 = 8;

/// Most blocks of a reservation window: what a pointer block of 4 KiB maps.
pub const WINDOW_MAX: u32 = 1024;

/// Blocks for the next window of a file whose last one had `len` blocks, of which it used `used`: more
/// for a file that grows fast.
pub fn next_window_len(len: u32, used: u32) -> u32 {
    let grown = match used > len / 2 {
        true => len.saturating_mul(2),
        false => len,
    };
    grown.clamp(WINDOW_MIN, WINDOW_MAX)
}

/// Where a window of `len` blocks fits between those of others.
///
/// `taken` are the windows that there are, ascending and without overlap; `inside` is where to look.
/// Gives back the first gap with room for it, cut to `len`; `None` without one.
pub fn place_window(
    taken: impl IntoIterator<Item = Range<u32>>,
    inside: Range<u32>,
    len: u32,
) -> Option<Range<u32>> {
    let mut start = inside.start;
    for window in taken {
        if window.end <= start {
            continue;
        }
        if window.start.saturating_sub(start) >= len || window.start >= inside.end {
            break;
        }
        start = window.end;
    }
    let end = start.checked_add(len)?;
    (len > 0 && end <= inside.end).then_some(start..end)
}

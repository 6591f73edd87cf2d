// SPDX-License-Identifier: GPL-2.0

//! What is kept for a mounted volume, and what happens when it turns out to be damaged.

use super::{
    ondisk::{
        self,
        error::Corruption,
        group::GroupDesc,
        superblock::{OnError, Superblock},
    },
    options::Options,
    SuperBlock,
};
use crate::vfs::errno::EUCLEAN;
use core::fmt;
use kernel::{
    prelude::*,
    sync::atomic::{ordering, Atomic},
};

/// Lines in the log about one volume before it falls silent: a damaged one must not flood the log.
const MAX_REPORTS: u32 = 100;

/// A mounted volume.
pub(crate) struct Volume {
    /// The superblock, checked.
    pub(super) disk: Superblock,
    /// The options of the mount.
    options: Options,
    /// The groups' descriptors, checked.
    pub(super) groups: KVVec<GroupDesc>,
    /// Some group has its bitmaps or inode table in another group.
    pub(super) scattered: bool,
    /// Blocks that no file can have: superblocks, descriptors, bitmaps, inode tables.
    pub(super) overhead: u64,
    /// How many lines about damage have been logged.
    reports: Atomic<u32>,
}

/// Where damage was found. Zero for a number that does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The inode.
    pub(super) ino: u64,
    /// The block of the volume.
    pub(super) block: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ino != 0 {
            write!(f, "inode {}: ", self.ino)?;
        }
        if self.block != 0 {
            write!(f, "block {}: ", self.block)?;
        }
        Ok(())
    }
}

impl Volume {
    /// A volume as it is right after mounting.
    pub(super) fn new(disk: Superblock, options: Options, groups: KVVec<GroupDesc>) -> Self {
        let geometry = &disk.geometry;
        let in_group = |(group, desc): (usize, &GroupDesc)| {
            let first = geometry.group_first_block(group as u32);
            let end = first.saturating_add(geometry.group_blocks(group as u32));
            desc.ranges().iter().all(|(start, len)| *start >= first && start.saturating_add(*len) <= end)
        };
        let scattered = !groups.iter().enumerate().all(in_group);
        let per_group = u64::from(geometry.inode_table_blocks()).saturating_add(2);
        let overhead = (0..geometry.group_count())
            .map(|group| u64::from(geometry.group_overhead(group)).saturating_add(per_group))
            .fold(u64::from(geometry.first_data_block()), u64::saturating_add);
        Self { disk, options, groups, scattered, overhead, reports: Atomic::new(0) }
    }

    /// The options in force.
    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// The descriptor of a group.
    pub(super) fn group(&self, group: u32) -> Option<&GroupDesc> {
        self.groups.get(group as usize)
    }

    /// Checks that `len` blocks from `block` can belong to a file: on the volume, and none of its metadata.
    pub(super) fn check_run(&self, block: u32, len: u32) -> ondisk::error::Result {
        let geometry = &self.disk.geometry;
        geometry.check_data_run(block, len)?;
        let last = block.saturating_add(len.saturating_sub(1));
        let taken = |group: u32| self.group(group).is_some_and(|desc| desc.contains(block, len));
        let on_metadata = match (geometry.block_place(block), geometry.block_place(last)) {
            (Some((first, _)), Some((end, _))) if !self.scattered => (first..=end).any(taken),
            _ => (0..geometry.group_count()).any(taken),
        };
        if on_metadata || geometry.overlaps_reserved(block, len) {
            return Err(Corruption::BlockOutOfRange { block, len, limit: geometry.blocks_count() }.into());
        }
        Ok(())
    }

    /// What to do when the volume turns out to be damaged.
    fn on_error(&self) -> OnError {
        self.options().on_error.unwrap_or(self.disk.on_error)
    }
}

impl SuperBlock {
    /// Logs damage, once and in one line, does what `errors=` asks for, and gives the errno for it: `EUCLEAN`.
    pub(super) fn damaged(&self, place: Place, what: &ondisk::error::Error) -> Error {
        let volume = self.data();
        let count = volume.reports.fetch_add(1u32, ordering::Relaxed);
        if count < MAX_REPORTS {
            pr_err!("{}: {}\n", self.id(), format_args!("{place}{what}"));
        } else if count == MAX_REPORTS {
            pr_err!("{}: damaged in more places; no more are logged\n", self.id());
        }
        match volume.on_error() {
            OnError::Continue => {}
            OnError::RemountReadOnly => {
                if !self.is_read_only() {
                    pr_err!("{}: no more writing (errors=remount-ro)\n", self.id());
                    self.force_read_only();
                }
            }
            OnError::Panic => crate::vfs::halt(c"rext2: damaged volume, mounted with errors=panic"),
        }
        EUCLEAN()
    }
}

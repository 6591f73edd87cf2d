// SPDX-License-Identifier: GPL-2.0

//! What is kept for a mounted volume, and what happens when it turns out to be damaged.

use super::{
    background::Background,
    held::HeldBlocks,
    name_index::NameIndexes,
    new_links::NewLinks,
    ondisk::{
        self,
        error::Corruption,
        group::GroupDesc,
        superblock::{OnError, Superblock},
    },
    options::Options,
    orphan::Orphans,
    record::Record,
    space::Space,
    zones::Zones,
    SuperBlock,
};
use crate::vfs::{buffer::Buffer, errno::EUCLEAN};
use core::{cmp::Ordering, fmt};
use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering, Atomic},
        new_mutex, Mutex,
    },
};

/// Lines in the log about one volume before it falls silent: a damaged one must not flood the log.
const MAX_REPORTS: u32 = 100;

/// A mounted volume.
pub(crate) struct Volume {
    /// Goes first: it may be looking at the rest.
    pub(super) background: Background,
    /// The superblock, checked.
    pub(super) disk: Superblock,
    /// The options of the mount.
    options: Pin<KBox<Mutex<Options>>>,
    /// The superblock on disk.
    pub(super) record: Pin<KBox<Record>>,
    /// Block of the superblock that was mounted.
    own_block: u32,
    /// What is free.
    pub(super) space: Pin<KBox<Space>>,
    /// The volume is cut off from its device (`FS_IOC_SHUTDOWN`).
    shut_down: Atomic<bool>,
    /// The groups' descriptors, checked.
    pub(super) groups: KVVec<GroupDesc>,
    /// Some group has its bitmaps or inode table in another group.
    pub(super) scattered: bool,
    /// Where blocks of files can be.
    zones: Zones,
    /// Blocks that no file can have: superblocks, descriptors, bitmaps, inode tables.
    pub(super) overhead: u64,
    /// Inodes that no name leads to while they are open.
    pub(super) orphans: Orphans,
    /// Numbers of the files that have to be committed.
    pub(super) uncommitted: Pin<KBox<Mutex<KVVec<u32>>>>,
    /// Held by who commits them: what is not on the list any more is committed when it is free.
    pub(super) committing: Pin<KBox<Mutex<()>>>,
    /// Directory blocks that are not to be written yet.
    pub(super) held: Pin<KBox<HeldBlocks>>,
    /// Names that files got beside others, and that the disk may not have.
    pub(super) links: Pin<KBox<NewLinks>>,
    /// Where names stand in large directories.
    pub(super) names: Pin<KBox<NameIndexes>>,
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

impl Place {
    /// An inode, wherever it stands.
    pub(super) fn inode(ino: u32) -> Self {
        Self {
            ino: ino.into(),
            block: 0,
        }
    }
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
    /// A volume as it is right after mounting. `record` is the block of its superblock, which begins at byte
    /// `offset`. `ENOMEM`.
    pub(super) fn new(
        disk: Superblock,
        options: Options,
        groups: KVVec<GroupDesc>,
        (record, offset): (Buffer, usize),
        background: Background,
    ) -> Result<Self> {
        let geometry = &disk.geometry;
        let in_group = |(group, desc): (usize, &GroupDesc)| {
            let first = geometry.group_first_block(group as u32);
            let end = first.saturating_add(geometry.group_blocks(group as u32));
            desc.ranges()
                .iter()
                .all(|(start, len)| *start >= first && start.saturating_add(*len) <= end)
        };
        let scattered = !groups.iter().enumerate().all(in_group);
        let per_group = u64::from(geometry.inode_table_blocks()).saturating_add(2);
        let overhead = (0..geometry.group_count())
            .map(|group| u64::from(geometry.group_overhead(group)).saturating_add(per_group))
            .fold(u64::from(geometry.first_data_block()), u64::saturating_add);
        let orphans = Orphans::new()?;
        Ok(Self {
            background,
            zones: Zones::new(geometry, &groups, scattered)?,
            uncommitted: KBox::pin_init(new_mutex!(KVVec::new(), "rext2_uncommitted"), GFP_KERNEL)?,
            committing: KBox::pin_init(new_mutex!((), "rext2_committing"), GFP_KERNEL)?,
            options: KBox::pin_init(new_mutex!(options, "rext2_options"), GFP_KERNEL)?,
            own_block: u32::try_from(record.block())?,
            held: HeldBlocks::new()?,
            links: NewLinks::new()?,
            names: NameIndexes::new()?,
            record: Record::new(record, offset)?,
            space: Space::new(&disk, &groups)?,
            shut_down: Atomic::new(false),
            disk,
            groups,
            scattered,
            overhead,
            orphans,
            reports: Atomic::new(0),
        })
    }

    /// The options in force.
    pub(super) fn options(&self) -> Options {
        *self.options.lock()
    }

    /// Changes the options.
    pub(super) fn set_options(&self, options: &Options) {
        *self.options.lock() = *options;
    }

    /// The block that holds that block of descriptors.
    pub(super) fn desc_block(&self, number: u32) -> u32 {
        self.disk.geometry.desc_block(number, self.own_block)
    }

    /// Cuts the volume off from its device: no contents of files are written any more, nor anything that leads to them
    /// changed. What is dirty in the device's page cache is the kernel's affair.
    pub(super) fn shut_down(&self) {
        self.shut_down.store(true, ordering::Release);
    }

    /// Whether the volume is cut off from its device.
    pub(super) fn is_shut_down(&self) -> bool {
        self.shut_down.load(ordering::Acquire)
    }

    /// The descriptor of a group.
    pub(super) fn group(&self, group: u32) -> Option<&GroupDesc> {
        self.groups.get(group as usize)
    }

    /// Checks that `len` blocks from `block` can belong to a file: on the volume, and none of its metadata.
    #[inline]
    pub(super) fn check_run(&self, block: u32, len: u32) -> ondisk::error::Result {
        match self.zones.contains(&self.disk.geometry, block, len) {
            true => Ok(()),
            false => self.check_run_closely(block, len),
        }
    }

    /// The same for a run that may be anywhere.
    fn check_run_closely(&self, block: u32, len: u32) -> ondisk::error::Result {
        let geometry = &self.disk.geometry;
        geometry.check_data_run(block, len)?;
        let last = block.saturating_add(len.saturating_sub(1));
        let taken = |group: u32| {
            self.group(group)
                .is_some_and(|desc| desc.contains(block, len))
        };
        let on_metadata = match (geometry.block_place(block), geometry.block_place(last)) {
            (Some((first, _)), Some((end, _))) if !self.scattered => (first..=end).any(taken),
            _ => (0..geometry.group_count()).any(taken),
        };
        if on_metadata || geometry.overlaps_reserved(block, len) {
            return Err(Corruption::BlockOutOfRange {
                block,
                len,
                limit: geometry.blocks_count(),
            }
            .into());
        }
        Ok(())
    }

    /// What to do when the volume turns out to be damaged.
    fn on_error(&self) -> OnError {
        self.options().on_error.unwrap_or(self.disk.on_error)
    }
}

impl SuperBlock {
    /// Logs damage in one line, does what `errors=` asks for, and gives the errno for it: `EUCLEAN`. Sleeps.
    pub(super) fn damaged(&self, place: Place, what: &ondisk::error::Error) -> Error {
        self.trace_damage(place.ino, place.block);
        self.report(format_args!("{place}{what}"));
        if !self.is_read_only() {
            self.record_damage(place);
        }
        match self.data().on_error() {
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

    /// Logs a line about the volume, until there were too many.
    pub(super) fn report(&self, line: fmt::Arguments<'_>) {
        let count = self.data().reports.fetch_add(1u32, ordering::Relaxed);
        match count.cmp(&MAX_REPORTS) {
            Ordering::Less => pr_err!("{}: {}\n", self.id(), line),
            Ordering::Equal => {
                pr_err!(
                    "{}: damaged in more places; no more are logged\n",
                    self.id()
                );
            }
            Ordering::Greater => {}
        }
    }

    /// Whether something new may be written: `EIO` if the volume is cut off from its device, `EROFS` if it has become
    /// read-only under its users, because it is damaged or was remounted by force.
    pub(super) fn check_writes(&self) -> Result {
        self.check_live()?;
        if self.is_read_only() && !self.data().orphans.is_reclaiming() {
            return Err(EROFS);
        }
        Ok(())
    }

    /// Fails with `EIO` if the volume is cut off from its device.
    pub(super) fn check_live(&self) -> Result {
        if self.data().is_shut_down() {
            Err(EIO)
        } else {
            Ok(())
        }
    }
}

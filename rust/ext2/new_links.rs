// SPDX-License-Identifier: GPL-2.0

//! Names that files got beside others, and that the disk may not have yet.
//!
//! Who links a file to a new name and then removes the old one has moved it: if the disk had the block that lost the old name
//! and not the one that got the new one, a power cut would leave the file without a name. So the new names are remembered
//! until the volume is synced, and the block that loses a name is [held back](super::held) until they are durable.

use super::{held_lists::Leaving, Inode, SuperBlock};
use kernel::{new_mutex, prelude::*, sync::Mutex};

/// How many are remembered before they are made durable, with one flush for all.
const MOST: usize = 256;

/// A name.
#[derive(Clone, Copy, Debug)]
struct NewLink {
    /// The file.
    ino: u32,
    /// The directory.
    dir: u32,
    /// The block of the volume in which the name stands.
    block: u64,
    /// The first sync of the volume that finds it.
    sync: u64,
    /// How many were remembered before it.
    serial: u64,
}

struct List {
    links: KVec<NewLink>,
    /// How many were remembered in all.
    count: u64,
}

/// The new names on a volume.
#[pin_data]
pub(super) struct NewLinks {
    #[pin]
    list: Mutex<List>,
}

impl NewLinks {
    /// None yet. `ENOMEM`.
    pub(super) fn new() -> Result<Pin<KBox<Self>>> {
        let list = List {
            links: KVec::with_capacity(MOST, GFP_KERNEL)?,
            count: 0,
        };
        let links = pin_init!(Self { list <- new_mutex!(list, "rext2_links") });
        KBox::pin_init(links, GFP_KERNEL)
    }

    /// The `nth` of those that `is_meant` chooses.
    fn nth(&self, nth: usize, is_meant: impl Fn(&NewLink) -> bool) -> Option<NewLink> {
        let list = self.list.lock();
        let found = list.links.iter().filter(|link| is_meant(link)).nth(nth);
        found.copied()
    }

    /// Forgets those that a sync of the volume has made durable.
    pub(super) fn forget_synced(&self, sync: u64) {
        self.list.lock().links.retain(|link| link.sync > sync);
    }

    /// Adds a name, if there is room.
    fn add(&self, mut link: NewLink) -> bool {
        let mut list = self.list.lock();
        link.serial = list.count;
        let added = list.links.push_within_capacity(link).is_ok();
        list.count = list.count.wrapping_add(u64::from(added));
        added
    }
}

impl SuperBlock {
    /// `inode` was entered under one more name, in block `block` of `dir`, which is locked for writing. If too many such
    /// names are remembered they are made durable. Sleeps; `EIO`, `ENOSPC`, `ENOMEM`: then it is not remembered.
    pub(super) fn note_link(&self, inode: &Inode, dir: &Inode, block: u64) -> Result {
        let link = NewLink {
            ino: u32::try_from(inode.ino())?,
            dir: u32::try_from(dir.ino())?,
            block,
            sync: self.data().held.next_sync(),
            serial: 0,
        };
        let links = &self.data().links;
        if links.add(link) {
            return Ok(());
        }
        let last = links.list.lock().count;
        let (mut nth, mut next) = (0, Some(link));
        while let Some(link) = next {
            self.await_name(link.dir, link.block)?;
            next = links.nth(nth, |link| link.serial < last);
            nth = nth.saturating_add(1);
        }
        self.release_held()?;
        links.list.lock().links.retain(|link| link.serial >= last);
        Ok(())
    }

    /// A name of `inode`, which has others, is about to leave block `index` of `from`, which is held back if the disk may
    /// not have the others yet. The directory is locked for writing. Sleeps; `EIO`, `ENOSPC`, `ENOMEM`, `EBUSY`.
    pub(super) fn hold_for_links(&self, inode: &Inode, from: Leaving<'_>) -> Result {
        let ino = u32::try_from(inode.ino())?;
        let links = &self.data().links;
        let mut count = 0;
        while let Some(link) = links.nth(count, |link| link.ino == ino) {
            self.hold(inode, from, (link.dir, link.block))?;
            count = count.saturating_add(1);
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Orphans: inodes that no name leads to while somebody still has them open.
//!
//! On disk they are a list: the superblock's `s_last_orphan` names the newest, and the `i_dtime` of each the next
//! older one. After a crash the mount (or `e2fsck`) deletes what is on it. Most files are deleted as soon as their
//! last name goes; an inode enters the list only when it is *written* without links, so that those never do.

use super::{ondisk::fields::S_LAST_ORPHAN, Inode, SuperBlock};
use crate::vfs::sync::NoFsScope;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic},
        Mutex,
    },
};

/// The neighbours of an orphan on the list; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    newer: u32,
    older: u32,
}

#[derive(Default)]
struct List {
    newest: u32,
    members: RBTree<u32, Links>,
}

/// The orphans of a mounted volume.
pub(crate) struct Orphans {
    list: Pin<KBox<Mutex<List>>>,
    /// Those of an earlier mount are being deleted, while the volume may still count as read-only.
    reclaiming: Atomic<bool>,
}

impl Orphans {
    /// An empty list. Fails with `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let list = List {
            newest: 0,
            members: RBTree::new(),
        };
        Ok(Self {
            list: KBox::pin_init(new_mutex!(list), GFP_KERNEL)?,
            reclaiming: Atomic::new(false),
        })
    }

    /// Whether those of an earlier mount are being deleted.
    pub(super) fn is_reclaiming(&self) -> bool {
        self.reclaiming.load(Relaxed)
    }

    /// The beginning of the list; 0 if it is empty.
    pub(super) fn newest(&self) -> u32 {
        self.list.lock().newest
    }

    /// What `i_dtime` of an orphan is to say; `None` for an inode that is none.
    pub(super) fn older_than(&self, ino: u32) -> Option<u32> {
        let list = self.list.lock();
        list.members.get(&ino).map(|links| links.older)
    }

    /// Puts an inode on the list, once; `publish` is told the new beginning of the list. Fails with `ENOMEM`.
    fn add(&self, ino: u32, publish: impl FnOnce(u32)) -> Result {
        // Reclaim may delete an inode, and comes for the list then.
        let _scope = NoFsScope::new();
        let mut list = self.list.lock();
        if list.members.get(&ino).is_some() {
            return Ok(());
        }
        let older = list.newest;
        list.members
            .try_create_and_insert(ino, Links { newer: 0, older }, GFP_KERNEL)?;
        if let Some(links) = list.members.get_mut(&older) {
            links.newer = ino;
        }
        list.newest = ino;
        publish(ino);
        Ok(())
    }

    /// Takes an inode off the list; `publish` is told the beginning of the list if that changed. Gives the number of
    /// the next newer one, whose `i_dtime` has to be written; 0 for none. `None` if the inode was not on the list.
    fn remove(&self, ino: u32, publish: impl FnOnce(u32)) -> Option<u32> {
        let mut list = self.list.lock();
        let links = list.members.remove(&ino)?;
        if let Some(older) = list.members.get_mut(&links.older) {
            older.newer = links.newer;
        }
        match list.members.get_mut(&links.newer) {
            Some(newer) => newer.older = links.older,
            None => {
                list.newest = links.older;
                publish(links.older);
            }
        }
        Some(links.newer)
    }
}

/// Puts an inode without links on the list, before it is written. Fails with `ENOMEM`.
pub(super) fn add(inode: &Inode) -> Result {
    let sb = inode.sb();
    sb.data()
        .orphans
        .add(u32::try_from(inode.ino())?, |newest| publish(sb, newest))
}

/// Has the superblock say where the list begins. The list's lock is held, so that the last word is the right one.
fn publish(sb: &SuperBlock, newest: u32) {
    sb.change_superblock(|raw| raw.set(S_LAST_ORPHAN, newest));
}

/// Takes an inode off the list if it is there: it is deleted, or has got a name again. Has the next newer one, which
/// is still open, written, because another follows it now, and gives it. Sleeps; `EIO`.
///
/// One that is being deleted too needs no more than that, and is not waited for: that may be waiting for a freeze, and the
/// freeze for us.
pub(super) fn remove(inode: &Inode) -> Result<Option<ARef<Inode>>> {
    let sb = inode.sb();
    let Some(newer) = sb
        .data()
        .orphans
        .remove(u32::try_from(inode.ino())?, |newest| publish(sb, newest))
    else {
        return Ok(None);
    };
    let newer = if newer == 0 {
        None
    } else {
        sb.find_live_inode(newer.into())
    };
    if let Some(newer) = &newer {
        newer.mark_dirty();
    }
    Ok(newer)
}

/// The number of the next older one if that inode is an orphan of this mount and still open: the volume was made read-only
/// by force meanwhile.
pub(super) fn older_than_open(sb: &SuperBlock, ino: u32) -> Option<u32> {
    let older = sb.data().orphans.older_than(ino)?;
    sb.find_inode(ino.into()).map(|_| older)
}

/// Deletes the inode of that number, which the disk says is an orphan, or cuts off what is behind its end if it has
/// links after all (another driver's habit). Gives the number of the next one; 0 at the end. For the mount, before
/// anybody uses the volume; the list may lead in a circle. `EUCLEAN` ends it.
pub(super) fn reclaim(sb: &SuperBlock, ino: u32) -> Result<u32> {
    let reclaiming = &sb.data().orphans.reclaiming;
    reclaiming.store(true, Relaxed);
    let next = reclaim_one(sb, ino);
    reclaiming.store(false, Relaxed);
    next
}

fn reclaim_one(sb: &SuperBlock, ino: u32) -> Result<u32> {
    let (inode, next) = super::inode::get_orphan(sb, ino)?;
    if inode.links() != 0 {
        super::file::cut_past_end(&inode)?;
    }
    // One that was deleted, and the superblock not written since, says when.
    let in_range = next <= sb.data().disk.geometry.inodes_count();
    Ok(if in_range { next } else { 0 })
}

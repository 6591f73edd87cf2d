// SPDX-License-Identifier: GPL-2.0

//! What `fsync` of a directory has to write beside the directory: the files that were made in it since the last one,
//! without which its names would lead nowhere after a crash.

use super::{batch::Batch, commit::Extents, inode_write, ondisk::inode::Kind, Inode, SuperBlock};
use crate::vfs::task;
use core::ops::RangeInclusive;
use kernel::{prelude::*, sync::aref::ARef};

/// How many ranges are kept. Files that one task makes in a directory get numbers in a row: few ranges are many files.
const MAX: usize = 256;

/// Numbers of files that were made in a directory and may not be on disk yet. There may be others among them.
pub(crate) struct Children(KVec<RangeInclusive<u32>>);

impl Children {
    pub(super) fn new() -> Self {
        Self(KVec::new())
    }

    /// Remembers a file. Fails with `ENOMEM`.
    fn note(&mut self, ino: u32) -> Result {
        let far = |range: &RangeInclusive<u32>| {
            let before = range.start().saturating_sub(ino);
            before.max(ino.saturating_sub(*range.end()))
        };
        let near = |range: &&mut RangeInclusive<u32>| far(range) <= 1;
        let range = match self.0.len() < MAX {
            true => self.0.iter_mut().rev().find(near),
            false => self.0.iter_mut().min_by_key(|range| far(range)),
        };
        match range {
            Some(range) => *range = ino.min(*range.start())..=ino.max(*range.end()),
            None => self.0.push(ino..=ino, GFP_KERNEL)?,
        }
        Ok(())
    }
}

/// Remembers that `child` was made in `dir`. Fails with `ENOMEM`.
pub(super) fn note(dir: &Inode, child: &Inode) -> Result {
    let ino = u32::try_from(child.ino())?;
    dir.data().children.lock().note(ino)
}

/// Writes the files that were made in `dir` since the last call, and waits: their inodes and, of directories and
/// symbolic links, their blocks. For `fsync` of `dir`, which holds [`Node::syncing`](super::inode::Node), before its own
/// blocks are written; those are committed here, with the same flush. Sleeps; `EIO`.
pub(super) fn sync(dir: &Inode) -> Result {
    let children = core::mem::replace(&mut *dir.data().children.lock(), Children::new());
    let result = write(dir, &children);
    if result.is_err() {
        let mut list = dir.data().children.lock();
        for range in children.0 {
            list.0.push(range, GFP_KERNEL)?;
        }
    }
    result
}

/// The file of that number. One that left memory was stored before, and one without links need not last.
fn live(sb: &SuperBlock, ino: u32) -> Option<ARef<Inode>> {
    sb.find_inode(ino.into()).filter(|child| child.links() != 0)
}

/// Between two of many numbers: others may run, and one who was killed ends (`EINTR`).
fn pause() -> Result {
    task::may_reschedule();
    match task::is_dying() {
        true => Err(EINTR),
        false => Ok(()),
    }
}

/// Whether what the file holds is in buffers, which no other `fsync` writes: a directory's names, a symbolic link's target.
fn is_in_buffers(child: &Inode) -> bool {
    matches!(
        Kind::from_mode(child.mode()),
        Some(Kind::Directory | Kind::Symlink)
    )
}

fn write(dir: &Inode, children: &Children) -> Result {
    let sb = dir.sb();
    let numbers = || children.0.iter().flat_map(Clone::clone);
    let mut batch = Batch::new(Extents::All);
    for ino in numbers() {
        pause()?;
        if let Some(child) = live(sb, ino).filter(|child| is_in_buffers(child)) {
            batch.add(child);
        }
    }
    batch.add(dir.into());
    batch.commit(sb)?;
    for ino in numbers() {
        pause()?;
        if let Some(child) = live(sb, ino) {
            if is_in_buffers(&child) {
                child.sync_metadata()?;
            }
            inode_write::store(&child)?;
        }
    }
    inode_write::write_table(sb, numbers())
}

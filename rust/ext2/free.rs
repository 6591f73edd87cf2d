// SPDX-License-Identifier: GPL-2.0

//! Taking blocks and inodes back. Why that takes two steps: see [`quarantine`](super::quarantine).

use super::{
    alloc::Run32,
    ondisk::{bitmap, error::Corruption},
    quarantine::FreedInode,
    space,
    volume::Place,
    SuperBlock,
};
use crate::vfs::{errno::EOPNOTSUPP, lost_writes::LostBlocks, sync::NoFsScope, task};
use core::ops::Range;
use kernel::prelude::*;

/// For how many seconds what is freed waits for a sync, before it is given out again without one.
const DELAY: u32 = 15;

/// Of a volume: when more than one such part of it waits, that is not put off.
const SHARE: u64 = 16;

impl SuperBlock {
    /// Takes back blocks that nothing in memory points to any more, while the disk still may. The caller has cleared
    /// the pointers in their (dirty) buffers. They are given out again after the next [`quiesce`](Self::quiesce).
    pub(super) fn free_run(&self, start: u32, len: u32) {
        for run in self.checked_parts(start, len) {
            space::add(&self.data().space.available, run.len.into());
            let (added, waiting) = {
                let mut quarantine = self.data().space.quarantine.lock();
                (quarantine.add_run(run), quarantine.blocks())
            };
            match added {
                Ok(()) => self.ask_to_quiesce(waiting, run.len.into()),
                // Without memory to remember them they are freed for good now.
                Err(_) => self.settle_then(|sb| sb.return_checked(run)),
            }
        }
    }

    /// Takes back blocks that never were reachable on disk: they can be given out again at once.
    pub(super) fn return_run(&self, start: u32, len: u32) {
        for run in self.checked_parts(start, len) {
            // A block of pointers or names that was not used after all must not be written over its next contents.
            self.forget_blocks(run.start.into(), run.len.into());
            space::add(&self.data().space.available, run.len.into());
            self.return_checked(run);
        }
    }

    /// The same for blocks that were reserved: they stay set aside. Gives how many.
    pub(super) fn return_reserved(&self, start: u32, len: u32) -> u64 {
        let parts = self.checked_parts(start, len).map(|run| {
            self.forget_blocks(run.start.into(), run.len.into());
            u64::from(self.clear_blocks(run).unwrap_or(0))
        });
        parts.fold(0, u64::saturating_add)
    }

    /// The parts of a run in each group, without those that are no file's.
    fn checked_parts(&self, start: u32, len: u32) -> impl Iterator<Item = Run32> + '_ {
        let mut rest = Run32 { start, len };
        let parts = core::iter::from_fn(move || {
            let (part, left) = self.split_at_group(rest)?;
            rest = left;
            Some(part)
        });
        parts.filter(|run| {
            let checked = self.data().check_run(run.start, run.len);
            let place = Place {
                ino: 0,
                block: run.start.into(),
            };
            checked.map_err(|error| self.damaged(place, &error)).is_ok()
        })
    }

    /// The part of a run in its first group, and the rest. A run that is not on the volume stays whole, for the
    /// check to find.
    fn split_at_group(&self, run: Run32) -> Option<(Run32, Run32)> {
        if run.len == 0 {
            return None;
        }
        let geometry = &self.data().disk.geometry;
        let len = match geometry.block_place(run.start) {
            Some((_, bit)) => geometry
                .blocks_per_group()
                .saturating_sub(bit)
                .min(run.len)
                .max(1),
            None => run.len,
        };
        let rest = Run32 {
            start: run.start.saturating_add(len),
            len: run.len.saturating_sub(len),
        };
        Some((
            Run32 {
                start: run.start,
                len,
            },
            rest,
        ))
    }

    /// Sees to it that what was freed can be given out again before somebody needs it: `waiting` blocks wait, `added` of
    /// them only now.
    fn ask_to_quiesce(&self, waiting: u64, added: u64) {
        let volume = self.data();
        let share = u64::from(volume.disk.geometry.blocks_count()) / SHARE;
        match waiting > share && waiting.saturating_sub(added) <= share {
            true => volume.background.quiesce.ask_now(),
            false => volume.background.quiesce.ask(DELAY),
        }
    }

    /// What was asked for by [`ask_to_quiesce`](Self::ask_to_quiesce): [`Background::quiesce`](super::background::Background).
    pub(super) fn quiesce_later(&self) {
        // What fails goes on waiting, and whoever needs the space is told why he does not get it.
        if self.check_live().is_ok() && !self.is_read_only() {
            let _ = self.release_held();
            let _ = self.quiesce();
        }
    }

    /// Makes everything freed so far durable on the device, then lets it be given out again; inodes only if no block of
    /// a directory is held back meanwhile. Nothing is written if nothing was freed. Sleeps; `EIO`.
    pub(super) fn quiesce(&self) -> Result {
        self.settle_and_release(false)
    }

    /// Makes everything durable that is dirty in the device's page cache, and lets what was freed before be given
    /// out again. Sleeps; `EIO`.
    pub(super) fn settle_all(&self) -> Result {
        self.settle_and_release(true)
    }

    fn settle_and_release(&self, always: bool) -> Result {
        let space = &self.data().space;
        let mut blocks = space.quiescing.lock();
        let freed = space.quarantine.lock().take();
        if freed.is_empty() && !always {
            return Ok(());
        }
        let _scope = NoFsScope::new();
        let held = &self.data().held;
        let before = held.at_rest();
        if let Err(error) = self.settle(&mut blocks) {
            self.put_back(freed.runs(), freed.inodes());
            return Err(error);
        }
        self.discard_runs(freed.runs());
        for run in freed.runs() {
            self.return_checked(*run);
            task::may_reschedule();
        }
        // The name of such an inode may have been in a block that is held back: then the disk still has it.
        if before.is_none() || held.at_rest() != before {
            self.put_back(&[], freed.inodes());
            return Ok(());
        }
        for inode in freed.inodes() {
            self.return_inode(*inode);
        }
        Ok(())
    }

    /// Makes durable what is dirty in the device's page cache. `blocks` is what `Space::quiescing` guards.
    fn settle(&self, blocks: &mut LostBlocks) -> Result {
        self.settle_device(&self.data().space.lost, blocks)
    }

    /// Makes durable what the device was given. Metadata whose write failed is written again first. Sleeps; `EIO`.
    pub(super) fn make_durable(&self) -> Result {
        if !self.has_lost_writes(&self.data().space.lost) {
            return self.flush_device();
        }
        self.settle_now()
    }

    /// [`settle`](Self::settle) for those who do not hold `Space::quiescing`.
    fn settle_now(&self) -> Result {
        let mut blocks = self.data().space.quiescing.lock();
        let _scope = NoFsScope::new();
        self.settle(&mut blocks)
    }

    /// Puts into quarantine again what could not be settled.
    fn put_back(&self, runs: &[Run32], inodes: &[FreedInode]) {
        let mut quarantine = self.data().space.quarantine.lock();
        let runs = runs.iter().try_for_each(|run| quarantine.add_run(*run));
        let inodes = inodes
            .iter()
            .try_for_each(|inode| quarantine.add_inode(*inode));
        if runs.is_err() || inodes.is_err() {
            self.report(format_args!(
                "freed blocks stay in use until e2fsck is run: out of memory"
            ));
        }
    }

    /// Settles, then does what frees for good.
    fn settle_then(&self, free: impl FnOnce(&Self)) {
        match self.settle_now() {
            Ok(()) => free(self),
            Err(_) => self.report(format_args!(
                "freed blocks stay in use until e2fsck is run: cannot write"
            )),
        }
    }

    /// Clears the bits of a run inside one group. Those that were clear already are damage.
    fn return_checked(&self, run: Run32) {
        let returned = self.clear_blocks(run).unwrap_or(0);
        let wrong = run.len.saturating_sub(returned);
        if wrong > 0 {
            space::add(&self.data().space.available, -i64::from(wrong));
        }
    }

    /// Clears the bits of a run and tells how many were set.
    fn clear_blocks(&self, run: Run32) -> Result<u32> {
        let volume = self.data();
        let (group, bit) = volume.disk.geometry.block_place(run.start).ok_or(EINVAL)?;
        let state = volume.space.group(group)?;
        let _windows = volume.space.lock(group)?;
        let buffer = self.block_bitmap(group)?;
        let (cleared, wrong) =
            buffer.change(|bytes| clear_set(bytes, bit..bit.saturating_add(run.len)));
        state.give_blocks(cleared);
        volume.space.set_bound(u32::MAX);
        if let Some(bit) = wrong {
            let place = Place {
                ino: 0,
                block: buffer.block(),
            };
            self.damaged(place, &Corruption::AlreadyFree { bit }.into());
        }
        Ok(cleared)
    }

    /// Takes an inode number back. The caller has written the inode, deleted, into its (dirty) buffer of the inode
    /// table. It is given out again after the next [`quiesce`](Self::quiesce).
    pub(super) fn free_inode_number(&self, ino: u32, is_dir: bool) {
        if is_dir {
            self.data().names.forget(ino);
        }
        space::add(&self.data().space.available_inodes, 1);
        let inode = FreedInode { ino, is_dir };
        let added = self.data().space.quarantine.lock().add_inode(inode);
        if added.is_err() {
            self.settle_then(|sb| sb.return_inode(inode));
        }
    }

    /// Clears the bit of an inode. One that was clear already is damage.
    fn return_inode(&self, inode: FreedInode) {
        if self.clear_inode(inode).is_err() {
            space::add(&self.data().space.available_inodes, -1);
        }
    }

    fn clear_inode(&self, inode: FreedInode) -> Result {
        let volume = self.data();
        let place = Place::inode(inode.ino);
        let geometry = &volume.disk.geometry;
        let disk = geometry
            .inode_place(inode.ino)
            .map_err(|error| self.damaged(place, &error))?;
        let state = volume.space.group(disk.group)?;
        let _windows = volume.space.lock(disk.group)?;
        let buffer = self.inode_bitmap(disk.group)?;
        let bits = disk.index..disk.index.saturating_add(1);
        buffer
            .change(|bytes| bitmap::give_back(bytes, bits))
            .map_err(|error| self.damaged(place, &error))?;
        state.give_inode(disk.index, inode.is_dir);
        space::add(&volume.space.directories, -i64::from(inode.is_dir));
        Ok(())
    }

    /// Tells the device of blocks that are free on disk and not yet in memory, if the mount asks for that.
    fn discard_runs(&self, runs: &[Run32]) {
        if !self.data().options().discard {
            return;
        }
        for run in runs {
            match self.discard(run.start.into(), run.len.into()) {
                Ok(()) => {}
                Err(error) if error == EOPNOTSUPP() => return,
                // A hint that was not taken changes nothing for the volume.
                Err(_) => self.report(format_args!("block {}: discard failed", run.start)),
            }
        }
    }
}

/// Clears the bits of a range; gives the number of those that were set, and the first that was not.
fn clear_set(bytes: &mut [u8], range: Range<u32>) -> (u32, Option<u32>) {
    let wrong = bitmap::next_clear(bytes, range.end, range.start);
    let mut cleared = 0u32;
    let mut from = range.start;
    while let Some(start) = bitmap::next_set(bytes, range.end, from) {
        let end = bitmap::next_clear(bytes, range.end, start).unwrap_or(range.end);
        // All bits of the part are set, and inside the range.
        if bitmap::give_back(bytes, start..end).is_err() {
            break;
        }
        cleared = cleared.saturating_add(end.saturating_sub(start));
        from = end;
    }
    (cleared, wrong)
}

// SPDX-License-Identifier: GPL-2.0

//! Taking blocks from a file: truncation, holes, deletion.
//!
//! The pointers are cleared first, in memory and in the (dirty) buffers of the pointer blocks and the inode; only then
//! are the blocks given back. They stay in quarantine until the disk has forgotten the pointers too.

use super::{
    assign, commit, inode_write,
    ondisk::{error::Corruption, path},
    state::{MapState, State},
    volume::Place,
    walk::{pointer, Walk},
    Inode,
};
use crate::vfs::{buffer::Buffer, task};
use core::ops::Range;
use kernel::prelude::*;

/// Something that was cut off the file: `len` blocks in a row, each the root of a tree of `height` pointer blocks; data
/// if that is zero.
struct Cut {
    block: u32,
    len: u32,
    height: u32,
}

/// Takes all blocks in `range` (file blocks) from the file. Nothing of them is in the page cache, and nobody brings
/// it there: `i_rwsem` and the invalidate lock are held, or the inode cannot be reached. Sleeps. `EIO`, `ENOMEM`; damage
/// is logged and left out.
pub(super) fn take(inode: &Inode, range: Range<u32>) -> Result {
    let mut cuts = KVVec::new();
    let pruned = prune(inode, range, &mut cuts);
    if cuts.is_empty() {
        return pruned;
    }
    inode_write::store(inode)?;
    let freed = give_back(inode, &cuts);
    inode.add_sectors(assign::sectors(inode, freed).saturating_neg());
    inode.mark_dirty();
    pruned
}

/// The same for all blocks of an inode that is being deleted, has no block of attributes, and says so: it is stored as it
/// stays, once.
pub(super) fn take_all(inode: &Inode) -> Result {
    let mut cuts = KVVec::new();
    let pruned = prune(inode, 0..u32::MAX, &mut cuts);
    if pruned.is_ok() {
        let sectors = i64::try_from(inode.sectors()).unwrap_or(i64::MAX);
        inode.add_sectors(sectors.saturating_neg());
    }
    if !cuts.is_empty() || !inode.data().attributes.is_fresh() {
        inode_write::store(inode)?;
    }
    give_back(inode, &cuts);
    pruned
}

/// Clears the pointers to `range` in memory, and adds to `cuts` what they led to.
fn prune(inode: &Inode, range: Range<u32>, cuts: &mut KVVec<Cut>) -> Result {
    let mut state = inode.data().map.write();
    state.truncations = state.truncations.wrapping_add(1);
    inode.data().runs.forget();
    take_overlay(inode, &mut state, range.clone())?;
    let range = u64::from(range.start)..u64::from(range.end);
    Pruner { inode, range, cuts }.root(&mut state)
}

/// Gives back what was cut off, and tells how many blocks that were.
fn give_back(inode: &Inode, cuts: &[Cut]) -> u32 {
    let mut giver = Giver {
        inode,
        left: inode.sb().data().disk.geometry.blocks_count(),
        freed: 0,
    };
    for cut in cuts {
        giver.cut(cut);
    }
    giver.freed
}

/// Gives back space that was set aside for the file, or chosen, and not used. Its pages are gone, and nobody else has
/// the inode.
pub(super) fn give_back_unused(inode: &Inode) -> Result {
    let mut state = inode.data().map.write();
    if state.is_settled() && state.reserved == 0 {
        return Ok(());
    }
    take_overlay(inode, &mut state, 0..u32::MAX)
}

/// Takes what is ahead of the pointers. None of it can be reached on disk, so that it can be given out again at once.
pub(super) fn take_overlay(inode: &Inode, state: &mut MapState, range: Range<u32>) -> Result {
    let sb = inode.sb();
    let (mut reserved, mut blocks) = (0u64, 0u32);
    state.overlay.take(range, |extent| match extent.state {
        State::Reserved => reserved = reserved.saturating_add(extent.len.into()),
        State::Allocated(disk) | State::Submitted(disk, _) => {
            blocks = blocks.saturating_add(extent.len);
            if !inode.is_regular() {
                sb.forget_blocks(disk.into(), extent.len.into());
            }
            sb.return_run(disk, extent.len);
        }
    })?;
    let reserved = reserved.min(state.reserved);
    state.reserved = state.reserved.saturating_sub(reserved);
    sb.release_blocks(reserved);
    inode.add_sectors(assign::sectors(inode, blocks).saturating_neg());
    commit::settle(inode, state);
    Ok(())
}

/// Takes what is ahead of the pointers in `range` and to which nothing was sent: space that is set aside, and blocks that are
/// chosen. No page there is dirty or on its way.
pub(super) fn take_unsent(inode: &Inode, state: &mut MapState, mut range: Range<u32>) -> Result {
    let unsent = |state: &State| (!matches!(state, State::Submitted(..))).then_some(());
    while let Some((part, ())) = state.first_in(&range, unsent) {
        range.start = part.end;
        // A pass of writeback that goes on must not write there any more.
        state.truncations = state.truncations.wrapping_add(1);
        take_overlay(inode, state, part)?;
    }
    Ok(())
}

/// Cuts subtrees off.
struct Pruner<'a> {
    inode: &'a Inode,
    /// The file blocks to be taken.
    range: Range<u64>,
    cuts: &'a mut KVVec<Cut>,
}

impl Pruner<'_> {
    /// Cuts at the inode's own pointers.
    fn root(&mut self, state: &mut MapState) -> Result {
        let bits = self.inode.block_bits();
        for slot in 0..path::SLOTS {
            let span = path::slot_range(slot, bits);
            let block = pointer(&state.pointers, slot);
            if block == 0 || span.end <= self.range.start || span.start >= self.range.end {
                continue;
            }
            let height = path::slot_height(slot);
            if self.covers(&span) {
                self.cut(block, height)?;
                clear(&mut state.pointers, slot..slot.saturating_add(1));
            } else {
                self.node(block, height, span.start)?;
            }
        }
        Ok(())
    }

    fn covers(&self, span: &Range<u64>) -> bool {
        span.start >= self.range.start && span.end <= self.range.end
    }

    /// Cuts inside the tree of `height` (one at least) under pointer block `block`, whose first file block is `first`.
    fn node(&mut self, block: u32, height: u32, first: u64) -> Result {
        task::may_reschedule();
        let buffer = Walk::new(self.inode).read(block)?;
        let bits = self.inode.block_bits();
        let below = height.saturating_sub(1);
        let count = 1u32 << bits.saturating_sub(2);
        let indices = path::child_range(first, below, count, &self.range, bits);
        let span = path::span(below, bits);
        let mut whole = indices.end..indices.start;
        let mut result = Ok(());
        for index in indices {
            let start = first.saturating_add(span.saturating_mul(index.into()));
            let child = pointer(buffer.bytes(), index);
            if self.covers(&(start..start.saturating_add(span))) {
                if child != 0 {
                    result = self.cut(child, below);
                }
                if result.is_ok() {
                    whole = whole.start.min(index)..index.saturating_add(1);
                }
            } else if child != 0 && below > 0 {
                result = self.node(child, below, start);
            }
            if result.is_err() {
                break;
            }
        }
        // Whatever happened: what was noted as cut off is given back, and nothing may point to it.
        if whole.start < whole.end {
            self.inode
                .change_metadata(&buffer, |bytes| clear(bytes, whole));
        }
        result
    }

    /// Notes what was cut off; data in a row is one.
    fn cut(&mut self, block: u32, height: u32) -> Result {
        if let Some(last) = self.cuts.last_mut() {
            if height == 0 && last.height == 0 && last.block.checked_add(last.len) == Some(block) {
                last.len = last.len.saturating_add(1);
                return Ok(());
            }
        }
        Ok(self.cuts.push(
            Cut {
                block,
                len: 1,
                height,
            },
            GFP_KERNEL,
        )?)
    }
}

/// Clears pointers.
fn clear(bytes: &mut [u8], indices: Range<u32>) {
    let range =
        (indices.start as usize).saturating_mul(4)..(indices.end as usize).saturating_mul(4);
    if let Some(slots) = bytes.get_mut(range) {
        slots.fill(0);
    }
}

/// Gives back what was cut off.
struct Giver<'a> {
    inode: &'a Inode,
    /// Blocks that can still be given back: pointer blocks that claim more than the volume has are damaged.
    left: u32,
    /// Blocks given back.
    freed: u32,
}

impl Giver<'_> {
    /// Gives back a cut. What cannot be read or believed is logged and lost until `e2fsck` finds it.
    fn cut(&mut self, cut: &Cut) {
        match cut.height {
            0 => self.run(cut.block, cut.len),
            height => self.node(cut.block, height),
        }
    }

    fn run(&mut self, block: u32, len: u32) {
        if len == 0 || Walk::new(self.inode).check(block, len).is_err() {
            return;
        }
        if len > self.left {
            let error = Corruption::BlockOutOfRange {
                block,
                len,
                limit: self.left,
            };
            let place = Place {
                ino: self.inode.ino(),
                block: block.into(),
            };
            let _ = self.inode.sb().damaged(place, &error.into());
            self.left = 0;
            return;
        }
        self.left = self.left.saturating_sub(len);
        self.freed = self.freed.saturating_add(len);
        self.inode.sb().free_run(block, len);
    }

    /// Gives back a tree of `height` pointer blocks.
    fn node(&mut self, block: u32, height: u32) {
        if self.left == 0 {
            return;
        }
        task::may_reschedule();
        let Ok(buffer) = Walk::new(self.inode).read(block) else {
            return;
        };
        let count = 1u32 << self.inode.block_bits().saturating_sub(2);
        let mut index = 0;
        while index < count {
            index = match height {
                1 => self.leaf_run(&buffer, index, count),
                _ => {
                    match pointer(buffer.bytes(), index) {
                        0 => {}
                        child => self.node(child, height.saturating_sub(1)),
                    }
                    index.saturating_add(1)
                }
            };
        }
        buffer.forget();
        self.run(block, 1);
    }

    /// Gives back the row of data blocks that begins at pointer `index`. Gives the index after it.
    fn leaf_run(&mut self, leaf: &Buffer, index: u32, count: u32) -> u32 {
        match path::pointer_run(leaf.bytes(), index, count.saturating_sub(index)) {
            Some(path::Run::Mapped { block, len }) => {
                self.run(block, len);
                index.saturating_add(len.max(1))
            }
            Some(path::Run::Hole { len }) => index.saturating_add(len.max(1)),
            None => count,
        }
    }
}

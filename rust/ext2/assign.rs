// SPDX-License-Identifier: GPL-2.0

//! Giving blocks to a file: first space is reserved, then, when pages go to disk, blocks are chosen for the whole of a
//! reserved extent at once.

use super::{
    alloc::{Budget, Request},
    cut, direct,
    few::Few,
    map,
    ondisk::path,
    overlay::Found,
    runs::Hit,
    state::{Extent, MapState, State},
    submit,
    walk::Walk,
    Ext2, Inode,
};
use crate::{
    mpage::{
        plan::{Place, Run},
        queue::RunQueue,
        write::{Chosen, WriteMap},
    },
    vfs::ticket::Ticket,
};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

/// The most blocks that are chosen at once: longer than any group, so that one row can be a group's worth.
const MOST: u32 = 1 << 16;

impl WriteMap for Ext2 {
    fn check_writes(inode: &Inode) -> Result {
        inode.sb().check_writes()
    }

    fn check_live(inode: &Inode) -> Result {
        inode.sb().check_live()
    }

    fn reserve(inode: &Inode, first: u64, len: u64) -> Result {
        inode.sb().check_writes()?;
        let mut range = block_range(first, len)?;
        range.start = on_disk_until(inode, &range)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut state = inode.data().map.write();
        reserve(inode, &mut state, range)
    }

    fn unreserve(inode: &Inode, first: u64, len: u64) {
        if let Ok(range) = block_range(first, len) {
            let mut state = inode.data().map.write();
            // Without memory it stays the file's until that is truncated or leaves memory.
            let _ = cut::take_unsent(inode, &mut state, range);
        }
    }

    fn map_write(inode: &Inode, first: u64, max: u64, rest: &mut RunQueue) -> Result<Chosen> {
        let block = u32::try_from(first).map_err(|_| EFBIG)?;
        if let Some(run) = map::on_disk(inode, block, max, Some(rest))? {
            return Ok(Chosen { run, fresh: false });
        }
        rest.clear();
        let mut state = inode.data().map.write();
        let extent = match state.overlay.find(block) {
            Found::Nothing(until) => {
                let room = u64::from(until.saturating_sub(block)).max(1);
                let run = Walk::new(inode).map(&state.pointers, first, max.min(room))?;
                return Ok(Chosen {
                    run: Run {
                        len: run.len.min(room),
                        boundary: false,
                        ..run
                    },
                    fresh: false,
                });
            }
            Found::Extent(extent) => extent,
        };
        let (disk, len) = match extent.state {
            State::Reserved => choose(inode, &mut state, &extent)?,
            State::Allocated(disk) | State::Submitted(disk, _) => (disk, extent.len),
        };
        let run = Run {
            first,
            len: len.into(),
            place: Place::Mapped(disk.into()),
            boundary: false,
        };
        Ok(Chosen { run, fresh: true })
    }

    fn submitted(inode: &Inode, blocks: Range<u64>, disk: u64, ticket: &Arc<Ticket>) -> Result {
        submit::submitted(inode, blocks, disk, ticket)
    }

    fn map_direct(inode: &Inode, blocks: Range<u64>) -> Result<Chosen> {
        direct::map(inode, blocks)
    }

    fn written(inode: &Inode, bytes: Range<u64>) -> Result {
        direct::written(inode, bytes)
    }

    fn unwritten(inode: &Inode, bytes: Range<u64>) {
        direct::unwritten(inode, bytes);
    }

    fn is_durable(inode: &Inode) -> bool {
        direct::is_durable(inode)
    }

    fn map_version(inode: &Inode) -> u64 {
        inode.data().map.read().truncations
    }

    fn has_space(inode: &Inode, block: u64) -> Result<bool> {
        let state = inode.data().map.read();
        match state.overlay.find(u32::try_from(block).map_err(|_| EFBIG)?) {
            Found::Extent(_) => Ok(true),
            Found::Nothing(_) => {
                let run = Walk::new(inode).map(&state.pointers, block, 1)?;
                Ok(run.place != Place::Hole)
            }
        }
    }
}

/// A range of file blocks in the width in which the format counts them. `EFBIG` past that.
pub(super) fn block_range(first: u64, len: u64) -> Result<Range<u32>> {
    let end = first.checked_add(len).ok_or(EFBIG)?;
    let start = u32::try_from(first).map_err(|_| EFBIG)?;
    Ok(start..u32::try_from(end).map_err(|_| EFBIG)?)
}

/// How far the blocks of `range` are known to be on disk: most writes go to blocks that are there, or to the end of the
/// file.
fn on_disk_until(inode: &Inode, range: &Range<u32>) -> Result<u32> {
    let size = u32::try_from(inode.size() >> inode.block_bits()).unwrap_or(u32::MAX);
    let end = range.end.min(size);
    let mut block = range.start;
    while block < end {
        let run = match inode.data().runs.find(block) {
            Hit::Run(run) | Hit::LastOfLeaf(run) => run,
            // Where the pieces lie need not be known yet.
            Hit::Miss(missed) if missed.scattered => return map::on_disk_until(inode, block..end),
            Hit::Miss(_) => {
                match map::on_disk(inode, block, end.saturating_sub(block).into(), None)? {
                    Some(run) => run,
                    None => break,
                }
            }
        };
        block = u32::try_from(run.end())
            .unwrap_or(end)
            .clamp(block.saturating_add(1), end);
    }
    Ok(block)
}

/// What a call has set aside: pieces of a file, in ascending order.
struct Pieces {
    before: Few<Range<u32>>,
    /// The last one, which ends where the search goes on.
    last: Range<u32>,
}

impl Pieces {
    /// Goes on at `block`; what comes before belongs to others.
    fn skip_to(&mut self, block: u32) -> Result {
        if !self.last.is_empty() {
            self.before.push(self.last.clone())?;
        }
        self.last = block..block;
        Ok(())
    }
}

/// Sets space aside for the holes in `range`, for all of them or for none. `ENOSPC`, `EIO`, `ENOMEM`.
pub(super) fn reserve(inode: &Inode, state: &mut MapState, range: Range<u32>) -> Result {
    let mut own = Pieces {
        before: Few::new(),
        last: range.start..range.start,
    };
    let reserved = reserve_holes(inode, state, range.end, &mut own);
    if reserved.is_err() {
        // A large request that fails must not keep what others could use.
        state.overlay.take(own.last, |_| {})?;
        for piece in own.before.iter() {
            state.overlay.take(piece.clone(), |_| {})?;
        }
        super::commit::settle(inode, state);
    }
    reserved
}

/// Sets space aside for the holes up to block `end`, and notes for which.
fn reserve_holes(inode: &Inode, state: &mut MapState, end: u32, own: &mut Pieces) -> Result {
    while own.last.end < end {
        let block = own.last.end;
        match state.overlay.find(block) {
            Found::Extent(extent) => own.skip_to(extent.end())?,
            Found::Nothing(until) => match reserve_gap(inode, state, block..until.min(end))? {
                (reached, true) => own.last.end = reached,
                (reached, false) => own.skip_to(reached)?,
            },
        }
    }
    Ok(())
}

/// Sets space aside for the first run of `gap` if it is a hole. Gives the block after the run, and whether it is one.
fn reserve_gap(inode: &Inode, state: &mut MapState, gap: Range<u32>) -> Result<(u32, bool)> {
    let wanted = gap.end.saturating_sub(gap.start).max(1);
    let (is_hole, len) = pointers_at(inode, state, gap.start, wanted)?;
    let len = len.min(wanted);
    let end = gap.start.saturating_add(len);
    if is_hole {
        let need = u64::from(len).saturating_add(pointer_blocks(inode, state, gap.start..end));
        inode.sb().reserve_blocks(need)?;
        let extent = Extent {
            first: gap.start,
            len,
            state: State::Reserved,
        };
        state
            .overlay
            .add(extent)
            .inspect_err(|_| inode.sb().release_blocks(need))?;
        state.reserved = state.reserved.saturating_add(need);
        inode.trace_reserve(gap.start.into(), len.into(), need);
    }
    Ok((end, is_hole))
}

/// How many blocks further it is looked whether there are pointers: who adds to a file comes back for them.
const LOOK_AHEAD: u32 = 64;

/// Whether the pointers from file block `block` on lead nowhere, and for how many blocks that is known. Holes are
/// remembered. `wanted` blocks are of use.
fn pointers_at(
    inode: &Inode,
    state: &mut MapState,
    block: u32,
    wanted: u32,
) -> Result<(bool, u32)> {
    if !state.hole.contains(&block) {
        let max = wanted.max(LOOK_AHEAD);
        let run = Walk::new(inode).map(&state.pointers, block.into(), max.into())?;
        let len = u32::try_from(run.len).unwrap_or(u32::MAX);
        if run.place != Place::Hole {
            return Ok((false, len));
        }
        state.hole = block..block.saturating_add(len);
    }
    Ok((true, state.hole.end.saturating_sub(block)))
}

/// The most pointer blocks that it can take to link `range`, beyond those counted for the extent before it.
fn pointer_blocks(inode: &Inode, state: &MapState, range: Range<u32>) -> u64 {
    let bits = inode.block_bits();
    let leaf = |block: u32| {
        block
            .checked_sub(path::DIRECT)
            .map(|block| block >> bits.saturating_sub(2))
    };
    let Some(last) = leaf(range.end.saturating_sub(1)) else {
        return 0;
    };
    let first = leaf(range.start).unwrap_or(0);
    let counted = range.start.checked_sub(1).is_some_and(|before| {
        leaf(before) == Some(first) && matches!(state.overlay.find(before), Found::Extent(_))
    });
    let leaves = u64::from(last.saturating_sub(first)).saturating_add(u64::from(!counted));
    let per_block = 1u64 << bits.saturating_sub(2);
    let above = match u64::from(last) {
        0 => 0,
        leaf if leaf <= per_block => 1,
        _ => 2u64
            .saturating_add(leaves >> bits.saturating_sub(2))
            .saturating_add(1),
    };
    leaves.saturating_add(if leaves > 0 { above } else { 0 })
}

/// The most blocks that it can take to give all of the overlay a place on disk, and to link it.
pub(super) fn needed(inode: &Inode, state: &MapState) -> u64 {
    state.overlay.extents().fold(0, |sum: u64, extent| {
        let data = if extent.state == State::Reserved {
            extent.len
        } else {
            0
        };
        let pointers = pointer_blocks(inode, state, extent.first..extent.end());
        sum.saturating_add(data.into()).saturating_add(pointers)
    })
}

/// Chooses blocks for a reserved extent, or for as much of it as lies in a row on disk. Gives the first and how many.
pub(super) fn choose(inode: &Inode, state: &mut MapState, extent: &Extent) -> Result<(u32, u32)> {
    let sb = inode.sb();
    let goal = goal(inode, state, extent.first)?;
    let len = extent.len.min(MOST);
    let request = Request {
        goal,
        len,
        from: Budget::Reserved,
        owner: inode.ino(),
    };
    let run = sb.allocate(&request)?;
    let end = extent.first.saturating_add(run.len);
    if let Err(error) = state
        .overlay
        .change(extent.first..end, State::Allocated(run.start))
    {
        // The extent is still reserved, and what it needs stays set aside.
        let kept = sb.return_reserved(run.start, run.len);
        let lost = u64::from(run.len).saturating_sub(kept);
        state.reserved = state.reserved.saturating_sub(lost);
        return Err(error);
    }
    state.reserved = state.reserved.saturating_sub(run.len.into());
    state.last_block = run.start.saturating_add(run.len.saturating_sub(1));
    state.next_chosen = end;
    inode.add_sectors(sectors(inode, run.len));
    super::commit::list(inode, state)?;
    Ok((run.start, run.len))
}

/// Blocks as 512-byte sectors.
pub(super) fn sectors(inode: &Inode, blocks: u32) -> i64 {
    i64::from(blocks) << inode.block_bits().saturating_sub(9)
}

/// Where the block should best lie: after the one before it in the file, or after the last one chosen.
fn goal(inode: &Inode, state: &MapState, block: u32) -> Result<u32> {
    if state.next_chosen == block && state.last_block != 0 {
        return Ok(state.last_block.saturating_add(1));
    }
    if let Some(before) = block.checked_sub(1) {
        match state.overlay.find(before) {
            Found::Extent(extent) => {
                if let State::Allocated(disk) | State::Submitted(disk, _) = extent.state {
                    return Ok(disk.saturating_add(1));
                }
            }
            Found::Nothing(_) => {
                let run = Walk::new(inode).map(&state.pointers, before.into(), 1)?;
                if let Place::Mapped(disk) = run.place {
                    return Ok(u32::try_from(disk).unwrap_or(0).saturating_add(1));
                }
            }
        }
    }
    Ok(match state.last_block {
        0 => inode.sb().first_goal(inode.ino()),
        last => last.saturating_add(1),
    })
}

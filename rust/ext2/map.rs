// SPDX-License-Identifier: GPL-2.0

//! Where a file's blocks lie: twelve pointers in the inode, then trees of pointer blocks of height one, two and
//! three.

use super::{
    ondisk::path,
    overlay::Found,
    runs::{Hit, Missed},
    state::{MapState, State},
    walk::{Leaf, Walk},
    Ext2, Inode,
};
use crate::mpage::{
    plan::{self, Run},
    queue::RunQueue,
    BlockMap,
};
use core::{ops::Range, slice};
use kernel::prelude::*;

impl BlockMap for Ext2 {
    fn map(inode: &Inode, first: u64, max: u64) -> Result<Run> {
        map(inode, first, max, None)
    }

    fn map_now(inode: &Inode, first: u64, max: u64) -> Result<Run> {
        let node = inode.data();
        let block = u32::try_from(first).map_err(|_| EFBIG)?;
        if block >= path::DIRECT {
            return match node.runs.find(block) {
                Hit::Run(run) | Hit::LastOfLeaf(run) => Ok(run),
                Hit::Miss(_) => Err(EAGAIN),
            };
        }
        // The inode's own pointers are in memory.
        let state = node.map.try_read().ok_or(EAGAIN)?;
        look_up(inode, &state, first, max)
    }

    fn map_for_read(inode: &Inode, first: u64, max: u64, rest: &mut RunQueue) -> Result<Run> {
        map(inode, first, max, Some(rest))
    }
}

#[inline]
fn map(inode: &Inode, first: u64, max: u64, rest: Option<&mut RunQueue>) -> Result<Run> {
    let node = inode.data();
    let block = u32::try_from(first).map_err(|_| EFBIG)?;
    if block < path::DIRECT {
        return look_up(inode, &node.map.read(), first, max);
    }
    match node.runs.find(block) {
        Hit::Run(run) => Ok(run),
        // Whether more has to be read matters only to who goes on after the run.
        Hit::LastOfLeaf(run) if max <= run.len => Ok(run),
        Hit::LastOfLeaf(run) => {
            let state = node.map.read();
            let boundary = Walk::new(inode).needs_read(&state.pointers, run.end());
            Ok(Run { boundary, ..run })
        }
        Hit::Miss(missed) => find(inode, block, max, missed, rest),
    }
}

/// Looks up the run from `block` on, and those behind it in the same pointer block as far as they are wanted: a file in
/// many pieces is not walked anew for each. They are kept, and those behind the first put into `rest`.
#[inline(never)]
fn find(
    inode: &Inode,
    block: u32,
    max: u64,
    missed: Missed,
    rest: Option<&mut RunQueue>,
) -> Result<Run> {
    let node = inode.data();
    node.runs.prepare();
    let state = node.map.read();
    if !state.is_settled() {
        return look_up(inode, &state, block.into(), max);
    }
    find_on_disk(inode, &state, block, max, missed, rest)
}

/// The run from `block` on, and those behind it as for [`find`], if the pointers lead to it: what is ahead of them does
/// not count.
pub(super) fn on_disk(
    inode: &Inode,
    block: u32,
    max: u64,
    rest: Option<&mut RunQueue>,
) -> Result<Option<Run>> {
    let node = inode.data();
    let found = match node.runs.find(block) {
        Hit::Run(run) | Hit::LastOfLeaf(run) => return Ok(Some(run)),
        Hit::Miss(missed) if block >= path::DIRECT => {
            node.runs.prepare();
            let state = node.map.read();
            if let Found::Extent(_) = state.overlay.find(block) {
                return Ok(None);
            }
            find_on_disk(inode, &state, block, max, missed, rest)?
        }
        Hit::Miss(_) => Walk::new(inode).map(&node.map.read().pointers, block.into(), max)?,
    };
    Ok(Some(found).filter(|run| run.place != plan::Place::Hole))
}

/// How far the blocks from `range.start` on are on disk: the first that the pointers do not lead to, or `range.end`.
/// Where the others lie is not looked at.
pub(super) fn on_disk_until(inode: &Inode, range: Range<u32>) -> Result<u32> {
    let state = inode.data().map.read();
    let walk = Walk::new(inode);
    let mut block = range.start;
    while block < range.end {
        let wanted = range.end.saturating_sub(block);
        let (len, mapped) = if block < path::DIRECT {
            let len = wanted.min(path::DIRECT.saturating_sub(block));
            (len, path::mapped(&state.pointers, block, len))
        } else {
            match walk.leaf(&state.pointers, block)? {
                Leaf::Hole(_) => break,
                Leaf::Pointers { leaf, index, limit } => {
                    let len = wanted.min(limit);
                    (len, path::mapped(leaf.bytes(), index, len))
                }
            }
        };
        block = block.saturating_add(mapped);
        if mapped < len {
            break;
        }
    }
    Ok(block)
}

/// Looks up the run from `block` on among the pointers; see [`find`].
fn find_on_disk(
    inode: &Inode,
    state: &MapState,
    block: u32,
    max: u64,
    missed: Missed,
    rest: Option<&mut RunQueue>,
) -> Result<Run> {
    let node = inode.data();
    let walk = Walk::new(inode);
    let (leaf, index, limit) = match walk.leaf(&state.pointers, block)? {
        Leaf::Hole(run) => return Ok(run),
        Leaf::Pointers { leaf, index, limit } => (leaf, index, limit),
    };
    let pointers = leaf.bytes();
    let useful = u32::try_from(max).unwrap_or(limit).min(limit).max(1);
    // Of a scattered file nothing is looked up that nobody has asked for.
    let wanted = if missed.scattered { useful } else { limit };
    let mut first = walk.leaf_run(pointers, index, block, wanted)?;
    let mut own = RunQueue::new();
    let in_pass = rest.is_some();
    let rest = rest.unwrap_or(&mut own);
    let mut at = first.len as u32;
    while at < useful && (in_pass || !missed.scattered) {
        // What is wrong there is found, and told, when somebody asks for it.
        let next = walk.run_at(
            pointers,
            index.wrapping_add(at),
            block.wrapping_add(at),
            wanted.wrapping_sub(at),
        );
        let Some(next) = next.filter(|next| rest.push(*next)) else {
            break;
        };
        at = at.wrapping_add(next.len as u32);
    }
    let leaf_end = block.wrapping_add(limit);
    if missed.scattered {
        // A pass has all it needs in `rest`, but for what may follow the last run.
        let last = rest.runs().last().unwrap_or(&first);
        node.runs.remember(&missed, slice::from_ref(last), leaf_end);
    } else {
        let whole = walk.with_blocks_before(pointers, index, first);
        node.runs.remember(&missed, &[whole], leaf_end);
        node.runs.remember(&missed, rest.runs(), leaf_end);
    }
    // Told of the last one only, and only if the caller goes on after it.
    if at >= limit && max > at.into() {
        let boundary = walk.needs_read(&state.pointers, block.wrapping_add(at).into());
        rest.last_mut().unwrap_or(&mut first).boundary = boundary;
    }
    Ok(first)
}

/// The run from file block `first` on, as [`BlockMap::map`] gives it. What is ahead of the pointers counts: blocks
/// whose contents are on their way are there, those that are only set aside are holes.
pub(super) fn look_up(inode: &Inode, state: &MapState, first: u64, max: u64) -> Result<Run> {
    let walk = Walk::new(inode);
    if state.is_settled() {
        return walk.map(&state.pointers, first, max);
    }
    let block = u32::try_from(first).map_err(|_| EFBIG)?;
    match state.overlay.find(block) {
        Found::Extent(extent) => Ok(Run {
            first,
            len: extent.len.into(),
            place: match extent.state {
                // Where a write has failed there is what an earlier owner left.
                State::Submitted(_, pass) if pass.0.has_failed() => plan::Place::Hole,
                State::Submitted(disk, _) => plan::Place::Mapped(disk.into()),
                State::Reserved | State::Allocated(_) => plan::Place::Hole,
            },
            boundary: false,
        }),
        Found::Nothing(until) => {
            let room = u64::from(until.saturating_sub(block)).max(1);
            let run = walk.map(&state.pointers, first, max.min(room))?;
            Ok(Run {
                len: run.len.min(room),
                ..run
            })
        }
    }
}

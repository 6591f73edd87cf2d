// SPDX-License-Identifier: GPL-2.0

//! Blocks for direct writes into holes and past the end of a file.
//!
//! Such blocks are *allocated* extents of the overlay while the write is on its way: they read as zeroes, and no commit
//! links them. When it has ended they become *submitted* ones whose contents have arrived. A write that fails gives them
//! back.

use super::{
    assign::{self, block_range},
    commit, cut, map,
    overlay::Found,
    state::{Extent, MapState, Pass, State},
    Inode,
};
use crate::{
    mpage::{
        plan::{Place, Run},
        write::Chosen,
    },
    vfs::ticket::Ticket,
};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

/// [`WriteMap::map_direct`](crate::mpage::write::WriteMap::map_direct).
pub(super) fn map(inode: &Inode, blocks: Range<u64>) -> Result<Chosen> {
    let range = block_range(blocks.start, blocks.end.saturating_sub(blocks.start).max(1))?;
    arrived(inode, range.start);
    let mut state = inode.data().map.write();
    match find(inode, &mut state, &range) {
        // The page cache takes what space there is, a block at a time, and says how much that was.
        Err(error) if error == ENOSPC => Err(ENOTBLK),
        found => found,
    }
}

/// Waits for contents that are on their way to a block: if they do not arrive, it is given back.
fn arrived(inode: &Inode, block: u32) {
    let sent = match inode.data().map.read().overlay.find(block) {
        Found::Extent(extent) => match extent.state {
            State::Submitted(_, pass) => Some(pass),
            State::Reserved | State::Allocated(_) => None,
        },
        Found::Nothing(_) => None,
    };
    if let Some(pass) = sent {
        pass.0.wait();
    }
}

fn find(inode: &Inode, state: &mut MapState, range: &Range<u32>) -> Result<Chosen> {
    if let Found::Nothing(until) = state.overlay.find(range.start) {
        let most = range.end.min(until).saturating_sub(range.start).max(1);
        let run = map::look_up(inode, state, range.start.into(), most.into())?;
        if run.place != Place::Hole {
            return Ok(Chosen { run, fresh: false });
        }
        let len = u32::try_from(run.len).unwrap_or(most).min(most);
        assign::reserve(inode, state, range.start..range.start.saturating_add(len))?;
    }
    let Found::Extent(extent) = state.overlay.find(range.start) else {
        return Err(EIO);
    };
    let len = extent.len.min(range.end.saturating_sub(range.start));
    let extent = Extent { len, ..extent };
    let (disk, len, fresh) = match &extent.state {
        State::Reserved => {
            let (disk, len) = assign::choose(inode, state, &extent)?;
            (disk, len, true)
        }
        State::Allocated(disk) => (*disk, len, true),
        // The blocks of a write that failed are given back by the next commit.
        State::Submitted(_, pass) if pass.0.has_failed() => return Err(ENOTBLK),
        State::Submitted(disk, _) => (*disk, len, false),
    };
    let run = Run {
        first: range.start.into(),
        len: len.into(),
        place: Place::Mapped(disk.into()),
        boundary: false,
    };
    Ok(Chosen { run, fresh })
}

/// [`WriteMap::written`](crate::mpage::write::WriteMap::written).
pub(super) fn written(inode: &Inode, bytes: Range<u64>) -> Result {
    let bits = inode.block_bits();
    let mask = (1u64 << bits).saturating_sub(1);
    let first = bytes.start >> bits;
    let end = bytes.end.saturating_add(mask) >> bits;
    let range = block_range(first, end.saturating_sub(first))?;
    let arrived = Ticket::new()?;
    arrived.leave(true);
    let old_size = inode.size();
    let mut state = inode.data().map.write();
    let filled = submit(&mut state, &range, &arrived);
    // A commit that finds the blocks finds the size that goes with them.
    let reached = match &filled {
        Ok(()) => bytes.end,
        Err((block, _)) => bytes.end.min(u64::from(*block) << bits),
    };
    if reached > old_size {
        inode.set_size(reached);
    }
    if state.is_on_its_way() {
        commit::list(inode, &mut state)?;
    }
    drop(state);
    if bytes.start > old_size {
        inode.size_extended_from(old_size, bytes.start);
    }
    inode.mark_dirty();
    filled.map_err(|(_, error)| error)
}

/// The blocks of `range` that wait for their contents have them now. Fails with the first that does not know.
fn submit(
    state: &mut MapState,
    range: &Range<u32>,
    arrived: &Arc<Ticket>,
) -> Result<(), (u32, Error)> {
    let allocated = |state: &State| match state {
        State::Allocated(disk) => Some(*disk),
        _ => None,
    };
    let mut rest = range.clone();
    while let Some((part, disk)) = state.first_in(&rest, allocated) {
        let first = part.start;
        rest.start = part.end;
        state
            .overlay
            .change(part, State::Submitted(disk, Pass(arrived.clone())))
            .map_err(|error| (first, error))?;
    }
    Ok(())
}

/// [`WriteMap::unwritten`](crate::mpage::write::WriteMap::unwritten).
pub(super) fn unwritten(inode: &Inode, bytes: Range<u64>) {
    let bits = inode.block_bits();
    let mask = (1u64 << bits).saturating_sub(1);
    // If something was written to the first block it is a submitted one, and stays.
    let first = bytes.start >> bits;
    let pages = first << bits..bytes.end;
    // A page that a mapping has brought there meanwhile may be dirty: it takes its blocks, and no more such pages come. If
    // one cannot be written, whoever syncs is told.
    let _no_faults = inode.lock_invalidate();
    if inode.has_pages(&pages) {
        let _ = inode.write_and_wait(&pages);
    }
    let end = bytes.end.saturating_add(mask) >> bits;
    let Ok(rest) = block_range(first, end.saturating_sub(first)) else {
        return;
    };
    let mut state = inode.data().map.write();
    // Without memory they stay the file's until it is truncated or leaves memory; nothing points to them on disk.
    let _ = cut::take_unsent(inode, &mut state, rest);
}

/// [`WriteMap::is_durable`](crate::mpage::write::WriteMap::is_durable).
///
/// Pointers and size are durable if the device has stored the inode as it was put into its block last, and nothing has
/// changed since. What is clean because it was written is not: the flush that makes it durable may be still to come, and an
/// inode that was read anew does not know what the device has stored.
pub(super) fn is_durable(inode: &Inode) -> bool {
    // In this order: an inode stops being dirty after it was counted as stored, and the lock comes between the two looks.
    !inode.is_dirty(true)
        && inode.data().map.read().is_settled()
        && inode.data().attributes.is_durable()
        && !inode.has_metadata()
}

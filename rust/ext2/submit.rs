// SPDX-License-Identifier: GPL-2.0

//! What the overlay is told of blocks that are about to be sent.

use super::{
    assign::block_range,
    commit,
    overlay::Found,
    state::{MapState, Pass, State},
    walk::Walk,
    Inode,
};
use crate::{
    mpage::plan::Place,
    vfs::{no_fail, ticket::Ticket},
};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

/// [`WriteMap::submitted`](crate::mpage::write::WriteMap::submitted).
pub(super) fn submitted(
    inode: &Inode,
    blocks: Range<u64>,
    disk: u64,
    ticket: &Arc<Ticket>,
) -> Result {
    let range = block_range(blocks.start, blocks.end.saturating_sub(blocks.start))?;
    for _ in 0..ATTEMPTS {
        match submit_all(inode, &range, disk, ticket) {
            Err(error) if error == ENOMEM => no_fail::wait_for_memory(),
            told => return told,
        }
    }
    Err(ENOMEM)
}

/// How often it is tried to note what is about to be sent, after waiting for memory each time: the pages are clean by then, and
/// their bytes would be lost.
const ATTEMPTS: u32 = 1000;

/// All blocks of `range` are about to be written, from `disk` on. Can be done over if it fails with `ENOMEM`.
fn submit_all(inode: &Inode, range: &Range<u32>, disk: u64, ticket: &Arc<Ticket>) -> Result {
    let mut state = inode.data().map.write();
    let mut block = range.start;
    while block < range.end {
        let expected = disk.saturating_add(block.saturating_sub(range.start).into());
        block = submit(inode, &mut state, block..range.end, expected, ticket)?;
    }
    // Without memory for that the inode is dirty all the same, and its own write lists it.
    let _ = commit::list(inode, &mut state);
    Ok(())
}

/// The first blocks of `range` are about to be written at `disk`. Gives the block after them.
fn submit(
    inode: &Inode,
    state: &mut MapState,
    range: Range<u32>,
    disk: u64,
    ticket: &Arc<Ticket>,
) -> Result<u32> {
    match state.overlay.find(range.start) {
        Found::Extent(extent) => {
            let end = extent.end().min(range.end);
            let (State::Allocated(at) | State::Submitted(at, _)) = extent.state else {
                return Err(EIO);
            };
            if u64::from(at) != disk {
                return Err(EIO);
            }
            let sent = State::Submitted(at, Pass(ticket.clone()));
            state.overlay.change(range.start..end, sent)?;
            Ok(end)
        }
        // A commit has made them reachable since they were mapped: an earlier write of them had arrived.
        Found::Nothing(until) => {
            let most = until.min(range.end).saturating_sub(range.start).max(1);
            let run = Walk::new(inode).map(&state.pointers, range.start.into(), most.into())?;
            if run.place != Place::Mapped(disk) {
                return Err(EIO);
            }
            let len = u32::try_from(run.len).unwrap_or(most).clamp(1, most);
            Ok(range.start.saturating_add(len))
        }
    }
}

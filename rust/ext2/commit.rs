// SPDX-License-Identifier: GPL-2.0

//! Commit: makes blocks that a file was given reachable on disk, now that their contents are there.
//!
//! 1. The extents of the overlay whose contents have arrived are taken. Those whose write failed are given back.
//! 2. Pointer blocks that are missing are made, filled and written: whole subtrees that nothing points to yet.
//! 3. The device stores durably what it has: one flush, if it has a volatile cache.
//! 4. The pointers that make it all reachable are set, in pointer blocks that exist and in the inode. Those go to disk
//!    some time later, or now if `fsync` asked.
//!
//! A crash at any moment leaves a block either unreachable or with its contents.

use super::{
    assign,
    few::Few,
    inode_write,
    links::{write_pointers, Builder, Link, Node},
    state::{MapState, State},
    walk::read_metadata,
    Inode,
};
use crate::vfs::{buffer::Buffer, ticket::Ticket, writeback::plugged};
use core::ops::Range;
use kernel::prelude::*;

/// Which extents a commit is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extents {
    /// All: waits for those that are on their way.
    All,
    /// Those that have arrived.
    Ready,
}

/// Notes that the file has to be committed.
pub(super) fn list(inode: &Inode, state: &mut MapState) -> Result {
    if !state.listed {
        let ino = u32::try_from(inode.ino()).map_err(|_| EIO)?;
        // First: one that is being made is found by its number when it is dirty.
        inode.mark_dirty();
        inode.sb().data().uncommitted.lock().push(ino, GFP_KERNEL)?;
        state.listed = true;
    }
    Ok(())
}

/// Commits one file. On success all that was written before the call, and has arrived, is reachable through the inode
/// and its pointer blocks in memory. Sleeps. `EIO`, `ENOSPC`, `ENOMEM`, `EUCLEAN`.
pub(super) fn commit(inode: &Inode, extents: Extents) -> Result {
    match link(inode, extents)? {
        // Into its block of the inode table now: `sync` comes here after the VFS had all inodes written.
        true => inode_write::store(inode).map(drop),
        false => Ok(()),
    }
}

/// The same for a caller who then writes the inode, which is dirty: gives whether its pointers may have changed.
pub(super) fn link(inode: &Inode, extents: Extents) -> Result<bool> {
    if inode.data().map.read().is_settled() {
        return Ok(false);
    }
    if extents == Extents::All {
        wait(inode);
    }
    // Truncation or another commit between the two halves makes the work useless; then it is done over.
    for _ in 0..ATTEMPTS {
        let prepared = match prepare(inode) {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Ok(false),
            Err(error) if error == EAGAIN => {
                wait_for_others(inode)?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let flushed = inode.sb().flush_device();
        flushed.inspect_err(|_| give_up(inode, &prepared))?;
        if finish(inode, prepared)? {
            return Ok(true);
        }
    }
    Err(EAGAIN)
}

/// How often a commit is tried while others truncate the file or commit it. Each time somebody has got on.
const ATTEMPTS: u32 = 100;

/// Has an inode's turn come again if blocks were chosen for the file that its pointers do not know. Fails with `ENOMEM`.
/// Gives whether there are such blocks.
pub(super) fn keep(inode: &Inode) -> Result<bool> {
    let mut state = inode.data().map.write();
    let chosen = state.has_chosen();
    if chosen {
        list(inode, &mut state)?;
        inode.mark_dirty();
    }
    Ok(chosen)
}

/// Waits until everything that was sent before the call has arrived.
pub(super) fn wait(inode: &Inode) {
    let mut block = 0;
    loop {
        let state = inode.data().map.read();
        let found = state
            .overlay
            .extents_from(block)
            .find_map(|extent| match &extent.state {
                State::Submitted(_, pass) if !pass.0.is_done() => {
                    Some((extent.end(), pass.0.clone()))
                }
                _ => None,
            });
        drop(state);
        let Some((end, ticket)) = found else {
            return;
        };
        ticket.wait();
        block = end;
    }
}

/// A commit between its halves.
pub(super) struct Prepared {
    pub(super) links: Few<Link>,
    /// The pointer blocks made.
    made: Option<KVVec<Buffer>>,
    /// How many of these came out of what is set aside for the file.
    pub(super) from_reserved: u64,
    /// The file blocks that become reachable.
    pub(super) extents: Few<Range<u32>>,
    /// [`MapState::truncations`] and [`MapState::commits`] when the preparation was made.
    version: (u64, u64),
}

impl Prepared {
    /// The pointer blocks made.
    pub(super) fn made(&self) -> &[Buffer] {
        self.made.as_deref().unwrap_or_default()
    }

    /// Notes a pointer block that was made. Fails with `ENOMEM`.
    pub(super) fn add_made(&mut self, buffer: Buffer) -> Result {
        let made = self.made.get_or_insert_with(KVVec::new);
        Ok(made.push(buffer, GFP_KERNEL)?)
    }
}

/// The first half: everything but the pointers that make it reachable. `None` if there is nothing to do. `EAGAIN` if
/// another preparation of the file uses what is set aside for its pointer blocks.
pub(super) fn prepare(inode: &Inode) -> Result<Option<Prepared>> {
    let mut state = inode.data().map.write();
    drop_failed(inode, &mut state)?;
    let mut prepared = Prepared {
        links: Few::new(),
        made: None,
        from_reserved: 0,
        extents: Few::new(),
        version: (state.truncations, state.commits),
    };
    let built =
        build(inode, &mut state, &mut prepared).and_then(|()| write_new(inode, &state, &prepared));
    if built.is_ok() && prepared.extents.is_empty() {
        return Ok(None);
    }
    let others = state.preparing != 0;
    state.preparing = state.preparing.saturating_add(1);
    drop(state);
    match built {
        Ok(()) => Ok(Some(prepared)),
        Err(error) => {
            give_up(inode, &prepared);
            Err(if error == ENOSPC && others {
                EAGAIN
            } else {
                error
            })
        }
    }
}

/// The first extent that reaches beyond the start of `block` and of which it is known whether its contents have arrived:
/// its file blocks, the first on disk. `failed` tells which kind is looked for.
fn next_ended(state: &MapState, block: u32, failed: bool) -> Option<(Range<u32>, u32)> {
    let mut extents = state.overlay.extents_from(block);
    extents.find_map(|extent| match &extent.state {
        State::Submitted(disk, pass) if pass.0.is_done() && pass.0.has_failed() == failed => {
            Some((extent.first..extent.end(), *disk))
        }
        _ => None,
    })
}

/// Gives back extents whose contents did not arrive: what the blocks hold is nobody's business.
fn drop_failed(inode: &Inode, state: &mut MapState) -> Result {
    let mut block = 0;
    while let Some((range, disk)) = next_ended(state, block, true) {
        block = range.end;
        let len = range.end.saturating_sub(range.start);
        state.overlay.take(range, |_| {})?;
        // A pass of writeback that goes on must not write there any more.
        state.truncations = state.truncations.wrapping_add(1);
        inode.add_sectors(assign::sectors(inode, len).saturating_neg());
        inode.sb().return_run(disk, len);
    }
    Ok(())
}

/// Plans the links of all extents that have arrived. One that has failed since is dropped by the next commit.
fn build(inode: &Inode, state: &mut MapState, prepared: &mut Prepared) -> Result {
    let mut block = 0;
    while let Some((range, disk)) = next_ended(state, block, false) {
        block = range.end;
        let mut builder = Builder {
            inode,
            state,
            prepared,
        };
        builder.link(range.clone(), disk)?;
        prepared.extents.push(range)?;
    }
    Ok(())
}

/// Writes what is new and lives in buffers: the pointer blocks, and the own blocks of a directory or symlink.
fn write_new(inode: &Inode, state: &MapState, prepared: &Prepared) -> Result {
    if inode.is_regular() && prepared.made().is_empty() {
        return Ok(());
    }
    let mut own = KVVec::new();
    if !inode.is_regular() {
        for range in prepared.extents.iter() {
            let extents = state.overlay.extents_from(range.start);
            for extent in extents.take_while(|extent| extent.first < range.end) {
                if let State::Submitted(disk, _) = extent.state {
                    for block in disk..disk.saturating_add(extent.len) {
                        own.push(
                            read_metadata(inode.sb(), inode.ino(), block.into())?,
                            GFP_KERNEL,
                        )?;
                    }
                }
            }
        }
    }
    plugged(|_| {
        inode.sb().write_buffers(prepared.made());
        inode.sb().write_buffers(&own);
    });
    prepared.made().iter().try_for_each(Buffer::wait)?;
    own.iter().try_for_each(Buffer::wait)
}

/// The second half: sets the pointers; the inode is dirty then, and yet to be stored. `false`, with everything undone, if
/// the file was truncated meanwhile, or somebody else has set pointers.
pub(super) fn finish(inode: &Inode, prepared: Prepared) -> Result<bool> {
    let mut state = inode.data().map.write();
    if (state.truncations, state.commits) != prepared.version {
        drop(state);
        give_up(inode, &prepared);
        return Ok(false);
    }
    let mut ranges = prepared.extents.iter().cloned();
    // Whole extents: the first leaves room for the rest, so that this fails before anything has changed, or not at all.
    if let Err(error) = ranges.try_for_each(|range| state.overlay.take(range, |_| {})) {
        drop(state);
        give_up(inode, &prepared);
        return Err(error);
    }
    state.commits = state.commits.wrapping_add(1);
    for range in prepared.extents.iter() {
        state.fill_hole(range);
    }
    for link in prepared.links.iter() {
        match &link.node {
            Node::Root => write_pointers(&mut state.pointers, link),
            Node::Linked(buffer) | Node::New(buffer) => {
                inode.change_metadata(buffer, |bytes| write_pointers(bytes, link));
            }
        }
    }
    let made = u32::try_from(prepared.made().len()).unwrap_or(u32::MAX);
    inode.add_sectors(assign::sectors(inode, made));
    settle(inode, &mut state);
    inode.trace_commit(
        prepared.extents.len(),
        prepared.made().len(),
        prepared.links.len(),
    );
    // Whoever finds the pointers finds the inode dirty.
    inode.mark_dirty();
    end_preparing(&mut state);
    Ok(true)
}

/// Gives back what is set aside for the file beyond what its overlay may need.
pub(super) fn settle(inode: &Inode, state: &mut MapState) {
    if state.reserved == 0 {
        return;
    }
    let over = state.reserved.saturating_sub(assign::needed(inode, state));
    inode.sb().release_blocks(over);
    state.reserved = state.reserved.saturating_sub(over);
}

/// Gives back the pointer blocks of a commit that does not happen. What was set aside for them is again.
pub(super) fn give_up(inode: &Inode, prepared: &Prepared) {
    let mut state = inode.data().map.write();
    let mut reserved = prepared.from_reserved;
    for buffer in prepared.made() {
        let block = u32::try_from(buffer.block()).unwrap_or(0);
        buffer.clone().forget();
        if reserved == 0 {
            inode.sb().return_run(block, 1);
        } else {
            reserved = reserved.saturating_sub(1);
            let kept = inode.sb().return_reserved(block, 1);
            state.reserved = state.reserved.saturating_add(kept);
        }
    }
    settle(inode, &mut state);
    end_preparing(&mut state);
}

/// A preparation has come to its end: who waits for what it used goes on.
fn end_preparing(state: &mut MapState) {
    state.preparing = state.preparing.saturating_sub(1);
    if let Some(awaited) = state.awaited.take() {
        awaited.leave(true);
    }
}

/// Waits until another preparation of the file has come to its end, if there is one.
fn wait_for_others(inode: &Inode) -> Result {
    let awaited = {
        let mut state = inode.data().map.write();
        if state.preparing == 0 {
            return Ok(());
        }
        let awaited = match state.awaited.take() {
            Some(awaited) => awaited,
            None => Ticket::new()?,
        };
        state.awaited = Some(awaited.clone());
        awaited
    };
    awaited.wait();
    Ok(())
}

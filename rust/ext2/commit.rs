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
    alloc::{Budget, Request},
    assign, inode_write,
    map::{pointer, read_metadata, Walk},
    ondisk::path::Path,
    state::{MapState, State},
    Inode, SuperBlock,
};
use crate::vfs::{buffer::Buffer, writeback::plugged};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::{aref::ARef, Arc},
};

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
        inode.sb().data().uncommitted.lock().push(ino, GFP_KERNEL)?;
        state.listed = true;
        inode.mark_dirty();
    }
    Ok(())
}

/// Commits one file. On success all that was written before the call, and has arrived, is reachable through the inode
/// and its pointer blocks in memory. Sleeps. `EIO`, `ENOSPC`, `ENOMEM`, `EUCLEAN`.
pub(super) fn commit(inode: &Inode, extents: Extents) -> Result {
    if inode.data().map.read().is_settled() {
        return Ok(());
    }
    if extents == Extents::All {
        wait(inode)?;
    }
    // Truncation or another commit between the two halves makes the work useless; then it is done over.
    for _ in 0..ATTEMPTS {
        let Some(prepared) = prepare(inode)? else {
            return Ok(());
        };
        inode.sb().flush_device()?;
        if finish(inode, prepared)? {
            return Ok(());
        }
    }
    Err(EAGAIN)
}

/// How often a commit is tried while others truncate the file or commit it. Each time somebody has got on.
const ATTEMPTS: u32 = 100;

/// Commits every file that has to be, with one flush for all. The first error is given when all have been tried.
pub(super) fn commit_all(sb: &SuperBlock) -> Result {
    let listed = core::mem::replace(&mut *sb.data().uncommitted.lock(), KVec::new());
    let mut ready: KVec<(ARef<Inode>, Prepared)> = KVec::new();
    let mut result = Ok(());
    for ino in listed {
        let Some(inode) = sb.find_inode(ino.into()) else {
            continue;
        };
        // From now on a new extent lists the file again.
        inode.data().map.write().listed = false;
        let prepared = wait(&inode).and_then(|()| prepare(&inode));
        match prepared {
            Ok(Some(prepared)) => match ready.push((inode, prepared), GFP_KERNEL) {
                Ok(()) => {}
                Err(error) => result = result.and(Err(error.into())),
            },
            Ok(None) => {}
            Err(error) => {
                relist(&inode);
                result = result.and(Err(error));
            }
        }
    }
    if ready.is_empty() {
        return result;
    }
    let flushed = sb.flush_device();
    for (inode, prepared) in ready {
        let done = match flushed {
            Ok(()) => finish(&inode, prepared).and_then(|done| match done {
                true => Ok(()),
                false => commit(&inode, Extents::All),
            }),
            Err(error) => {
                give_up(&inode, &prepared);
                Err(error)
            }
        };
        if let Err(error) = done {
            relist(&inode);
            result = result.and(Err(error));
        }
    }
    result
}

/// Lists a file again whose commit failed.
fn relist(inode: &Inode) {
    let mut state = inode.data().map.write();
    // Without memory for that, the inode is still dirty, and its own write commits it.
    let _ = list(inode, &mut state);
    inode.mark_dirty();
}

/// Waits until everything that was sent has arrived.
fn wait(inode: &Inode) -> Result {
    let mut tickets = KVec::new();
    for extent in inode.data().map.read().overlay.extents() {
        if let State::Submitted(_, pass) = &extent.state {
            if !pass.0.is_done() {
                tickets.push(pass.0.clone(), GFP_KERNEL)?;
            }
        }
    }
    for ticket in tickets {
        Arc::clone(&ticket).wait();
    }
    Ok(())
}

/// A place where pointers are.
#[derive(Clone)]
enum Node {
    /// The inode.
    Root,
    /// A pointer block that can be reached on disk.
    Linked(Buffer),
    /// A pointer block made for this commit.
    New(Buffer),
}

/// Pointers to be set once everything behind them is durable: `len` of them from `index` on, to blocks in a row.
struct Link {
    node: Node,
    index: u32,
    block: u32,
    len: u32,
}

/// A commit between its halves.
pub(super) struct Prepared {
    links: KVec<Link>,
    /// The pointer blocks made.
    made: KVec<Buffer>,
    /// How many of these came out of what is set aside for the file.
    from_reserved: u64,
    /// The file blocks that become reachable.
    extents: KVec<Range<u32>>,
    /// [`MapState::truncations`] and [`MapState::commits`] when the preparation was made.
    version: (u64, u64),
}

/// The first half: everything but the pointers that make it reachable. `None` if there is nothing to do.
fn prepare(inode: &Inode) -> Result<Option<Prepared>> {
    let mut state = inode.data().map.write();
    drop_failed(inode, &mut state)?;
    let mut prepared = Prepared {
        links: KVec::new(),
        made: KVec::new(),
        from_reserved: 0,
        extents: KVec::new(),
        version: (state.truncations, state.commits),
    };
    let built =
        build(inode, &mut state, &mut prepared).and_then(|()| write_new(inode, &state, &prepared));
    drop(state);
    match built {
        Ok(()) if prepared.extents.is_empty() => Ok(None),
        Ok(()) => Ok(Some(prepared)),
        Err(error) => {
            give_up(inode, &prepared);
            Err(error)
        }
    }
}

/// Gives back extents whose contents did not arrive: what the blocks hold is nobody's business.
fn drop_failed(inode: &Inode, state: &mut MapState) -> Result {
    let failed = |extent: &super::state::Extent| match &extent.state {
        State::Submitted(disk, pass) if pass.0.is_done() && pass.0.has_failed() => {
            Some((extent.first..extent.end(), *disk))
        }
        _ => None,
    };
    while let Some((range, disk)) = state.overlay.extents().iter().find_map(failed) {
        let len = range.end.saturating_sub(range.start);
        state.overlay.take(range, |_| {})?;
        inode.add_sectors(assign::sectors(inode, len).saturating_neg());
        inode.sb().return_run(disk, len);
    }
    Ok(())
}

/// Plans the links of all extents that have arrived.
fn build(inode: &Inode, state: &mut MapState, prepared: &mut Prepared) -> Result {
    let mut index = 0;
    while let Some(extent) = state.overlay.extents().get(index) {
        index = index.saturating_add(1);
        let State::Submitted(disk, pass) = &extent.state else {
            continue;
        };
        // One that has failed since is dropped by the next commit.
        if !pass.0.is_done() || pass.0.has_failed() {
            continue;
        }
        let (range, disk) = (extent.first..extent.end(), *disk);
        let mut builder = Builder {
            inode,
            state,
            prepared,
        };
        builder.link(range.clone(), disk)?;
        prepared.extents.push(range, GFP_KERNEL)?;
    }
    Ok(())
}

/// Plans links, making the pointer blocks that are missing.
struct Builder<'a> {
    inode: &'a Inode,
    state: &'a mut MapState,
    prepared: &'a mut Prepared,
}

impl Builder<'_> {
    /// Plans the links from file blocks `range` to the blocks from `disk` on.
    fn link(&mut self, range: Range<u32>, disk: u32) -> Result {
        let bits = self.inode.block_bits();
        let (mut block, mut disk) = (range.start, disk);
        while block < range.end {
            let path = Path::to(block.into(), bits).ok_or(EFBIG)?;
            let mut node = Node::Root;
            for level in 0..path.depth() {
                node = self.descend(node, path.offset(level).unwrap_or(0))?;
            }
            let len = path.run_limit().min(range.end.saturating_sub(block));
            let index = path.offset(path.depth()).unwrap_or(0);
            self.set(Link {
                node,
                index,
                block: disk,
                len,
            })?;
            block = block.saturating_add(len);
            disk = disk.saturating_add(len);
        }
        Ok(())
    }

    /// The pointer block under pointer `index` of `node`.
    fn descend(&mut self, node: Node, index: u32) -> Result<Node> {
        let child = match &node {
            Node::Root => pointer(&self.state.pointers, index),
            Node::Linked(buffer) | Node::New(buffer) => pointer(buffer.bytes(), index),
        };
        let made = match (&node, child) {
            (Node::New(_), 0) => None,
            (Node::New(_), child) => Some(self.made(child).ok_or(EIO)?),
            (_, 0) => self.planned(&node, index),
            (_, child) => {
                Walk::new(self.inode).check(child, 1)?;
                return read_metadata(self.inode.sb(), self.inode.ino(), child.into())
                    .map(Node::Linked);
            }
        };
        match made {
            Some(buffer) => Ok(Node::New(buffer)),
            None => self.make(node, index),
        }
    }

    /// The pointer block that a planned link puts under pointer `index` of `node`. File blocks come in order, and what
    /// lies under a pointer block made here needs no links: only the last link can be meant.
    fn planned(&self, node: &Node, index: u32) -> Option<Buffer> {
        let link = self
            .prepared
            .links
            .last()
            .filter(|link| link.index == index)?;
        let same = match (&link.node, node) {
            (Node::Root, Node::Root) => true,
            (Node::Linked(planned), Node::Linked(buffer)) => planned.block() == buffer.block(),
            _ => false,
        };
        self.made(link.block).filter(|_| same)
    }

    /// The pointer block made for this commit that has this number.
    fn made(&self, block: u32) -> Option<Buffer> {
        self.prepared
            .made
            .iter()
            .rev()
            .find(|buffer| buffer.block() == u64::from(block))
            .cloned()
    }

    /// Makes a pointer block and plans its link under pointer `index` of `node`.
    fn make(&mut self, node: Node, index: u32) -> Result<Node> {
        let sb = self.inode.sb();
        let last = self
            .prepared
            .made
            .last()
            .map_or(self.state.last_block.into(), Buffer::block);
        let from = if self.state.reserved > 0 {
            Budget::Reserved
        } else {
            Budget::Free
        };
        let goal = u32::try_from(last).unwrap_or(0).saturating_add(1);
        let run = sb.allocate(&Request {
            goal,
            len: 1,
            from,
            owner: self.inode.ino(),
        })?;
        if from == Budget::Reserved {
            self.state.reserved = self.state.reserved.saturating_sub(1);
            self.prepared.from_reserved = self.prepared.from_reserved.saturating_add(1);
        }
        let recorded = sb.new_buffer(run.start.into()).and_then(|buffer| {
            self.prepared.made.push(buffer.clone(), GFP_KERNEL)?;
            Ok(buffer)
        });
        let buffer = recorded.inspect_err(|_| sb.return_run(run.start, 1))?;
        buffer.mark_dirty();
        self.set(Link {
            node,
            index,
            block: run.start,
            len: 1,
        })?;
        Ok(Node::New(buffer))
    }

    /// Sets pointers at once if nobody can see them, and later if they make something reachable.
    fn set(&mut self, link: Link) -> Result {
        match &link.node {
            Node::New(buffer) => {
                buffer.change(|bytes| write_pointers(bytes, &link));
                Ok(())
            }
            _ => Ok(self.prepared.links.push(link, GFP_KERNEL)?),
        }
    }
}

/// Stores the pointers of a link where they belong.
fn write_pointers(bytes: &mut [u8], link: &Link) {
    let start = (link.index as usize).saturating_mul(4);
    let slots = bytes
        .get_mut(start..)
        .unwrap_or_default()
        .chunks_exact_mut(4);
    for (slot, block) in slots.zip(link.block..link.block.saturating_add(link.len)) {
        slot.copy_from_slice(&block.to_le_bytes());
    }
}

/// Writes what is new and lives in buffers: the pointer blocks, and the own blocks of a directory or symlink.
fn write_new(inode: &Inode, state: &MapState, prepared: &Prepared) -> Result {
    let mut own = KVec::new();
    if !inode.is_regular() {
        for range in prepared.extents.iter() {
            for extent in state
                .overlay
                .extents()
                .iter()
                .filter(|extent| extent.first >= range.start && extent.end() <= range.end)
            {
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
    plugged(|| {
        prepared.made.iter().for_each(Buffer::write_start);
        own.iter().for_each(Buffer::write_start);
    });
    prepared.made.iter().try_for_each(Buffer::wait)?;
    own.iter().try_for_each(Buffer::wait)
}

/// The second half: sets the pointers. `false`, with everything undone, if the file was truncated meanwhile, or somebody
/// else has set pointers.
fn finish(inode: &Inode, prepared: Prepared) -> Result<bool> {
    let mut state = inode.data().map.write();
    if (state.truncations, state.commits) != prepared.version {
        drop(state);
        give_up(inode, &prepared);
        return Ok(false);
    }
    state.commits = state.commits.wrapping_add(1);
    for range in prepared.extents.iter() {
        state.overlay.take(range.clone(), |_| {})?;
    }
    for link in prepared.links.iter() {
        match &link.node {
            Node::Root => write_pointers(&mut state.pointers, link),
            Node::Linked(buffer) | Node::New(buffer) => {
                inode.change_metadata(buffer, |bytes| write_pointers(bytes, link));
            }
        }
    }
    let made = u32::try_from(prepared.made.len()).unwrap_or(u32::MAX);
    inode.add_sectors(assign::sectors(inode, made));
    settle(inode, &mut state);
    inode.trace_commit(
        prepared.extents.len(),
        prepared.made.len(),
        prepared.links.len(),
    );
    // Into its block of the inode table now: `sync` comes here after the VFS had all inodes written.
    inode_write::store_with(inode, &state.pointers)?;
    drop(state);
    inode.mark_dirty();
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

/// Gives back the pointer blocks of a commit that does not happen, and sets the space aside again.
fn give_up(inode: &Inode, prepared: &Prepared) {
    let mut state = inode.data().map.write();
    for buffer in prepared.made.iter() {
        let block = u32::try_from(buffer.block()).unwrap_or(0);
        buffer.clone().forget();
        inode.sb().return_run(block, 1);
    }
    // If others were faster, the next commit takes what is free.
    if inode.sb().reserve_blocks(prepared.from_reserved).is_ok() {
        state.reserved = state.reserved.saturating_add(prepared.from_reserved);
    }
    settle(inode, &mut state);
}

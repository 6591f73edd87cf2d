// SPDX-License-Identifier: GPL-2.0

//! What is done to a file as a whole: its length, its durability, its space.

use super::{
    assign, commit, cut, inode_write,
    overlay::Found,
    state::{Pass, State},
    Ext2, Inode,
};
use crate::{
    mpage::write,
    vfs::{
        buffer::Buffer,
        errno::EOPNOTSUPP,
        file_ops::{Allocation, SyncRange},
        task,
        ticket::Ticket,
    },
};
use core::ops::Range;
use kernel::prelude::*;

/// Rounds a position up to whole blocks, and gives their number.
fn blocks_up(inode: &Inode, bytes: u64) -> u32 {
    let bits = inode.block_bits();
    let mask = (1u64 << bits).saturating_sub(1);
    u32::try_from(bytes.saturating_add(mask) >> bits).unwrap_or(u32::MAX)
}

/// The end of the block that holds byte `position`, or `position` if a block begins there.
fn block_end(inode: &Inode, position: u64) -> u64 {
    u64::from(blocks_up(inode, position)) << inode.block_bits()
}

/// Sets the file's size, in bytes. What a file that grows has behind its old end reads as zeroes. `i_rwsem` is held, or
/// the inode cannot be reached any more. `EIO`, `ENOSPC`.
pub(super) fn truncate(inode: &Inode, size: u64) -> Result {
    inode.wait_for_direct();
    let locked = inode.lock_invalidate();
    let old = inode.size();
    prepare_end(inode, old.min(size), size.max(old))?;
    inode.set_size_and_cache(size);
    let result = if size < old || size == 0 {
        cut::take(inode, blocks_up(inode, size)..u32::MAX)
    } else {
        Ok(())
    };
    drop(locked);
    inode.mark_dirty();
    result
}

/// Takes away the blocks past the end of a file, which nobody else has. `EIO`, `EUCLEAN`.
pub(super) fn cut_past_end(inode: &Inode) -> Result {
    let locked = inode.lock_invalidate();
    let result = cut::take(inode, blocks_up(inode, inode.size())..u32::MAX);
    drop(locked);
    inode.mark_dirty();
    result
}

/// Zeroes what the block at `end` holds past it, before the file's end moves away from there to or from `other`.
///
/// A shared mapping may have written there; the bytes must not show when the file grows over them.
pub(super) fn prepare_end(inode: &Inode, end: u64, other: u64) -> Result {
    let tail = block_end(inode, end).min(other.max(end));
    if !inode.is_regular() || tail <= end {
        return Ok(());
    }
    write::zero::<Ext2>(inode, end..tail)
}

/// `fsync(2)`: makes the file's bytes in `range` and everything that is needed to reach them durable. The file's name
/// is its directory's affair.
pub(super) fn sync(inode: &Inode, range: &SyncRange<'_, Ext2>) -> Result {
    let data = range.write_and_wait();
    let written = write_metadata(inode, range);
    let flushed = inode.sb().make_durable();
    let durable = written.and_then(|stores| flushed.map(|()| stores));
    let settled = durable.map(|stores| inode.data().attributes.set_durable(stores));
    data.and(settled)
}

/// Writes what leads to the file, and waits. Gives how often the inode had been stored when what it led to was written.
fn write_metadata(inode: &Inode, range: &SyncRange<'_, Ext2>) -> Result<u32> {
    let _syncing = inode.data().syncing.lock();
    // If it is, the inode is dirty, and written below.
    let linked = commit::link(inode, commit::Extents::All).map(drop);
    let written = if range.needs_inode() {
        inode.write_now()
    } else {
        Ok(())
    };
    // Before that is written which was changed before the inode was stored: what others store from now on is not counted.
    let stores = inode.data().attributes.stores();
    let metadata = inode.sync_metadata();
    // The flusher may have stored the inode without waiting, and left it clean.
    let stored = inode_write::write_stored(inode);
    linked.and(written).and(metadata).and(stored)?;
    Ok(stores)
}

/// Gives a directory (or a long symbolic link) block `index`, which lies just past its end, and `size` bytes: `fill` makes
/// the first contents of zeroes. The directory is locked for writing. `ENOSPC`.
pub(super) fn dir_block(
    dir: &Inode,
    index: u64,
    size: u64,
    fill: impl FnOnce(&mut [u8]),
) -> Result<Buffer> {
    let block = assign::block_range(index, 1)?;
    let mut state = dir.data().map.write();
    assign::reserve(dir, &mut state, block.clone())?;
    let Found::Extent(extent) = state.overlay.find(block.start) else {
        return Err(EIO);
    };
    let one = super::state::Extent { len: 1, ..extent };
    let disk = match one.state {
        State::Reserved => assign::choose(dir, &mut state, &one)?.0,
        // An attempt before this one had no memory.
        State::Allocated(disk) => disk,
        State::Submitted(..) => return Err(EIO),
    };
    let buffer = dir.sb().new_buffer(disk.into())?;
    let arrived = Ticket::new()?;
    arrived.leave(true);
    // A commit that finds the block writes the buffer first, if it is dirty.
    dir.change_metadata(&buffer, fill);
    state
        .overlay
        .change(block, State::Submitted(disk, Pass(arrived)))?;
    // A commit that finds the block finds the size that goes with it.
    dir.set_size(size);
    Ok(buffer)
}

/// `fallocate(2)`. The inode is locked, and the invalidate lock is held. `ENOSPC`, `EOPNOTSUPP`, `EIO`.
pub(super) fn allocate(inode: &Inode, how: Allocation, bytes: Range<u64>) -> Result {
    inode.sb().check_writes()?;
    let size = inode.size();
    match how {
        Allocation::Allocate { keep_size } => {
            // Blocks past the end of a file have no place in the format: `e2fsck` takes them for damage.
            if keep_size && bytes.end > size.max(block_end(inode, size)) {
                return Err(EOPNOTSUPP());
            }
            fill(inode, &bytes)?;
            grow(inode, bytes.end, keep_size)
        }
        Allocation::PunchHole => punch(inode, &bytes),
        Allocation::ZeroRange { keep_size } => {
            if keep_size && bytes.end > size.max(block_end(inode, size)) {
                return Err(EOPNOTSUPP());
            }
            punch(inode, &(bytes.start.min(size)..bytes.end.min(size)))?;
            fill(inode, &bytes)?;
            grow(inode, bytes.end, keep_size)
        }
    }
}

/// Lets the file reach to `end`, unless it keeps its size.
fn grow(inode: &Inode, end: u64, keep_size: bool) -> Result {
    let size = inode.size();
    if !keep_size && end > size {
        prepare_end(inode, size, end)?;
        inode.set_size_and_cache(end);
    }
    inode.set_modified_now();
    inode.mark_dirty();
    Ok(())
}

/// Makes a hole: whole blocks are taken from the file, parts of blocks zeroed.
fn punch(inode: &Inode, bytes: &Range<u64>) -> Result {
    let bits = inode.block_bits();
    let end = bytes.end.min(block_end(inode, inode.size()));
    if bytes.start >= end {
        return Ok(());
    }
    let first = blocks_up(inode, bytes.start);
    let last = u32::try_from(end >> bits).unwrap_or(u32::MAX);
    let inner = u64::from(first) << bits..u64::from(last) << bits;
    if inner.start >= inner.end {
        write::zero::<Ext2>(inode, bytes.start..end)?;
    } else {
        write::zero::<Ext2>(inode, bytes.start..inner.start)?;
        write::zero::<Ext2>(inode, inner.end..end)?;
        inode.drop_cache(&inner);
        cut::take(inode, first..last)?;
    }
    inode.set_modified_now();
    inode.mark_dirty();
    Ok(())
}

/// Gives blocks, zeroed on disk, to the holes in `bytes`. If that fails half-way, no block past the file's end stays, and
/// none that was not zeroed.
fn fill(inode: &Inode, bytes: &Range<u64>) -> Result {
    let filled = fill_holes(inode, bytes);
    if filled.is_err() {
        cut::take(inode, blocks_up(inode, inode.size())..u32::MAX)?;
    }
    filled
}

/// The same, and leaves what it came to. `EINTR` if the task is being killed.
fn fill_holes(inode: &Inode, bytes: &Range<u64>) -> Result {
    let bits = inode.block_bits();
    // What is dirty gets its blocks the usual way; after this nothing in the range is on its way to the disk.
    inode.write_and_wait(bytes)?;
    let range = u32::try_from(bytes.start >> bits).map_err(|_| EFBIG)?..blocks_up(inode, bytes.end);
    {
        let mut state = inode.data().map.write();
        assign::reserve(inode, &mut state, range.clone())?;
    }
    fill_reserved(inode, range.clone()).inspect_err(|_| {
        let mut state = inode.data().map.write();
        // Without memory it stays the file's until that is truncated or leaves memory; nothing points to it on disk.
        let _ = cut::take_unsent(inode, &mut state, range);
    })
}

/// Gives blocks to the reserved extents of `range`.
fn fill_reserved(inode: &Inode, range: Range<u32>) -> Result {
    let mut block = range.start;
    while block < range.end {
        if task::is_dying() {
            return Err(EINTR);
        }
        block = fill_hole(inode, block..range.end)?;
    }
    Ok(())
}

/// Gives blocks to the first extent of `range`, if it is reserved. Gives the block after it.
fn fill_hole(inode: &Inode, range: Range<u32>) -> Result<u32> {
    let (first, disk, len) = {
        let mut state = inode.data().map.write();
        let extent = match state.overlay.find(range.start) {
            Found::Nothing(until) => return Ok(until.min(range.end)),
            Found::Extent(extent) => extent,
        };
        let len = extent.end().min(range.end).saturating_sub(extent.first);
        let extent = super::state::Extent { len, ..extent };
        match extent.state {
            State::Submitted(..) => return Ok(extent.end()),
            State::Allocated(disk) => (extent.first, disk, len),
            State::Reserved => {
                let (disk, len) = assign::choose(inode, &mut state, &extent)?;
                (extent.first, disk, len)
            }
        }
    };
    inode.sb().zero_blocks(disk.into(), len.into())?;
    let arrived = Ticket::new()?;
    arrived.leave(true);
    let end = first.saturating_add(len);
    let mut state = inode.data().map.write();
    state
        .overlay
        .change(first..end, State::Submitted(disk, Pass(arrived)))?;
    drop(state);
    inode.mark_dirty();
    Ok(end)
}

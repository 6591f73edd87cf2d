// SPDX-License-Identifier: GPL-2.0

//! Writing into the page cache: `write_begin` and `write_end`, page faults for writing, and zeroing.
//!
//! What is written is only put aside here: space is reserved, and blocks are chosen when the pages go to disk
//! ([`writeback`](super::writeback)).

use super::{
    plan::{Place, Run, SECTOR_SHIFT},
    queue::RunQueue,
    BlockMap,
};
use crate::vfs::{
    bio::OpenBio,
    folio::{CachedFolio, LockedFolio},
    inode::Inode,
    ticket::Ticket,
};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

/// Where a file system's files will lie.
pub(crate) trait WriteMap: BlockMap {
    /// Whether anything may be written anew: `EROFS`, `EIO`.
    fn check_writes(inode: &Inode<Self>) -> Result;

    /// Whether what was accepted may be written to the device: `EIO`. Pages stay dirty if not.
    fn check_live(inode: &Inode<Self>) -> Result;

    /// Sets space aside for those of the `len` blocks from file block `first` on that have none. Called with the
    /// folio locked. Fails with `ENOSPC`.
    fn reserve(inode: &Inode<Self>, first: u64, len: u64) -> Result;

    /// Gives back what is set aside or chosen for the `len` blocks from file block `first` on and not used: nothing was
    /// written to them. The inode is locked, and so is the folio, in which they are clean.
    fn unreserve(inode: &Inode<Self>, first: u64, len: u64);

    /// Where the blocks from `first` on are to be written; chooses blocks for those that have only space set aside,
    /// for the whole of it if that can be. A hole is where not even that is. At most `max` blocks are of use. What the look-up finds of the blocks behind a run
    /// that is not fresh is put into `rest`, which is empty: runs that are not fresh either, or holes. Called with the
    /// folio locked, from writeback.
    fn map_write(inode: &Inode<Self>, first: u64, max: u64, rest: &mut RunQueue) -> Result<Chosen>;

    /// `blocks` of the file, which were fresh when they were mapped, are about to be sent to the blocks from `disk` on:
    /// readers may now look for them there, but those that are not reachable on disk yet must not be before `ticket` is
    /// done, nor ever if that says that it failed. Waits for memory rather than fail. Fails with `EIO` if they are not the file's any more: an earlier write
    /// has failed.
    fn submitted(
        inode: &Inode<Self>,
        blocks: Range<u64>,
        disk: u64,
        ticket: &Arc<Ticket>,
    ) -> Result;

    /// Changes whenever blocks are taken from the file: what was mapped before is void then.
    fn map_version(inode: &Inode<Self>) -> u64;

    /// Where a direct write to `blocks` may put the first of them, and those that follow it on disk; chooses blocks where
    /// there are none. Fresh ones read as zeroes until [`written`](Self::written). The inode is locked for writing. Fails
    /// with `ENOTBLK` where the page cache can do better: when there is no space for all.
    fn map_direct(inode: &Inode<Self>, blocks: Range<u64>) -> Result<Chosen>;

    /// A direct write has filled `bytes`: the file has them from now on, and reaches so far. The inode is locked for
    /// writing.
    fn written(inode: &Inode<Self>, bytes: Range<u64>) -> Result;

    /// A direct write ended before `bytes`: takes back the blocks that were chosen for it. The inode is locked for
    /// writing.
    fn unwritten(inode: &Inode<Self>, bytes: Range<u64>);

    /// Whether everything is durable that leads to the file's blocks.
    fn is_durable(inode: &Inode<Self>) -> bool;

    /// Whether the block has a place on disk or space set aside: whether it can hold anything but zeroes.
    fn has_space(inode: &Inode<Self>, block: u64) -> Result<bool>;
}

/// Where blocks are to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    /// The run.
    pub(crate) run: Run,
    /// The blocks are not reachable on disk yet.
    pub(crate) fresh: bool,
}

/// The blocks of a range of bytes, those that it only touches included.
pub(super) fn touched(bytes: &Range<u64>, bits: u32) -> Range<u64> {
    // Below 64, as the compiler can see.
    let bits = bits & 63;
    let mask = (1u64 << bits).saturating_sub(1);
    bytes.start >> bits..bytes.end.saturating_add(mask) >> bits
}

/// A range of blocks of a folio, counted from its first.
fn in_folio(folio: &LockedFolio<'_>, blocks: &Range<u64>, bits: u32) -> Range<u32> {
    let first = folio.pos() >> bits;
    blocks.start.saturating_sub(first) as u32..blocks.end.saturating_sub(first) as u32
}

/// `address_space_operations::write_begin`. The write may come to less than `len` bytes: the folio is the limit. Fails
/// with `ENOSPC` unless there is space for all that fits into it.
pub(crate) fn write_begin<T: WriteMap>(
    inode: &Inode<T>,
    pos: u64,
    len: u64,
    nowait: bool,
) -> Result<CachedFolio> {
    let folio = CachedFolio::get(inode, pos, len.max(ahead(inode, pos)), nowait)?;
    let end = pos
        .saturating_add(len)
        .min(folio.pos().saturating_add(folio.size()));
    let blocks = touched(&(pos..end), inode.block_bits());
    T::reserve(inode, blocks.start, blocks.end.saturating_sub(blocks.start))?;
    if !folio.is_uptodate() {
        fill_edges(inode, &folio, &(pos..end))
            .inspect_err(|_| give_back(inode, &folio, &(pos..end)))?;
    }
    Ok(folio)
}

/// Gives back what was set aside for `bytes` of the folio, to which nothing was written after all. What somebody else has
/// written there is dirty, and keeps its space.
#[cold]
fn give_back<T: WriteMap>(inode: &Inode<T>, folio: &LockedFolio<'_>, bytes: &Range<u64>) {
    let bits = inode.block_bits();
    let first = folio.pos() >> bits;
    let mut rest = in_folio(folio, &touched(bytes, bits), bits);
    // What is clean because it is on its way is not told from the rest.
    folio.wait_writeback();
    while let Some(clean) = folio.next_clean(rest.clone()) {
        rest.start = clean.end;
        let len = clean.end.saturating_sub(clean.start);
        T::unreserve(inode, first.saturating_add(clean.start.into()), len.into());
    }
}

/// The most bytes for which a folio is made ahead of the writer: few enough for a record without memory of its own.
const MOST_AHEAD: u64 = 128 << 10;

/// For how many bytes a folio is worth making that is to hold `pos`. Who adds small pieces to the end of a file is
/// expected to add as many again: a folio for each of them costs more than the copy.
fn ahead<T: WriteMap>(inode: &Inode<T>, pos: u64) -> u64 {
    let size = inode.size();
    if pos == size {
        (size / 2).min(MOST_AHEAD)
    } else {
        0
    }
}

/// Makes those blocks valid that `bytes` covers in part only.
fn fill_edges<T: WriteMap>(
    inode: &Inode<T>,
    folio: &LockedFolio<'_>,
    bytes: &Range<u64>,
) -> Result {
    let bits = inode.block_bits();
    let mask = (1u64 << bits).saturating_sub(1);
    let blocks = touched(bytes, bits);
    let last = blocks.end.saturating_sub(1);
    if bytes.start & mask != 0 || (last == blocks.start && bytes.end & mask != 0) {
        fill_block(inode, folio, blocks.start)?;
    }
    if last != blocks.start && bytes.end & mask != 0 {
        fill_block(inode, folio, last)?;
    }
    Ok(())
}

/// Makes one block of the folio valid, if it is not: reads it, or zeroes it if there is nothing to read.
fn fill_block<T: WriteMap>(inode: &Inode<T>, folio: &LockedFolio<'_>, block: u64) -> Result {
    let bits = inode.block_bits();
    let own = in_folio(folio, &(block..block.saturating_add(1)), bits);
    let only = folio.size() >> bits == 1;
    if folio.is_uptodate()
        || folio
            .state()
            .is_some_and(|state| state.is_uptodate(own.clone()))
    {
        return Ok(());
    }
    let bytes = u64::from(own.start) << bits..u64::from(own.end) << bits;
    let place = match block << bits < inode.size() {
        true => T::map(inode, block, 1)?.place,
        false => Place::Hole,
    };
    match place {
        Place::Hole => folio.zero(bytes),
        Place::Mapped(disk) => {
            let sector = disk << (bits.saturating_sub(SECTOR_SHIFT));
            OpenBio::read_now(inode.sb(), sector, folio, bytes.clone())?;
            // A mapping would show what the disk has behind the end of the file.
            let end = inode.size().saturating_sub(folio.pos());
            folio.zero(end.max(bytes.start)..bytes.end);
        }
    }
    match only {
        true => folio.set_uptodate(),
        false => note_uptodate(folio, own, bits),
    }
    Ok(())
}

/// Notes blocks of a folio as up to date, and the folio when they all are.
fn note_uptodate(folio: &LockedFolio<'_>, blocks: Range<u32>, bits: u32) {
    let state = folio.make_state(bits);
    state.set_uptodate(blocks);
    if state.is_all_uptodate() {
        folio.set_uptodate();
    }
}

/// `address_space_operations::write_end`: `copied` of `len` bytes are in the folio at `pos`. Gives how many count: all,
/// or less if the copy ended inside a block of which the rest is not valid. The file grows as far as that reaches.
pub(crate) fn write_end<T: WriteMap>(
    inode: &Inode<T>,
    folio: CachedFolio,
    pos: u64,
    len: u64,
    copied: u64,
) -> u64 {
    let bits = inode.block_bits();
    let taken = if copied < len {
        whole_blocks(&folio, pos, copied, bits)
    } else {
        copied
    };
    let end = pos.saturating_add(taken);
    if taken == 0 {
        give_back(inode, &folio, &(pos..pos.saturating_add(len)));
        return 0;
    }
    if !folio.is_uptodate() {
        let blocks = in_folio(&folio, &touched(&(pos..end), bits), bits);
        match blocks.start == 0 && u64::from(blocks.end) >= folio.size() >> bits {
            true => folio.set_uptodate(),
            false => note_uptodate(&folio, blocks, bits),
        }
    }
    let start = folio.pos();
    folio.set_dirty(pos.saturating_sub(start)..end.saturating_sub(start), bits);
    if taken < len {
        give_back(inode, &folio, &(end..pos.saturating_add(len)));
    }
    let old_size = inode.size();
    let grown = end > old_size;
    if grown {
        inode.set_size(end);
    }
    drop(folio);
    if old_size < pos {
        inode.size_extended_from(old_size, pos);
    }
    if grown {
        inode.mark_dirty();
    }
    taken
}

/// How much of a short copy can be kept: up to the last block that is valid.
fn whole_blocks(folio: &LockedFolio<'_>, pos: u64, copied: u64, bits: u32) -> u64 {
    let end = pos.saturating_add(copied);
    let last = end >> bits;
    let own = in_folio(folio, &(last..last.saturating_add(1)), bits);
    let valid = folio.is_uptodate() || folio.state().is_some_and(|state| state.is_uptodate(own));
    match valid {
        true => copied,
        false => (last << bits).saturating_sub(pos),
    }
}

/// A page of a shared mapping, at these bytes of the file, is about to be written: sets space aside for the whole of its
/// folio and makes it dirty, or for the page alone if there is not so much. The kernel makes the whole folio dirty in any
/// case; writeback finds that the rest of it are zeroes in a hole. The folio is locked, up to date and in the
/// file. Fails with `ENOSPC`.
pub(crate) fn make_writable<T: WriteMap>(
    inode: &Inode<T>,
    folio: &LockedFolio<'_>,
    page: Range<u64>,
) -> Result {
    let whole = folio.pos()..folio.pos().saturating_add(folio.size());
    match make_range_writable(inode, folio, whole) {
        Err(error) if error == ENOSPC => make_range_writable(inode, folio, page),
        made => made,
    }
}

fn make_range_writable<T: WriteMap>(
    inode: &Inode<T>,
    folio: &LockedFolio<'_>,
    bytes: Range<u64>,
) -> Result {
    let bits = inode.block_bits();
    let bytes = bytes.start..bytes.end.min(inode.size());
    if bytes.is_empty() {
        return Err(EFAULT);
    }
    let blocks = touched(&bytes, bits);
    T::reserve(inode, blocks.start, blocks.end.saturating_sub(blocks.start))?;
    let start = bytes.start.saturating_sub(folio.pos());
    folio.set_dirty(start..bytes.end.saturating_sub(folio.pos()), bits);
    Ok(())
}

/// Zeroes `bytes` of the file in the page cache. Blocks without space are zero already and left alone. The
/// inode is locked.
pub(crate) fn zero<T: WriteMap>(inode: &Inode<T>, bytes: Range<u64>) -> Result {
    let bits = inode.block_bits();
    let mut pos = bytes.start;
    while pos < bytes.end {
        let block_end = (pos >> bits).saturating_add(1) << bits;
        let end = bytes.end.min(block_end);
        if T::has_space(inode, pos >> bits)? {
            zero_block(inode, pos..end)?;
        }
        pos = end;
    }
    Ok(())
}

/// Zeroes part of one block, which is then written like any other.
fn zero_block<T: WriteMap>(inode: &Inode<T>, bytes: Range<u64>) -> Result {
    let len = bytes.end.saturating_sub(bytes.start);
    let folio = write_begin(inode, bytes.start, len, false)?;
    let start = bytes.start.saturating_sub(folio.pos());
    folio.zero(start..start.saturating_add(len));
    if !folio.is_uptodate() {
        let blocks = in_folio(
            &folio,
            &touched(&bytes, inode.block_bits()),
            inode.block_bits(),
        );
        note_uptodate(&folio, blocks, inode.block_bits());
    }
    folio.set_dirty(start..start.saturating_add(len), inode.block_bits());
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! What is known of each block of a folio, where the folio's own flags do not say it.
//!
//! Most folios have no such record: they are one piece of I/O, and their flags speak for all their blocks. A folio
//! gets one when its blocks are scattered on disk, or when some of them are up to date or dirty and others not. It
//! takes the role of C's chain of buffer heads, with two bits a block.
//!
//! The record is made and dropped under the folio lock. Its bits and counts are atomic, because completions run in
//! interrupts and on any processor.

use super::no_fail::{no_fail_box, Array};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{ordering, Atomic},
};

/// Words of bits that need no allocation of their own: enough for a full window of readahead (128 KiB) in blocks of
/// 1 KiB.
const INLINE_WORDS: usize = 2;

/// A set of bits, one a block of the folio.
enum Words {
    Inline([Atomic<u64>; INLINE_WORDS]),
    Heap(Array),
}

impl Words {
    fn new(blocks: u32) -> Self {
        match (blocks as usize).div_ceil(64) {
            words if words <= INLINE_WORDS => {
                Self::Inline([const { Atomic::new(0) }; INLINE_WORDS])
            }
            words => Self::Heap(Array::new(words)),
        }
    }

    fn words(&self) -> &[Atomic<u64>] {
        match self {
            Self::Inline(words) => words,
            Self::Heap(words) => words.as_slice(),
        }
    }

    /// Calls `apply` with each word that `range` touches and the mask of its bits there, until it gives `false`.
    fn each(&self, range: Range<u32>, mut apply: impl FnMut(&Atomic<u64>, u64) -> bool) -> bool {
        let first = range.start / 64;
        self.words()
            .iter()
            .enumerate()
            .skip(first as usize)
            .all(|(index, word)| {
                let base = (index as u32).saturating_mul(64);
                if base >= range.end {
                    return true;
                }
                let low = range.start.saturating_sub(base).min(63);
                let high = range.end.saturating_sub(base).min(64);
                let mask =
                    (u64::MAX >> (64u32.saturating_sub(high.max(1)) & 63)) & (u64::MAX << low);
                apply(word, mask)
            })
    }

    /// The word in which all of `range` lies, as most ranges do, and the mask of its bits.
    #[inline]
    fn one(&self, range: &Range<u32>) -> Option<(&Atomic<u64>, u64)> {
        let last = range.end.wrapping_sub(1);
        if range.start >= range.end || range.start / 64 != last / 64 {
            return None;
        }
        let mask = (u64::MAX >> (!last & 63)) & (u64::MAX << (range.start & 63));
        let word = self.words().get((range.start / 64) as usize)?;
        Some((word, mask))
    }

    fn set(&self, range: Range<u32>) {
        if let Some((word, mask)) = self.one(&range) {
            return update(word, |old| old | mask);
        }
        self.each(range, |word, mask| {
            update(word, |old| old | mask);
            true
        });
    }

    fn clear(&self, range: Range<u32>) {
        if range.start >= range.end {
            return;
        }
        if let Some((word, mask)) = self.one(&range) {
            // What is clear already needs no change.
            if word.load(ordering::Relaxed) & mask != 0 {
                update(word, |old| old & !mask);
            }
            return;
        }
        self.each(range, |word, mask| {
            update(word, |old| old & !mask);
            true
        });
    }

    fn all(&self, range: Range<u32>) -> bool {
        self.each(range, |word, mask| {
            word.load(ordering::Acquire) & mask == mask
        })
    }

    /// The first run of blocks in `range` whose bit equals `value`.
    fn next_run(&self, range: Range<u32>, value: bool) -> Option<Range<u32>> {
        let start = self.find(range.clone(), value)?;
        let end = self.find(start..range.end, !value).unwrap_or(range.end);
        Some(start..end)
    }

    /// The first block in `range` whose bit equals `value`.
    fn find(&self, range: Range<u32>, value: bool) -> Option<u32> {
        let flip = if value { 0 } else { u64::MAX };
        let mut at = range.start;
        while at < range.end {
            let word = self
                .words()
                .get((at / 64) as usize)?
                .load(ordering::Acquire)
                ^ flip;
            let rest = word & (u64::MAX << (at % 64));
            if rest != 0 {
                let found = (at & !63).saturating_add(rest.trailing_zeros());
                return (found < range.end).then_some(found);
            }
            at = (at & !63).saturating_add(64);
        }
        None
    }
}

/// Changes a word as one step. The kernel's atomics have no "or" of their own.
fn update(word: &Atomic<u64>, change: impl Fn(u64) -> u64) {
    let mut old = word.load(ordering::Relaxed);
    while let Err(now) = word.cmpxchg(old, change(old), ordering::Full) {
        old = now;
    }
}

/// The record of one folio.
pub(crate) struct BlockState {
    blocks: u32,
    uptodate: Words,
    dirty: Words,
    reading: Atomic<u32>,
    failed: Atomic<bool>,
    writing: Atomic<u32>,
}

impl BlockState {
    /// A record for `blocks` blocks, all up to date if `uptodate` and all dirty if `dirty`. May sleep for memory, but
    /// does not fail: writeback has to go on when memory is short.
    pub(super) fn new(blocks: u32, uptodate: bool, dirty: bool) -> KBox<Self> {
        let state = no_fail_box(Self {
            blocks,
            uptodate: Words::new(blocks),
            dirty: Words::new(blocks),
            reading: Atomic::new(0),
            failed: Atomic::new(false),
            writing: Atomic::new(0),
        });
        if uptodate {
            state.uptodate.set(0..blocks);
        }
        if dirty {
            state.dirty.set(0..blocks);
        }
        state
    }

    /// The number of blocks of the folio.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Notes that these blocks hold what the file holds.
    pub(crate) fn set_uptodate(&self, range: Range<u32>) {
        self.uptodate.set(range);
    }

    /// Whether all these blocks hold what the file holds.
    pub(crate) fn is_uptodate(&self, range: Range<u32>) -> bool {
        self.uptodate.all(range)
    }

    /// The first run of blocks in `range` that have to be read.
    pub(crate) fn next_missing(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.uptodate.next_run(range, false)
    }

    /// Notes that these blocks have to be written.
    pub(crate) fn set_dirty(&self, range: Range<u32>) {
        self.dirty.set(range);
    }

    /// Notes that these blocks need not be written.
    pub(crate) fn clear_dirty(&self, range: Range<u32>) {
        self.dirty.clear(range);
    }

    /// The first run of blocks in `range` that have to be written.
    pub(crate) fn next_dirty(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.dirty.next_run(range, true)
    }

    /// The first run of blocks in `range` that need not be written.
    pub(super) fn next_clean(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.dirty.next_run(range, false)
    }

    /// Counts `bytes` more to be read; the folio stays locked until all have been given back. Bytes and not pieces,
    /// because a bio makes one piece of two that are adjacent in the folio.
    pub(crate) fn begin_read(&self, bytes: u32) {
        self.reading.fetch_add(bytes, ordering::Full);
    }

    /// Gives `bytes` back. The last ones are told so, with whether any failed since the last time.
    pub(crate) fn end_read(&self, ok: bool, bytes: u32) -> Option<bool> {
        if !ok {
            self.failed.store(true, ordering::Relaxed);
        }
        match self.reading.fetch_sub(bytes, ordering::Full) {
            before if before == bytes => Some(!self.failed.xchg(false, ordering::Full)),
            _ => None,
        }
    }

    /// Counts `bytes` more to be written.
    pub(crate) fn begin_write(&self, bytes: u32) {
        self.writing.fetch_add(bytes, ordering::Full);
    }

    /// Gives `bytes` back; `true` for the last ones, and where none were counted.
    pub(crate) fn end_write(&self, bytes: u32) -> bool {
        self.writing.load(ordering::Acquire) == 0
            || self.writing.fetch_sub(bytes, ordering::Full) == bytes
    }

    /// Whether all blocks are up to date.
    pub(crate) fn is_all_uptodate(&self) -> bool {
        self.is_uptodate(0..self.blocks)
    }
}

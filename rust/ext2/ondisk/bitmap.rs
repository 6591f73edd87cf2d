// SPDX-License-Identifier: GPL-2.0

//! Bitmaps of blocks and inodes.
//!
//! Bit *n* is bit *n* mod 8 of byte *n* / 8; a set bit is something in use. Format:
//! `Documentation/filesystems/ext4/bitmaps.rst`. Bits are numbered from zero; `len` is how many of
//! the bitmap's bits mean something, those behind are never given out nor touched.

use super::{
    error::{
        Corruption,
        Result, //
    },
    raw::Value, //
};
use core::ops::Range;

/// Bits of a word.
const WORD: u32 = u64::BITS;

/// Word number `index`; bits behind the end of the bitmap read as `beyond`.
fn word(bitmap: &[u8], index: u32, beyond: u8) -> u64 {
    let at = (index as usize).saturating_mul(size_of::<u64>());
    match u64::read(bitmap, at) {
        Some(word) => word,
        None => {
            let mut bytes = [beyond; size_of::<u64>()];
            let rest = bitmap.get(at..).unwrap_or_default();
            for (to, from) in bytes.iter_mut().zip(rest) {
                *to = *from;
            }
            u64::from_le_bytes(bytes)
        }
    }
}

/// A word whose bits from bit `n` mod 64 on are set.
fn from_bit(n: u32) -> u64 {
    u64::MAX.wrapping_shl(n % WORD)
}

/// How many of the whole words `words` come before the first of which a bit, after `flip`, is set: all if there is none.
fn skip(bitmap: &[u8], words: Range<u32>, flip: u64) -> u32 {
    let bytes = |index: u32| (index as usize).saturating_mul(size_of::<u64>());
    let whole = bytes(words.start)..bytes(words.end).min(bitmap.len());
    let mut found = bitmap
        .get(whole)
        .unwrap_or_default()
        .chunks_exact(size_of::<u64>())
        .map(|bytes| {
            bytes
                .first_chunk()
                .map_or(0, |word| u64::from_le_bytes(*word))
        });
    let count = words.end.saturating_sub(words.start);
    found
        .position(|word| word ^ flip != 0)
        .map_or(count, |at| at as u32)
}

/// The first bit at or behind `from` and before `len` that, after `flip`, is set.
fn next(bitmap: &[u8], len: u32, from: u32, flip: u64) -> Option<u32> {
    if from >= len {
        return None;
    }
    let beyond = flip as u8;
    let mut index = from / WORD;
    let mut found = (word(bitmap, index, beyond) ^ flip) & from_bit(from);
    if found == 0 {
        // Behind the bitmap there is nothing to be found.
        let words = u32::try_from(bitmap.len() / size_of::<u64>()).unwrap_or(u32::MAX);
        let last = words.min(len.saturating_sub(1) / WORD);
        if index >= last {
            return None;
        }
        index = index.saturating_add(1);
        index = index.saturating_add(skip(bitmap, index..last, flip));
        found = word(bitmap, index, beyond) ^ flip;
        if found == 0 {
            return None;
        }
    }
    let bit = index
        .saturating_mul(WORD)
        .saturating_add(found.trailing_zeros());
    Some(bit).filter(|&bit| bit < len)
}

/// The first clear bit at or behind `from`.
pub fn next_clear(bitmap: &[u8], len: u32, from: u32) -> Option<u32> {
    next(bitmap, len, from, u64::MAX)
}

/// The first set bit at or behind `from`.
pub fn next_set(bitmap: &[u8], len: u32, from: u32) -> Option<u32> {
    next(bitmap, len, from, 0)
}

/// Whether the bit is set; bits behind the bitmap are.
pub fn is_set(bitmap: &[u8], bit: u32) -> bool {
    word(bitmap, bit / WORD, u8::MAX) & 1u64.wrapping_shl(bit % WORD) != 0
}

/// The number of clear bits.
pub fn count_clear(bitmap: &[u8], len: u32) -> u32 {
    let full = (0..len / WORD)
        .map(|index| word(bitmap, index, u8::MAX).count_zeros())
        .fold(0, u32::saturating_add);
    let rest = match len % WORD {
        0 => 0,
        rest => {
            let used = word(bitmap, len / WORD, u8::MAX) | from_bit(rest);
            used.count_zeros()
        }
    };
    full.saturating_add(rest)
}

/// How many bits from `from` on are clear, up to `max`.
pub fn clear_run(bitmap: &[u8], len: u32, from: u32, max: u32) -> u32 {
    let end = len.min(from.saturating_add(max));
    next_set(bitmap, end, from)
        .unwrap_or(end)
        .saturating_sub(from)
}

/// The clear bits to take when `want` are wished for near `goal`.
///
/// The order of preference: all of `want` beginning at `goal`; the first place behind `goal` with
/// `want` in a row, then the first one before it; the longest row that there is. `None` if no bit is
/// clear or `want` is zero. The cost is one look at every word and at every row on the way.
pub fn find_run(bitmap: &[u8], len: u32, goal: u32, want: u32) -> Option<Range<u32>> {
    let goal = match goal < len {
        true => goal,
        false => 0,
    };
    if want == 0 {
        return None;
    }
    // Who adds to a file block by block asks for one, and it is mostly free.
    if want == 1 && goal < len && !is_set(bitmap, goal) {
        return Some(goal..goal.saturating_add(1));
    }
    let behind = longest_run(bitmap, goal..len, want);
    if run_len(&behind) >= want {
        return behind;
    }
    // A row that crosses the goal counts whole.
    let end = goal.saturating_add(clear_run(bitmap, len, goal, want));
    let before = longest_run(bitmap, 0..end, want);
    match run_len(&before) > run_len(&behind) {
        true => before,
        false => behind,
    }
}

fn run_len(run: &Option<Range<u32>>) -> u32 {
    run.as_ref()
        .map_or(0, |run| run.end.saturating_sub(run.start))
}

/// The first row of `want` clear bits inside `inside`, or the longest shorter one.
fn longest_run(bitmap: &[u8], inside: Range<u32>, want: u32) -> Option<Range<u32>> {
    let mut best: Option<Range<u32>> = None;
    let mut from = inside.start;
    while let Some(start) = next_clear(bitmap, inside.end, from) {
        let len = clear_run(bitmap, inside.end, start, want);
        let end = start.saturating_add(len);
        if len > run_len(&best) {
            best = Some(start..end);
        }
        if len >= want {
            break;
        }
        from = end;
    }
    best
}

/// Takes the bits of `range`, all of which are clear.
///
/// # Errors
///
/// [`Corruption::AlreadyInUse`], with nothing changed, if one is set or behind the bitmap's end.
pub fn take(bitmap: &mut [u8], range: Range<u32>) -> Result {
    let set = match range.end.wrapping_sub(range.start) {
        1 => is_set(bitmap, range.start).then_some(range.start),
        _ => next(bitmap, range.end, range.start, 0),
    };
    if let Some(bit) = set.or(beyond_end(bitmap, &range)) {
        return Err(Corruption::AlreadyInUse { bit }.into());
    }
    change(bitmap, range, |byte, mask| byte | mask);
    Ok(())
}

/// Gives the bits of `range` back, all of which are set.
///
/// # Errors
///
/// [`Corruption::AlreadyFree`], with nothing changed, if one is clear or behind the bitmap's end.
pub fn give_back(bitmap: &mut [u8], range: Range<u32>) -> Result {
    let clear = next(bitmap, range.end, range.start, u64::MAX);
    if let Some(bit) = clear.or(beyond_end(bitmap, &range)) {
        return Err(Corruption::AlreadyFree { bit }.into());
    }
    change(bitmap, range, |byte, mask| byte & !mask);
    Ok(())
}

/// The first bit of the range that the bitmap does not have.
fn beyond_end(bitmap: &[u8], range: &Range<u32>) -> Option<u32> {
    let bits = u32::try_from(bitmap.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(8);
    (range.start < range.end && range.end > bits).then_some(bits.max(range.start))
}

/// Applies `apply` to every byte that the range touches, with a mask of the bits concerned.
fn change(bitmap: &mut [u8], range: Range<u32>, apply: impl Fn(u8, u8) -> u8) {
    let mut bit = range.start;
    while bit < range.end {
        let byte_end = (bit | 7).saturating_add(1);
        let low = u8::MAX.wrapping_shl(bit % 8);
        let high = match range.end < byte_end {
            true => !u8::MAX.wrapping_shl(range.end % 8),
            false => u8::MAX,
        };
        if let Some(byte) = bitmap.get_mut((bit / 8) as usize) {
            *byte = apply(*byte, low & high);
        }
        bit = byte_end;
    }
}

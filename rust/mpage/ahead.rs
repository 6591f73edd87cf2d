// SPDX-License-Identifier: GPL-2.0

//! How far to read ahead.
//!
//! The page cache makes the windows of a sequential reader longer and longer, and lets each end where a large folio
//! can: to that end it cuts them, which close to the beginning of a file costs most of a window. Reading on to the
//! *next* such place instead makes fewer bios.

use core::ops::Range;

/// The end of a window of a file of `size` bytes that the page cache made for somebody who reads on and on; all are
/// positions in the file, in bytes. `longest` is the length of the longest window.
///
/// A window that was cut (its end is a rounder number than its length) goes on to the next number as round. Only in the
/// first `longest` bytes, where little has been read before and windows are short; and only if it then is no longer
/// than `longest`, nor than twice what lies before it, so that who stops reading has not had much more read than
/// he asked for.
pub fn end(window: &Range<u64>, longest: u64, size: u64) -> u64 {
    let len = window.end.saturating_sub(window.start);
    let round = window.end & window.end.wrapping_neg();
    let limit = longest.min(window.start.saturating_mul(2));
    let cut = len < round && window.end < longest;
    if !cut || len.saturating_add(round) > limit {
        return window.end;
    }
    window.end.saturating_add(round).min(size).max(window.end)
}

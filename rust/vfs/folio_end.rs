// SPDX-License-Identifier: GPL-2.0

//! The end of a folio's I/O: what completions, and passes over folios that need no I/O, do with them.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::folio::Folio;
use crate::bindings;
use kernel::prelude::*;

impl Folio {
    /// Zeroes what the folio, which is under read, holds past the end of the file: a mapping would show it.
    pub(super) fn zero_past_end(&self) {
        // SAFETY: A folio under read has a mapping with a host; its size is read in one piece. The folio is locked, so
        // that nobody else changes its bytes.
        unsafe {
            let size = (&raw const (*(*self.mapping()).host).i_size).read_volatile() as u64;
            let from = size.saturating_sub(self.pos());
            if from < self.size() {
                let len = self.size().wrapping_sub(from);
                bindings::rfs_folio_zero_range(self.as_raw(), from as usize, len as usize);
            }
        }
    }

    /// Ends a read of the whole folio and unlocks it.
    ///
    /// # Safety
    ///
    /// The folio is under read (state 2), and this is the end of its last piece.
    pub(super) unsafe fn end_read(&self, ok: bool) {
        // SAFETY: The caller's promise.
        unsafe { bindings::folio_end_read(self.as_raw(), ok) };
    }

    /// Ends writeback.
    ///
    /// # Safety
    ///
    /// The folio is under writeback (state 3), and this is the end of its last piece.
    pub(super) unsafe fn end_writeback(&self) {
        // SAFETY: The caller's promise.
        unsafe { bindings::folio_end_writeback(self.as_raw()) };
    }

    /// Ends `bytes` of writeback, and with the last ones the writeback.
    ///
    /// # Safety
    ///
    /// The folio is under writeback (state 3), and a piece of it has ended that was counted in its record, or was its
    /// only one.
    pub(super) unsafe fn end_write_piece(&self, bytes: u32) {
        // A folio that was given away whole may have got a record since: then nothing is counted there.
        if self.state().is_none_or(|state| state.end_write(bytes)) {
            // SAFETY: The caller's promise; it was the last piece.
            unsafe { self.end_writeback() };
        }
    }

    /// Notes an error of the file's data, to be told once to everybody who syncs it.
    pub(super) fn set_mapping_error(&self, error: Error) {
        // SAFETY: A folio under I/O has a mapping.
        unsafe { bindings::rfs_mapping_set_error(self.mapping(), error.to_errno()) };
    }
}

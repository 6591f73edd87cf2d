// SPDX-License-Identifier: GPL-2.0

//! The readahead window: locked folios, in order, that the VFS wants read.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h), `struct readahead_control`

use super::{folio::LockedFolio, inode::Inode, FileSystem};
use crate::bindings;
use core::{marker::PhantomData, ops::Range};

/// A readahead window of a file of `T`. Folios that are not taken are dropped by the VFS.
pub(crate) struct Readahead<'a, T> {
    raw: &'a mut bindings::readahead_control,
    _fs: PhantomData<T>,
}

impl<'a, T: FileSystem> Readahead<'a, T> {
    /// # Safety
    ///
    /// `raw` is the control of a readahead call on a file of `T`, ours for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::readahead_control) -> Self {
        Self {
            // SAFETY: The caller's promise.
            raw: unsafe { &mut *raw },
            _fs: PhantomData,
        }
    }

    /// The file.
    pub(crate) fn inode(&self) -> &'a Inode<T> {
        // SAFETY: The mapping's host outlives the call.
        unsafe { Inode::from_raw((*self.raw.mapping).host) }
    }

    /// What is left of the window: positions in the file, in bytes.
    pub(crate) fn window(&self) -> Range<u64> {
        // The VFS counts pages of one file, whose positions are below 2^63.
        let done = u64::from(self.raw._batch_count);
        let first = (self.raw._index as u64).wrapping_add(done);
        let end = first.wrapping_add(u64::from(self.raw._nr_pages).wrapping_sub(done));
        (first << bindings::PAGE_SHIFT)..(end << bindings::PAGE_SHIFT)
    }

    /// The length in bytes of the longest window there is, if this one was made, whole, for somebody who has read up to
    /// the one before it and goes on.
    pub(crate) fn longest(&self) -> Option<u64> {
        // SAFETY: The control is ours; what it says of the file's readers is null or lives as long.
        let readers = unsafe { self.raw.ra.as_ref() }?;
        // Windows that are made when nothing else is left to read begin with what is asked for, and only the rest is
        // ahead of the reader.
        let goes_on = readers.async_size == readers.size;
        let whole = readers.start == self.raw._index && readers.size == self.raw._nr_pages;
        (goes_on && whole).then(|| u64::from(readers.ra_pages) << bindings::PAGE_SHIFT)
    }

    /// Adds folios until the window reaches to byte `end`, or there is no memory, or a page that is in the cache. No
    /// folio has been taken yet.
    pub(crate) fn extend(&mut self, end: u64) {
        let window = self.window();
        if end > window.end {
            let len = end.wrapping_sub(window.start);
            // SAFETY: The control is ours. Positions in a file are below 2^63.
            unsafe { bindings::readahead_expand(self.raw, window.start as i64, len as usize) };
        }
    }

    /// The next folio, locked.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<LockedFolio<'a>> {
        // The VFS takes note of the last one itself.
        if self.raw._nr_pages == self.raw._batch_count {
            return None;
        }
        // SAFETY: The control is ours. The folio is locked for us and in the cache, which keeps it alive while it is
        // locked, so that the window's own reference can go.
        unsafe {
            let folio = bindings::rfs_readahead_folio(self.raw);
            (!folio.is_null()).then(|| LockedFolio::from_raw(folio))
        }
    }
}

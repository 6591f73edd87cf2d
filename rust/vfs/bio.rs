// SPDX-License-Identifier: GPL-2.0

//! Bios: I/O on a run of sectors, from and to folios.
//!
//! States:
//!
//! 1. [`OpenBio`]: folios are being appended. Dropping it is not possible by accident: it is sent.
//! 2. in flight: the block layer has it. It keeps the folios locked (reading) or under writeback (writing).
//! 3. done: the completion in this file has given every folio back, and the bio is free.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use super::{
    folio::{Folio, LockedFolio},
    super_block::SuperBlock,
    FileSystem,
};
use crate::bindings;
use core::ops::Range;
use kernel::prelude::*;

/// The most segments of one bio.
pub(crate) const MAX_SEGMENTS: u32 = bindings::BIO_MAX_VECS;
/// The most bytes that we put into one bio. Its size is counted in 32 bits.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

const REQ_RAHEAD: u32 = 1 << bindings::req_flag_bits___REQ_RAHEAD;

/// A bio that is being filled.
#[must_use = "an open bio has to be sent"]
pub(crate) struct OpenBio {
    raw: *mut bindings::bio,
    folios: u32,
}

impl OpenBio {
    /// Opens a bio for reading from `sector` (512 bytes) of the volume's device, with room for `segments`.
    /// `ahead` marks it as readahead, which a busy device may refuse. Sleeps for memory but does not fail.
    pub(crate) fn read<T: FileSystem>(sb: &SuperBlock<T>, sector: u64, segments: u32, ahead: bool) -> Self {
        let op = bindings::req_op_REQ_OP_READ | if ahead { REQ_RAHEAD } else { 0 };
        Self::open(sb, sector, segments, op, end_read)
    }

    fn open<T: FileSystem>(
        sb: &SuperBlock<T>,
        sector: u64,
        segments: u32,
        op: u32,
        end: unsafe extern "C" fn(*mut bindings::bio),
    ) -> Self {
        let segments = segments.clamp(1, MAX_SEGMENTS) as u16;
        // SAFETY: The super block's device is open. `fs_bio_set` is the kernel's own pool, from which an allocation
        // that may sleep does not fail.
        let raw = unsafe {
            let bdev = (*sb.as_raw()).s_bdev;
            bindings::bio_alloc_bioset(bdev, segments, op, bindings::GFP_NOFS, &raw mut bindings::fs_bio_set)
        };
        // SAFETY: A pool allocation that may sleep does not fail; the bio is ours until it is submitted.
        unsafe {
            (*raw).bi_iter.bi_sector = sector;
            (*raw).bi_end_io = Some(end);
        }
        Self { raw, folios: 0 }
    }

    /// First sector, in 512 bytes.
    pub(crate) fn sector(&self) -> u64 {
        // SAFETY: The bio is ours.
        unsafe { (*self.raw).bi_iter.bi_sector }
    }

    /// Length so far, in bytes.
    pub(crate) fn bytes(&self) -> u32 {
        // SAFETY: The bio is ours.
        unsafe { (*self.raw).bi_iter.bi_size }
    }

    /// How many pieces of folios it holds.
    pub(crate) fn folios(&self) -> u32 {
        self.folios
    }

    /// Appends `range` (bytes) of a folio that is locked for reading. `false` if the bio has no room.
    ///
    /// The folio is unlocked by its last piece: either this is its only one (it has no record of its blocks), or the
    /// piece has been counted there.
    #[must_use]
    pub(crate) fn append(&mut self, folio: &LockedFolio<'_>, range: Range<u64>) -> bool {
        let len = range.end.saturating_sub(range.start);
        let (Ok(len), Ok(offset)) = (usize::try_from(len), usize::try_from(range.start)) else {
            return false;
        };
        // SAFETY: The bio is ours; the folio stays alive as long as it is locked, which is until the bio's end.
        let added = unsafe { bindings::bio_add_folio(self.raw, folio.as_raw(), len, offset) };
        self.folios = self.folios.saturating_add(u32::from(added));
        added
    }

    /// Sends the bio.
    pub(crate) fn send(self) {
        // SAFETY: The bio is ours and has its end set; it goes to the block layer.
        unsafe { bindings::submit_bio(self.raw) };
    }
}

/// The end of a bio that read.
unsafe extern "C" fn end_read(bio: *mut bindings::bio) {
    // SAFETY: The block layer gives the bio back; the callback gets its folios, each kept alive by its lock.
    unsafe {
        let ok = (*bio).bi_status == 0;
        let mut context = ok;
        bindings::rfs_bio_for_each_folio(bio, Some(end_read_folio), (&raw mut context).cast());
        bindings::bio_put(bio);
    }
}

unsafe extern "C" fn end_read_folio(
    folio: *mut bindings::folio,
    offset: usize,
    len: usize,
    context: *mut c_void,
) {
    // SAFETY: Called for each piece of a bio in `end_read`; the folio is locked, and `context` is its `ok`.
    let (folio, ok) = unsafe { (Folio::from_raw(folio), *context.cast::<bool>()) };
    let last = match folio.state() {
        None => Some(ok),
        Some(state) => {
            if ok {
                let bits = folio.block_bits();
                state.set_uptodate((offset >> bits) as u32..((offset + len) >> bits) as u32);
            }
            state.end_read(ok, len as u32).map(|_| state.is_all_uptodate())
        }
    };
    if let Some(uptodate) = last {
        // SAFETY: The folio was under read, and this was its last piece.
        unsafe { folio.end_read(uptodate) };
    }
}

/// What a bio's status means.
pub(super) fn status(status: bindings::blk_status_t) -> Result {
    // SAFETY: A look-up in a table.
    kernel::error::to_result(unsafe { bindings::rfs_blk_status_to_errno(status) })
}


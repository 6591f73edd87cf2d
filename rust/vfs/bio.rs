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
    ticket::Ticket,
    writeback::Writeback,
    FileSystem,
};
use crate::bindings::{self, trace};
use core::{ops::Range, ptr};
use kernel::{error::to_result, prelude::*, sync::Arc, types::ForeignOwnable};

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
    pub(crate) fn read<T: FileSystem>(
        sb: &SuperBlock<T>,
        sector: u64,
        segments: u32,
        ahead: bool,
    ) -> Self {
        let op = bindings::req_op_REQ_OP_READ | if ahead { REQ_RAHEAD } else { 0 };
        Self::open(sb, sector, segments, op, end_read)
    }

    /// Opens a bio for writing from `sector` on, as the pass of writeback wants it done.
    pub(crate) fn write<T: FileSystem>(
        pass: &mut Writeback<'_, T>,
        sector: u64,
        segments: u32,
    ) -> Self {
        let inode = pass.inode();
        // SAFETY: The pass's control is ours.
        let flags = unsafe { bindings::rfs_wbc_to_write_flags(pass.control()) };
        // Without a device: the bio would be associated with the task's control group, and then with that of the pass.
        let bio = Self::open_on(
            ptr::null_mut(),
            sector,
            segments,
            bindings::req_op_REQ_OP_WRITE | flags,
            end_write,
        );
        // SAFETY: The bio is ours; the inode is live, its device open, and the pass's control is ours.
        unsafe {
            (*bio.raw).bi_write_hint = (*inode.as_raw()).i_write_hint;
            bindings::rfs_bio_set_dev_wbc(bio.raw, inode.sb().device(), pass.control());
        }
        bio
    }

    /// Whether the bio holds a ticket.
    pub(crate) fn has_ticket(&self) -> bool {
        // SAFETY: The bio is ours.
        unsafe { !(*self.raw).bi_private.is_null() }
    }

    /// Lets the bio hold `ticket` until it ends. Once for each bio.
    pub(crate) fn hold(&mut self, ticket: &Arc<Ticket>) {
        ticket.enter();
        // SAFETY: The bio is ours, and its end takes the reference back.
        unsafe { (*self.raw).bi_private = ticket.clone().into_foreign().cast() };
    }

    fn open<T: FileSystem>(
        sb: &SuperBlock<T>,
        sector: u64,
        segments: u32,
        op: u32,
        end: unsafe extern "C" fn(*mut bindings::bio),
    ) -> Self {
        Self::open_on(sb.device(), sector, segments, op, end)
    }

    /// `device` is open, or null.
    fn open_on(
        device: *mut bindings::block_device,
        sector: u64,
        segments: u32,
        op: u32,
        end: unsafe extern "C" fn(*mut bindings::bio),
    ) -> Self {
        let segments = segments.clamp(1, MAX_SEGMENTS) as u16;
        // SAFETY: The device is open, or null and set later. `fs_bio_set` is the kernel's own pool, from which an allocation
        // that may sleep does not fail.
        let raw = unsafe {
            bindings::bio_alloc_bioset(
                device,
                segments,
                op,
                bindings::GFP_NOFS,
                &raw mut bindings::fs_bio_set,
            )
        };
        // SAFETY: A pool allocation that may sleep does not fail; the bio is ours until it is submitted.
        unsafe {
            (*raw).bi_iter.bi_sector = sector;
            (*raw).bi_end_io = Some(end);
        }
        Self { raw, folios: 0 }
    }

    /// For the trace.
    pub(super) fn as_raw(&self) -> *mut bindings::bio {
        self.raw
    }

    /// How many pieces of folios it holds.
    pub(crate) fn folios(&self) -> u32 {
        self.folios
    }

    /// Appends `range` (bytes) of a folio that is locked for reading, or under writeback. `false` if the bio has no room.
    ///
    /// The folio is unlocked, or its writeback ends, by its last piece: either this is its only one (it has no record of its blocks), or the
    /// piece has been counted there.
    #[must_use]
    #[inline]
    pub(crate) fn append(&mut self, folio: &LockedFolio<'_>, range: Range<u64>) -> bool {
        let (len, offset) = (range.end.wrapping_sub(range.start), range.start);
        let (Ok(len), Ok(offset)) = (usize::try_from(len), usize::try_from(offset)) else {
            return false;
        };
        // SAFETY: The bio is ours; the folio stays alive as long as it is locked or under writeback, which is until the
        // bio's end.
        let mut added = unsafe { bindings::bio_add_folio(self.raw, folio.as_raw(), len, offset) };
        if !added && self.grow() {
            // SAFETY: As above.
            added = unsafe { bindings::bio_add_folio(self.raw, folio.as_raw(), len, offset) };
        }
        self.folios = self.folios.saturating_add(u32::from(added));
        added
    }

    /// Reads `range` (bytes) of a locked folio from `sector` and waits. Fails with what the device says.
    pub(crate) fn read_now<T: FileSystem>(
        sb: &SuperBlock<T>,
        sector: u64,
        folio: &LockedFolio<'_>,
        range: Range<u64>,
    ) -> Result {
        let mut bio = Self::open(sb, sector, 1, bindings::req_op_REQ_OP_READ, end_read);
        // An empty bio has room for one piece.
        let _ = bio.append(folio, range);
        // SAFETY: The bio is ours again when the wait is over. The wait has an end of its own in place of `end_read`.
        unsafe {
            (*bio.raw).bi_end_io = None;
            let result = to_result(bindings::submit_bio_wait(bio.raw));
            bindings::bio_put(bio.raw);
            result
        }
    }

    /// Gives a bio that was begun with few segments as many as a bio can have. `false` if it has them, or memory is short.
    #[cold]
    fn grow(&mut self) -> bool {
        // SAFETY: Both bios are ours and not sent. The pieces move: each belongs to one bio at a time, and so does the
        // ticket. The old bio goes back to its pool without its end being called.
        unsafe {
            let old = self.raw;
            let count = (*old).bi_vcnt;
            if count < (*old).bi_max_vecs || u32::from(count) >= MAX_SEGMENTS {
                return false;
            }
            // Whoever holds a bio of the pool must not wait there for another: all may be held by such as wait.
            let pool = &raw mut bindings::fs_bio_set;
            let new = bindings::bio_alloc_bioset(
                (*old).bi_bdev,
                MAX_SEGMENTS as u16,
                (*old).bi_opf,
                bindings::GFP_NOWAIT,
                pool,
            );
            if new.is_null() {
                return false;
            }
            core::ptr::copy_nonoverlapping((*old).bi_io_vec, (*new).bi_io_vec, usize::from(count));
            (*new).bi_vcnt = count;
            (*new).bi_iter = (*old).bi_iter;
            (*new).bi_end_io = (*old).bi_end_io;
            (*new).bi_private = (*old).bi_private;
            (*new).bi_write_hint = (*old).bi_write_hint;
            bindings::rfs_bio_join_cgroup(new, old);
            bindings::bio_put(old);
            self.raw = new;
        }
        true
    }

    /// Ends the bio with an error, without sending it.
    pub(crate) fn fail(self) {
        // SAFETY: The bio is ours and has its end set, which is called as for one that was sent.
        unsafe { bindings::rfs_bio_fail(self.raw) };
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
        trace::mpage_end(bio);
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
    folio.zero_past_end();
    let last = match folio.state() {
        None => Some(ok),
        Some(state) => {
            if ok {
                let bits = folio.block_bits();
                state.set_uptodate(
                    (offset >> bits) as u32..(offset.saturating_add(len) >> bits) as u32,
                );
            }
            state
                .end_read(ok, len as u32)
                .map(|_| state.is_all_uptodate())
        }
    };
    if let Some(uptodate) = last {
        // SAFETY: The folio was under read, and this was its last piece.
        unsafe { folio.end_read(uptodate) };
    }
}

/// The end of a bio that wrote.
unsafe extern "C" fn end_write(bio: *mut bindings::bio) {
    // SAFETY: The block layer gives the bio back; the callback gets its folios, each kept alive by its writeback.
    // `bi_private` is null or the ticket that `hold` put there.
    unsafe {
        trace::mpage_end(bio);
        let mut status = to_result(bindings::rfs_blk_status_to_errno((*bio).bi_status));
        // The ticket knows of the failure before anybody who waits for the folios can ask it.
        let ticket = (*bio).bi_private.cast::<Ticket>();
        let ticket: Option<Arc<Ticket>> =
            (!ticket.is_null()).then(|| Arc::from_foreign(ticket.cast()));
        if let Some(ticket) = &ticket {
            ticket.note(status.is_ok());
        }
        bindings::rfs_bio_for_each_folio(bio, Some(end_write_folio), (&raw mut status).cast());
        bindings::bio_put(bio);
        if let Some(ticket) = ticket {
            ticket.leave(true);
        }
    }
}

unsafe extern "C" fn end_write_folio(
    folio: *mut bindings::folio,
    _offset: usize,
    len: usize,
    context: *mut c_void,
) {
    // SAFETY: Called for each piece of a bio in `end_write`; the folio is under writeback, and `context` is its
    // `status`.
    let (folio, status) = unsafe { (Folio::from_raw(folio), *context.cast::<Result>()) };
    if let Err(error) = status {
        folio.set_mapping_error(error);
    }
    // SAFETY: This piece has ended.
    unsafe { folio.end_write_piece(len as u32) };
}

// SPDX-License-Identifier: GPL-2.0

//! Folios: the memory of the page cache.
//!
//! States of a folio as the engine sees it:
//!
//! 1. [`LockedFolio`]: ours to read into, to fill or to take apart. Dropping it unlocks.
//! 2. under read: given to a bio, locked; [`Folio::end_read`] unlocks it when the last byte is there.
//! 3. under writeback: given to a bio, unlocked; [`Folio::end_writeback`] wakes those who wait.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::{block_state::BlockState, sync::NoFsScope};
use crate::bindings;
use core::{
    mem,
    ops::{Deref, Range},
    ptr::NonNull,
};
use kernel::{
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

/// A folio that somebody keeps alive: a lock, a bio or the VFS during a callback.
#[repr(transparent)]
pub(crate) struct Folio(Opaque<bindings::folio>);

// SAFETY: Folios belong to no thread; their fields are atomic or under the folio lock.
unsafe impl Send for Folio {}
// SAFETY: As above.
unsafe impl Sync for Folio {}

// SAFETY: `folio_get` and `folio_put` count references.
unsafe impl AlwaysRefCounted for Folio {
    fn inc_ref(&self) {
        // SAFETY: A shared reference exists, so the count is not zero.
        unsafe { bindings::rfs_folio_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up one reference.
        unsafe { bindings::rfs_folio_put(obj.as_ptr().cast()) };
    }
}

/// Bit of `folio->flags` that says the folio spans several pages.
const HEAD: u32 = bindings::pageflags_PG_head;

impl Folio {
    /// Wraps a pointer.
    ///
    /// # Safety
    ///
    /// `raw` is a page cache folio that is kept alive for the lifetime chosen.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::folio) -> &'a Self {
        // SAFETY: `Folio` is transparent over `Opaque`; the rest is the caller's promise.
        unsafe { &*raw.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::folio {
        self.0.get()
    }

    fn flags(&self) -> c_ulong {
        // SAFETY: The folio is alive; its flags are a word that changes atomically.
        unsafe {
            (&raw const (*self.as_raw()).__bindgen_anon_1.__bindgen_anon_1.flags.f).read_volatile()
        }
    }

    /// Position of its first byte in the file.
    pub(crate) fn pos(&self) -> u64 {
        // SAFETY: A folio that is locked or under I/O keeps its place in the cache.
        let index = unsafe {
            (*self.as_raw())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_2
                .index
        };
        (index as u64) << bindings::PAGE_SHIFT
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        let order = if self.flags() & (1 << HEAD) != 0 {
            // SAFETY: A folio with the head flag has a second page descriptor, which holds the order.
            unsafe { (*self.as_raw()).__bindgen_anon_2.__bindgen_anon_1._flags_1 & 0xff }
        } else {
            0
        };
        1u64 << (u64::from(bindings::PAGE_SHIFT) + (order as u64 & 31))
    }

    /// The file it belongs to, and no other, while it is locked or under I/O.
    pub(super) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: As `pos`.
        unsafe { (*self.as_raw()).__bindgen_anon_1.__bindgen_anon_1.mapping }
    }

    /// The block size of its file, as a power of two.
    ///
    /// Below 32, as the compiler can see: shifts by it need no check.
    pub(crate) fn block_bits(&self) -> u32 {
        // SAFETY: A folio that is locked or under I/O has a mapping with a host.
        u32::from(unsafe { (*(*self.mapping()).host).i_blkbits }) & 31
    }

    /// Whether all its bytes are what the file holds.
    pub(crate) fn is_uptodate(&self) -> bool {
        self.flags() & (1 << bindings::pageflags_PG_uptodate) != 0
    }

    /// Whether some of its bytes have to be written.
    pub(crate) fn is_dirty(&self) -> bool {
        self.flags() & (1 << bindings::pageflags_PG_dirty) != 0
    }

    /// The record of its blocks, if it has one.
    pub(crate) fn state(&self) -> Option<&BlockState> {
        // SAFETY: "Typed private". The record lives as long as the folio is locked or under I/O, which is as long as
        // anybody holds a `Folio`.
        unsafe {
            let private = (&raw const (*self.as_raw())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_3
                .private)
                .read_volatile();
            private.cast::<BlockState>().as_ref()
        }
    }
}

/// A locked folio. Dropping it unlocks it.
#[must_use = "a locked folio is unlocked when it is dropped"]
pub(crate) struct LockedFolio<'a>(&'a Folio);

impl Deref for LockedFolio<'_> {
    type Target = Folio;

    fn deref(&self) -> &Folio {
        self.0
    }
}

impl<'a> LockedFolio<'a> {
    /// Takes over a lock.
    ///
    /// # Safety
    ///
    /// `raw` is a page cache folio that the caller has locked and gives to us; it is alive for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::folio) -> Self {
        // SAFETY: The caller's promise.
        Self(unsafe { Folio::from_raw(raw) })
    }

    /// A folio that somebody else has locked, who keeps the lock: dropping it does nothing.
    ///
    /// # Safety
    ///
    /// `raw` is a page cache folio that stays locked and alive for `'a`.
    pub(super) unsafe fn lent(raw: *mut bindings::folio) -> mem::ManuallyDrop<Self> {
        // SAFETY: The caller's promise; what is never dropped does not unlock.
        mem::ManuallyDrop::new(unsafe { Self::from_raw(raw) })
    }

    /// Fills `range` (bytes of the folio) with zeroes.
    pub(crate) fn zero(&self, range: Range<u64>) {
        let end = range.end.min(self.size());
        if range.start < end {
            // SAFETY: The range lies in the folio, which is locked.
            unsafe {
                bindings::rfs_folio_zero_range(
                    self.as_raw(),
                    range.start as usize,
                    (end - range.start) as usize,
                )
            };
        }
    }

    /// Whether `range` (bytes of the folio) holds nothing but zeroes.
    pub(crate) fn is_zero(&self, range: Range<u64>) -> bool {
        let end = range.end.min(self.size());
        let len = end.saturating_sub(range.start);
        // SAFETY: The range lies in the folio, which is locked.
        unsafe { bindings::rfs_folio_is_zero(self.as_raw(), range.start as usize, len as usize) }
    }

    /// The record of its blocks (of `1 << block_bits` bytes), made if it has none. May sleep for memory.
    pub(crate) fn make_state(&self, block_bits: u32) -> &BlockState {
        if let Some(state) = self.0.state() {
            return state;
        }
        let _nofs = NoFsScope::new();
        let blocks = u32::try_from(self.size().wrapping_shr(block_bits)).unwrap_or(u32::MAX);
        let state = KBox::into_raw(BlockState::new(blocks, self.is_uptodate(), self.is_dirty()));
        // SAFETY: "Typed private": the folio is locked and has no record. The box lives on in it.
        unsafe {
            bindings::rfs_folio_attach_private(self.as_raw(), state.cast());
            &*state
        }
    }

    /// Notes that `range` (bytes) of the folio, of a file with blocks of `1 << block_bits` bytes, has to be written.
    pub(crate) fn set_dirty(&self, range: Range<u64>, block_bits: u32) {
        let bits = block_bits & 31;
        let end = range.end.saturating_add((1 << bits) - 1) >> bits;
        let whole = range.start >> bits == 0 && end >= self.size() >> bits;
        if !whole || self.0.state().is_some() {
            self.make_state(bits)
                .set_dirty((range.start >> bits) as u32..end as u32);
        }
        // SAFETY: The folio is locked and in the mapping.
        unsafe { bindings::filemap_dirty_folio(self.mapping(), self.as_raw()) };
    }

    /// The first run of blocks in `range`, counted from its first, that need not be written.
    pub(crate) fn next_clean(&self, range: Range<u32>) -> Option<Range<u32>> {
        if self.is_dirty() {
            self.0.state()?.next_clean(range)
        } else {
            Some(range).filter(|range| range.start < range.end)
        }
    }

    /// Notes that the whole folio holds what the file holds.
    pub(crate) fn set_uptodate(&self) {
        // SAFETY: The folio is locked.
        unsafe { bindings::rfs_folio_mark_uptodate(self.as_raw()) };
    }

    /// Puts the folio, which is no longer dirty, under writeback: from now on [`Folio`]s of it are in state 3.
    pub(crate) fn start_writeback(&self) {
        // SAFETY: The folio is locked, and not under writeback: a pass waits for that first.
        unsafe { bindings::rfs_folio_start_writeback(self.as_raw()) };
    }

    /// Ends `bytes` of writeback that never reached a bio.
    pub(crate) fn skip_write(&self, bytes: u32) {
        // SAFETY: `start_writeback` came before, and the bytes were counted.
        unsafe { self.0.end_write_piece(bytes) };
    }

    /// Notes an error of the file's data, to be told once to everybody who syncs it.
    pub(crate) fn note_error(&self, error: Error) {
        self.0.set_mapping_error(error);
    }

    /// Makes the folio dirty again: it could not be written now, and has to be later.
    pub(crate) fn redirty<T: super::FileSystem>(
        &self,
        pass: &mut super::writeback::Writeback<'_, T>,
    ) {
        // SAFETY: The folio is locked and the pass's control is ours.
        unsafe { bindings::folio_redirty_for_writepage(pass.control(), self.as_raw()) };
    }

    /// Waits until no byte of the folio is on its way to the disk. Sleeps.
    pub(crate) fn wait_writeback(&self) {
        // SAFETY: The folio is locked, so that it does not come under writeback again.
        unsafe { bindings::folio_wait_writeback(self.as_raw()) };
    }

    /// Waits until the folio's bytes may change, where the device needs them stable while it writes.
    pub(super) fn wait_stable(&self) {
        // SAFETY: The folio is locked.
        unsafe { bindings::folio_wait_stable(self.as_raw()) };
    }

    /// Takes the record away, if there is one.
    pub(super) fn drop_state(&self) {
        if self.0.state().is_some() {
            // SAFETY: "Typed private": the folio is locked, and what it holds came from `KBox::into_raw`.
            unsafe {
                let state = bindings::rfs_folio_detach_private(self.as_raw());
                drop(KBox::from_raw(state.cast::<BlockState>()));
            }
        }
    }

    /// Ends the read of a folio that needs no I/O, or no more: unlocks it, up to date if `ok`.
    pub(crate) fn finish_read(self, ok: bool) {
        // SAFETY: The folio was locked for reading, and no piece of it is in flight.
        unsafe { self.leave().end_read(ok) };
    }

    /// Leaves the folio to its pieces in flight: the end of the last of them, through [`Folio::end_read`], unlocks it.
    pub(crate) fn leave_to_io(self) {
        self.leave();
    }

    /// Leaves the folio locked: somebody else unlocks it.
    fn leave(self) -> &'a Folio {
        mem::ManuallyDrop::new(self).0
    }
}

impl Drop for LockedFolio<'_> {
    fn drop(&mut self) {
        // SAFETY: The folio is locked by us.
        unsafe { bindings::folio_unlock(self.as_raw()) };
    }
}

/// A locked folio with a reference of its own, as writes to the page cache hold it. Dropping it unlocks the folio and
/// gives up the reference.
#[must_use = "the folio is unlocked and given up when it is dropped"]
pub(crate) struct CachedFolio {
    /// The first field: the lock goes before the reference that keeps the folio alive.
    lock: LockedFolio<'static>,
    reference: ARef<Folio>,
}

impl CachedFolio {
    /// Takes over a lock and a reference.
    ///
    /// # Safety
    ///
    /// `raw` is a page cache folio that the caller has locked and references, and gives both to us.
    pub(super) unsafe fn from_raw(raw: *mut bindings::folio) -> Self {
        // SAFETY: The caller's promise; a folio is not null. The reference keeps it for as long as `lock` exists, which
        // leaves `self` in the methods below only.
        unsafe {
            Self {
                lock: LockedFolio::from_raw(raw),
                reference: ARef::from_raw(NonNull::new_unchecked(raw.cast())),
            }
        }
    }

    /// The folio that holds byte `pos` of the file, made if it is not in the cache, and then of up to `len` bytes.
    /// Sleeps unless `nowait`. Fails with `ENOMEM`, or `EAGAIN` if `nowait`.
    pub(crate) fn get<T: super::FileSystem>(
        inode: &super::inode::Inode<T>,
        pos: u64,
        len: u64,
        nowait: bool,
    ) -> Result<Self> {
        let pos = i64::try_from(pos)?;
        // SAFETY: The inode is live, and so is its mapping; what comes back is locked and referenced.
        unsafe {
            let mapping = (*inode.as_raw()).i_mapping;
            let folio = bindings::rfs_write_begin_folio(mapping, pos, len as usize, nowait);
            kernel::error::from_err_ptr(folio).map(|folio| Self::from_raw(folio))
        }
    }

    /// Gives up the reference, and leaves the folio locked: somebody else references it, and unlocks it.
    pub(super) fn leave_locked(self) {
        self.lock.leave();
    }

    /// Gives lock and reference to the VFS.
    pub(super) fn into_raw(self) -> *mut bindings::folio {
        self.lock.leave();
        ARef::into_raw(self.reference).as_ptr().cast()
    }
}

impl Deref for CachedFolio {
    type Target = LockedFolio<'static>;

    fn deref(&self) -> &LockedFolio<'static> {
        &self.lock
    }
}

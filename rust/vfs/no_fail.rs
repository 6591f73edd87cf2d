// SPDX-License-Identifier: GPL-2.0

//! Small allocations that do not fail: for records without which a dirty folio could not be written.
//!
//! They sleep until there is memory. The kernel asks that such allocations be small; these are at most 512 bytes.

use super::sync::NoFsScope;
use crate::bindings;
use core::{mem, ptr::NonNull, slice};
use kernel::{prelude::*, sync::atomic::Atomic};

/// Allocates zeroed memory. Sleeps; does not reclaim through the file system.
fn allocate(size: usize) -> NonNull<u8> {
    let _nofs = NoFsScope::new();
    // SAFETY: Any size is allowed; the flags make the allocator retry until it succeeds.
    let memory = unsafe { bindings::rfs_kzalloc_no_fail(size) };
    // SAFETY: An allocation that does not fail is not null.
    unsafe { NonNull::new_unchecked(memory.cast()) }
}

/// Waits until small allocations succeed again: for what must not fail and cannot be allocated here.
pub(crate) fn wait_for_memory() {
    drop(Array::new(64));
}

/// Boxes `value`.
pub(super) fn no_fail_box<T>(value: T) -> KBox<T> {
    const { assert!(mem::align_of::<T>() <= 8) };
    let slot = allocate(mem::size_of::<T>()).cast::<T>();
    // SAFETY: `slot` is fresh memory of the size of `T`, from the allocator to which `KBox` gives it back; `kmalloc`
    // aligns to eight bytes at least.
    unsafe {
        slot.write(value);
        KBox::from_raw(slot.as_ptr())
    }
}

/// An array of atomic words, zero at first.
///
/// # Invariants
///
/// **Owned words**: `first` points at `len` words that belong to the array.
pub(super) struct Array {
    first: NonNull<Atomic<u64>>,
    len: usize,
}

// SAFETY: "Owned words"; the words are atomic.
unsafe impl Send for Array {}
// SAFETY: As above.
unsafe impl Sync for Array {}

impl Array {
    /// An array of `len` words.
    pub(super) fn new(len: usize) -> Self {
        // Zero bytes are a word that is zero.
        Self {
            first: allocate(len.saturating_mul(mem::size_of::<Atomic<u64>>())).cast(),
            len,
        }
    }

    /// The words.
    pub(super) fn as_slice(&self) -> &[Atomic<u64>] {
        // SAFETY: "Owned words".
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        // SAFETY: "Owned words", allocated with `kzalloc`.
        unsafe { bindings::kfree(self.first.as_ptr().cast()) };
    }
}

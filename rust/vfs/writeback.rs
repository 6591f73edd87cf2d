// SPDX-License-Identifier: GPL-2.0

//! A pass of writeback over a file: dirty folios, in order, that the VFS wants written.
//!
//! C header: [`include/linux/writeback.h`](srctree/include/linux/writeback.h)

use super::{folio::LockedFolio, inode::Inode, FileSystem};
use crate::bindings;
use core::{marker::PhantomData, ops::Range, ptr};
use kernel::{error::to_result, prelude::*};

/// A pass over dirty folios of a file of `T`. Each folio comes locked and no longer dirty, and has to be unlocked
/// before the next one is asked for.
pub(crate) struct Writeback<'a, T> {
    mapping: &'a mut bindings::address_space,
    control: &'a mut bindings::writeback_control,
    folio: *mut bindings::folio,
    error: c_int,
    _fs: PhantomData<T>,
}

impl<'a, T: FileSystem> Writeback<'a, T> {
    /// # Safety
    ///
    /// The arguments are those of a `writepages` call on a file of `T`, ours for `'a`.
    pub(super) unsafe fn from_raw(
        mapping: *mut bindings::address_space,
        control: *mut bindings::writeback_control,
    ) -> Self {
        // SAFETY: The caller's promise.
        let (mapping, control) = unsafe { (&mut *mapping, &mut *control) };
        Self {
            mapping,
            control,
            folio: ptr::null_mut(),
            error: 0,
            _fs: PhantomData,
        }
    }

    /// The file.
    pub(crate) fn inode(&self) -> &'a Inode<T> {
        // SAFETY: The mapping's host outlives the call.
        unsafe { Inode::from_raw(self.mapping.host) }
    }

    /// The bytes of the file that are wanted.
    pub(crate) fn range(&self) -> Range<u64> {
        let start = u64::try_from(self.control.range_start).unwrap_or(0);
        let end = u64::try_from(self.control.range_end).unwrap_or(u64::MAX);
        start..end.saturating_add(1)
    }

    /// The next folio. The one before has been unlocked.
    pub(crate) fn next(&mut self) -> Option<LockedFolio<'a>> {
        // SAFETY: The arguments are those of one pass; `folio` is what the last call gave.
        unsafe {
            self.folio =
                bindings::writeback_iter(self.mapping, self.control, self.folio, &mut self.error);
            (!self.folio.is_null()).then(|| LockedFolio::from_raw(self.folio))
        }
    }

    /// Notes an error of the folio given last. The pass goes on if it has to be complete.
    pub(crate) fn set_error(&mut self, error: Error) {
        self.error = error.to_errno();
    }

    /// What the pass came to, after [`next`](Self::next) gave `None`.
    pub(crate) fn result(&self) -> Result {
        to_result(self.error)
    }

    /// Counts `bytes` of a folio as written in the pass: the kernel finds out from that which control group writes most.
    pub(crate) fn account(&mut self, folio: &LockedFolio<'_>, bytes: u64) {
        // SAFETY: The pass's control is ours, and the folio is alive.
        unsafe {
            bindings::wbc_account_cgroup_owner(self.control, folio.as_raw(), bytes as usize);
        }
    }

    pub(super) fn control(&mut self) -> *mut bindings::writeback_control {
        self.control
    }
}

/// As many bios that do not merge are held back at most. The kernel lets 16 writes of a device go on at a time by default
/// (`RWB_DEF_DEPTH` in `block/blk-wbt.c`): who holds so many back, and wants another, would sleep, and have those sent by
/// another thread.
const SEPARATE: u16 = 16;

/// Holds bios of this task back until it ends or sleeps, so that the block layer can merge them.
pub(crate) struct Plug<'a> {
    raw: Pin<&'a mut bindings::blk_plug>,
    /// Bios that do not merge since it was started.
    separate: u16,
}

/// Calls `work` with the task's bios held back meanwhile.
pub(crate) fn plugged<R>(work: impl FnOnce(&mut Plug<'_>) -> R) -> R {
    let mut raw = bindings::blk_plug::default();
    // SAFETY: The plug lives on this stack frame, is started here and finished in `Plug::drop`, before it moves.
    let mut plug = unsafe {
        bindings::blk_start_plug(&mut raw);
        Plug {
            raw: Pin::new_unchecked(&mut raw),
            separate: 0,
        }
    };
    let result = work(&mut plug);
    drop(plug);
    result
}

impl Plug<'_> {
    /// Another bio comes which is not adjacent to the one before, and so do `more` after it. Requests for several are
    /// allocated at once, which costs less, and those that are held back go when they are many.
    pub(crate) fn separate(&mut self, more: usize) {
        // SAFETY: The plug was started in `plugged`, and stays where it is. Both calls do nothing if a caller of ours has
        // a plug of its own.
        unsafe {
            let raw = self.raw.as_mut().get_unchecked_mut();
            if self.separate >= SEPARATE {
                bindings::blk_finish_plug(raw);
                bindings::blk_start_plug(raw);
                self.separate = 0;
            }
            if self.separate == 0 {
                // What `blk_start_plug_nr_ios` does, which is not exported.
                raw.nr_ios = u16::try_from(more).map_or(SEPARATE, |more| more.clamp(1, SEPARATE));
            }
        }
        self.separate = self.separate.saturating_add(1);
    }
}

impl Drop for Plug<'_> {
    fn drop(&mut self) {
        // SAFETY: The plug was started in `plugged`.
        unsafe { bindings::blk_finish_plug(self.raw.as_mut().get_unchecked_mut()) };
    }
}

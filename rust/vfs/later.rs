// SPDX-License-Identifier: GPL-2.0

//! Work on a mounted volume that a thread of the kernel does some time later.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::{
    super_block::{NewSuperBlock, SuperBlock},
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{container_of, prelude::*, types::Opaque};

/// A call of [`SuperOperations::later`](super::super_ops::SuperOperations::later) that can be asked for.
///
/// The call comes at most once for all that asked before it, never while the volume is frozen, and never after
/// [`cancel`](Self::cancel) unless it was asked for anew. Who asks must know that the volume stays mounted, as everybody
/// does who changes it.
///
/// # Invariants
///
/// **Pinned work**: `work` is initialised, at its place, and not pending once the value is dropped. `sb` is the super block
/// whose data holds the value.
#[pin_data(PinnedDrop)]
pub(crate) struct Later<T: FileSystem> {
    #[pin]
    work: Opaque<bindings::delayed_work>,
    sb: *mut bindings::super_block,
    _fs: PhantomData<T>,
}

// SAFETY: The work belongs to no thread, and its functions may be called from any.
unsafe impl<T: FileSystem> Send for Later<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Later<T> {}

impl<T: FileSystem> NewSuperBlock<T> {
    /// For the volume's data. Fails with `ENOMEM`.
    pub(crate) fn later(&self) -> Result<Pin<KBox<Later<T>>>> {
        let sb = self.as_raw();
        KBox::pin_init(
            pin_init!(Later {
                // SAFETY: `slot` is valid for writing, and stays in place.
                work <- Opaque::ffi_init(|slot| unsafe {
                    bindings::rfs_init_delayed_work(slot, Some(Later::<T>::run));
                }),
                sb,
                _fs: PhantomData,
            }),
            GFP_KERNEL,
        )
    }
}

impl<T: FileSystem> Later<T> {
    /// Asks for a call in about `seconds`, unless one is due before. Any context that does not hold the volume's locks
    /// against the call for ever.
    pub(crate) fn ask(&self, seconds: u32) {
        // SAFETY: "Pinned work".
        unsafe { bindings::rfs_queue_later(self.sb, self.work.get(), seconds, false) };
    }

    /// Asks for a call now.
    pub(crate) fn ask_now(&self) {
        // SAFETY: "Pinned work".
        unsafe { bindings::rfs_queue_later(self.sb, self.work.get(), 0, true) };
    }

    /// Takes back what was asked for, and waits for a call that has begun. Sleeps.
    pub(crate) fn cancel(&self) {
        // SAFETY: "Pinned work".
        unsafe { bindings::cancel_delayed_work_sync(self.work.get()) };
    }

    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: The work is that of a `Later<T>`, which waits for this call before it goes; so does the super block. A
        // freeze waits until writing has ended.
        unsafe {
            let delayed = container_of!(work, bindings::delayed_work, work);
            let later = container_of!(Opaque::cast_from(delayed), Self, work);
            let sb = (*later).sb;
            if bindings::rfs_sb_start_write_trylock(sb) {
                T::later(SuperBlock::from_raw(sb));
                bindings::rfs_sb_end_write(sb);
            }
        }
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Later<T> {
    fn drop(self: Pin<&mut Self>) {
        self.cancel();
    }
}

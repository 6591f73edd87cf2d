// SPDX-License-Identifier: GPL-2.0

//! Work on a mounted volume that a thread of the kernel does some time later.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::{
    super_block::{NewSuperBlock, SuperBlock},
    FileSystem,
};
use crate::bindings;
use kernel::{container_of, prelude::*, types::Opaque};

/// A call that can be asked for.
///
/// The call comes at most once for all that asked before it, never while the volume is frozen or being unmounted, and
/// never after [`cancel`](Self::cancel) unless it was asked for anew. It may keep inodes for as long as it lasts. Who asks
/// must know that the volume stays mounted, as everybody does who changes it.
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
    call: fn(&SuperBlock<T>),
}

// SAFETY: The work belongs to no thread, and its functions may be called from any.
unsafe impl<T: FileSystem> Send for Later<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Later<T> {}

impl<T: FileSystem> NewSuperBlock<T> {
    /// Something to ask for, as part of the volume's data. Fails with `ENOMEM`.
    pub(crate) fn later(&self, call: fn(&SuperBlock<T>)) -> Result<Pin<KBox<Later<T>>>> {
        let sb = self.as_raw();
        KBox::pin_init(
            pin_init!(Later {
                // SAFETY: `slot` is valid for writing, and stays in place.
                work <- Opaque::ffi_init(|slot| unsafe {
                    bindings::rfs_init_delayed_work(slot, Some(Later::<T>::run));
                }),
                sb,
                call,
            }),
            GFP_KERNEL,
        )
    }
}

/// How many seconds to wait when somebody is changing how the volume is mounted.
const BUSY: u32 = 1;

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
        // SAFETY: The work is that of a `Later<T>`, which waits for this call before it goes; so does the super block. An
        // unmount waits for `s_umount`, a freeze until writing has ended.
        unsafe {
            let delayed = container_of!(work, bindings::delayed_work, work);
            let later = &*container_of!(Opaque::cast_from(delayed), Self, work);
            let sb = later.sb;
            if !bindings::rfs_sb_trylock_shared(sb) {
                return later.ask(BUSY);
            }
            if bindings::rfs_sb_start_write_trylock(sb) {
                (later.call)(SuperBlock::from_raw(sb));
                bindings::rfs_sb_end_write(sb);
            }
            bindings::rfs_sb_unlock_shared(sb);
        }
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Later<T> {
    fn drop(self: Pin<&mut Self>) {
        self.cancel();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Tickets: whether what was sent with one or more bios has arrived.
//!
//! Who sends makes a ticket and holds it open; each bio holds it too. When the sender has left it and its last bio has ended
//! the ticket is *done*, and says whether any of them failed.

use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering, Atomic},
        Arc, Completion,
    },
};

/// See [the module](self).
#[pin_data]
pub(crate) struct Ticket {
    /// Bios in flight, and one for the sender.
    open: Atomic<u32>,
    failed: Atomic<bool>,
    #[pin]
    done: Completion,
}

impl Ticket {
    /// A ticket of somebody who has sent nothing yet. Fails with `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                open: Atomic::new(1),
                failed: Atomic::new(false),
                done <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// One bio more.
    pub(super) fn enter(&self) {
        self.open.fetch_add(1u32, ordering::Full);
    }

    /// Notes a failure ahead of [`leave`](Self::leave).
    pub(super) fn note(&self, ok: bool) {
        if !ok {
            self.failed.store(true, ordering::Release);
        }
    }

    /// One bio has ended, or the sender is done. Any context.
    pub(crate) fn leave(&self, ok: bool) {
        self.note(ok);
        if self.open.fetch_sub(1u32, ordering::Full) == 1 {
            self.done.complete_all();
        }
    }

    /// Whether everything has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.open.load(ordering::Acquire) == 0
    }

    /// Waits until everything has ended. Sleeps.
    pub(crate) fn wait(&self) {
        if !self.is_done() {
            self.done.wait_for_completion();
        }
    }

    /// Whether something failed. Final once the ticket is done.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(ordering::Acquire)
    }
}

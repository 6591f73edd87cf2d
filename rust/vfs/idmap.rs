// SPDX-License-Identifier: GPL-2.0

//! Identity maps of mounts: which user of a mount is which user of the volume.
//!
//! C header: [`include/linux/mnt_idmapping.h`](srctree/include/linux/mnt_idmapping.h)

use crate::bindings;
use core::marker::PhantomData;

/// The map of the mount through which a call came.
#[derive(Clone, Copy)]
pub(crate) struct IdMap<'a>(*mut bindings::mnt_idmap, PhantomData<&'a ()>);

impl IdMap<'_> {
    /// Wraps a pointer.
    ///
    /// # Safety
    ///
    /// `raw` is a map that stays valid for the lifetime chosen.
    pub(super) unsafe fn from_raw(raw: *mut bindings::mnt_idmap) -> Self {
        Self(raw, PhantomData)
    }

    pub(super) fn as_raw(self) -> *mut bindings::mnt_idmap {
        self.0
    }
}

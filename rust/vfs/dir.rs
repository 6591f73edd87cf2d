// SPDX-License-Identifier: GPL-2.0

//! Handing directory entries to `getdents(2)`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h), `struct dir_context`

use crate::bindings;
use kernel::prelude::*;

/// Takes directory entries until it is full, and keeps the position where to go on.
pub(crate) struct DirEmitter<'a>(&'a mut bindings::dir_context);

impl<'a> DirEmitter<'a> {
    /// # Safety
    ///
    /// `raw` is the context of a readdir call, ours for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::dir_context) -> Self {
        // SAFETY: The caller's promise.
        Self(unsafe { &mut *raw })
    }

    /// Where to go on, in the file system's own measure.
    pub(crate) fn position(&self) -> u64 {
        u64::try_from(self.0.pos).unwrap_or(u64::MAX)
    }

    /// Sets where the next call goes on.
    pub(crate) fn set_position(&mut self, position: u64) {
        self.0.pos = i64::try_from(position).unwrap_or(i64::MAX);
    }

    /// Hands on one entry; `kind` is a `DT_*` number. Gives `false` when there is no room: the entry was not taken.
    #[must_use]
    pub(crate) fn emit(&mut self, name: &[u8], ino: u64, kind: u8) -> bool {
        let (Some(actor), Ok(len)) = (self.0.actor, c_int::try_from(name.len())) else {
            return false;
        };
        let position = self.0.pos;
        // The caller of readdir may want flags beside the kind, which we have none of.
        let kind = u32::from(kind & KINDS);
        // SAFETY: The actor belongs to this context, and `name` is valid for its length.
        unsafe { actor(self.0, name.as_ptr().cast(), len, position, ino, kind) }
    }
}

/// The bits of a `DT_*` number.
const KINDS: u8 = 15;

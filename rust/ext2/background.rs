// SPDX-License-Identifier: GPL-2.0

//! What a thread of the kernel does for a mounted volume some time after it was asked for.
//!
//! Not the flusher: while that writes an inode, it must not let go of the last reference to one, nor wait for one that is
//! going. Both would wait for the flusher.

use super::{batch, Ext2, SuperBlock};
use crate::vfs::{later::Later, super_block::NewSuperBlock};
use kernel::prelude::*;

/// The work of a volume.
pub(crate) struct Background {
    /// Commits what has arrived, and releases names that moved.
    pub(super) commit: Pin<KBox<Later<Ext2>>>,
    /// Lets what was freed be given out again.
    pub(super) quiesce: Pin<KBox<Later<Ext2>>>,
}

impl Background {
    /// Nothing is to be done yet. `ENOMEM`.
    pub(super) fn new(sb: &NewSuperBlock<Ext2>) -> Result<Self> {
        Ok(Self {
            commit: sb.later(batch::commit_later)?,
            quiesce: sb.later(SuperBlock::quiesce_later)?,
        })
    }

    /// Takes back what was asked for, and waits for what has begun. Sleeps.
    pub(super) fn cancel(&self) {
        self.commit.cancel();
        self.quiesce.cancel();
    }
}

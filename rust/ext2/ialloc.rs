// SPDX-License-Identifier: GPL-2.0

//! Giving out inode numbers.

use super::{Inode, SuperBlock};
use crate::vfs::errno::EOPNOTSUPP;
use kernel::prelude::*;

impl SuperBlock {
    /// Takes an inode number for a new file in `dir`: near the directory, or for a directory where there is room.
    /// Sleeps. `ENOSPC`, `EIO`, `EUCLEAN`.
    pub(super) fn allocate_inode(&self, _dir: &Inode, _is_dir: bool) -> Result<u32> {
        Err(EOPNOTSUPP())
    }

    /// Takes an inode number back. The caller has written the inode, deleted, into its (dirty) buffer of the inode
    /// table. It is given out again after the next [`quiesce`](Self::quiesce).
    pub(super) fn free_inode_number(&self, _ino: u32, _is_dir: bool) {}
}

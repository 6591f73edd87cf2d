// SPDX-License-Identifier: GPL-2.0

//! Following the pointers of one inode, checked: the ways of [`path`] through pointer blocks on disk.

use super::{
    ondisk::{
        path::{self, Path},
        raw::le32,
    },
    volume::Place,
    Inode, SuperBlock,
};
use crate::{
    mpage::plan::{self, Run},
    vfs::buffer::Buffer,
};
use kernel::prelude::*;

/// Reads a metadata block of an inode; a failure is logged.
pub(super) fn read_metadata(sb: &SuperBlock, ino: u64, block: u64) -> Result<Buffer> {
    sb.read(block).inspect_err(|_| {
        pr_err!(
            "{}: inode {}: block {}: cannot read metadata\n",
            sb.id(),
            ino,
            block
        )
    })
}

/// The pointer block that says where a file block lies.
pub(super) enum Leaf {
    /// There is none, because the file has a hole.
    Hole(Run),
    Pointers {
        leaf: Buffer,
        /// The pointer to the file block.
        index: u32,
        /// Pointers from there to the end of the leaf.
        limit: u32,
    },
}

/// A walk down the pointers of one inode.
pub(super) struct Walk<'a> {
    pub(super) sb: &'a SuperBlock,
    pub(super) ino: u64,
    pub(super) bits: u32,
}

impl<'a> Walk<'a> {
    /// A walk over the pointers of `inode`.
    pub(super) fn new(inode: &'a Inode) -> Self {
        Self {
            sb: inode.sb(),
            ino: inode.ino(),
            bits: inode.block_bits(),
        }
    }

    /// The run from file block `first` on; see [`BlockMap::map`].
    pub(super) fn map(&self, root: &[u8], first: u64, max: u64) -> Result<Run> {
        let path = Path::to(first, self.bits).ok_or(EFBIG)?;
        let limit = path.run_limit();
        let useful = u32::try_from(max).unwrap_or(u32::MAX).clamp(1, limit);
        let mut leaf: Option<Buffer> = None;
        for (level, index) in path.offsets().iter().enumerate() {
            let pointers = leaf.as_ref().map_or(root, |buffer| buffer.bytes());
            if level == path.depth() {
                let run = path::pointer_run(pointers, *index, useful).ok_or(EIO)?;
                let run = self.checked_run(first, run)?;
                let goes_on = run.len >= limit.into() && max > run.len;
                return Ok(Run {
                    boundary: goes_on && self.needs_read(root, run.end()),
                    ..run
                });
            }
            match pointer(pointers, *index) {
                0 => return Ok(hole(first, path.hole_len(first, level, self.bits))),
                block => leaf = Some(self.read(block)?),
            }
        }
        Err(EIO)
    }

    /// The pointer block that says where `block`, which is not one of the direct ones, lies.
    pub(super) fn leaf(&self, root: &[u8], block: u32) -> Result<Leaf> {
        let path = Path::to(block.into(), self.bits).ok_or(EFBIG)?;
        let mut leaf: Option<Buffer> = None;
        for (level, index) in path.offsets().iter().take(path.depth()).enumerate() {
            let pointers = leaf.as_ref().map_or(root, |buffer| buffer.bytes());
            match pointer(pointers, *index) {
                0 => {
                    return Ok(Leaf::Hole(hole(
                        block.into(),
                        path.hole_len(block.into(), level, self.bits),
                    )))
                }
                pointer => leaf = Some(self.read(pointer)?),
            }
        }
        let index = path.offset(path.depth()).unwrap_or(0);
        Ok(Leaf::Pointers {
            leaf: leaf.ok_or(EIO)?,
            index,
            limit: path.run_limit(),
        })
    }

    /// The run that begins at pointer `index`, which is that of file block `block`; at most `limit` blocks.
    pub(super) fn leaf_run(
        &self,
        pointers: &[u8],
        index: u32,
        block: u32,
        limit: u32,
    ) -> Result<Run> {
        let run = path::pointer_run(pointers, index, limit).ok_or(EIO)?;
        self.checked_run(block.into(), run)
    }

    /// A run that begins at pointer `index`, with the blocks right before it that belong to it.
    pub(super) fn with_blocks_before(&self, pointers: &[u8], index: u32, run: Run) -> Run {
        let plan::Place::Mapped(disk) = run.place else {
            return run;
        };
        let count = path::run_before(pointers, index);
        let disk = (disk as u32).wrapping_sub(count);
        if self.sb.data().check_run(disk, count).is_err() {
            return run;
        }
        Run {
            first: run.first.wrapping_sub(count.into()),
            len: run.len.wrapping_add(count.into()),
            place: plan::Place::Mapped(disk.into()),
            ..run
        }
    }

    /// As [`leaf_run`](Self::leaf_run), but `None` where something is wrong with it.
    pub(super) fn run_at(
        &self,
        pointers: &[u8],
        index: u32,
        block: u32,
        limit: u32,
    ) -> Option<Run> {
        let (place, len) = match path::pointer_run(pointers, index, limit)? {
            path::Run::Hole { len } => (plan::Place::Hole, len),
            path::Run::Mapped { block, len } => {
                self.sb.data().check_run(block, len).ok()?;
                (plan::Place::Mapped(block.into()), len)
            }
        };
        Some(Run {
            first: block.into(),
            len: len.into(),
            place,
            boundary: false,
        })
    }

    /// A run found among pointers, of which nothing is known to follow.
    fn checked_run(&self, first: u64, run: path::Run) -> Result<Run> {
        let (place, len) = match run {
            path::Run::Hole { len } => (plan::Place::Hole, len),
            path::Run::Mapped { block, len } => {
                self.check(block, len)?;
                (plan::Place::Mapped(block.into()), len)
            }
        };
        Ok(Run {
            first,
            len: len.into(),
            place,
            boundary: false,
        })
    }

    /// Whether mapping `block` has to read pointers from the disk.
    pub(super) fn needs_read(&self, root: &[u8], block: u64) -> bool {
        let Some(path) = Path::to(block, self.bits) else {
            return false;
        };
        let mut leaf: Option<Buffer> = None;
        for index in path.offsets().iter().take(path.depth()) {
            let pointers = leaf.as_ref().map_or(root, |buffer| buffer.bytes());
            match pointer(pointers, *index) {
                0 => return false,
                pointer => match self.sb.find(pointer.into()) {
                    Some(buffer) => leaf = Some(buffer),
                    None => return true,
                },
            }
        }
        false
    }

    /// Reads a block that a pointer names.
    pub(super) fn read(&self, block: u32) -> Result<Buffer> {
        self.check(block, 1)?;
        read_metadata(self.sb, self.ino, block.into())
    }

    /// Refuses pointers that no file can have.
    pub(super) fn check(&self, block: u32, len: u32) -> Result {
        let place = Place {
            ino: self.ino,
            block: block.into(),
        };
        self.sb
            .data()
            .check_run(block, len)
            .map_err(|error| self.sb.damaged(place, &error))
    }
}

/// The pointer at `index`.
pub(super) fn pointer(pointers: &[u8], index: u32) -> u32 {
    le32(pointers, (index as usize).saturating_mul(4)).unwrap_or(0)
}

/// A run of blocks that are not there; never empty.
fn hole(first: u64, len: u64) -> Run {
    Run {
        first,
        len: len.max(1),
        place: plan::Place::Hole,
        boundary: false,
    }
}

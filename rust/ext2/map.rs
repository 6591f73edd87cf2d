// SPDX-License-Identifier: GPL-2.0

//! Where a file's blocks lie: twelve pointers in the inode, then trees of pointer blocks of height one, two and
//! three.

use super::{
    ondisk::{
        path::{self, Path},
        raw::le32,
    },
    overlay::Found,
    state::{MapState, State},
    volume::Place,
    Ext2, Inode, SuperBlock,
};
use crate::{
    mpage::{
        plan::{self, Run},
        BlockMap,
    },
    vfs::buffer::Buffer,
};
use kernel::prelude::*;

impl BlockMap for Ext2 {
    fn map(inode: &Inode, first: u64, max: u64) -> Result<Run> {
        let state = inode.data().map.read();
        look_up(inode, &state, first, max)
    }
}

/// The run from file block `first` on, as [`BlockMap::map`] gives it. What is ahead of the pointers counts: blocks
/// whose contents are on their way are there, those that are only set aside are holes.
pub(super) fn look_up(inode: &Inode, state: &MapState, first: u64, max: u64) -> Result<Run> {
    let walk = Walk::new(inode);
    if state.is_settled() {
        return walk.map(&state.pointers, first, max);
    }
    let block = u32::try_from(first).map_err(|_| EFBIG)?;
    match state.overlay.find(block) {
        Found::Extent(extent) => Ok(Run {
            first,
            len: extent.len.into(),
            place: match extent.state {
                State::Submitted(disk, _) => plan::Place::Mapped(disk.into()),
                State::Reserved | State::Allocated(_) => plan::Place::Hole,
            },
            boundary: false,
        }),
        Found::Nothing(until) => {
            let room = u64::from(until.saturating_sub(block)).max(1);
            let run = walk.map(&state.pointers, first, max.min(room))?;
            Ok(Run { len: run.len.min(room), ..run })
        }
    }
}

/// Reads a metadata block of an inode; a failure is logged.
pub(super) fn read_metadata(sb: &SuperBlock, ino: u64, block: u64) -> Result<Buffer> {
    sb.read(block).inspect_err(|_| pr_err!("{}: inode {}: block {}: cannot read metadata\n", sb.id(), ino, block))
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
        Self { sb: inode.sb(), ino: inode.ino(), bits: inode.block_bits() }
    }

    /// The run from file block `first` on; see [`BlockMap::map`].
    pub(super) fn map(&self, root: &[u8], first: u64, max: u64) -> Result<Run> {
        let path = Path::to(first, self.bits).ok_or(EFBIG)?;
        let max = u32::try_from(max).unwrap_or(u32::MAX).clamp(1, path.run_limit());
        let mut leaf: Option<Buffer> = None;
        for (level, index) in path.offsets().iter().enumerate() {
            let pointers = leaf.as_ref().map_or(root, |buffer| buffer.bytes());
            if level == path.depth() {
                let run = path::pointer_run(pointers, *index, max).ok_or(EIO)?;
                return self.leaf_run(root, &path, first, run);
            }
            match pointer(pointers, *index) {
                0 => return Ok(hole(first, path.hole_len(first, level, self.bits))),
                block => {
                    self.check(block, 1)?;
                    leaf = Some(read_metadata(self.sb, self.ino, block.into())?);
                }
            }
        }
        Err(EIO)
    }

    /// A run found among the pointers of a leaf.
    fn leaf_run(&self, root: &[u8], path: &Path, first: u64, run: path::Run) -> Result<Run> {
        let (place, len) = match run {
            path::Run::Hole { len } => (plan::Place::Hole, len),
            path::Run::Mapped { block, len } => {
                self.check(block, len)?;
                (plan::Place::Mapped(block.into()), len)
            }
        };
        let next = first.saturating_add(len.into());
        let boundary = len == path.run_limit() && self.needs_read(root, next);
        Ok(Run { first, len: len.into(), place, boundary })
    }

    /// Whether mapping `block` has to read pointers from the disk.
    fn needs_read(&self, root: &[u8], block: u64) -> bool {
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

    /// Refuses pointers that no file can have.
    pub(super) fn check(&self, block: u32, len: u32) -> Result {
        let place = Place { ino: self.ino, block: block.into() };
        self.sb.data().check_run(block, len).map_err(|error| self.sb.damaged(place, &error))
    }
}

/// The pointer at `index`.
pub(super) fn pointer(pointers: &[u8], index: u32) -> u32 {
    le32(pointers, (index as usize).saturating_mul(4)).unwrap_or(0)
}

fn hole(first: u64, len: u64) -> Run {
    Run { first, len: len.max(1), place: plan::Place::Hole, boundary: false }
}

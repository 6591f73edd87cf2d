// SPDX-License-Identifier: GPL-2.0

//! Where a file's blocks lie: twelve pointers in the inode, then trees of pointer blocks of height one, two and
//! three.

use super::{
    ondisk::{
        path::{self, Path},
        raw::le32,
    },
    overlay::Found,
    runs::{Hit, Missed},
    state::{MapState, State},
    volume::Place,
    Ext2, Inode, SuperBlock,
};
use crate::{
    mpage::{
        plan::{self, Run},
        queue::RunQueue,
        BlockMap,
    },
    vfs::buffer::Buffer,
};
use core::{ops::Range, slice};
use kernel::prelude::*;

impl BlockMap for Ext2 {
    fn map(inode: &Inode, first: u64, max: u64) -> Result<Run> {
        map(inode, first, max, None)
    }

    fn map_now(inode: &Inode, first: u64, max: u64) -> Result<Run> {
        let node = inode.data();
        let block = u32::try_from(first).map_err(|_| EFBIG)?;
        if block >= path::DIRECT {
            return match node.runs.find(block) {
                Hit::Run(run) | Hit::LastOfLeaf(run) => Ok(run),
                Hit::Miss(_) => Err(EAGAIN),
            };
        }
        // The inode's own pointers are in memory.
        let state = node.map.try_read().ok_or(EAGAIN)?;
        look_up(inode, &state, first, max)
    }

    fn map_for_read(inode: &Inode, first: u64, max: u64, rest: &mut RunQueue) -> Result<Run> {
        map(inode, first, max, Some(rest))
    }
}

#[inline]
fn map(inode: &Inode, first: u64, max: u64, rest: Option<&mut RunQueue>) -> Result<Run> {
    let node = inode.data();
    let block = u32::try_from(first).map_err(|_| EFBIG)?;
    if block < path::DIRECT {
        return look_up(inode, &node.map.read(), first, max);
    }
    match node.runs.find(block) {
        Hit::Run(run) => Ok(run),
        // Whether more has to be read matters only to who goes on after the run.
        Hit::LastOfLeaf(run) if max <= run.len => Ok(run),
        Hit::LastOfLeaf(run) => {
            let state = node.map.read();
            let boundary = Walk::new(inode).needs_read(&state.pointers, run.end());
            Ok(Run { boundary, ..run })
        }
        Hit::Miss(missed) => find(inode, block, max, missed, rest),
    }
}

/// Looks up the run from `block` on, and those behind it in the same pointer block as far as they are wanted: a file in
/// many pieces is not walked anew for each. They are kept, and those behind the first put into `rest`.
#[inline(never)]
fn find(
    inode: &Inode,
    block: u32,
    max: u64,
    missed: Missed,
    rest: Option<&mut RunQueue>,
) -> Result<Run> {
    let node = inode.data();
    node.runs.prepare();
    let state = node.map.read();
    if !state.is_settled() {
        return look_up(inode, &state, block.into(), max);
    }
    find_on_disk(inode, &state, block, max, missed, rest)
}

/// The run from `block` on, and those behind it as for [`find`], if the pointers lead to it: what is ahead of them does
/// not count.
pub(super) fn on_disk(
    inode: &Inode,
    block: u32,
    max: u64,
    rest: Option<&mut RunQueue>,
) -> Result<Option<Run>> {
    let node = inode.data();
    let found = match node.runs.find(block) {
        Hit::Run(run) | Hit::LastOfLeaf(run) => return Ok(Some(run)),
        Hit::Miss(missed) if block >= path::DIRECT => {
            node.runs.prepare();
            let state = node.map.read();
            if let Found::Extent(_) = state.overlay.find(block) {
                return Ok(None);
            }
            find_on_disk(inode, &state, block, max, missed, rest)?
        }
        Hit::Miss(_) => Walk::new(inode).map(&node.map.read().pointers, block.into(), max)?,
    };
    Ok(Some(found).filter(|run| run.place != plan::Place::Hole))
}

/// How far the blocks from `range.start` on are on disk: the first that the pointers do not lead to, or `range.end`.
/// Where the others lie is not looked at.
pub(super) fn on_disk_until(inode: &Inode, range: Range<u32>) -> Result<u32> {
    let state = inode.data().map.read();
    let walk = Walk::new(inode);
    let mut block = range.start;
    while block < range.end {
        let wanted = range.end.saturating_sub(block);
        let (len, mapped) = if block < path::DIRECT {
            let len = wanted.min(path::DIRECT.saturating_sub(block));
            (len, path::mapped(&state.pointers, block, len))
        } else {
            match walk.leaf(&state.pointers, block)? {
                Leaf::Hole(_) => break,
                Leaf::Pointers { leaf, index, limit } => {
                    let len = wanted.min(limit);
                    (len, path::mapped(leaf.bytes(), index, len))
                }
            }
        };
        block = block.saturating_add(mapped);
        if mapped < len {
            break;
        }
    }
    Ok(block)
}

/// Looks up the run from `block` on among the pointers; see [`find`].
fn find_on_disk(
    inode: &Inode,
    state: &MapState,
    block: u32,
    max: u64,
    missed: Missed,
    rest: Option<&mut RunQueue>,
) -> Result<Run> {
    let node = inode.data();
    let walk = Walk::new(inode);
    let (leaf, index, limit) = match walk.leaf(&state.pointers, block)? {
        Leaf::Hole(run) => return Ok(run),
        Leaf::Pointers { leaf, index, limit } => (leaf, index, limit),
    };
    let pointers = leaf.bytes();
    let useful = u32::try_from(max).unwrap_or(limit).min(limit).max(1);
    // Of a scattered file nothing is looked up that nobody has asked for.
    let wanted = if missed.scattered { useful } else { limit };
    let mut first = walk.leaf_run(pointers, index, block, wanted)?;
    let mut own = RunQueue::new();
    let in_pass = rest.is_some();
    let rest = rest.unwrap_or(&mut own);
    let mut at = first.len as u32;
    while at < useful && (in_pass || !missed.scattered) {
        // What is wrong there is found, and told, when somebody asks for it.
        let next = walk.run_at(
            pointers,
            index.wrapping_add(at),
            block.wrapping_add(at),
            wanted.wrapping_sub(at),
        );
        let Some(next) = next.filter(|next| rest.push(*next)) else {
            break;
        };
        at = at.wrapping_add(next.len as u32);
    }
    let leaf_end = block.wrapping_add(limit);
    if missed.scattered {
        // A pass has all it needs in `rest`, but for what may follow the last run.
        let last = rest.runs().last().unwrap_or(&first);
        node.runs.remember(&missed, slice::from_ref(last), leaf_end);
    } else {
        let whole = walk.with_blocks_before(pointers, index, first);
        node.runs.remember(&missed, &[whole], leaf_end);
        node.runs.remember(&missed, rest.runs(), leaf_end);
    }
    // Told of the last one only, and only if the caller goes on after it.
    if at >= limit && max > at.into() {
        let boundary = walk.needs_read(&state.pointers, block.wrapping_add(at).into());
        rest.last_mut().unwrap_or(&mut first).boundary = boundary;
    }
    Ok(first)
}

/// The pointer block that says where a file block lies.
enum Leaf {
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
                // Where a write has failed there is what an earlier owner left.
                State::Submitted(_, pass) if pass.0.has_failed() => plan::Place::Hole,
                State::Submitted(disk, _) => plan::Place::Mapped(disk.into()),
                State::Reserved | State::Allocated(_) => plan::Place::Hole,
            },
            boundary: false,
        }),
        Found::Nothing(until) => {
            let room = u64::from(until.saturating_sub(block)).max(1);
            let run = walk.map(&state.pointers, first, max.min(room))?;
            Ok(Run {
                len: run.len.min(room),
                ..run
            })
        }
    }
}

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
    fn leaf(&self, root: &[u8], block: u32) -> Result<Leaf> {
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
    fn leaf_run(&self, pointers: &[u8], index: u32, block: u32, limit: u32) -> Result<Run> {
        let run = path::pointer_run(pointers, index, limit).ok_or(EIO)?;
        self.checked_run(block.into(), run)
    }

    /// A run that begins at pointer `index`, with the blocks right before it that belong to it.
    fn with_blocks_before(&self, pointers: &[u8], index: u32, run: Run) -> Run {
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
    fn run_at(&self, pointers: &[u8], index: u32, block: u32, limit: u32) -> Option<Run> {
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

fn hole(first: u64, len: u64) -> Run {
    Run {
        first,
        len: len.max(1),
        place: plan::Place::Hole,
        boundary: false,
    }
}

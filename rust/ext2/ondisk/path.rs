// SPDX-License-Identifier: GPL-2.0

//! The tree of block pointers.
//!
//! `i_block` has 15 pointers: 12 to data, then one each to a tree of height 1, 2 and 3, whose inner
//! nodes are blocks full of pointers. A pointer is 32 bits, little-endian; zero is a hole, at every
//! height. Format: `Documentation/filesystems/ext4/blockmap.rst`.
//!
//! File blocks are counted from zero in units of the volume's block size; `bits` is the binary
//! logarithm of that size (10, 11 or 12).

use super::raw::le32;
use core::{
    num::NonZeroU64,
    ops::Range, //
};

/// Pointers in an inode that lead to data directly.
pub const DIRECT: u32 = 12;

/// Pointers in an inode.
pub const SLOTS: u32 = 15;

/// Height of the highest tree.
pub const MAX_DEPTH: usize = 3;

/// Pointers in a block, as a binary logarithm.
fn pointer_bits(bits: u32) -> u32 {
    bits.saturating_sub(2)
}

/// File blocks under one pointer of a tree of the given height: 1 for a pointer to data.
pub fn span(height: u32, bits: u32) -> u64 {
    1u64.checked_shl(height.saturating_mul(pointer_bits(bits)))
        .unwrap_or(u64::MAX)
}

/// The height of the tree under a pointer of the inode: 0 to data, 1 to 3 for the last three
/// pointers.
pub fn slot_height(slot: u32) -> u32 {
    slot.saturating_sub(DIRECT.saturating_sub(1))
}

/// The file blocks under a pointer of the inode.
pub fn slot_range(slot: u32, bits: u32) -> Range<u64> {
    let height = slot_height(slot);
    let start = match height {
        0 => u64::from(slot),
        1 => u64::from(DIRECT),
        2 => u64::from(DIRECT).saturating_add(span(1, bits)),
        _ => u64::from(DIRECT)
            .saturating_add(span(1, bits))
            .saturating_add(span(2, bits)),
    };
    start..start.saturating_add(span(height, bits))
}

/// File blocks that the pointers of one inode can reach.
pub fn max_blocks(bits: u32) -> u64 {
    slot_range(SLOTS.saturating_sub(1), bits).end
}

/// The way from the inode to a file block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    offsets: [u32; MAX_DEPTH + 1],
    depth: u8,
    run_limit: u32,
}

impl Path {
    /// The way to `file_block`; `None` if no pointer reaches that far.
    pub fn to(file_block: u64, bits: u32) -> Option<Self> {
        let direct = u32::try_from(file_block)
            .ok()
            .filter(|&block| block < DIRECT);
        if let Some(slot) = direct {
            return Some(Self {
                offsets: [slot, 0, 0, 0],
                depth: 0,
                run_limit: DIRECT.saturating_sub(slot),
            });
        }
        let shift = pointer_bits(bits) & 15;
        let mask = 1u64.wrapping_shl(shift).wrapping_sub(1);
        // Relative to the first block under each of the three trees in turn.
        let mut relative = file_block.wrapping_sub(u64::from(DIRECT));
        let mut height = 1u32;
        while relative >> (shift.wrapping_mul(height) & 63) != 0 {
            relative = relative.wrapping_sub(1u64.wrapping_shl(shift.wrapping_mul(height)));
            height = height.wrapping_add(1);
            if height > MAX_DEPTH as u32 {
                return None;
            }
        }
        let slot = DIRECT.wrapping_add(height).wrapping_sub(1);
        // The index at a level is the part of the relative block number that the levels below do
        // not use.
        let index = |below: u32| (relative >> (below.wrapping_mul(shift) & 63) & mask) as u32;
        let offsets = match height {
            1 => [slot, index(0), 0, 0],
            2 => [slot, index(1), index(0), 0],
            _ => [slot, index(2), index(1), index(0)],
        };
        Some(Self {
            offsets,
            depth: height as u8,
            run_limit: (mask as u32).saturating_sub(index(0)).saturating_add(1),
        })
    }

    /// Number of pointer blocks between the inode and the data: 0 to 3.
    pub fn depth(&self) -> usize {
        usize::from(self.depth)
    }

    /// The index of the pointer to follow: first in the inode, then in each pointer block; `depth +
    /// 1` numbers.
    pub fn offsets(&self) -> &[u32] {
        self.offsets
            .get(..self.depth().saturating_add(1))
            .unwrap_or(&self.offsets)
    }

    /// The index of the pointer at a level, which counts from zero in the inode to [`Self::depth`].
    pub fn offset(&self, level: usize) -> Option<u32> {
        self.offsets().get(level).copied()
    }

    /// File blocks from this one to the last whose pointer is in the same place (the inode, or the
    /// last pointer block), this one included: at least one. Mapping the block behind them needs
    /// other metadata.
    pub fn run_limit(&self) -> u32 {
        self.run_limit
    }

    /// File blocks from this one to the end of what hangs under the pointer at `level`, this one
    /// included: the length of the hole if that pointer is zero.
    pub fn hole_len(&self, file_block: u64, level: usize, bits: u32) -> u64 {
        let Some(&slot) = self.offsets.first() else {
            return 1;
        };
        let range = slot_range(slot, bits);
        let height = slot_height(slot).saturating_sub(level as u32);
        let span = span(height, bits);
        let relative = file_block.saturating_sub(range.start);
        span.saturating_sub(relative & span.saturating_sub(1))
    }
}

/// Pointer blocks on the ways from an inode to the file blocks of `range`: as many as have to be
/// allocated for them at worst.
pub fn pointer_blocks(range: &Range<u64>, bits: u32) -> u64 {
    let under = |slot| {
        let tree = slot_range(slot, bits);
        let first = range.start.max(tree.start).saturating_sub(tree.start);
        let end = range.end.min(tree.end).saturating_sub(tree.start);
        if first >= end {
            return 0;
        }
        // The root, and at each height below it every node that has something of the range.
        let nodes = |height| {
            let span = NonZeroU64::new(span(height, bits)).unwrap_or(NonZeroU64::MIN);
            (end.saturating_sub(1) / span)
                .saturating_sub(first / span)
                .saturating_add(1)
        };
        (1..slot_height(slot))
            .map(nodes)
            .fold(1, u64::saturating_add)
    };
    (DIRECT..SLOTS).map(under).fold(0, u64::saturating_add)
}

/// The greatest length of a file in bytes.
///
/// `i_blocks` counts data and pointer blocks in units of 512 bytes in 32 bits, which is less than
/// the pointers reach with blocks of 4 KiB. One block is left for extended attributes, which
/// `i_blocks` counts too.
pub fn max_file_size(bits: u32) -> u64 {
    let countable = u64::from(u32::MAX)
        .checked_shr(bits.saturating_sub(9))
        .unwrap_or(0)
        .saturating_sub(1);
    let fits = |blocks: u64| blocks.saturating_add(pointer_blocks(&(0..blocks), bits)) <= countable;
    let (mut low, mut high) = (0, max_blocks(bits));
    // Invariant: `low` blocks fit, and more than `high` do not fit or cannot be reached.
    while low < high {
        let half = high.saturating_sub(low) / 2;
        let middle = low.saturating_add(half).saturating_add(1).min(high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    low.checked_shl(bits).unwrap_or(u64::MAX)
}

/// The indices of those pointers of a node that lead to file blocks in `wanted`.
///
/// The node's first pointer leads to file block `first`; each of its pointers spans
/// [`span`]`(height)` blocks, `height` being that of the tree under the pointer (0 in a block that
/// points to data). It has `count` pointers.
pub fn child_range(
    first: u64,
    height: u32,
    count: u32,
    wanted: &Range<u64>,
    bits: u32,
) -> Range<u32> {
    let span = NonZeroU64::new(span(height, bits)).unwrap_or(NonZeroU64::MIN);
    let index = |block: u64| (block / span).min(u64::from(count)) as u32;
    let start = index(wanted.start.saturating_sub(first));
    let end = index(
        wanted
            .end
            .saturating_sub(first)
            .saturating_add(span.get().saturating_sub(1)),
    );
    start..end.max(start)
}

/// What neighbouring pointers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// `len` file blocks stand one after the other on disk, from block `block`.
    Mapped {
        /// First block on disk.
        block: u32,
        /// Number of blocks, at least one.
        len: u32,
    },
    /// `len` pointers are zero.
    Hole {
        /// Number of pointers, at least one.
        len: u32,
    },
}

/// The longest run that begins at pointer `index` of `pointers` and has at most `max` blocks;
/// `None` if there is no such pointer or `max` is zero.
///
/// `pointers` are the bytes of a pointer block or of `i_block`. Whether the run is on the volume is
/// not checked here: see [`super::geometry::Geometry::check_data_run`].
pub fn pointer_run(pointers: &[u8], index: u32, max: u32) -> Option<Run> {
    let at = usize::try_from(index).ok()?.checked_mul(4)?;
    let first = le32(pointers, at).filter(|_| max > 0)?;
    let mut len = 1u32;
    let mut expected = first;
    let mut rest = pointers.get(at.checked_add(4)?..)?;
    let step = u32::from(first != 0);
    // A file in many pieces has many runs of one block.
    if le32(rest, 0) != Some(first.wrapping_add(step)) {
        rest = &[];
    }
    // In fours first: most runs are long. So many fours that neither the run nor a block number gets too large.
    let room = match first {
        0 => max.wrapping_sub(1),
        _ => max.wrapping_sub(1).min(u32::MAX.wrapping_sub(first)),
    };
    let low = first.wrapping_add(step);
    let mut wanted = u64::from(low) | u64::from(low.wrapping_add(step)).wrapping_shl(32);
    let two_on = u64::from(step).wrapping_mul(0x2_0000_0002);
    let mut fours = 0u32;
    for four in rest.chunks_exact(16).take(room as usize / 4) {
        let (Some(low), Some(high)) = (four.first_chunk::<8>(), four.last_chunk::<8>()) else {
            break;
        };
        let next = wanted.wrapping_add(two_on);
        if u64::from_le_bytes(*low) != wanted || u64::from_le_bytes(*high) != next {
            break;
        }
        wanted = next.wrapping_add(two_on);
        fours = fours.wrapping_add(1);
    }
    let matched = fours.wrapping_mul(4);
    len = len.wrapping_add(matched);
    expected = expected.wrapping_add(matched.wrapping_mul(step));
    rest = rest.get((matched as usize).wrapping_mul(4)..)?;
    for next in rest.chunks_exact(4) {
        // After the highest block number comes none: zero would be a hole.
        expected = match first {
            0 => 0,
            _ => match expected.checked_add(1) {
                Some(block) => block,
                None => break,
            },
        };
        if len >= max || le32(next, 0) != Some(expected) {
            break;
        }
        len = len.saturating_add(1);
    }
    Some(match first {
        0 => Run::Hole { len },
        block => Run::Mapped { block, len },
    })
}

/// How many of the `len` pointers from `index` on lead somewhere, up to the first that does not.
pub fn mapped(pointers: &[u8], index: u32, len: u32) -> u32 {
    let start = (index as usize).saturating_mul(4);
    let pointers = pointers.get(start..).unwrap_or_default().chunks_exact(4);
    let mapped = pointers
        .take(len as usize)
        .take_while(|pointer| le32(pointer, 0) != Some(0));
    mapped.count() as u32
}

/// How many pointers right before pointer `index`, which is not zero, belong to its run.
pub fn run_before(pointers: &[u8], index: u32) -> u32 {
    let Some(own) = usize::try_from(index)
        .ok()
        .and_then(|index| le32(pointers, index.wrapping_mul(4)))
    else {
        return 0;
    };
    let before = pointers
        .get(..(index as usize).wrapping_mul(4))
        .unwrap_or_default();
    let mut count = 0u32;
    for pointer in before.rchunks_exact(4) {
        // Zero is a hole, so that a run never begins at block one by way of it.
        let expected = own.wrapping_sub(count).wrapping_sub(1);
        if expected == 0 || count >= own || le32(pointer, 0) != Some(expected) {
            break;
        }
        count = count.wrapping_add(1);
    }
    count
}

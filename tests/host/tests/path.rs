// SPDX-License-Identifier: GPL-2.0

//! The tree of block pointers against plain counting.

use proptest::prelude::*;
use rext2_host::ext2::ondisk::path::{
    child_range, mapped, max_blocks, max_file_size, pointer_blocks, pointer_run, slot_height,
    slot_range, span, Path, Run,
};
use std::{collections::BTreeSet, ops::Range};

/// Ways to the file blocks of a range, without the last pointer: one for each pointer block.
fn count_pointer_blocks(range: Range<u64>, bits: u32) -> u64 {
    let mut nodes = BTreeSet::new();
    for block in range {
        let path = Path::to(block, bits).expect("the block can be reached");
        for level in 1..=path.depth() {
            nodes.insert(path.offsets()[..level].to_vec());
        }
    }
    nodes.len() as u64
}

#[test]
fn the_first_blocks_of_each_tree() {
    let offsets = |block, bits| Path::to(block, bits).map(|path| path.offsets().to_vec());
    assert_eq!(offsets(0, 12), Some(vec![0]));
    assert_eq!(offsets(11, 12), Some(vec![11]));
    assert_eq!(offsets(12, 12), Some(vec![12, 0]));
    assert_eq!(offsets(12 + 1023, 12), Some(vec![12, 1023]));
    assert_eq!(offsets(12 + 1024, 12), Some(vec![13, 0, 0]));
    assert_eq!(
        offsets(12 + 1024 + 1024 * 1024 - 1, 12),
        Some(vec![13, 1023, 1023])
    );
    assert_eq!(
        offsets(12 + 1024 + 1024 * 1024, 12),
        Some(vec![14, 0, 0, 0])
    );
    assert_eq!(offsets(12 + 256 + 256 * 256, 10), Some(vec![14, 0, 0, 0]));
    assert_eq!(
        offsets(max_blocks(10) - 1, 10),
        Some(vec![14, 255, 255, 255])
    );
    assert_eq!(offsets(max_blocks(10), 10), None);
    assert_eq!(offsets(u64::MAX, 12), None);
}

#[test]
fn greatest_lengths() {
    // The pointers are the limit for small blocks: 12 + n + n² + n³ blocks.
    assert_eq!(max_file_size(10), (12 + 256 + 65_536 + 16_777_216) << 10);
    assert_eq!(max_file_size(11), (12 + 512 + 262_144 + 134_217_728) << 11);
    // Then it is 2^32 - 1 sectors, of which 2^32 / 8 - 1 blocks are left: one for attributes, the rest for data and
    // pointers.
    let countable = (1u64 << 29) - 1;
    let blocks = max_file_size(12) >> 12;
    let needed = |blocks| blocks + pointer_blocks(&(0..blocks), 12) + 1;
    assert!(needed(blocks) <= countable && needed(blocks + 1) > countable);
    assert!(max_file_size(12) < 1 << 41);
}

#[test]
fn pointer_blocks_of_small_files() {
    for bits in [10, 12] {
        for end in [0, 1, 12, 13, 268, 269, 524, 525, 1036, 1037, 1300] {
            assert_eq!(
                pointer_blocks(&(0..end), bits),
                count_pointer_blocks(0..end, bits),
                "{end}"
            );
        }
    }
}

fn run_bytes(pointers: &[u32]) -> Vec<u8> {
    pointers
        .iter()
        .flat_map(|pointer| pointer.to_le_bytes())
        .collect()
}

#[test]
fn runs_of_pointers() {
    let pointers = run_bytes(&[0, 0, 7, 8, 9, 11, u32::MAX, 0]);
    let run = |index, max| pointer_run(&pointers, index, max);
    assert_eq!(run(0, 9), Some(Run::Hole { len: 2 }));
    assert_eq!(run(0, 1), Some(Run::Hole { len: 1 }));
    assert_eq!(run(2, 9), Some(Run::Mapped { block: 7, len: 3 }));
    assert_eq!(run(3, 9), Some(Run::Mapped { block: 8, len: 2 }));
    assert_eq!(run(2, 2), Some(Run::Mapped { block: 7, len: 2 }));
    assert_eq!(
        run(6, 9),
        Some(Run::Mapped {
            block: u32::MAX,
            len: 1
        })
    );
    assert_eq!(run(7, 9), Some(Run::Hole { len: 1 }));
    assert_eq!((run(8, 9), run(u32::MAX, 9), run(0, 0)), (None, None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The way leads back to the block.
    #[test]
    fn a_way_names_its_block(bits in 10u32..=12, block in any::<u32>(), near in any::<bool>()) {
        let block = u64::from(block) % if near { 3000 } else { max_blocks(bits) };
        let path = Path::to(block, bits).expect("the block can be reached");
        let slot = path.offset(0).expect("every way begins in the inode");
        prop_assert_eq!(path.depth() as u32, slot_height(slot));
        let below: u64 = path.offsets()[1..]
            .iter()
            .zip((0..slot_height(slot)).rev())
            .map(|(&index, height)| u64::from(index) * span(height, bits))
            .sum();
        prop_assert_eq!(slot_range(slot, bits).start + below, block);
        // The run ends where the last pointer block, or the direct pointers, end.
        let last = Path::to(block + u64::from(path.run_limit()) - 1, bits).expect("inside");
        prop_assert_eq!(&last.offsets()[..path.depth()], &path.offsets()[..path.depth()]);
        let next = Path::to(block + u64::from(path.run_limit()), bits);
        let same = next.is_some_and(|next| {
            next.depth() == path.depth() && next.offsets()[..path.depth()] == path.offsets()[..path.depth()]
        });
        prop_assert!(!same);
    }

    /// A hole at any level reaches exactly to the first block that another pointer of that level leads to.
    #[test]
    fn a_hole_ends_with_its_pointer(bits in 10u32..=12, block in any::<u32>()) {
        let block = u64::from(block) % max_blocks(bits);
        let path = Path::to(block, bits).expect("the block can be reached");
        for level in 0..=path.depth() {
            let len = path.hole_len(block, level, bits);
            let under = |block| {
                Path::to(block, bits).map(|other| other.offsets()[..=level.min(other.depth())].to_vec())
            };
            prop_assert_eq!(under(block + len - 1), under(block));
            prop_assert_ne!(under(block + len), under(block));
        }
    }

    #[test]
    fn pointer_blocks_are_counted(bits in 10u32..=12, start in 0u64..1_200_000, len in 0u64..3000) {
        prop_assert_eq!(pointer_blocks(&(start..start + len), bits), count_pointer_blocks(start..start + len, bits));
    }

    /// The children that are named are those that have something wanted.
    #[test]
    fn children_in_a_range(
        bits in 10u32..=12,
        height in 0u32..3,
        first in 0u64..5000,
        start in 0u64..400_000,
        len in 0u64..400_000,
    ) {
        let count = 1 << (bits - 2);
        let wanted = start..start + len;
        let range = child_range(first, height, count, &wanted, bits);
        for child in 0..count {
            let from = first + u64::from(child) * span(height, bits);
            let until = from + span(height, bits);
            let has_some = from < wanted.end && wanted.start < until && !wanted.is_empty();
            prop_assert_eq!(range.contains(&child), has_some, "child {} of {:?}", child, range);
        }
    }
}

proptest! {
    #[test]
    fn mapped_ends_at_the_first_zero(pointers in prop::collection::vec(0u32..3, 0..40), index in 0u32..40, len in 0u32..50) {
        let bytes: Vec<u8> = pointers.iter().flat_map(|pointer| pointer.to_le_bytes()).collect();
        let expected = pointers
            .iter()
            .skip(index as usize)
            .take(len as usize)
            .take_while(|pointer| **pointer != 0)
            .count();
        prop_assert_eq!(mapped(&bytes, index, len) as usize, expected);
    }
}

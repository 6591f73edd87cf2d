// SPDX-License-Identifier: GPL-2.0

//! Where new things go.

use proptest::{collection::vec, prelude::*};
use rext2_host::{
    exercise::sample_superblock,
    ext2::ondisk::{
        alloc::{
            block_goal, next_window_len, place_window, Groups, Load, Placed, WINDOW_MAX, WINDOW_MIN,
        },
        fields::*,
        geometry::Geometry,
        superblock::{RawSuperblockMut, Superblock},
    },
};
use std::ops::Range;

/// A volume of `groups` whole groups of 8192 blocks and 256 inodes.
fn geometry(groups: u32) -> Geometry {
    let mut bytes = sample_superblock(0);
    let mut raw = RawSuperblockMut::new(&mut bytes).expect("long enough");
    raw.set(S_BLOCKS_COUNT, 1 + groups * 8192);
    raw.set(S_INODES_COUNT, groups * 256);
    Superblock::parse(&bytes, u64::MAX).expect("valid").geometry
}

fn load(free_blocks: u32, free_inodes: u32, directories: u32) -> Load {
    Load {
        free_blocks,
        free_inodes,
        directories,
    }
}

fn groups<'a>(geometry: &'a Geometry, loads: &'a [Load]) -> Groups<'a, impl Fn(u32) -> Load + 'a> {
    let total = loads.iter().fold(Load::default(), |sum, load| Load {
        free_blocks: sum.free_blocks + load.free_blocks,
        free_inodes: sum.free_inodes + load.free_inodes,
        directories: sum.directories + load.directories,
    });
    Groups::new(geometry, total, |group| loads[group as usize])
}

#[test]
fn top_directories_are_spread() {
    let geometry = geometry(4);
    let mut loads = [load(8000, 250, 0); 4];
    let mut chosen = Vec::new();
    for random in 0..8 {
        let group = groups(&geometry, &loads)
            .for_top_directory(random)
            .expect("there is room");
        let load = &mut loads[group as usize];
        (load.directories, load.free_inodes, load.free_blocks) = (
            load.directories + 1,
            load.free_inodes - 1,
            load.free_blocks - 1,
        );
        chosen.push(group);
    }
    chosen.sort_unstable();
    assert_eq!(chosen, [0, 0, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn other_directories_stay_near_until_it_is_crowded() {
    let geometry = geometry(4);
    let mut loads = [load(8000, 250, 3); 4];
    assert_eq!(groups(&geometry, &loads).for_directory(2), Some(2));
    loads[2].directories = 40;
    assert_eq!(groups(&geometry, &loads).for_directory(2), Some(3));
    loads[3].free_blocks = 10;
    assert_eq!(groups(&geometry, &loads).for_directory(2), Some(0));
    loads[0].free_inodes = 9;
    assert_eq!(groups(&geometry, &loads).for_directory(2), Some(1));
}

#[test]
fn files_follow_their_directory() {
    let geometry = geometry(8);
    let mut loads = [load(8000, 250, 3); 8];
    assert_eq!(groups(&geometry, &loads).for_file(5, 77), Some(5));
    loads[5].free_inodes = 0;
    let other = groups(&geometry, &loads).for_file(5, 77);
    assert_eq!(
        other,
        Some((5 + 77 + 1) % 8),
        "all files of the directory go the same way"
    );
    for load in &mut loads {
        load.free_blocks = 0;
    }
    // An empty file needs no block.
    assert_eq!(groups(&geometry, &loads).for_file(5, 77), Some(6));
}

#[test]
fn goals_continue_what_is_there() {
    let geometry = geometry(4);
    let before = |file_block, block| Some(Placed { file_block, block });
    let goal = |before, file_block| block_goal(&geometry, before, file_block, 2, 0, 0);
    assert_eq!(goal(before(9, 700), 10), 701);
    assert_eq!(goal(before(0, 700), 100), 800);
    let home = geometry.group_first_block(2);
    assert_eq!(goal(None, 0), home);
    assert_eq!(goal(before(0, 700), 8192), home, "too far to mean anything");
    assert_eq!(
        goal(before(0, geometry.blocks_count() - 1), 1),
        home,
        "the volume ends"
    );
    assert_eq!(goal(before(10, 700), 9), home);
    assert_eq!(block_goal(&geometry, None, 0, 2, 17, 0), home + 512);
    let striped = block_goal(&geometry, None, 0, 2, 3, 24);
    assert!(striped % 24 == 0 && (home + 1536..home + 1560).contains(&striped));
}

#[test]
fn windows_grow_when_they_are_used() {
    assert_eq!(next_window_len(0, 0), WINDOW_MIN);
    assert_eq!(next_window_len(8, 4), 8);
    assert_eq!(next_window_len(8, 5), 16);
    assert_eq!(next_window_len(WINDOW_MAX, WINDOW_MAX), WINDOW_MAX);
    assert_eq!(next_window_len(u32::MAX, u32::MAX), WINDOW_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for, the answer has a free inode, and there is one if there is any.
    #[test]
    fn a_free_inode_is_found(
        loads in vec((0u32..8192, 0u32..3, 0u32..256), 1..40),
        start in any::<u32>(),
        seed in any::<u32>(),
    ) {
        let loads: Vec<_> = loads.into_iter().map(|(b, i, d)| load(b, i.saturating_sub(1) * 99, d)).collect();
        let geometry = geometry(loads.len() as u32);
        let groups = groups(&geometry, &loads);
        let any = loads.iter().any(|load| load.free_inodes > 0);
        for answer in [groups.for_top_directory(seed), groups.for_directory(start), groups.for_file(start, seed)] {
            prop_assert_eq!(answer.is_some(), any);
            prop_assert!(answer.is_none_or(|group| loads[group as usize].free_inodes > 0));
        }
    }

    #[test]
    fn goals_are_on_the_volume(
        count in 1u32..6,
        placed in proptest::option::of((0u64..20_000, 1u32..50_000)),
        file_block in 0u64..40_000,
        home in 0u32..6,
        writer in any::<u32>(),
        stripe in any::<u32>(),
    ) {
        let geometry = geometry(count);
        let before = placed.map(|(file_block, block)| Placed {
            file_block,
            block: block.min(geometry.blocks_count() - 1),
        });
        let goal = block_goal(&geometry, before, file_block, home % count, writer, stripe % 5000);
        prop_assert!(geometry.block_place(goal).is_some());
    }

    /// A window takes the first gap that is long enough.
    #[test]
    fn windows_do_not_overlap(gaps in vec((0u32..20, 1u32..20), 0..20), start in 0u32..300, room in 0u32..300, len in 1u32..30) {
        let mut taken: Vec<Range<u32>> = Vec::new();
        let mut at = 0;
        for (gap, window) in gaps {
            taken.push(at + gap..at + gap + window);
            at += gap + window;
        }
        let inside = start..start + room;
        let free = |from: u32| {
            from + len <= inside.end && taken.iter().all(|window| window.end <= from || window.start >= from + len)
        };
        let expected = (start..inside.end).find(|&from| free(from)).map(|from| from..from + len);
        prop_assert_eq!(place_window(taken.iter().cloned(), inside.clone(), len), expected);
    }
}

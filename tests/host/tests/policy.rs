// SPDX-License-Identifier: GPL-2.0

//! Which free blocks are taken, and where directories go.

use proptest::prelude::*;
use rext2_host::ext2::ondisk::{
    bitmap,
    policy::{
        choose,
        file_groups,
        suits_directory,
        suits_top_directory,
        Average,
        Avoid,
        GroupUse,
        Windows,
        Wish, //
    }, //
};
use std::{collections::BTreeSet, ops::Range};

const BITS: u32 = 512;

fn wish(goal: u32, want: u32) -> Wish {
    Wish {
        goal,
        want,
        stripe: 0,
        phase: 0,
    }
}

fn longest_row(bitmap: &[u8]) -> u32 {
    let mut longest = 0;
    let mut row = 0;
    for bit in 0..BITS {
        row = if bitmap::is_set(bitmap, bit) {
            0
        } else {
            row + 1
        };
        longest = longest.max(row);
    }
    longest
}

fn all_clear(bitmap: &[u8], run: &Range<u32>) -> bool {
    run.end <= BITS && run.clone().all(|bit| !bitmap::is_set(bitmap, bit))
}

proptest! {
    #[test]
    fn chosen_bits_are_clear_and_as_many_as_there_are(
        bitmap in proptest::collection::vec(any::<u8>(), BITS as usize / 8),
        goal in 0..BITS + 9,
        want in 1..BITS,
        stripe in 0u32..40,
        phase in 0u32..40,
    ) {
        let wish = Wish { goal, want, stripe, phase: phase.checked_rem(stripe).unwrap_or(0) };
        let choice = choose(&bitmap, BITS, &wish, &Avoid::nothing());
        let longest = longest_row(&bitmap);
        match &choice.run {
            Some(run) => {
                prop_assert!(all_clear(&bitmap, run));
                prop_assert_eq!(run.end - run.start, longest.min(want));
            }
            None => prop_assert_eq!(longest, 0),
        }
        if let Some(bound) = choice.longest {
            prop_assert_eq!(bound, longest);
        }
    }

    #[test]
    fn windows_of_others_are_left_alone(
        bitmap in proptest::collection::vec(any::<u8>(), BITS as usize / 8),
        growth in proptest::collection::vec((1u64..5, 0..BITS, 1u32..20), 0..40),
        goal in 0..BITS,
        want in 1..BITS,
    ) {
        let mut windows = Windows::new();
        for (owner, start, len) in growth {
            windows.note(0, |_| 64, owner, &(start..(start + len).min(BITS)));
        }
        let avoid = windows.avoid(0, 1);
        let choice = choose(&bitmap, BITS, &wish(goal, want), &avoid);
        if let Some(run) = choice.run {
            prop_assert!(all_clear(&bitmap, &run));
            // What is left to others is the same whoever asks, except for the one who has it.
            prop_assert!(choose(&bitmap, BITS, &wish(run.start, 1), &avoid).run == Some(run.start..run.start + 1));
        }
    }

    #[test]
    fn every_group_is_tried(parent in 0u32..300, salt: u32, count in 1u32..300) {
        let parent = parent % count;
        let groups: Vec<u32> = file_groups(parent, salt, count).collect();
        prop_assert_eq!(groups[0], parent);
        prop_assert!(groups.iter().all(|&group| group < count));
        prop_assert_eq!(groups.iter().collect::<BTreeSet<_>>().len(), count as usize);
        prop_assert!(groups.len() <= count as usize + 32);
    }
}

#[test]
fn a_file_that_grows_in_steps_keeps_the_others_away() {
    let mut bitmap = vec![0u8; BITS as usize / 8];
    let mut windows = Windows::new();
    let mut ends = [0u32, 100];
    let mut runs = [0usize; 2];
    for _ in 0..8 {
        for (file, end) in ends.iter_mut().enumerate() {
            let owner = file as u64 + 1;
            let choice = choose(&bitmap, BITS, &wish(*end, 4), &windows.avoid(0, owner));
            let run = choice.run.expect("the bitmap is far from full");
            runs[file] += usize::from(run.start != *end);
            bitmap::take(&mut bitmap, run.clone()).expect("chosen bits are clear");
            let room = bitmap::clear_run(&bitmap, BITS, run.end, BITS);
            windows.note(0, |_| room, owner, &run);
            *end = run.end;
        }
        // The second file begins where the first one grows to.
        if ends[1] == 104 {
            ends[1] = ends[0];
        }
    }
    assert!(runs[0] <= 1, "the first file is in {} pieces", runs[0] + 1);
    assert!(runs[1] <= 2, "the second file is in {} pieces", runs[1] + 1);
}

#[test]
fn a_window_is_kept_from_other_files_of_its_group() {
    let mut windows = Windows::new();
    windows.note(3, |_| BITS, 7, &(0..4));
    windows.note(3, |_| BITS, 7, &(4..8));
    assert!(!windows.avoid(3, 8).is_empty());
    assert!(windows.avoid(3, 7).is_empty());
    assert!(windows.avoid(4, 8).is_empty());
}

#[test]
fn a_single_step_keeps_nothing() {
    let mut windows = Windows::new();
    windows.note(0, |_| BITS, 7, &(0..4));
    assert!(windows.avoid(0, 8).is_empty());
}

#[test]
fn a_large_request_begins_at_a_stripe() {
    let mut bitmap = vec![0u8; BITS as usize / 8];
    bitmap::take(&mut bitmap, 0..5).expect("nothing is taken yet");
    let striped = Wish {
        goal: 2,
        want: 32,
        stripe: 16,
        phase: 3,
    };
    let run = choose(&bitmap, BITS, &striped, &Avoid::nothing()).run;
    assert_eq!(run, Some(19..51));
    // One that continues its file does not move away from it.
    let continued = Wish { goal: 5, ..striped };
    let run = choose(&bitmap, BITS, &continued, &Avoid::nothing()).run;
    assert_eq!(run, Some(5..37));
}

#[test]
fn directories_go_where_there_is_room() {
    let average = Average {
        free_blocks: 1000,
        free_inodes: 100,
        directories: 10,
    };
    let good = GroupUse {
        free_blocks: 1000,
        free_inodes: 100,
        directories: 10,
    };
    assert!(suits_top_directory(&good, &average));
    assert!(suits_directory(&good, &average, 160, 2000));
    for bad in [
        GroupUse {
            free_blocks: 400,
            ..good
        },
        GroupUse {
            free_inodes: 50,
            ..good
        },
        GroupUse {
            free_inodes: 0,
            ..good
        },
    ] {
        assert!(!suits_top_directory(&bad, &average), "{bad:?}");
        assert!(!suits_directory(&bad, &average, 160, 2000), "{bad:?}");
    }
    let crowded = GroupUse {
        directories: 25,
        ..good
    };
    assert!(!suits_directory(&crowded, &average, 160, 2000));
}

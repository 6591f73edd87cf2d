// SPDX-License-Identifier: GPL-2.0

//! Bitmaps against one bit at a time.

use proptest::{collection::vec, prelude::*};
use rext2_host::ext2::ondisk::{
    bitmap::{clear_run, count_clear, find_run, give_back, is_set, next_clear, next_set, take},
    error::{Corruption, Error},
};

fn bit(bitmap: &[u8], n: u32) -> bool {
    bitmap
        .get(n as usize / 8)
        .is_none_or(|byte| byte >> (n % 8) & 1 != 0)
}

/// The longest row of clear bits.
fn longest(bitmap: &[u8], len: u32) -> u32 {
    (0..len)
        .map(|from| (from..len).take_while(|&n| !bit(bitmap, n)).count() as u32)
        .max()
        .unwrap_or(0)
}

/// Bitmaps with long and short rows: bytes that are all clear, all set, or anything.
fn bitmaps() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..70)
}

#[test]
fn find_run_prefers_the_goal_then_what_is_behind() {
    // Clear: 8..16 and 24..40 and 63.
    let mut bitmap = [0xff; 8];
    (bitmap[1], bitmap[3], bitmap[4], bitmap[7]) = (0, 0, 0, 0x7f);
    assert_eq!(find_run(&bitmap, 64, 10, 4), Some(10..14));
    assert_eq!(find_run(&bitmap, 64, 13, 4), Some(24..28));
    assert_eq!(find_run(&bitmap, 64, 41, 4), Some(8..12));
    assert_eq!(find_run(&bitmap, 64, 41, 9), Some(24..33));
    assert_eq!(find_run(&bitmap, 64, 0, 100), Some(24..40));
    assert_eq!(find_run(&bitmap, 64, 50, 1), Some(63..64));
    assert_eq!(find_run(&bitmap, 63, 50, 1), Some(8..9));
    assert_eq!(find_run(&bitmap, 64, 9999, 1), Some(8..9));
    // A row that crosses the goal counts whole.
    assert_eq!(find_run(&bitmap, 64, 30, 16), Some(24..40));
    assert_eq!(find_run(&bitmap, 64, 0, 0), None);
    assert_eq!(find_run(&[0xff; 8], 64, 0, 1), None);
}

#[test]
fn nothing_is_taken_or_freed_twice() {
    let mut bitmap = [0u8; 8];
    take(&mut bitmap, 5..23).expect("all are clear");
    assert_eq!(bitmap, [0xe0, 0xff, 0x7f, 0, 0, 0, 0, 0]);
    let again = take(&mut bitmap, 0..6);
    assert_eq!(
        again,
        Err(Error::Corrupt(Corruption::AlreadyInUse { bit: 5 }))
    );
    give_back(&mut bitmap, 8..16).expect("all are set");
    assert_eq!(bitmap, [0xe0, 0, 0x7f, 0, 0, 0, 0, 0]);
    let again = give_back(&mut bitmap, 5..17);
    assert_eq!(
        again,
        Err(Error::Corrupt(Corruption::AlreadyFree { bit: 8 }))
    );
    assert_eq!(bitmap, [0xe0, 0, 0x7f, 0, 0, 0, 0, 0]);
    let beyond = take(&mut bitmap, 60..65);
    assert_eq!(
        beyond,
        Err(Error::Corrupt(Corruption::AlreadyInUse { bit: 64 }))
    );
    let beyond = give_back(&mut bitmap, 70..72);
    assert_eq!(
        beyond,
        Err(Error::Corrupt(Corruption::AlreadyFree { bit: 70 }))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn searches_find_what_is_there(bitmap in bitmaps(), cut in 0u32..70, from in 0u32..600, max in 0u32..600) {
        let len = (bitmap.len() as u32 * 8).saturating_sub(cut);
        prop_assert_eq!(next_clear(&bitmap, len, from), (from..len).find(|&n| !bit(&bitmap, n)));
        prop_assert_eq!(next_set(&bitmap, len, from), (from..len).find(|&n| bit(&bitmap, n)));
        prop_assert_eq!(is_set(&bitmap, from), bit(&bitmap, from));
        prop_assert_eq!(count_clear(&bitmap, len), (0..len).filter(|&n| !bit(&bitmap, n)).count() as u32);
        let run = (from..len).take(max as usize).take_while(|&n| !bit(&bitmap, n)).count() as u32;
        prop_assert_eq!(clear_run(&bitmap, len, from, max), run);
    }

    /// A row is all clear, as long as wished or as there is, and taken from behind the goal if that is possible.
    #[test]
    fn find_run_finds_the_best(bitmap in bitmaps(), cut in 0u32..70, goal in 0u32..600, want in 1u32..300) {
        let len = (bitmap.len() as u32 * 8).saturating_sub(cut);
        let longest_row = longest(&bitmap, len);
        let Some(run) = find_run(&bitmap, len, goal, want) else {
            prop_assert_eq!(longest_row, 0);
            return Ok(());
        };
        prop_assert!(run.end <= len && run.clone().all(|n| !bit(&bitmap, n)));
        prop_assert_eq!(run.end - run.start, want.min(longest_row));
        let fits = |from: &u32| (*from..from + want).all(|n| n < len && !bit(&bitmap, n));
        let goal = if goal < len { goal } else { 0 };
        let first = (goal..len).find(fits).or_else(|| (0..len).find(fits));
        if let Some(first) = first {
            prop_assert_eq!(run.start, first);
        }
    }

    #[test]
    fn what_is_taken_can_be_given_back(bitmap in bitmaps(), start in 0u32..600, len in 0u32..80) {
        let range = start..start + len;
        let bits = bitmap.len() as u32 * 8;
        let mut changed = bitmap.clone();
        let clear = range.clone().all(|n| n < bits && !bit(&bitmap, n));
        prop_assert_eq!(take(&mut changed, range.clone()).is_ok(), clear);
        for n in 0..bits {
            prop_assert_eq!(bit(&changed, n), bit(&bitmap, n) || clear && range.contains(&n));
        }
        if clear {
            give_back(&mut changed, range).expect("it was just taken");
        }
        prop_assert_eq!(changed, bitmap);
    }
}

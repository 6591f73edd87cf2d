// SPDX-License-Identifier: GPL-2.0

//! How far is read ahead.

use proptest::prelude::*;
use rext2_host::mpage::ahead::end;

const KIB: u64 = 1024;
const LONGEST: u64 = 128 * KIB;

/// `end` for a window in KiB of a large file.
fn end_kib(start: u64, stop: u64) -> u64 {
    end(&(start * KIB..stop * KIB), LONGEST, 1 << 40) / KIB
}

#[test]
fn only_what_was_cut_goes_on() {
    // The windows of somebody who reads a file in calls of 4 KiB.
    assert_eq!(end_kib(16, 48), 48);
    assert_eq!(end_kib(48, 64), 128, "16 KiB instead of 64");
    assert_eq!(end_kib(128, 256), 256);
    // In calls of 16 KiB.
    assert_eq!(end_kib(32, 96), 96);
    assert_eq!(end_kib(96, 192), 192);
    assert_eq!(end_kib(192, 256), 256, "far from the beginning");
}

#[test]
fn not_more_than_twice_what_was_read() {
    assert_eq!(end_kib(36, 64), 64);
    assert_eq!(end_kib(4, 8), 8);
    assert_eq!(end_kib(0, 16), 16);
}

#[test]
fn not_past_the_end_of_the_file() {
    let window = 48 * KIB..64 * KIB;
    assert_eq!(end(&window, LONGEST, 70 * KIB + 1), 70 * KIB + 1);
    assert_eq!(end(&window, LONGEST, 64 * KIB), 64 * KIB);
    assert_eq!(end(&window, LONGEST, 50 * KIB), 64 * KIB);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the numbers are: never shorter, never past the file's end, never longer than allowed.
    #[test]
    fn bounds(start in any::<u64>(), len in any::<u64>(), longest in any::<u64>(), size in any::<u64>()) {
        let stop = start.saturating_add(len);
        let new = end(&(start..stop), longest, size);
        prop_assert!(new >= stop);
        if new > stop {
            prop_assert!(new <= size && stop < longest);
            prop_assert!(new - start <= longest && (new - start) / 2 <= start);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Any bytes at all: nothing panics, and what is accepted is sound.

use proptest::{collection::vec, prelude::*};
use rext2_host::exercise;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn superblock(data in vec(any::<u8>(), 0..1024)) {
        exercise::superblock(&data);
    }

    #[test]
    fn group_desc(data in vec(any::<u8>(), 0..40)) {
        exercise::group_desc(&data);
    }

    #[test]
    fn inode(data in vec(any::<u8>(), 0..257)) {
        exercise::inode(&data);
    }

    #[test]
    fn symlink(data in vec(any::<u8>(), 0..70)) {
        exercise::symlink(&data);
    }

    #[test]
    fn directory(data in vec(any::<u8>(), 0..2049)) {
        exercise::directory(&data);
    }

    #[test]
    fn indirect(data in vec(any::<u8>(), 0..4100)) {
        exercise::indirect(&data);
    }

    #[test]
    fn planner(data in vec(any::<u8>(), 0..400)) {
        exercise::planner(&data);
    }
}

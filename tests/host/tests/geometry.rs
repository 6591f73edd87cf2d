// SPDX-License-Identifier: GPL-2.0

//! Where things are.

use rext2_host::{
    exercise::sample_superblock,
    ext2::ondisk::{
        features::{Compat, Incompat, RoCompat},
        fields::*,
        geometry::Geometry,
        superblock::{RawSuperblockMut, Superblock},
    },
};

/// A volume of 100 groups of 8192 blocks of 1 KiB and 256 inodes: 32 descriptors in a block, four blocks of them.
fn geometry(change: impl FnOnce(&mut RawSuperblockMut<'_>)) -> Geometry {
    let mut bytes = sample_superblock(0);
    let mut raw = RawSuperblockMut::new(&mut bytes).expect("long enough");
    raw.set(S_BLOCKS_COUNT, 1 + 100 * 8192);
    raw.set(S_INODES_COUNT, 100 * 256);
    change(&mut raw);
    Superblock::parse(&bytes, u64::MAX).expect("valid").geometry
}

/// The groups that begin with a superblock copy.
fn copies(geometry: &Geometry) -> Vec<u32> {
    let groups = 0..geometry.group_count();
    groups
        .filter(|&group| geometry.has_superblock(group))
        .collect()
}

#[test]
fn superblock_copies() {
    let sparse = geometry(|_| ());
    assert_eq!(copies(&sparse), [0, 1, 3, 5, 7, 9, 25, 27, 49, 81]);
    let all = geometry(|raw| raw.set(S_FEATURE_RO_COMPAT, 0));
    assert_eq!(copies(&all).len(), 100);
    let two = geometry(|raw| {
        raw.set(S_FEATURE_COMPAT, Compat::SPARSE_SUPER2.0);
        raw.set(S_BACKUP_BG0, 1);
        raw.set(S_BACKUP_BG1, 99);
    });
    assert_eq!(copies(&two), [0, 1, 99]);
}

#[test]
fn descriptors_follow_the_superblock() {
    let plain = geometry(|raw| {
        raw.set(S_FEATURE_COMPAT, Compat::RESIZE_INODE.0);
        raw.set(S_RESERVED_GDT_BLOCKS, 250);
    });
    assert_eq!(plain.desc_blocks(), 4);
    assert_eq!(plain.desc_place(70), (2, 6 * 32));
    assert_eq!(plain.desc_block(2, 1), 4);
    let copy = plain.group_first_block(3);
    assert_eq!(plain.desc_block(2, copy), copy + 3);
    assert_eq!(
        (plain.group_overhead(3), plain.group_overhead(4)),
        (1 + 4 + 250, 0)
    );
    assert!(plain.is_reserved(copy + 254) && !plain.is_reserved(copy + 255));
    assert!(plain.is_reserved(0) && plain.is_reserved(plain.blocks_count()));
}

#[test]
fn meta_groups_hold_their_own_descriptors() {
    let meta = |first| {
        geometry(|raw| {
            raw.set(S_FEATURE_INCOMPAT, Incompat::META_BG.0);
            raw.set(S_FEATURE_RO_COMPAT, RoCompat::SPARSE_SUPER.0);
            raw.set(S_FIRST_META_BG, first);
        })
    };
    let all = meta(0);
    let first = |group| all.group_first_block(group);
    assert_eq!(all.desc_block(0, 1), 2, "behind the superblock");
    assert_eq!(
        all.desc_block(2, 1),
        first(64),
        "there is no superblock in group 64"
    );
    assert_eq!(
        all.desc_block(2, first(1)),
        first(65),
        "the copy in the second group"
    );
    assert_eq!(all.desc_block(0, first(1)), first(1) + 1);
    let overheads = [0, 1, 3, 30, 31, 32, 49, 99].map(|group| all.group_overhead(group));
    assert_eq!(overheads, [2, 2, 1, 0, 1, 1, 1, 0]);
    // A volume that grew: the first descriptor block stands as ever, the others in their meta groups.
    let grown = meta(1);
    assert_eq!(
        (grown.desc_block(0, 1), grown.desc_block(1, 1)),
        (2, first(32))
    );
    let overheads = [0, 1, 2, 27, 31, 32, 49, 81].map(|group| grown.group_overhead(group));
    assert_eq!(overheads, [2, 2, 0, 2, 0, 1, 1, 1]);
}

#[test]
fn inodes_and_blocks_have_places() {
    let geometry = geometry(|_| ());
    let place = geometry
        .inode_place(256 * 3 + 6)
        .expect("there is such an inode");
    assert_eq!(
        (place.group, place.index, place.table_block, place.offset),
        (3, 5, 1, 256)
    );
    assert_eq!(geometry.inode_number(3, 5), 256 * 3 + 6);
    assert_eq!(geometry.inode_table_blocks(), 64);
    assert_eq!(geometry.block_place(1), Some((0, 0)));
    assert_eq!(geometry.block_place(8193), Some((1, 0)));
    assert_eq!(
        (
            geometry.block_place(0),
            geometry.block_place(1 + 100 * 8192)
        ),
        (None, None)
    );
}

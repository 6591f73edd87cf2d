// SPDX-License-Identifier: GPL-2.0

//! Every field of superblock and group descriptors that can lie has its own answer, in words.

use rext2_host::{
    exercise::{sample_superblock, sample_volume},
    ext2::ondisk::{
        error::Result,
        features::{Compat, Incompat, RoCompat},
        fields::*,
        group::{GroupDesc, RawGroupDescMut},
        raw::{Field, Value},
        superblock::{RawSuperblockMut, Superblock},
    },
};

fn line<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.expect_err("the lie is found").to_string()
}

/// What is said of the sample superblock (1 KiB blocks, 12288 of them) after a change.
fn superblock_with(change: impl FnOnce(&mut RawSuperblockMut<'_>)) -> Result<Superblock> {
    let mut bytes = sample_superblock(0);
    change(&mut RawSuperblockMut::new(&mut bytes).expect("long enough"));
    Superblock::parse(&bytes, 12 << 20)
}

fn superblock_lie<T: Value>(field: Field<SuperblockLayout, T>, value: T) -> String {
    line(superblock_with(|raw| raw.set(field, value)))
}

#[test]
fn superblocks() {
    assert!(superblock_with(|_| ()).is_ok());
    assert_eq!(
        line(Superblock::parse(&[0; 1023], 1 << 30)),
        "superblock: only 1023 bytes"
    );
    assert_eq!(
        superblock_lie(S_MAGIC, 0xef54),
        "not ext2: magic 0xef54, not 0xef53"
    );
    assert_eq!(
        superblock_lie(S_REV_LEVEL, 2),
        "revision 2 is not supported"
    );
    assert_eq!(
        superblock_lie(S_LOG_BLOCK_SIZE, 7),
        "superblock: bad s_log_block_size 7"
    );
    assert_eq!(
        superblock_lie(S_LOG_BLOCK_SIZE, 6),
        "block size 65536 is not supported (1024, 2048, 4096 are)"
    );
    assert_eq!(
        superblock_lie(S_LOG_CLUSTER_SIZE, 1),
        "fragments are not supported: s_log_cluster_size 1, s_log_block_size 0"
    );
    assert_eq!(
        superblock_lie(S_BLOCKS_COUNT, 0),
        "superblock: bad s_blocks_count 0"
    );
    assert_eq!(
        superblock_lie(S_BLOCKS_COUNT, 1),
        "superblock: bad s_blocks_count 1"
    );
    assert_eq!(
        superblock_lie(S_BLOCKS_COUNT, 12289),
        "volume of 12289 blocks on a device of 12288"
    );
    assert_eq!(
        superblock_lie(S_FIRST_DATA_BLOCK, 0),
        "superblock: bad s_first_data_block 0"
    );
    assert_eq!(
        superblock_lie(S_BLOCKS_PER_GROUP, 0),
        "superblock: bad s_blocks_per_group 0"
    );
    assert_eq!(
        superblock_lie(S_BLOCKS_PER_GROUP, 8193),
        "superblock: bad s_blocks_per_group 8193"
    );
    assert_eq!(
        superblock_lie(S_INODES_PER_GROUP, 0),
        "superblock: bad s_inodes_per_group 0"
    );
    assert_eq!(
        superblock_lie(S_INODES_PER_GROUP, 8193),
        "superblock: bad s_inodes_per_group 8193"
    );
    assert_eq!(
        superblock_lie(S_INODES_COUNT, 511),
        "superblock: s_inodes_count is 511, expected 512"
    );
    assert_eq!(
        superblock_lie(S_FIRST_INO, 10),
        "superblock: bad s_first_ino 10"
    );
    assert_eq!(
        superblock_lie(S_FIRST_INO, 513),
        "superblock: bad s_first_ino 513"
    );
    for size in [0, 64, 127, 384, 2048] {
        assert_eq!(
            superblock_lie(S_INODE_SIZE, size),
            format!("superblock: bad s_inode_size {size}")
        );
    }
    assert_eq!(
        superblock_lie(S_R_BLOCKS_COUNT, 12289),
        "superblock: bad s_r_blocks_count 12289"
    );
    assert_eq!(
        superblock_lie(S_FREE_BLOCKS_COUNT, 12289),
        "superblock: bad s_free_blocks_count 12289"
    );
    assert_eq!(
        superblock_lie(S_FREE_INODES_COUNT, 513),
        "superblock: bad s_free_inodes_count 513"
    );
    assert_eq!(
        superblock_lie(S_LAST_ORPHAN, 513),
        "superblock: bad s_last_orphan 513"
    );
    assert_eq!(
        superblock_lie(S_BLOCKS_COUNT, 8193 + 40),
        "last group has 40 blocks, its metadata need 68"
    );
}

#[test]
fn superblock_features() {
    assert_eq!(
        superblock_lie(S_FEATURE_INCOMPAT, 0x8000_02c2),
        "unsupported incompatible features: extents 64bit flex_bg 0x80000000"
    );
    assert_eq!(
        superblock_lie(S_FEATURE_RO_COMPAT, RoCompat::BIGALLOC.0),
        "unsupported features: bigalloc"
    );
    let read_only =
        superblock_with(|raw| raw.set(S_FEATURE_RO_COMPAT, 0x8000_0409)).expect("it can be read");
    let blocking = read_only.features.blocking_write();
    assert_eq!(blocking.to_string(), "huge_file metadata_csum 0x80000000");
    assert!(superblock_with(|_| ())
        .expect("valid")
        .features
        .blocking_write()
        .is_empty());
    let lie = |raw: &mut RawSuperblockMut<'_>| {
        raw.set(S_FEATURE_INCOMPAT, Incompat::META_BG.0);
        raw.set(S_FIRST_META_BG, 2);
    };
    assert_eq!(
        line(superblock_with(lie)),
        "superblock: bad s_first_meta_bg 2"
    );
    let lie = |raw: &mut RawSuperblockMut<'_>| {
        raw.set(S_FEATURE_COMPAT, Compat::RESIZE_INODE.0);
        raw.set(S_RESERVED_GDT_BLOCKS, 9000);
    };
    assert_eq!(
        line(superblock_with(lie)),
        "superblock: bad s_blocks_per_group 8192"
    );
    let lie = |raw: &mut RawSuperblockMut<'_>| {
        raw.set(S_FEATURE_RO_COMPAT, RoCompat::EXTRA_ISIZE.0);
        raw.set(S_WANT_EXTRA_ISIZE, 132);
    };
    assert_eq!(
        line(superblock_with(lie)),
        "superblock: bad s_want_extra_isize 132"
    );
}

/// What is said of a descriptor of group 0 of the sample volume. Its metadata are blocks 1 to 2, its last block 8192.
fn group(block_bitmap: u32, inode_bitmap: u32, inode_table: u32) -> Result<GroupDesc> {
    let mut bytes = [0; 32];
    let mut raw = RawGroupDescMut::new(&mut bytes).expect("long enough");
    raw.set(BG_BLOCK_BITMAP, block_bitmap);
    raw.set(BG_INODE_BITMAP, inode_bitmap);
    raw.set(BG_INODE_TABLE, inode_table);
    GroupDesc::parse(&bytes, 0, &sample_volume(0).geometry)
}

#[test]
fn group_descriptors() {
    assert!(group(3, 4, 5).is_ok());
    // Not in the group, but on the volume.
    assert!(group(9000, 9001, 9002).is_ok());
    assert_eq!(
        line(group(0, 4, 5)),
        "group 0: block bitmap at invalid block 0"
    );
    assert_eq!(
        line(group(1, 4, 5)),
        "group 0: block bitmap at invalid block 1"
    );
    assert_eq!(
        line(group(3, 2, 5)),
        "group 0: inode bitmap at invalid block 2"
    );
    assert_eq!(
        line(group(3, 4, 12288)),
        "group 0: inode table at invalid block 12288"
    );
    assert_eq!(
        line(group(3, 4, u32::MAX)),
        "group 0: inode table at invalid block 4294967295"
    );
    // The table has 64 blocks; group 1 begins with a superblock copy at 8193.
    assert!(group(3, 4, 12288 - 64).is_ok());
    assert_eq!(
        line(group(3, 4, 12288 - 63)),
        "group 0: inode table at invalid block 12225"
    );
    assert_eq!(
        line(group(3, 4, 8193 - 63)),
        "group 0: inode table at invalid block 8130"
    );
    assert_eq!(
        line(group(4, 4, 5)),
        "group 0: bitmaps and inode table overlap at block 4"
    );
    assert_eq!(
        line(group(30, 4, 5)),
        "group 0: bitmaps and inode table overlap at block 30"
    );
    assert_eq!(
        line(group(3, 68, 5)),
        "group 0: bitmaps and inode table overlap at block 68"
    );
    assert_eq!(
        line(GroupDesc::parse(&[0; 31], 0, &sample_volume(0).geometry)),
        "group descriptor: only 31 bytes"
    );
}

#[test]
fn group_counts() {
    let geometry = sample_volume(0).geometry;
    let lie = |field, value| {
        let mut bytes = [0; 32];
        let mut raw = RawGroupDescMut::new(&mut bytes).expect("long enough");
        raw.set(BG_BLOCK_BITMAP, 9003);
        raw.set(BG_INODE_BITMAP, 9004);
        raw.set(BG_INODE_TABLE, 9005);
        raw.set(field, value);
        line(GroupDesc::parse(&bytes, 1, &geometry))
    };
    assert_eq!(
        lie(BG_FREE_BLOCKS_COUNT, 4096),
        "group 1: 4096 free blocks, at most 4095 possible"
    );
    assert_eq!(
        lie(BG_FREE_INODES_COUNT, 257),
        "group 1: 257 free inodes, at most 256 possible"
    );
    assert_eq!(
        lie(BG_USED_DIRS_COUNT, 257),
        "group 1: 257 directories, at most 256 possible"
    );
}

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

/// Checks a table of lies: what is asked, and the answer.
macro_rules! lies {
    ($lie:ident: $(($($asked:expr),*) => $answer:literal;)*) => {
        $(assert_eq!($lie($($asked),*), $answer, stringify!($($asked),*));)*
    };
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
    lies! { superblock_lie:
        (S_MAGIC, 0xef54) => "not ext2: magic 0xef54, not 0xef53";
        (S_REV_LEVEL, 2) => "revision 2 is not supported";
        (S_LOG_BLOCK_SIZE, 7) => "superblock: bad s_log_block_size 7";
        (S_LOG_BLOCK_SIZE, 6) => "block size 65536 is not supported (1024, 2048, 4096 are)";
        (S_LOG_CLUSTER_SIZE, 1) => "fragments are not supported: s_log_cluster_size 1, s_log_block_size 0";
        (S_BLOCKS_COUNT, 0) => "superblock: bad s_blocks_count 0";
        (S_BLOCKS_COUNT, 1) => "superblock: bad s_blocks_count 1";
        (S_BLOCKS_COUNT, 12289) => "volume of 12289 blocks on a device of 12288";
        (S_FIRST_DATA_BLOCK, 0) => "superblock: bad s_first_data_block 0";
        (S_BLOCKS_PER_GROUP, 0) => "superblock: bad s_blocks_per_group 0";
        (S_BLOCKS_PER_GROUP, 8193) => "superblock: bad s_blocks_per_group 8193";
        (S_INODES_PER_GROUP, 0) => "superblock: bad s_inodes_per_group 0";
        (S_INODES_PER_GROUP, 8193) => "superblock: bad s_inodes_per_group 8193";
        (S_INODES_COUNT, 511) => "superblock: s_inodes_count is 511, expected 512";
        (S_FIRST_INO, 10) => "superblock: bad s_first_ino 10";
        (S_FIRST_INO, 513) => "superblock: bad s_first_ino 513";
    }
    for size in [0, 64, 127, 384, 2048] {
        assert_eq!(
            superblock_lie(S_INODE_SIZE, size),
            format!("superblock: bad s_inode_size {size}")
        );
    }
    lies! { superblock_lie:
        (S_R_BLOCKS_COUNT, 12289) => "superblock: bad s_r_blocks_count 12289";
        (S_FREE_BLOCKS_COUNT, 12289) => "superblock: bad s_free_blocks_count 12289";
        (S_FREE_INODES_COUNT, 513) => "superblock: bad s_free_inodes_count 513";
        (S_LAST_ORPHAN, 513) => "superblock: bad s_last_orphan 513";
        (S_BLOCKS_COUNT, 8193 + 40) => "last group has 40 blocks, its metadata need 68";
    }
}

#[test]
fn superblock_features() {
    lies! { superblock_lie:
        (S_FEATURE_INCOMPAT, 0x8000_02c2) => "unsupported incompatible features: extents 64bit flex_bg 0x80000000";
        (S_FEATURE_RO_COMPAT, RoCompat::BIGALLOC.0) => "unsupported features: bigalloc";
    }
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

fn group_lie(block_bitmap: u32, inode_bitmap: u32, inode_table: u32) -> String {
    line(group(block_bitmap, inode_bitmap, inode_table))
}

#[test]
fn group_descriptors() {
    assert!(group(3, 4, 5).is_ok());
    // Not in the group, but on the volume.
    assert!(group(9000, 9001, 9002).is_ok());
    lies! { group_lie:
        (0, 4, 5) => "group 0: block bitmap at invalid block 0";
        (1, 4, 5) => "group 0: block bitmap at invalid block 1";
        (3, 2, 5) => "group 0: inode bitmap at invalid block 2";
        (3, 4, 12288) => "group 0: inode table at invalid block 12288";
        (3, 4, u32::MAX) => "group 0: inode table at invalid block 4294967295";
    }
    // The table has 64 blocks; group 1 begins with a superblock copy at 8193.
    assert!(group(3, 4, 12288 - 64).is_ok());
    lies! { group_lie:
        (3, 4, 12288 - 63) => "group 0: inode table at invalid block 12225";
        (3, 4, 8193 - 63) => "group 0: inode table at invalid block 8130";
        (4, 4, 5) => "group 0: bitmaps and inode table overlap at block 4";
        (30, 4, 5) => "group 0: bitmaps and inode table overlap at block 30";
        (3, 68, 5) => "group 0: bitmaps and inode table overlap at block 68";
    }
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
    lies! { lie:
        (BG_FREE_BLOCKS_COUNT, 4096) => "group 1: 4096 free blocks, at most 4095 possible";
        (BG_FREE_INODES_COUNT, 257) => "group 1: 257 free inodes, at most 256 possible";
        (BG_USED_DIRS_COUNT, 257) => "group 1: 257 directories, at most 256 possible";
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Every field that can lie has its own answer, in words.

use rext2_host::{
    exercise::{sample_superblock, sample_volume},
    ext2::ondisk::{
        error::Result,
        features::{Compat, Incompat, RoCompat},
        fields::*,
        group::{GroupDesc, RawGroupDescMut},
        inode::{Inode, MAP_SIZE},
        inode_write::{fast_symlink_map, RawInodeMut},
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

/// What is said of an inode of the sample volume with this mode after a change.
fn inode_with(ino: u32, mode: u16, change: impl FnOnce(&mut RawInodeMut<'_>)) -> Result<Inode> {
    let mut bytes = [0; 256];
    let mut raw = RawInodeMut::new(&mut bytes).expect("long enough");
    raw.set(I_MODE, mode);
    raw.set(I_LINKS_COUNT, 1);
    change(&mut raw);
    Inode::parse(&bytes, ino, &sample_volume(0))
}

#[test]
fn inodes() {
    let regular = |change: fn(&mut RawInodeMut<'_>)| inode_with(12, 0o100644, change);
    assert!(regular(|_| ()).is_ok());
    let unused = "deleted inode (mode 0o0, deletion time 0)";
    assert_eq!(line(inode_with(12, 0, |_| ())), unused);
    assert_eq!(
        line(inode_with(12, 0o170644, |_| ())),
        "unknown file type in mode 0o170644"
    );
    assert_eq!(
        line(inode_with(2, 0o100644, |_| ())),
        "the root is not a directory (mode 0o100644)"
    );
    let deleted = regular(|raw| {
        raw.set(I_LINKS_COUNT, 0);
        raw.set(I_DTIME, 77);
    });
    assert_eq!(
        line(deleted),
        "deleted inode (mode 0o100644, deletion time 77)"
    );
    for flag in [
        0x800,
        0x8_0000,
        0x10_0000,
        0x20_0000,
        0x1000_0000,
        0x4000_0000,
    ] {
        let foreign = inode_with(12, 0o100644, |raw| raw.set(I_FLAGS, flag | 0x10));
        assert_eq!(
            line(foreign),
            format!("inode flags {flag:#x} have no place on ext2")
        );
    }
    // The pointers of an inode with 1 KiB blocks reach 17247252480 bytes.
    let longest = |raw: &mut RawInodeMut<'_>| {
        raw.set(I_SIZE_HIGH, 4);
        raw.set(I_SIZE, (17_247_252_480u64 & 0xffff_ffff) as u32);
    };
    assert_eq!(
        inode_with(12, 0o100644, longest).map(|inode| inode.size),
        Ok(17_247_252_480)
    );
    let longer = |raw: &mut RawInodeMut<'_>| {
        longest(raw);
        raw.set(I_SIZE, raw.get(I_SIZE) + 1);
    };
    assert_eq!(
        line(inode_with(12, 0o100644, longer)),
        "size 17247252481 above the limit 17247252480"
    );
    let attributes = regular(|raw| raw.set(I_FILE_ACL, 12288));
    assert_eq!(
        line(attributes),
        "invalid block 12288 (and 1 in all) on a volume of 12288"
    );
    assert_eq!(
        line(Inode::parse(&[0; 255], 12, &sample_volume(0))),
        "inode: only 255 bytes"
    );
}

#[test]
fn directories_and_links() {
    let directory = |size| inode_with(2, 0o40755, |raw| raw.set(I_SIZE, size));
    assert!(directory(2048).is_ok());
    for size in [0, 1, 1025] {
        let expected = format!("directory size {size} is not a multiple of 1024 above zero");
        assert_eq!(line(directory(size)), expected);
    }
    let link = |size, sectors, map: [u8; MAP_SIZE]| {
        inode_with(12, 0o120777, |raw| {
            raw.set(I_SIZE, size);
            raw.set(I_BLOCKS, sectors);
            raw.set(I_BLOCK, map);
        })
    };
    let target = fast_symlink_map(b"target").expect("it fits");
    let fast = link(6, 0, target).expect("it is a link");
    assert_eq!(fast.fast_symlink(1024), Some(&b"target"[..]));
    let bad = |size, limit| {
        format!("bad symlink target: length {size}, place for {limit} with the final NUL")
    };
    assert_eq!(line(link(0, 0, target)), bad(0, 60));
    assert_eq!(line(link(5, 0, target)), bad(5, 60));
    assert_eq!(line(link(7, 0, target)), bad(7, 60));
    assert_eq!(line(link(60, 0, [b'x'; MAP_SIZE])), bad(60, 60));
    assert!(link(1023, 2, target).is_ok_and(|link| link.fast_symlink(1024).is_none()));
    assert_eq!(line(link(1024, 2, target)), bad(1024, 1024));
    assert_eq!(line(link(0, 2, target)), bad(0, 1024));
    assert_eq!(
        (fast_symlink_map(b""), fast_symlink_map(&[b'x'; 60])),
        (None, None)
    );
}

#[test]
fn extra_fields() {
    let parse = |value: u16| {
        let mut bytes = [0; 256];
        bytes[..2].copy_from_slice(&0o100644u16.to_le_bytes());
        bytes[0x1a] = 1;
        bytes[128..130].copy_from_slice(&value.to_le_bytes());
        Inode::parse(&bytes, 12, &sample_volume(0))
    };
    assert_eq!(parse(128).map(|inode| inode.extra_isize), Ok(128));
    assert_eq!(line(parse(132)), "bad i_extra_isize 132, room for 128");
    assert_eq!(line(parse(30)), "bad i_extra_isize 30, room for 128");
    // Fields count only as far as they are covered: the time of creation ends at byte 28.
    let created = |value| parse(value).expect("valid").crtime.is_some();
    assert_eq!((created(0), created(16), created(20)), (false, false, true));
}

#[test]
fn inode_numbers() {
    let geometry = sample_volume(0).geometry;
    assert_eq!(
        line(geometry.check_file_ino(0)),
        "inode number 0 not in 1..=512"
    );
    assert_eq!(
        line(geometry.check_file_ino(513)),
        "inode number 513 not in 1..=512"
    );
    assert_eq!(
        line(geometry.check_file_ino(8)),
        "inode number 8 is reserved, files begin at 11"
    );
    assert!([2, 11, 512]
        .iter()
        .all(|&ino| geometry.check_file_ino(ino).is_ok()));
    for (block, len) in [
        (0, 1),
        (1, 1),
        (12288, 1),
        (12287, 2),
        (u32::MAX, 1),
        (5, u32::MAX),
    ] {
        assert!(geometry.check_data_run(block, len).is_err(), "{block}");
    }
    assert!(geometry.check_data_run(2, 12286).is_ok());
}

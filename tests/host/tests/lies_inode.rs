// SPDX-License-Identifier: GPL-2.0

//! Every field of an inode that can lie has its own answer, in words.

use rext2_host::{
    exercise::sample_volume,
    ext2::ondisk::{
        error::Result,
        fields::*,
        inode::{Inode, MAP_SIZE},
        inode_write::{fast_symlink_map, RawInodeMut},
    },
};

fn line<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.expect_err("the lie is found").to_string()
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
}

#[test]
fn sizes_and_attributes() {
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
    let attributes = inode_with(12, 0o100644, |raw| raw.set(I_FILE_ACL, 12288));
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

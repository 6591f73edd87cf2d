// SPDX-License-Identifier: GPL-2.0

//! Directory blocks against a plain list of names.

use proptest::{collection::vec, prelude::*};
use rext2_host::ext2::ondisk::{
    dirent::{entry_len, DirBlock, DirFormat},
    dirent_write::{DirBlockMut, Room},
    error::{Corruption, Error},
    inode::Kind,
};

const FORMAT: DirFormat = DirFormat {
    inodes_count: 512,
    filetype: true,
};

const OLD_FORMAT: DirFormat = DirFormat {
    inodes_count: 512,
    filetype: false,
};

fn names(bytes: &[u8]) -> Vec<String> {
    let entries = DirBlock::new(bytes, FORMAT).entries(0);
    entries
        .map(|entry| String::from_utf8_lossy(entry.expect("sound").name).into_owned())
        .collect()
}

fn new_dir() -> [u8; 1024] {
    let mut bytes = [0xa5; 1024];
    DirBlockMut::new(&mut bytes, FORMAT).init_dir(20, 2);
    bytes
}

fn insert(bytes: &mut [u8], name: &str, ino: u32) -> Option<usize> {
    let inserted = DirBlockMut::new(bytes, FORMAT).insert(name.as_bytes(), ino, Kind::Regular);
    inserted.expect("the block is sound")
}

#[test]
fn a_new_directory() {
    let bytes = new_dir();
    let block = DirBlock::new(&bytes, FORMAT);
    let parent = block.parent(20).expect("it begins as it must");
    assert_eq!((parent.offset, parent.rec_len, parent.ino), (12, 1012, 2));
    assert_eq!(parent.kind, Some(Kind::Directory));
    assert_eq!(
        (names(&bytes), block.is_empty()),
        (vec![".".into(), "..".into()], Ok(true))
    );
    assert_eq!(
        &bytes[..24],
        b"\x14\0\0\0\x0c\0\x01\x02.\0\0\0\x02\0\0\0\xf4\x03\x02\x02..\0\0"
    );
}

#[test]
fn without_types_their_place_is_zero() {
    let mut bytes = [0xa5; 1024];
    let mut block = DirBlockMut::new(&mut bytes, OLD_FORMAT);
    block.init_dir(20, 2);
    block.insert(b"name", 30, Kind::Symlink).expect("sound");
    let entry = DirBlock::new(&bytes, OLD_FORMAT)
        .find(b"name")
        .expect("sound")
        .expect("there");
    assert_eq!((entry.offset, entry.ino, entry.kind), (24, 30, None));
    assert_eq!((bytes[7], bytes[19], bytes[31]), (0, 0, 0));
}

#[test]
fn entries_are_split_and_joined() {
    let mut bytes = new_dir();
    assert_eq!(insert(&mut bytes, "a", 30), Some(24));
    assert_eq!(insert(&mut bytes, "bb", 31), Some(36));
    assert_eq!(insert(&mut bytes, "ccccc", 32), Some(48));
    let mut block = DirBlockMut::new(&mut bytes, FORMAT);
    block.remove(36).expect("there is an entry");
    assert_eq!(
        block.remove(36),
        Err(Error::Corrupt(Corruption::EntryMissing { offset: 36 }))
    );
    assert_eq!(
        block.remove(40),
        Err(Error::Corrupt(Corruption::EntryMissing { offset: 40 }))
    );
    assert_eq!(names(&bytes), [".", "..", "a", "ccccc"]);
    // The gap of twelve bytes behind "a" is taken again, by what fits.
    assert_eq!(insert(&mut bytes, "ddddd", 33), Some(64));
    assert_eq!(insert(&mut bytes, "eeee", 34), Some(36));
    assert_eq!(names(&bytes), [".", "..", "a", "eeee", "ccccc", "ddddd"]);
    let mut block = DirBlockMut::new(&mut bytes, FORMAT);
    block
        .replace(36, 77, Kind::Fifo)
        .expect("there is an entry");
    let entry = block
        .as_block()
        .find(b"eeee")
        .expect("sound")
        .expect("there");
    assert_eq!((entry.ino, entry.kind), (77, Some(Kind::Fifo)));
}

#[test]
fn the_first_entry_of_a_block_becomes_free() {
    let mut bytes = [0; 1024];
    DirBlockMut::new(&mut bytes, FORMAT).init_free();
    assert_eq!(insert(&mut bytes, "first", 30), Some(0));
    assert_eq!(insert(&mut bytes, "second", 31), Some(16));
    DirBlockMut::new(&mut bytes, FORMAT)
        .remove(0)
        .expect("there is an entry");
    assert_eq!(names(&bytes), ["second"]);
    let room = DirBlock::new(&bytes, FORMAT).room_for(8);
    assert_eq!(
        room,
        Ok(Some(Room {
            offset: 0,
            used: 0,
            len: 16
        }))
    );
    assert_eq!(insert(&mut bytes, "12345678", 32), Some(0));
    assert_eq!(names(&bytes), ["12345678", "second"]);
}

#[test]
fn the_parent_changes() {
    let mut bytes = new_dir();
    let mut block = DirBlockMut::new(&mut bytes, FORMAT);
    block.set_parent(20, 99).expect("it begins as it must");
    assert_eq!(block.as_block().parent(20).map(|entry| entry.ino), Ok(99));
    let not_own = Corruption::DotEntries {
        reason: "the first entry is not \".\" for itself",
    };
    assert_eq!(block.set_parent(21, 2), Err(Error::Corrupt(not_own)));
}

#[test]
fn names_that_cannot_be_are_not_taken() {
    let mut bytes = new_dir();
    assert_eq!(insert(&mut bytes, "", 30), None);
    assert_eq!(insert(&mut bytes, &"n".repeat(256), 30), None);
    for ino in 30..33 {
        assert!(insert(&mut bytes, &"n".repeat(255), ino).is_some());
    }
    assert_eq!(insert(&mut bytes, &"n".repeat(255), 33), None);
}

/// What is said of a block whose entry at byte 12 has this header.
fn lie(rec_len: u16, name_len: u8, ino: u32, name: &[u8]) -> String {
    let mut bytes = new_dir();
    bytes[12..16].copy_from_slice(&ino.to_le_bytes());
    bytes[16..18].copy_from_slice(&rec_len.to_le_bytes());
    bytes[18] = name_len;
    bytes[20..20 + name.len()].copy_from_slice(name);
    let mut found = DirBlock::new(&bytes, FORMAT)
        .entries(0)
        .filter_map(Result::err);
    let error = found.next().expect("the lie is found").to_string();
    assert_eq!(found.next(), None, "there is no way on");
    error
        .strip_prefix("directory entry at byte 12: ")
        .expect("the place is named")
        .into()
}

#[test]
fn every_lie_has_a_name() {
    assert_eq!(
        lie(0, 2, 5, b".."),
        "rec_len is too small (rec_len 0, name_len 2)"
    );
    assert_eq!(
        lie(4, 2, 5, b".."),
        "rec_len is too small (rec_len 4, name_len 2)"
    );
    assert_eq!(
        lie(14, 2, 5, b".."),
        "rec_len is not a multiple of four (rec_len 14, name_len 2)"
    );
    assert_eq!(
        lie(1016, 2, 5, b".."),
        "the entry does not fit its block (rec_len 1016, name_len 2)"
    );
    assert_eq!(
        lie(12, 5, 5, b".."),
        "the name does not fit the entry (rec_len 12, name_len 5)"
    );
    assert_eq!(
        lie(1012, 0, 5, b".."),
        "empty name (rec_len 1012, name_len 0)"
    );
    assert_eq!(lie(1012, 2, 513, b".."), "inode number 513 not in 1..=512");
    assert_eq!(lie(1012, 2, 5, b"a/"), "slash or NUL in the name");
    assert_eq!(lie(1012, 2, 5, b"\0a"), "slash or NUL in the name");
    let mut bytes = new_dir();
    bytes[16..18].copy_from_slice(&1008u16.to_le_bytes());
    let mut slots = DirBlock::new(&bytes, FORMAT).slots();
    let rest = slots
        .nth(2)
        .expect("four bytes are left")
        .expect_err("too few");
    let expected = "directory entry at byte 1020: no room for an entry (rec_len 0, name_len 0)";
    assert_eq!(rest.to_string(), expected);
}

#[test]
fn any_position_leads_to_the_next_entry() {
    let mut bytes = new_dir();
    insert(&mut bytes, "a", 30);
    insert(&mut bytes, "b", 31);
    let offsets = |from| {
        let entries = DirBlock::new(&bytes, FORMAT).entries(from);
        entries
            .map(|entry| entry.expect("sound").offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(0), [0, 12, 24, 36]);
    assert_eq!(offsets(1), [12, 24, 36]);
    assert_eq!(offsets(24), [24, 36]);
    assert_eq!(offsets(25), [36]);
    assert_eq!(offsets(37), [0; 0]);
    assert_eq!(offsets(usize::MAX), [0; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Names come and go; the block holds exactly those that are there, as long as they fit.
    #[test]
    fn a_block_is_a_list(steps in vec((any::<bool>(), 0usize..40, 1usize..100), 0..200)) {
        let mut bytes = new_dir();
        let mut model: Vec<(String, u32)> = Vec::new();
        for (add, pick, len) in steps {
            if add {
                let name = format!("{:0len$}", model.len() * 1000 + pick);
                if model.iter().any(|(other, _)| *other == name) {
                    continue;
                }
                let ino = 100 + pick as u32;
                let room = DirBlock::new(&bytes, FORMAT).room_for(name.len()).expect("sound");
                let inserted = insert(&mut bytes, &name, ino);
                prop_assert_eq!(inserted.is_some(), room.is_some_and(|room| room.len >= entry_len(name.len())));
                if inserted.is_some() {
                    model.push((name, ino));
                }
            } else if !model.is_empty() {
                let (name, ino) = model.swap_remove(pick % model.len());
                let found = DirBlock::new(&bytes, FORMAT).find(name.as_bytes()).expect("sound").expect("there");
                prop_assert_eq!(found.ino, ino);
                let offset = found.offset;
                DirBlockMut::new(&mut bytes, FORMAT).remove(offset).expect("there");
            }
            let mut expected: Vec<_> = model.iter().map(|(name, _)| name.clone()).collect();
            expected.extend([".".into(), "..".into()]);
            let mut there = names(&bytes);
            there.sort();
            expected.sort();
            prop_assert_eq!(there, expected);
            prop_assert_eq!(DirBlock::new(&bytes, FORMAT).is_empty(), Ok(model.is_empty()));
        }
    }
}

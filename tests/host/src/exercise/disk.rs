// SPDX-License-Identifier: GPL-2.0

//! Any bytes as records of a volume.

use super::std::{format, vec, vec::Vec};
use super::Source;
use crate::ext2::ondisk::{
    dirent::{entry_len, DirBlock, DirFormat},
    dirent_write::DirBlockMut,
    error::Error,
    features::{Features, Incompat, RoCompat},
    fields::*,
    group::GroupDesc,
    inode::{Inode, Kind},
    path::{self, pointer_run, Path, Run},
    superblock::{RawSuperblockMut, Superblock, MAGIC},
};

/// The superblock of a small volume with blocks of `1024 << log_size` bytes.
///
/// One group and a half, 256-byte inodes, 512 of them, features filetype, sparse_super and large_file.
pub fn sample_superblock(log_size: u32) -> [u8; 1024] {
    let mut bytes = [0; 1024];
    let mut raw = RawSuperblockMut::new(&mut bytes).expect("1024 bytes are a superblock");
    let per_group = 8192 << log_size;
    raw.set(S_MAGIC, MAGIC);
    raw.set(S_REV_LEVEL, 1);
    raw.set(S_INODES_COUNT, 512);
    raw.set(S_BLOCKS_COUNT, per_group + per_group / 2);
    raw.set(S_FIRST_DATA_BLOCK, u32::from(log_size == 0));
    raw.set(S_LOG_BLOCK_SIZE, log_size);
    raw.set(S_LOG_CLUSTER_SIZE, log_size);
    raw.set(S_BLOCKS_PER_GROUP, per_group);
    raw.set(S_CLUSTERS_PER_GROUP, per_group);
    raw.set(S_INODES_PER_GROUP, 256);
    raw.set(S_FIRST_INO, 11);
    raw.set(S_INODE_SIZE, 256);
    raw.set(S_FEATURE_INCOMPAT, Incompat::FILETYPE.0);
    let ro_compat = RoCompat::SPARSE_SUPER.union(RoCompat::LARGE_FILE);
    raw.set(S_FEATURE_RO_COMPAT, ro_compat.0);
    bytes
}

/// The volume of [`sample_superblock`], checked.
pub fn sample_volume(log_size: u32) -> Superblock {
    Superblock::parse(&sample_superblock(log_size), u64::MAX)
        .expect("the sample is a valid superblock")
}

/// Every error has something to say.
fn check_line(error: Error) {
    assert!(!format!("{error}").is_empty());
}

/// The bytes as a superblock, or as changes of a good one.
pub fn superblock(data: &[u8]) {
    let mut source = Source(data);
    let mut bytes = vec![0; 1024];
    match source.byte() {
        control @ 0..8 => {
            bytes.copy_from_slice(&sample_superblock(u32::from(control) % 3));
            while !source.is_empty() {
                let at = source.below(255) as usize * 4;
                bytes[at..at + 4].copy_from_slice(&source.word().to_le_bytes());
            }
        }
        _ => {
            let len = source.0.len().min(1024);
            bytes[..len].copy_from_slice(&source.0[..len]);
        }
    }
    // Fuzzing is not to spend its time on finding two bytes.
    bytes[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
    match Superblock::parse(&bytes, u64::MAX) {
        Ok(volume) => check_volume(&volume),
        Err(error) => check_line(error),
    }
}

/// What must be true of every volume that was accepted.
fn check_volume(volume: &Superblock) {
    let geometry = &volume.geometry;
    assert!(volume
        .features
        .incompat
        .without(Features::INCOMPAT_SERVED)
        .is_empty());
    assert!((10..=12).contains(&geometry.block_bits()));
    assert!(geometry.group_count() >= 1);
    assert!(geometry.desc_blocks() <= geometry.blocks_count());
    let last = geometry.group_count() - 1;
    let end = u64::from(geometry.group_first_block(last)) + u64::from(geometry.group_blocks(last));
    assert_eq!(end, u64::from(geometry.blocks_count()));
    for group in [0, 1, last / 2, last] {
        if group > last {
            continue;
        }
        let own = geometry.inode_table_blocks() + 2;
        assert!(
            group != last || geometry.group_overhead(group) + own <= geometry.group_blocks(group)
        );
        let (desc_block, offset) = geometry.desc_place(group);
        assert!(desc_block < geometry.desc_blocks() && offset + 32 <= geometry.block_size());
        let first = geometry.group_first_block(group);
        assert_eq!(geometry.block_place(first), Some((group, 0)));
        let ino = geometry.inode_number(group, geometry.inodes_per_group() - 1);
        let place = geometry
            .inode_place(ino)
            .expect("the inode is in its group");
        assert_eq!(place.group, group);
        assert!(place.table_block < geometry.inode_table_blocks());
        assert!(place.offset + u32::from(geometry.inode_size()) <= geometry.block_size());
    }
    assert!(geometry.inode_place(0).is_err());
    assert!(geometry
        .inode_place(geometry.inodes_count().wrapping_add(1))
        .is_err());
    assert!(volume.new_extra_isize <= geometry.inode_size() - 128);
}

/// The bytes as a group descriptor whose block numbers are mostly on the volume.
pub fn group_desc(data: &[u8]) {
    let mut source = Source(data);
    let volume = sample_volume(u32::from(source.byte() % 3));
    let geometry = &volume.geometry;
    let group = u32::from(source.byte() % 2);
    let mut bytes = source.0.to_vec();
    bytes.resize(32, 0);
    for pointer in bytes.chunks_mut(4).take(3) {
        let value = u32::from_le_bytes([pointer[0], pointer[1], pointer[2], pointer[3]]);
        if value & 0x8000_0000 == 0 {
            pointer.copy_from_slice(&(value % (geometry.blocks_count() + 8)).to_le_bytes());
        }
    }
    let desc = match GroupDesc::parse(&bytes, group, geometry) {
        Ok(desc) => desc,
        Err(error) => return check_line(error),
    };
    let mut own: Vec<u32> = Vec::new();
    for (block, len) in desc.ranges() {
        assert!(geometry.check_data_run(block, len).is_ok());
        assert!(desc.contains(block, len) && desc.contains(block + len - 1, 1));
        own.extend(block..block + len);
    }
    assert!(own.iter().all(|&block| !geometry.is_reserved(block)));
    own.sort_unstable();
    assert!(
        own.windows(2).all(|pair| pair[0] < pair[1]),
        "nothing overlaps"
    );
}

/// The bytes as an inode.
pub fn inode(data: &[u8]) {
    let mut source = Source(data);
    let volume = sample_volume(u32::from(source.byte() % 3));
    let mut bytes = source.0.to_vec();
    bytes.resize(256, 0);
    let inode = match Inode::parse_unlinked(&bytes, 12, &volume) {
        Ok(inode) => inode,
        Err(error) => return check_line(error),
    };
    // What was believed is written the same, byte for byte, but for cut nanoseconds.
    let mut again = bytes.clone();
    inode.encode(&mut again, &volume).expect("the inode fits");
    assert_eq!(Inode::parse_unlinked(&again, 12, &volume), Ok(inode));
    let nanoseconds = [0x84, 0x88, 0x8c, 0x94];
    for (at, (old, new)) in bytes.iter().zip(&again).enumerate() {
        let cut = nanoseconds
            .iter()
            .any(|&field| (field..field + 4).contains(&at));
        assert!(old == new || cut, "byte {at:#x}");
    }
    // A new inode says the same.
    let mut fresh = vec![0xa5; 256];
    inode
        .encode_new(&mut fresh, &volume)
        .expect("the inode fits");
    assert_eq!(Inode::parse_unlinked(&fresh, 12, &volume), Ok(inode));
}

/// The bytes as the `i_block` of a symlink.
pub fn symlink(data: &[u8]) {
    let mut source = Source(data);
    let volume = sample_volume(u32::from(source.byte() % 3));
    let block_size = volume.geometry.block_size();
    let mut bytes = vec![0; 256];
    bytes[0..2].copy_from_slice(&0xa1ffu16.to_le_bytes());
    bytes[0x1a] = 1;
    bytes[4..8].copy_from_slice(&source.below(block_size * 2).to_le_bytes());
    bytes[0x1c] = source.byte() % 16;
    bytes[0x68] = source.byte();
    for byte in &mut bytes[0x28..0x28 + 60] {
        *byte = source.byte();
    }
    match Inode::parse(&bytes, 12, &volume) {
        Ok(inode) => match inode.fast_symlink(block_size) {
            Some(target) => {
                assert_eq!(target.len() as u64, inode.size);
                assert!(!target.is_empty() && target.len() < 60 && !target.contains(&0));
            }
            None => assert!(inode.size < u64::from(block_size) && inode.sectors > 0),
        },
        Err(error) => check_line(error),
    }
}

/// The bytes as a directory block: read, then changed.
pub fn directory(data: &[u8]) {
    let mut source = Source(data);
    let control = source.byte();
    let format = DirFormat {
        inodes_count: 512,
        filetype: control & 1 != 0,
    };
    let mut bytes = source.0.to_vec();
    bytes.resize(1024 << (control >> 1 & 1), 0);
    let block = DirBlock::new(&bytes, format);
    let mut end = 0;
    let mut names = Vec::new();
    let mut whole = true;
    for slot in block.slots() {
        match slot {
            Ok(entry) => {
                assert_eq!(entry.offset, end, "entries stand end to end");
                assert!(entry.ino <= 512 && entry.end() <= bytes.len());
                assert!(entry.ino == 0 || entry_len(entry.name.len()) <= entry.rec_len);
                assert_eq!(entry.name.is_empty(), entry.ino == 0);
                end = entry.end();
                if entry.ino != 0 {
                    names.push((entry.offset, entry.name.to_vec()));
                }
            }
            Err(error) => {
                whole = false;
                check_line(error);
            }
        }
    }
    assert!(!whole || end == bytes.len(), "entries fill the block");
    for from in [0, 1, 12, 500, bytes.len(), usize::MAX] {
        for entry in block.entries(from).flatten() {
            assert!(entry.offset >= from && entry.check_name().is_ok());
        }
    }
    if whole {
        change(&mut bytes, format, &names, control);
    }
}

/// Changes a sound block in every way; it stays sound and keeps the other entries.
fn change(bytes: &mut [u8], format: DirFormat, names: &[(usize, Vec<u8>)], control: u8) {
    let live = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let slots = DirBlock::new(bytes, format).slots();
        slots
            .map(|slot| slot.expect("the block is still sound"))
            .filter(|entry| entry.ino != 0)
            .map(|entry| entry.name.to_vec())
            .collect()
    };
    let name = vec![b'n'; usize::from(control >> 2).max(1)];
    let before = live(bytes);
    let mut block = DirBlockMut::new(bytes, format);
    let inserted = block
        .insert(&name, 7, Kind::Regular)
        .expect("the block is sound");
    let after = live(bytes);
    assert_eq!(after.len(), before.len() + usize::from(inserted.is_some()));
    if let Some(offset) = inserted {
        let mut block = DirBlockMut::new(bytes, format);
        block
            .replace(offset, 8, Kind::Directory)
            .expect("it was just made");
        block.remove(offset).expect("it was just made");
        assert!(block.remove(offset).is_err());
    }
    assert_eq!(live(bytes), before);
    for (left, (offset, _)) in names.iter().enumerate() {
        let mut block = DirBlockMut::new(bytes, format);
        block.remove(*offset).expect("the entry is there");
        assert_eq!(live(bytes), before[left + 1..]);
    }
    assert_eq!(DirBlock::new(bytes, format).is_empty(), Ok(true));
}

/// The bytes as a pointer block, and a way to it.
pub fn indirect(data: &[u8]) {
    let mut source = Source(data);
    let volume = sample_volume(u32::from(source.byte() % 3));
    let bits = volume.geometry.block_bits();
    let file_block = u64::from(source.word()) | u64::from(source.byte()) << 32;
    let way = Path::to(file_block, bits);
    assert_eq!(way.is_some(), file_block < path::max_blocks(bits));
    let index = way.and_then(|way| way.offset(way.depth())).unwrap_or(0);
    let max = source.word() % 2048;
    let mut bytes = source.0.to_vec();
    bytes.resize(volume.geometry.block_size() as usize, 0);
    let pointers: Vec<u32> = bytes
        .chunks(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let rest = &pointers[index as usize..];
    let expected = |same: &dyn Fn(usize, u32) -> bool| {
        let run = rest.iter().take(max as usize).enumerate();
        run.take_while(|&(i, &pointer)| same(i, pointer)).count() as u32
    };
    match pointer_run(&bytes, index, max) {
        None => assert_eq!(max, 0),
        Some(Run::Hole { len }) => {
            assert!(len > 0);
            assert_eq!(len, expected(&|_, pointer| pointer == 0));
        }
        Some(Run::Mapped { block, len }) => {
            assert!(block != 0 && len > 0);
            let next = |i: usize| u64::from(block) + i as u64;
            assert_eq!(len, expected(&|i, pointer| u64::from(pointer) == next(i)));
            let inside = volume.geometry.check_data_run(block, len).is_ok();
            let limit = u64::from(volume.geometry.blocks_count());
            let first = volume.geometry.first_data_block();
            assert_eq!(inside, block > first && next(len as usize) <= limit);
        }
    }
}

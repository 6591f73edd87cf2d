// SPDX-License-Identifier: GPL-2.0

//! What the pure files write, `e2fsck` finds right.

use super::common::{e2fs, mke2fs, scratch, Volume};
use rext2_host::ext2::ondisk::{
    bitmap,
    dirent_write::DirBlockMut,
    fields::*,
    group::RawGroupDescMut,
    inode::{Device, Inode, Kind},
    inode_write::fast_symlink_map,
    mount::{ErrorCode, ErrorRecord},
    policy::{suits_top_directory, Average, GroupUse},
    superblock::{RawSuperblockMut, Superblock, ROOT_INO, STATE_ERROR},
    time::Time,
};
use std::{fs, path::Path};

impl Volume {
    fn block_mut(&mut self, block: u32) -> &mut [u8] {
        let size = self.block_size() as usize;
        &mut self.bytes[block as usize * size..][..size]
    }

    fn superblock_mut(&mut self) -> RawSuperblockMut<'_> {
        RawSuperblockMut::new(&mut self.bytes[1024..2048]).expect("long enough")
    }

    fn change_desc(&mut self, group: u32, change: impl FnOnce(&mut RawGroupDescMut<'_>)) {
        let geometry = self.superblock.geometry;
        let (desc_block, offset) = geometry.desc_place(group);
        let block = geometry.desc_block(desc_block, geometry.first_data_block());
        let bytes = &mut self.block_mut(block)[offset as usize..];
        change(&mut RawGroupDescMut::new(bytes).expect("a descriptor fits"));
    }

    fn load(&self, group: u32) -> GroupUse {
        let desc = self.desc(group).expect("the descriptor is sound");
        GroupUse {
            free_blocks: desc.free_blocks.into(),
            free_inodes: desc.free_inodes.into(),
            directories: desc.used_dirs.into(),
        }
    }

    /// A group that may take a directory at the top of the tree.
    fn group_for_directory(&self) -> u32 {
        let count = self.superblock.geometry.group_count();
        let loads: Vec<_> = (0..count).map(|group| self.load(group)).collect();
        let mean = |of: fn(&GroupUse) -> u32| loads.iter().map(of).sum::<u32>() / count;
        let average = Average {
            free_blocks: mean(|load| load.free_blocks),
            free_inodes: mean(|load| load.free_inodes),
            directories: mean(|load| load.directories),
        };
        (0..)
            .zip(&loads)
            .max_by_key(|(_, load)| (suits_top_directory(load, &average), load.free_inodes))
            .map_or(0, |(group, _)| group)
    }

    /// Takes a block in this group or a later one.
    fn take_block(&mut self, group: u32) -> u32 {
        let geometry = self.superblock.geometry;
        for group in group..geometry.group_count() {
            let home = self.desc(group).expect("sound").block_bitmap();
            let len = geometry.group_blocks(group);
            let Some(run) = bitmap::find_run(self.block(home), len, 0, 1) else {
                continue;
            };
            bitmap::take(self.block_mut(home), run.clone()).expect("it was free");
            self.change_desc(group, |raw| {
                raw.set(BG_FREE_BLOCKS_COUNT, raw.get(BG_FREE_BLOCKS_COUNT) - 1)
            });
            return geometry.group_first_block(group) + run.start;
        }
        panic!("the volume is full")
    }

    /// Takes an inode of this group.
    fn take_inode(&mut self, group: u32, directory: bool) -> u32 {
        let geometry = self.superblock.geometry;
        let home = self.desc(group).expect("sound").inode_bitmap();
        let first = if group == 0 {
            geometry.first_ino() - 1
        } else {
            0
        };
        let bit = bitmap::next_clear(self.block(home), geometry.inodes_per_group(), first)
            .expect("one is free");
        bitmap::take(self.block_mut(home), bit..bit + 1).expect("it was free");
        self.change_desc(group, |raw| {
            raw.set(BG_FREE_INODES_COUNT, raw.get(BG_FREE_INODES_COUNT) - 1);
            raw.set(
                BG_USED_DIRS_COUNT,
                raw.get(BG_USED_DIRS_COUNT) + u16::from(directory),
            );
        });
        geometry.inode_number(group, bit)
    }

    fn write_inode(&mut self, ino: u32, inode: &Inode, new: bool) {
        let superblock = self.superblock;
        let place = superblock
            .geometry
            .inode_place(ino)
            .expect("there is such an inode");
        let table = self.desc(place.group).expect("sound").inode_table();
        let bytes = &mut self.block_mut(table + place.table_block)[place.offset as usize..];
        match new {
            true => inode.encode_new(bytes, &superblock).expect("it fits"),
            false => inode.encode(bytes, &superblock).expect("it fits"),
        }
    }

    /// Adds an entry to a directory of direct blocks; it grows if it is full.
    fn link(&mut self, directory: u32, name: &str, ino: u32, kind: Kind) {
        let format = self.dir_format();
        let mut inode = self.inode(directory).expect("sound");
        let size = self.block_size();
        let blocks = (inode.size / u64::from(size)) as usize;
        let pointer = |inode: &Inode, slot: usize| {
            u32::from_le_bytes(inode.map[slot * 4..][..4].try_into().expect("four bytes"))
        };
        for slot in 0..blocks {
            let block = self.block_mut(pointer(&inode, slot));
            let mut block = DirBlockMut::new(block, format);
            if block
                .insert(name.as_bytes(), ino, kind)
                .expect("sound")
                .is_some()
            {
                return;
            }
        }
        assert!(blocks < 12, "this writer knows direct blocks only");
        let block = self.take_block(0);
        inode.map[blocks * 4..][..4].copy_from_slice(&block.to_le_bytes());
        inode.size += u64::from(size);
        inode.sectors += u64::from(size / 512);
        self.write_inode(directory, &inode, false);
        DirBlockMut::new(self.block_mut(block), format).init_free();
        self.link(directory, name, ino, kind);
    }

    fn new_inode(&self, kind: Kind, now: Time) -> Inode {
        let mut inode = Inode {
            kind,
            mode: kind.mode_bits() | 0o750,
            uid: 70_000,
            gid: 80_000,
            size: 0,
            links: 1,
            sectors: 0,
            flags: 0,
            generation: 9,
            attr_block: 0,
            atime: now,
            mtime: now,
            ctime: now,
            crtime: None,
            dtime: 0,
            project: 0,
            extra_isize: self.superblock.new_extra_isize,
            map: [0; 60],
        };
        inode.crtime = inode.creation_time(now);
        inode
    }

    /// Makes a directory of one block.
    fn mkdir(&mut self, parent: u32, name: &str, group: u32, now: Time) -> u32 {
        let ino = self.take_inode(group, true);
        let block = self.take_block(group);
        let (format, size) = (self.dir_format(), self.block_size());
        DirBlockMut::new(self.block_mut(block), format).init_dir(ino, parent);
        let mut inode = self.new_inode(Kind::Directory, now);
        (inode.size, inode.sectors, inode.links) = (size.into(), (size / 512).into(), 2);
        inode.map[..4].copy_from_slice(&block.to_le_bytes());
        self.write_inode(ino, &inode, true);
        self.link(parent, name, ino, Kind::Directory);
        let mut above = self.inode(parent).expect("sound");
        above.links += 1;
        self.write_inode(parent, &above, false);
        ino
    }

    /// Sums the groups up in the superblock, and writes the image.
    fn finish(&mut self, image: &Path) {
        let groups = 0..self.superblock.geometry.group_count();
        let loads: Vec<_> = groups.map(|group| self.load(group)).collect();
        let blocks = loads.iter().map(|load| load.free_blocks).sum();
        let inodes = loads.iter().map(|load| load.free_inodes).sum();
        self.superblock_mut()
            .set_free(blocks, inodes, 1_800_000_000);
        self.superblock_mut().end_mount(1, 1_800_000_000);
        fs::write(image, &self.bytes).expect("the image can be written");
    }
}

/// Fills a volume with directories, links and devices.
fn fill(volume: &mut Volume, now: Time) {
    for i in 0..20 {
        let group = volume.group_for_directory();
        let directory = volume.mkdir(ROOT_INO, &format!("directory-{i}"), group, now);
        volume.mkdir(directory, "below", group, now);
        for j in 0..40 {
            let ino = volume.take_inode(group, false);
            let mut inode = match j % 2 {
                0 => volume.new_inode(Kind::Symlink, now),
                _ => volume.new_inode(Kind::CharDevice, now),
            };
            let target = "t".repeat(1 + j as usize);
            (inode.map, inode.size) = match inode.kind {
                Kind::Symlink => (
                    fast_symlink_map(target.as_bytes()).expect("it fits"),
                    target.len() as u64,
                ),
                _ => (
                    Device {
                        major: 1,
                        minor: 300 * j,
                    }
                    .to_map(),
                    0,
                ),
            };
            volume.write_inode(ino, &inode, true);
            volume.link(
                directory,
                &format!("{j}{}", "-long".repeat(j as usize % 30)),
                ino,
                inode.kind,
            );
        }
    }
}

fn write_and_check(name: &str, options: &[&str]) {
    let dir = scratch(name);
    let image = dir.join("image");
    mke2fs(&image, "8M", options);
    let mut volume = Volume::open(&image);
    let state = volume.superblock.state;
    volume
        .superblock_mut()
        .begin_mount(1_700_000_000 + (2 << 32));
    let mounted = Superblock::parse(&volume.bytes[1024..2048], 8 << 20).expect("valid");
    assert_eq!((mounted.state, mounted.mount_count, state), (0, 1, 1));
    let now = Time {
        seconds: 5_000_000_000,
        nanoseconds: 999_999_999,
    };
    fill(&mut volume, now);
    volume.finish(&image);
    e2fs(
        "e2fsck",
        &["-fn", image.to_str().expect("paths of tests are UTF-8")],
    );
    let volume = Volume::open(&image);
    let found =
        volume.get("directory-7/12-long-long-long-long-long-long-long-long-long-long-long-long");
    assert_eq!(volume.target(&found), Ok(b"t".repeat(13)));
    let large = volume.superblock.geometry.inode_size() > 128;
    let kept = if large {
        now
    } else {
        Time {
            seconds: i32::MAX.into(),
            nanoseconds: 0,
        }
    };
    assert_eq!((found.mtime, found.crtime), (kept, large.then_some(now)));
    assert_eq!((found.uid, found.gid), (70_000, 80_000));
    let device = volume.get("directory-7/1-long").device();
    assert_eq!(
        device,
        Device {
            major: 1,
            minor: 300
        }
    );
    fs::remove_dir_all(&dir).expect("the scratch folder can be removed");
}

macro_rules! volumes {
    ($($name:ident: $($option:literal)*;)*) => {$(
        #[test]
        fn $name() {
            write_and_check(stringify!($name), &[$($option),*]);
        }
    )*};
}

volumes! {
    write_1k: "-b" "1024" "-I" "128" "-N" "2048" "-O" "filetype,sparse_super,large_file";
    write_1k_large_inodes: "-b" "1024" "-I" "256" "-N" "2048" "-g" "1024" "-O" "filetype,sparse_super";
    write_2k_no_filetype: "-b" "2048" "-I" "256" "-N" "2048" "-O" "^filetype,sparse_super";
    write_4k: "-b" "4096" "-I" "256" "-N" "2048" "-O" "filetype,sparse_super,large_file";
    write_meta_bg: "-b" "1024" "-I" "256" "-N" "4096" "-g" "256" "-O" "meta_bg,^resize_inode,filetype";
}

#[test]
fn errors_are_noted() {
    let dir = scratch("errors");
    let image = dir.join("image");
    mke2fs(&image, "4M", &[]);
    let mut volume = Volume::open(&image);
    for (line, code) in [(12, ErrorCode::Corrupt), (34, ErrorCode::Io)] {
        volume.superblock_mut().record_error(&ErrorRecord {
            seconds: 1_800_000_000 + u64::from(line),
            ino: line * 10,
            block: u64::from(line) * 100,
            function: "a_function_with_a_name_longer_than_the_field",
            line,
            code,
        });
    }
    volume.superblock_mut().end_mount(1, 1_800_000_000);
    fs::write(&image, &volume.bytes).expect("the image can be written");
    assert_eq!(Volume::open(&image).superblock.state, 1 | STATE_ERROR);
    let text = e2fs(
        "dumpe2fs",
        &["-h", image.to_str().expect("paths of tests are UTF-8")],
    );
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("dumpe2fs says {name}: {text}"))
            .trim()
    };
    assert_eq!(value("Filesystem state:"), "clean with errors");
    assert_eq!(value("FS Error count:"), "2");
    assert_eq!(
        value("First error function:"),
        "a_function_with_a_name_longer_th"
    );
    assert_eq!(value("First error line #:"), "12");
    assert_eq!(value("First error inode #:"), "120");
    assert_eq!(value("First error block #:"), "1200");
    assert_eq!(value("First error err:"), "EFSCORRUPTED");
    assert_eq!(value("Last error line #:"), "34");
    assert_eq!(value("Last error inode #:"), "340");
    assert_eq!(value("Last error err:"), "EIO");
}

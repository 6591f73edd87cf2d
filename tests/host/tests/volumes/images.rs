// SPDX-License-Identifier: GPL-2.0

//! Volumes made by `mke2fs` from a file tree read back the same.

use super::common::{debugfs, mke2fs, scratch, Volume};
use rext2_host::ext2::ondisk::{
    bitmap,
    inode::{Device, Kind},
    superblock::ROOT_INO,
};
use std::{
    fs::{self, File},
    os::unix::fs::{symlink, FileExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::Path,
};

/// Every kind of thing that an ordinary user can make.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("deep/er/and/deeper")).expect("folders can be made");
    fs::write(root.join("empty"), b"").expect("files can be written");
    for len in [
        1,
        511,
        1024,
        4096,
        12 * 1024,
        12 * 4096 + 1,
        300_000,
        5_000_000,
    ] {
        let contents: Vec<u8> = (0..len)
            .map(|i: usize| (i * 7 + i / 256 + len) as u8)
            .collect();
        fs::write(root.join(format!("deep/file-{len}")), contents).expect("files can be written");
    }
    let sparse = File::create(root.join("sparse")).expect("files can be written");
    for at in [0, 100_000, 2_000_000, 70_000_000] {
        sparse
            .write_at(b"island", at)
            .expect("files can be written");
    }
    sparse.set_len(70_400_000).expect("files can be written");
    symlink("empty", root.join("fast")).expect("links can be made");
    symlink("x".repeat(59), root.join("fast-59")).expect("links can be made");
    symlink("x".repeat(60), root.join("slow-60")).expect("links can be made");
    symlink("deep/".repeat(180), root.join("slow")).expect("links can be made");
    fs::hard_link(root.join("empty"), root.join("deep/again")).expect("links can be made");
    let many = root.join("many");
    fs::create_dir(&many).expect("folders can be made");
    for i in 0..700 {
        let name = format!("{i}-{}", "n".repeat(i % 240));
        fs::write(many.join(name), i.to_string()).expect("files can be written");
    }
    let mode = fs::Permissions::from_mode(0o2640);
    fs::set_permissions(root.join("deep/file-511"), mode).expect("modes can be set");
}

fn kind_of(metadata: &fs::Metadata) -> Kind {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => Kind::Directory,
        () if kind.is_symlink() => Kind::Symlink,
        () if kind.is_fifo() => Kind::Fifo,
        () if kind.is_socket() => Kind::Socket,
        () => Kind::Regular,
    }
}

/// Compares a file or folder and all below it; gives back how many there are.
fn compare(volume: &Volume, ino: u32, source: &Path) -> usize {
    let inode = volume.inode(ino).expect("the inode is sound");
    let metadata = source.symlink_metadata().expect("the source is there");
    let what = source.display();
    assert_eq!(inode.kind, kind_of(&metadata), "{what}");
    assert_eq!(u32::from(inode.mode), metadata.mode(), "{what}");
    assert_eq!(
        (inode.uid, inode.gid),
        (metadata.uid(), metadata.gid()),
        "{what}"
    );
    if inode.kind != Kind::Symlink && ino != ROOT_INO {
        // mke2fs does not copy the times of links, and changes the root by making lost+found.
        assert_eq!(
            inode.mtime.seconds as u32,
            metadata.mtime() as u32,
            "{what}"
        );
    }
    match inode.kind {
        Kind::Directory => compare_directory(volume, ino, source),
        Kind::Symlink => {
            let target = fs::read_link(source).expect("the source is a link");
            let read = volume.target(&inode).expect("the target is sound");
            assert_eq!(read, target.as_os_str().as_encoded_bytes(), "{what}");
            1
        }
        _ => {
            assert_eq!(inode.size, metadata.size(), "{what}");
            assert_eq!(u64::from(inode.links), metadata.nlink(), "{what}");
            let contents = volume.read(&inode).expect("the block map is sound");
            assert!(
                contents == fs::read(source).expect("the source can be read"),
                "{what}"
            );
            1
        }
    }
}

fn compare_directory(volume: &Volume, ino: u32, source: &Path) -> usize {
    let inode = volume.inode(ino).expect("the inode is sound");
    let mut list = volume.list(&inode).expect("the directory is sound");
    list.retain(|(name, _, _)| name != b"lost+found");
    let there = fs::read_dir(source)
        .expect("the source can be read")
        .count();
    assert_eq!(list.len(), there, "{}", source.display());
    let mut count = 1;
    for (name, ino, kind) in list {
        let name = String::from_utf8(name).expect("names of the tree are ASCII");
        let path = source.join(name);
        count += compare(volume, ino, &path);
        let actual = kind_of(&path.symlink_metadata().expect("the source is there"));
        let expected = volume.superblock.features.filetype().then_some(actual);
        assert_eq!(kind, expected, "{}", path.display());
    }
    count
}

/// Descriptors are sound and agree with their bitmaps; nothing that is in use is free.
fn check_groups(volume: &Volume) {
    let geometry = &volume.superblock.geometry;
    let (mut blocks, mut inodes) = (0, 0);
    for group in 0..geometry.group_count() {
        let desc = volume.desc(group).expect("the descriptor is sound");
        let bitmap = volume.block(desc.block_bitmap());
        let len = geometry.group_blocks(group);
        assert_eq!(
            bitmap::count_clear(bitmap, len),
            u32::from(desc.free_blocks)
        );
        assert!((0..geometry.group_overhead(group)).all(|bit| bitmap::is_set(bitmap, bit)));
        for (first, len) in desc.ranges() {
            for block in first..first + len {
                let (home, bit) = geometry
                    .block_place(block)
                    .expect("the block is on the volume");
                let bitmap = volume.block(volume.desc(home).expect("sound").block_bitmap());
                assert!(bitmap::is_set(bitmap, bit));
            }
        }
        let bitmap = volume.block(desc.inode_bitmap());
        let free = bitmap::count_clear(bitmap, geometry.inodes_per_group());
        assert_eq!(free, u32::from(desc.free_inodes));
        blocks += u32::from(desc.free_blocks);
        inodes += free;
    }
    assert_eq!(blocks, volume.superblock.free_blocks);
    assert_eq!(inodes, volume.superblock.free_inodes);
}

/// A tree through one set of options, and through every superblock copy.
fn round_trip(name: &str, options: &[&str]) -> Volume {
    let dir = scratch(name);
    let (tree, image) = (dir.join("tree"), dir.join("image"));
    make_tree(&tree);
    let mut args = vec!["-d", tree.to_str().expect("paths of tests are UTF-8")];
    args.extend(options);
    mke2fs(&image, "24M", &args);
    let volume = Volume::open(&image);
    check_groups(&volume);
    assert!(compare(&volume, ROOT_INO, &tree) > 700);
    let geometry = volume.superblock.geometry;
    let mut copies = 0;
    for group in (1..geometry.group_count()).filter(|&group| geometry.has_superblock(group)) {
        let backup = Volume::from_backup(volume.bytes.clone(), group).expect("the copy is valid");
        assert_eq!(backup.superblock.geometry, geometry);
        for other in 0..geometry.group_count() {
            let ranges = |volume: &Volume| volume.desc(other).expect("sound").ranges();
            assert_eq!(ranges(&backup), ranges(&volume));
        }
        copies += 1;
    }
    assert_eq!(copies > 0, geometry.group_count() > 1);
    fs::remove_dir_all(&dir).expect("the scratch folder can be removed");
    volume
}

macro_rules! round_trips {
    ($($name:ident: $($option:literal)*;)*) => {$(
        #[test]
        fn $name() {
            round_trip(stringify!($name), &["-t", "ext2", $($option),*]);
        }
    )*};
}

round_trips! {
    blocks_1k_inodes_128: "-b" "1024" "-I" "128";
    blocks_1k_inodes_256: "-b" "1024" "-I" "256" "-O" "filetype,sparse_super,large_file,resize_inode,dir_index,ext_attr";
    blocks_2k_inodes_256: "-b" "2048" "-I" "256" "-O" "filetype,sparse_super,large_file";
    blocks_2k_inodes_512: "-b" "2048" "-I" "512" "-O" "filetype,sparse_super,large_file,extra_isize";
    blocks_4k_inodes_128: "-b" "4096" "-I" "128" "-O" "filetype,sparse_super,large_file";
    blocks_4k_inodes_256: "-b" "4096" "-I" "256" "-O" "filetype,sparse_super,large_file,resize_inode,dir_index,ext_attr";
    no_filetype: "-b" "1024" "-I" "256" "-O" "^filetype,sparse_super,large_file";
    all_superblock_copies: "-b" "1024" "-I" "256" "-O" "^sparse_super,^resize_inode,filetype,large_file";
    meta_bg: "-b" "1024" "-I" "256" "-O" "meta_bg,^resize_inode,filetype,sparse_super,large_file";
    meta_bg_small_groups: "-b" "1024" "-g" "256" "-N" "4096" "-O" "meta_bg,^resize_inode,filetype,sparse_super,large_file";
    small_groups: "-b" "1024" "-g" "512" "-N" "4096" "-O" "filetype,sparse_super,large_file,^resize_inode";
    sparse_super2: "-b" "1024" "-O" "sparse_super2,^sparse_super,^resize_inode,filetype,large_file";
    labelled: "-b" "4096" "-L" "a label" "-m" "7" "-e" "remount-ro";
}

#[test]
fn revision_0() {
    let dir = scratch("revision_0");
    let image = dir.join("image");
    mke2fs(&image, "20M", &["-b", "1024", "-I", "128", "-O", "none"]);
    // New versions of mke2fs make no such volumes. What revision 0 does not have must not be looked at.
    debugfs(
        &image,
        &[
            "set_super_value inode_size 999",
            "set_super_value first_ino 999",
            "set_super_value feature_ro_compat 0xffffffff",
            "set_super_value rev_level 0",
        ],
    );
    let volume = Volume::open(&image);
    let superblock = &volume.superblock;
    assert_eq!(superblock.revision, 0);
    assert_eq!(superblock.features, Default::default());
    assert_eq!(
        (
            superblock.geometry.inode_size(),
            superblock.geometry.first_ino()
        ),
        (128, 11)
    );
    check_groups(&volume);
    assert_eq!(volume.get("lost+found").kind, Kind::Directory);
}

#[test]
fn superblock_says_what_mke2fs_was_told() {
    let dir = scratch("told");
    let image = dir.join("image");
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let options = [
        "-b",
        "4096",
        "-L",
        "a label",
        "-m",
        "5",
        "-e",
        "panic",
        "-U",
        uuid,
        "-E",
        "stripe_width=32,root_owner=7:8",
    ];
    mke2fs(&image, "16M", &options);
    debugfs(
        &image,
        &[
            "set_super_value def_resuid 77",
            "set_super_value def_resgid 78",
        ],
    );
    let volume = Volume::open(&image);
    let superblock = &volume.superblock;
    assert_eq!(&superblock.volume_name, b"a label\0\0\0\0\0\0\0\0\0");
    assert_eq!(superblock.uuid[..4], [1, 0x23, 0x45, 0x67]);
    assert_eq!(superblock.reserved_blocks, 4096 / 20);
    assert_eq!((superblock.resuid, superblock.resgid), (77, 78));
    assert_eq!(superblock.stripe_width, 32);
    assert_eq!(format!("{:?}", superblock.on_error), "Panic");
    assert_eq!(superblock.state, 1);
    let root = volume.get("/");
    assert_eq!((root.uid, root.gid), (7, 8));
}

#[test]
fn large_inodes_keep_nanoseconds_and_late_times() {
    let dir = scratch("times");
    let (tree, image) = (dir.join("tree"), dir.join("image"));
    fs::create_dir(&tree).expect("folders can be made");
    fs::write(tree.join("file"), b"x").expect("files can be written");
    let tree = tree.to_str().expect("paths of tests are UTF-8");
    mke2fs(&image, "4M", &["-I", "256", "-d", tree]);
    debugfs(
        &image,
        &[
            "set_inode_field file mtime 0x80000000",
            "set_inode_field file mtime_extra 0x1d6f3455",
            "set_inode_field file atime 0xffffffff",
            "set_inode_field file atime_extra 0",
            "set_inode_field file crtime 0x7fffffff",
            "set_inode_field file crtime_extra 3",
            "set_inode_field file projid 4711",
        ],
    );
    let inode = Volume::open(&image).get("file");
    let epoch = 1i64 << 32;
    assert_eq!(inode.mtime.seconds, epoch - (1 << 31));
    assert_eq!(inode.mtime.nanoseconds, 123_456_789);
    assert_eq!(inode.atime.seconds, -1);
    assert_eq!(
        inode.crtime.map(|time| time.seconds),
        Some(0x7fff_ffff + 3 * epoch)
    );
    assert_eq!(inode.project, 4711);
}

#[test]
fn special_files() {
    let dir = scratch("special");
    let image = dir.join("image");
    mke2fs(&image, "4M", &[]);
    debugfs(
        &image,
        &[
            "mknod pipe p",
            "mknod small c 4 65",
            "mknod large b 259 60000",
        ],
    );
    let volume = Volume::open(&image);
    assert_eq!(volume.get("pipe").kind, Kind::Fifo);
    let small = volume.get("small");
    assert_eq!(small.kind, Kind::CharDevice);
    assert_eq!(
        small.device(),
        Device {
            major: 4,
            minor: 65
        }
    );
    let large = volume.get("large");
    assert_eq!(large.kind, Kind::BlockDevice);
    assert_eq!(
        large.device(),
        Device {
            major: 259,
            minor: 60000
        }
    );
    assert_eq!(
        (small.device().to_map(), large.device().to_map()),
        (small.map, large.map)
    );
}

// SPDX-License-Identifier: GPL-2.0

//! Whatever `mke2fs` makes is believed, and no part of it when it is cut off.

use super::common::{mke2fs, scratch, Volume};
use rext2_host::ext2::ondisk::{
    error::{Corruption, Error},
    inode::Kind,
};
use std::fs;

/// Makes a volume and looks at every group and the root.
fn check(name: &str, size: &str, options: &[&str]) -> Volume {
    let image = scratch(name).join("image");
    mke2fs(&image, size, options);
    let volume = Volume::open(&image);
    for group in 0..volume.superblock.geometry.group_count() {
        volume.desc(group).expect("the descriptor is sound");
    }
    assert_eq!(volume.get("lost+found").kind, Kind::Directory);
    fs::remove_file(&image).expect("the image can be removed");
    volume
}

#[test]
fn small_volumes() {
    for size in ["64k", "100k", "360k", "1440k", "2880k"] {
        check("small_volumes", size, &["-b", "1024"]);
    }
    for size in ["360k", "1440k", "2880k"] {
        check("small_volumes", size, &["-b", "2048"]);
        check("small_volumes", size, &["-b", "4096"]);
    }
}

/// The last group shrinks until `mke2fs` leaves it out.
#[test]
fn last_groups_of_every_length() {
    for blocks in (8193..8193 + 2048).step_by(131) {
        let size = blocks.to_string();
        check("last_groups", &size, &["-b", "1024"]);
        check(
            "last_groups",
            &size,
            &["-b", "1024", "-O", "meta_bg,^resize_inode"],
        );
        check(
            "last_groups",
            &size,
            &["-b", "1024", "-g", "1024", "-N", "9000"],
        );
    }
}

#[test]
fn inode_sizes_and_counts() {
    for inode_size in ["128", "256", "512", "1024"] {
        for inodes in ["16", "1000", "8000"] {
            check(
                "inode_sizes",
                "32M",
                &["-b", "1024", "-I", inode_size, "-N", inodes],
            );
            check(
                "inode_sizes",
                "32M",
                &["-b", "4096", "-I", inode_size, "-N", inodes],
            );
        }
    }
}

#[test]
fn a_truncated_device_is_refused() {
    let mut volume = check("truncated", "3M", &["-b", "1024"]);
    volume.bytes.truncate(3 * 1024 * 1024 - 1);
    let expected = Corruption::BeyondDevice {
        blocks: 3072,
        device_blocks: 3071,
    };
    assert_eq!(
        Volume::from_bytes(volume.bytes.clone()).err(),
        Some(Error::Corrupt(expected))
    );
    volume.bytes.truncate(1500);
    let expected = Corruption::Truncated {
        record: "superblock",
        len: 476,
    };
    assert_eq!(
        Volume::from_bytes(volume.bytes).err(),
        Some(Error::Corrupt(expected))
    );
    let nothing = Volume::from_bytes(vec![0; 4096]).err();
    assert_eq!(nothing, Some(Error::NotExt2 { magic: 0 }));
}

#[test]
fn other_file_systems_of_the_family_are_refused_by_name() {
    let refused = |name: &str, options: &[&str]| {
        let image = scratch(name).join("image");
        mke2fs(&image, "16M", options);
        let bytes = fs::read(&image).expect("the image can be read");
        Volume::from_bytes(bytes)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(
        refused("ext4", &["-t", "ext4", "-O", "extents,64bit,flex_bg"]).as_deref(),
        Some("unsupported incompatible features: extents 64bit flex_bg")
    );
    assert_eq!(
        refused("inline", &["-I", "256", "-O", "inline_data,mmp"]).as_deref(),
        Some("unsupported incompatible features: mmp inline_data")
    );
    assert_eq!(
        refused("blocks_64k", &["-b", "65536"]).as_deref(),
        Some("block size 65536 is not supported (1024, 2048, 4096 are)")
    );
    // A clean journal is only a file.
    assert_eq!(refused("ext3", &["-O", "has_journal"]), None);
}

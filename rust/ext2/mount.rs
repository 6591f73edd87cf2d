// SPDX-License-Identifier: GPL-2.0

//! From a device to a root directory.

use super::{
    background::Background,
    inode::{self, Node},
    inode_write, mode, namei,
    ondisk::{
        self,
        geometry::Geometry,
        group::GroupDesc,
        path,
        superblock::{Superblock, ROOT_INO, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE},
        time,
    },
    options::Options,
    volume::Volume,
    Ext2, Inode, SuperBlock,
};
use crate::vfs::{
    context::ParamValue,
    errno::EUCLEAN,
    stat::{StatFs, Usage},
    super_block::NewSuperBlock,
    super_ops::{SuperOperations, WriteReason},
    FileSystem,
};
use core::fmt;
use kernel::{prelude::*, str::CStr, sync::aref::ARef};

/// The magic number that `statfs(2)` gives: that of all ext file systems.
const STATFS_MAGIC: u32 = 0xef53;

/// The most links of a file: the C driver's limit, which `e2fsck` knows too.
const MAX_LINKS: u32 = 32000;

/// The longest name in a directory, in bytes.
const NAME_LEN: u32 = 255;

impl FileSystem for Ext2 {
    const CACHE_NAME: &'static CStr = c"rext2_inode";
    type Options = Options;
    type Super = Volume;
    type Inode = Node;

    fn options(sb: Option<&SuperBlock>) -> Result<Options> {
        Ok(sb.map(|sb| sb.data().options()).unwrap_or_default())
    }

    fn parse_param(options: &mut Options, key: &[u8], value: ParamValue<'_>) -> Result {
        options.parse(key, value)
    }

    fn fill_super(sb: &NewSuperBlock<Self>, options: &Options) -> Result<KBox<Volume>> {
        let place = u64::from(options.super_block.unwrap_or(1)).saturating_mul(SUPERBLOCK_OFFSET);
        let disk = read_superblock(sb, place)?;
        let geometry = &disk.geometry;
        sb.set_block_size(geometry.block_size()).inspect_err(|_| {
            pr_err!(
                "{}: the device cannot do blocks of {} bytes\n",
                sb.id(),
                geometry.block_size()
            );
        })?;
        choose_mode(sb, &disk);
        let own_block = u32::try_from(place >> geometry.block_bits())?;
        let groups = read_groups(sb, geometry, own_block)?;
        let large_inodes = disk.new_extra_isize != 0;
        let max = if large_inodes {
            time::MAX_SECONDS_LARGE
        } else {
            time::MAX_SECONDS_SMALL
        };
        sb.set_limits(
            STATFS_MAGIC,
            path::max_file_size(geometry.block_bits()),
            MAX_LINKS,
        );
        sb.set_times(
            time::MIN_SECONDS,
            max,
            if large_inodes { 1 } else { 1_000_000_000 },
        );
        sb.set_uuid(disk.uuid);
        sb.enable_cgroup_writeback();
        let record = sb.read(own_block.into())?;
        let offset = usize::try_from(place & u64::from(geometry.block_size().saturating_sub(1)))?;
        Ok(KBox::new(
            Volume::new(
                disk,
                *options,
                groups,
                (record, offset),
                Background::new(sb)?,
            )?,
            GFP_KERNEL,
        )?)
    }

    fn root(sb: &SuperBlock) -> Result<ARef<Inode>> {
        let root = inode::get(sb, ROOT_INO)?;
        if !sb.is_read_only() {
            mode::begin(sb, true)?;
        }
        Ok(root)
    }

    fn reconfigure(sb: &SuperBlock, options: &Options, read_only: bool) -> Result {
        mode::reconfigure(sb, options, read_only)
    }

    fn new_inode_data() -> impl PinInit<Node> {
        Node::new()
    }
}

/// Logs why a volume is not mounted, and gives the errno for it.
fn refuse(sb: &NewSuperBlock<Ext2>, error: ondisk::error::Error) -> Error {
    if !sb.is_silent() {
        pr_err!("{}: not mounted: {}\n", sb.id(), format_args!("{error}"));
    }
    match error {
        ondisk::error::Error::Corrupt(_) => EUCLEAN(),
        _ => EINVAL,
    }
}

/// Reads and checks the superblock at byte `place`.
fn read_superblock(sb: &NewSuperBlock<Ext2>, place: u64) -> Result<Superblock> {
    let block_size = u64::from(sb.min_block_size(SUPERBLOCK_SIZE as u32)?);
    let end = place.saturating_add(SUPERBLOCK_SIZE as u64);
    if end > sb.device_bytes() {
        if !sb.is_silent() {
            pr_err!(
                "{}: not mounted: the device ends before the superblock\n",
                sb.id()
            );
        }
        return Err(EINVAL);
    }
    let block = place.checked_div(block_size).ok_or(EINVAL)?;
    let offset = usize::try_from(place & block_size.saturating_sub(1))?;
    let buffer = sb.read(block).inspect_err(|_| {
        pr_err!("{}: not mounted: cannot read the superblock\n", sb.id());
    })?;
    let bytes = buffer.bytes().get(offset..).unwrap_or_default();
    Superblock::parse(bytes, sb.device_bytes()).map_err(|error| refuse(sb, error))
}

/// Decides whether the volume can be written, and says so if not.
fn choose_mode(sb: &NewSuperBlock<Ext2>, disk: &Superblock) {
    if sb.is_read_only() {
        return;
    }
    let blocking = disk.features.blocking_write();
    if !blocking.is_empty() {
        pr_notice!(
            "{}: mounted read-only because of the features {}\n",
            sb.id(),
            format_args!("{blocking}")
        );
    } else if sb.is_device_read_only() {
        pr_notice!("{}: mounted read-only, as the device is\n", sb.id());
    } else {
        return;
    }
    sb.set_read_only();
}

/// Reads and checks all group descriptors. `own_block` is the block of the superblock in use.
fn read_groups(
    sb: &NewSuperBlock<Ext2>,
    geometry: &Geometry,
    own_block: u32,
) -> Result<KVVec<GroupDesc>> {
    let mut groups = KVVec::with_capacity(geometry.group_count() as usize, GFP_KERNEL)?;
    for desc_block in 0..geometry.desc_blocks() {
        let block = geometry.desc_block(desc_block, own_block);
        let buffer = sb.read(block.into()).inspect_err(|_| {
            pr_err!(
                "{}: not mounted: block {}: cannot read the group descriptors\n",
                sb.id(),
                block
            );
        })?;
        let first = desc_block.saturating_mul(geometry.desc_per_block());
        let end = first
            .saturating_add(geometry.desc_per_block())
            .min(geometry.group_count());
        for group in first..end {
            let (_, offset) = geometry.desc_place(group);
            let bytes = buffer.bytes().get(offset as usize..).unwrap_or_default();
            let desc =
                GroupDesc::parse(bytes, group, geometry).map_err(|error| refuse(sb, error))?;
            groups.push(desc, GFP_KERNEL)?;
        }
    }
    Ok(groups)
}

#[vtable]
impl SuperOperations for Ext2 {
    type FS = Self;

    fn statfs(sb: &SuperBlock, stat: &mut StatFs<'_>) -> Result {
        let volume = sb.data();
        let disk = &volume.disk;
        let (free, free_inodes) = sb.free_counts();
        let overhead = if volume.options().count_all_blocks {
            0
        } else {
            volume.overhead
        };
        let id = u128::from_le_bytes(disk.uuid);
        stat.set_id((id >> 64) as u64 ^ id as u64);
        stat.set(&Usage {
            block_size: disk.geometry.block_size(),
            blocks: u64::from(disk.geometry.blocks_count()).saturating_sub(overhead),
            free,
            available: free.saturating_sub(disk.reserved_blocks.into()),
            inodes: disk.geometry.inodes_count().into(),
            free_inodes,
            name_len: NAME_LEN,
        });
        Ok(())
    }

    fn sync(sb: &SuperBlock, wait: bool) -> Result {
        // What can be started without waiting is started by the kernel before the call that waits.
        if wait {
            mode::sync(sb)
        } else {
            Ok(())
        }
    }

    fn freeze(sb: &SuperBlock) -> Result {
        mode::end(sb)
    }

    fn unfreeze(sb: &SuperBlock) -> Result {
        mode::resume(sb)
    }

    fn reclaimable(sb: &SuperBlock) -> usize {
        sb.data().names.reclaimable()
    }

    fn reclaim(sb: &SuperBlock, most: usize) -> usize {
        sb.data().names.reclaim(most)
    }

    fn put(sb: &SuperBlock) {
        sb.data().background.cancel();
        mode::put(sb);
    }

    fn show_options(sb: &SuperBlock, out: &mut dyn fmt::Write) -> fmt::Result {
        sb.data().options().show(out)
    }

    fn inode_by_number(sb: &SuperBlock, ino: u64) -> Result<ARef<Inode>> {
        inode::by_handle(sb, ino)
    }

    fn parent(inode: &Inode) -> Result<ARef<Inode>> {
        namei::parent(inode)
    }

    fn write_inode(inode: &Inode, why: WriteReason) -> Result {
        inode_write::write(inode, why)
    }

    fn evict(inode: &Inode) -> Option<ARef<Inode>> {
        inode_write::evict(inode)
    }
}

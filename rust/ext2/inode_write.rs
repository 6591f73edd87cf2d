// SPDX-License-Identifier: GPL-2.0

//! Writing inodes into the inode table, and deleting them.
//!
//! An inode's place in the table is changed under the lock of its map ([`Node::map`](super::inode::Node)), held for
//! writing.

use super::{
    batch, commit, cut, file,
    inode::{table_place, Node},
    ondisk::{
        self,
        inode::{Kind, MAP_SIZE},
        time::Time,
    },
    orphan,
    volume::Place,
    Inode, SuperBlock,
};
use crate::vfs::{buffer::Buffer, inode::Timestamp, super_ops::WriteReason};
use kernel::{prelude::*, sync::aref::ARef};

/// The 32 bits in which the format keeps a device number's two parts: 12 bits of major, 20 of minor.
pub(super) fn device(number: u32) -> ondisk::inode::Device {
    ondisk::inode::Device {
        major: number >> 20,
        minor: number & 0xf_ffff,
    }
}

pub(super) fn time(stamp: Timestamp) -> Time {
    Time {
        seconds: stamp.seconds,
        nanoseconds: stamp.nanoseconds,
    }
}

/// Where the inode stands in the table: the block, and the first byte there.
fn place(sb: &SuperBlock, ino: u32) -> Result<(u64, usize)> {
    table_place(sb, ino).map_err(|failure| failure.report(sb, ino))
}

/// Reads the block of the inode table.
fn table_block(sb: &SuperBlock, ino: u32, block: u64) -> Result<Buffer> {
    sb.read(block).inspect_err(|_| {
        pr_err!(
            "{}: inode {}: block {}: cannot read the inode table\n",
            sb.id(),
            ino,
            block
        );
    })
}

/// The inode as the disk is to have it.
fn image(inode: &Inode, ino: u32, pointers: &[u8; MAP_SIZE]) -> Option<ondisk::inode::Inode> {
    let attributes = &inode.data().attributes;
    let (uid, gid) = inode.owner();
    let (accessed, modified, changed) = inode.times();
    let links = u16::try_from(inode.links()).unwrap_or(u16::MAX);
    // As long as an inode is on the list of orphans the list goes on here, also while it is being deleted.
    let dtime = match links {
        0 => inode
            .sb()
            .data()
            .orphans
            .older_than(ino)
            .unwrap_or_else(|| attributes.deleted()),
        _ => 0,
    };
    Some(ondisk::inode::Inode {
        kind: Kind::from_mode(inode.mode())?,
        mode: inode.mode(),
        uid,
        gid,
        size: inode.size(),
        links,
        sectors: inode.sectors(),
        flags: attributes.flags(),
        generation: inode.generation(),
        attr_block: attributes.attr_block(),
        atime: time(accessed),
        mtime: time(modified),
        ctime: time(changed),
        crtime: attributes.created,
        dtime,
        project: attributes.project(),
        extra_isize: attributes.extra_isize,
        map: *pointers,
    })
}

/// Writes the inode into its (then dirty) block of the inode table, which is given back. Sleeps; `EIO`.
pub(super) fn store(inode: &Inode) -> Result<Buffer> {
    let map = inode.data().map.write();
    let sb = inode.sb();
    let ino = u32::try_from(inode.ino())?;
    let (block, offset) = place(sb, ino)?;
    let buffer = table_block(sb, ino, block)?;
    let disk = &sb.data().disk;
    let image = image(inode, ino, &map.pointers).ok_or(EIO)?;
    if image.needs_large_file() && !disk.features.large_file() {
        sb.change_superblock(|raw| {
            // Revision 0 has no features; e2fsck raises the revision when it meets the file.
            let _ = raw.enable_large_file();
        });
    }
    let end = offset.saturating_add(disk.geometry.inode_size().into());
    let attributes = &inode.data().attributes;
    let fresh = attributes.is_fresh();
    buffer
        .change_range(offset..end, |bytes| match fresh {
            true => image.encode_new(bytes, disk),
            false => image.encode(bytes, disk),
        })
        .map_err(|error| {
            sb.damaged(
                Place {
                    ino: ino.into(),
                    block,
                },
                &error,
            )
        })?;
    if fresh {
        attributes.set_fresh(false);
    }
    attributes.note_store();
    Ok(buffer)
}

/// Writes the inode's block of the inode table, if the inode was put there since it was durable: who does so without
/// waiting leaves it clean, and who waits may have begun only. Sleeps; `EIO`.
pub(super) fn write_stored(inode: &Inode) -> Result {
    if inode.data().attributes.is_durable() {
        return Ok(());
    }
    let ino = u32::try_from(inode.ino())?;
    write_table(inode.sb(), core::iter::once(ino))
}

/// Writes the blocks of the inode table in which these inodes stand, if they are dirty, and waits. Sleeps; `EIO`.
pub(super) fn write_table(sb: &SuperBlock, numbers: impl Iterator<Item = u32> + Clone) -> Result {
    let blocks = numbers.map(|ino| place(sb, ino).map(|(block, _)| block));
    let mut last = None;
    for block in blocks.clone() {
        let block = block?;
        if last.replace(block) != Some(block) {
            if let Some(buffer) = sb.find(block) {
                buffer.write_start();
            }
        }
    }
    last = None;
    for block in blocks {
        let block = block?;
        if last.replace(block) != Some(block) {
            // A block that is not in memory any more was written before.
            sb.find(block).map_or(Ok(()), |buffer| buffer.wait())?;
        }
    }
    Ok(())
}

/// [`SuperOperations::write_inode`](crate::vfs::super_ops::SuperOperations::write_inode).
pub(super) fn write(inode: &Inode, why: WriteReason) -> Result {
    inode.sb().check_live()?;
    if inode.links() == 0 {
        orphan::add(inode)?;
    }
    let committed = match why {
        WriteReason::Background => batch::commit_soon(inode),
        // One flush for all comes with the pass that waits.
        WriteReason::Passing => commit::keep(inode).map(drop),
        WriteReason::SyncAll | WriteReason::Durable => Ok(()),
    };
    let buffer = store(inode)?;
    if why == WriteReason::Durable {
        buffer.write().inspect_err(|_| {
            let block = buffer.block();
            pr_err!(
                "{}: inode {}: block {}: cannot write the inode\n",
                inode.sb().id(),
                inode.ino(),
                block
            );
        })?;
    }
    committed
}

/// [`SuperOperations::evict`](crate::vfs::super_ops::SuperOperations::evict).
pub(super) fn evict(inode: &Inode) -> Option<ARef<Inode>> {
    let sb = inode.sb();
    if sb.check_live().is_err() || !(inode.links() == 0 || has_unwritten(inode)) {
        return None;
    }
    let deletes = inode.links() == 0 && (!sb.is_read_only() || sb.data().orphans.is_reclaiming());
    let done = if deletes {
        delete(inode)
    } else {
        settle(inode).map(|()| None)
    };
    done.unwrap_or_else(|_| {
        pr_err!(
            "{}: inode {}: not written completely; run e2fsck\n",
            sb.id(),
            inode.ino()
        );
        None
    })
}

/// Whether something of an inode that stays may be in memory only.
fn has_unwritten(inode: &Inode) -> bool {
    inode.has_metadata() || !inode.data().map.read().is_settled()
}

/// Sees to it that nothing about an inode that stays is only in memory.
fn settle(inode: &Inode) -> Result {
    // Also on a volume that became read-only because it is damaged: what was accepted before is not lost if it has blocks.
    if inode.sb().data().record.is_in_use() {
        commit::commit(inode, commit::Extents::All)?;
        cut::give_back_unused(inode)?;
    }
    inode.sync_metadata()
}

/// Deletes an inode: its blocks, its attributes, its number. Gives the inode before it on the list of orphans, if any.
fn delete(inode: &Inode) -> Result<Option<ARef<Inode>>> {
    let sb = inode.sb();
    let node: &Node = inode.data();
    let is_dir = Kind::from_mode(inode.mode()) == Some(Kind::Directory);
    let ino = u32::try_from(inode.ino())?;
    let listed = sb.data().orphans.older_than(ino).is_some();
    let blocks = has_blocks(inode);
    let newer = if blocks && !listed && node.attributes.attr_block() == 0 {
        mark_deleted(inode);
        inode.set_size(0);
        cut::take_all(inode)?;
        None
    } else {
        if blocks {
            mark_deleted(inode);
            file::truncate(inode, 0)?;
            inode.set_size(0);
        }
        super::attr_block::release(inode)?;
        // What a mount is to finish stays on the list until its blocks are off it.
        let newer = orphan::remove(inode)?;
        if !node.attributes.is_fresh() {
            mark_deleted(inode);
            store(inode)?;
        }
        newer
    };
    sb.free_inode_number(ino, is_dir);
    Ok(newer)
}

/// Notes the time of deletion, which must not be zero.
fn mark_deleted(inode: &Inode) {
    let now = inode.set_changed_now().seconds;
    inode.data().attributes.set_deleted((now as u32).max(1));
}

/// Whether `i_block` of the inode has pointers to blocks, or is to get some.
fn has_blocks(inode: &Inode) -> bool {
    match Kind::from_mode(inode.mode()) {
        Some(Kind::Regular | Kind::Directory) => {
            let map = inode.data().map.read();
            let points = map.pointers.iter().any(|byte| *byte != 0);
            inode.size() != 0 || points || !map.is_settled() || map.reserved != 0
        }
        Some(Kind::Symlink) => {
            let attributes = match inode.data().attributes.attr_block() {
                0 => 0,
                _ => 1u64 << inode.block_bits() >> 9,
            };
            inode.sectors() > attributes
        }
        _ => false,
    }
}

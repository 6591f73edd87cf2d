// SPDX-License-Identifier: GPL-2.0

//! The block of extended attributes of an inode, which inodes with the same attributes share.
//!
//! Format: `Documentation/filesystems/ext4/attributes.rst`: 32 bytes of header, of which the first three words are a
//! magic number, a count of the inodes that share the block, and the number of blocks, which is one.

use super::{
    ondisk::{
        error::Corruption,
        raw::{le32, Value}, //
    },
    volume::Place,
    walk::Walk,
    Inode, SuperBlock,
};
use crate::vfs::buffer::Buffer;
use kernel::prelude::*;

const MAGIC: u32 = 0xea02_0000;

/// Byte at which the count of sharing inodes stands.
const COUNT: usize = 4;

/// Takes one off the count of inodes that share the block, unless it is the last one. The group's mutex keeps others away.
fn is_last(sb: &SuperBlock, buffer: &Buffer) -> Result<bool> {
    let volume = sb.data();
    let block = u32::try_from(buffer.block())?;
    let (group, _) = volume.disk.geometry.block_place(block).ok_or(EIO)?;
    let _sharing = volume.space.lock(group)?;
    let count = le32(buffer.bytes(), COUNT).unwrap_or(0);
    if count > 1 {
        buffer.change(|bytes| {
            // The field is inside the block.
            let _ = count.saturating_sub(1).write(bytes, COUNT);
        });
    }
    Ok(count <= 1)
}

/// Lets go of the inode's block of attributes: it is freed with the last inode that has it. Sleeps; `EIO`, `EUCLEAN`.
pub(super) fn release(inode: &Inode) -> Result {
    let attributes = &inode.data().attributes;
    let block = attributes.attr_block();
    if block == 0 {
        return Ok(());
    }
    let sb = inode.sb();
    let buffer = Walk::new(inode).read(block)?;
    let word = |at| le32(buffer.bytes(), at).unwrap_or(0);
    if word(0) != MAGIC {
        let error = Corruption::BlockOutOfRange {
            block,
            len: 1,
            limit: 0,
        };
        let place = Place {
            ino: inode.ino(),
            block: block.into(),
        };
        return Err(sb.damaged(place, &error.into()));
    }
    attributes.set_attr_block(0);
    if is_last(sb, &buffer)? {
        buffer.forget();
        sb.free_run(block, 1);
    }
    Ok(())
}

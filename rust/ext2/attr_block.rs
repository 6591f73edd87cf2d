// SPDX-License-Identifier: GPL-2.0

//! The block of extended attributes of an inode, which inodes with the same attributes share.
//!
//! Format: `Documentation/filesystems/ext4/attributes.rst`: 32 bytes of header, of which the first three words are a
//! magic number, a count of the inodes that share the block, and the number of blocks, which is one.

use super::{
    map::Walk,
    ondisk::{
        error::Corruption,
        raw::{le32, Value}, //
    },
    volume::Place,
    Inode,
};
use kernel::prelude::*;

const MAGIC: u32 = 0xea02_0000;

/// Byte at which the count of sharing inodes stands.
const COUNT: usize = 4;

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
    match word(COUNT) {
        0 | 1 => {
            buffer.forget();
            sb.free_run(block, 1);
        }
        count => buffer.change(|bytes| {
            // The field is inside the block.
            let _ = count.saturating_sub(1).write(bytes, COUNT);
        }),
    }
    Ok(())
}

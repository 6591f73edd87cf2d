// SPDX-License-Identifier: GPL-2.0

//! The pointers that a commit sets: which they are, and the pointer blocks that are made for them.

use super::{
    alloc::{
        Budget,
        Request, //
    },
    commit::Prepared,
    ondisk::path::Path,
    state::MapState,
    walk::{
        pointer,
        Walk, //
    },
    Inode, //
};
use crate::vfs::buffer::Buffer;
use core::ops::Range;
use kernel::prelude::*;

/// A place where pointers are.
#[derive(Clone)]
pub(super) enum Node {
    /// The inode.
    Root,
    /// A pointer block that can be reached on disk.
    Linked(Buffer),
    /// A pointer block made for this commit.
    New(Buffer),
}

/// Pointers to be set once everything behind them is durable: `len` of them from `index` on, to blocks in a row.
pub(super) struct Link {
    pub(super) node: Node,
    index: u32,
    block: u32,
    len: u32,
}

/// Plans links, making the pointer blocks that are missing.
pub(super) struct Builder<'a> {
    pub(super) inode: &'a Inode,
    pub(super) state: &'a mut MapState,
    pub(super) prepared: &'a mut Prepared,
}

impl Builder<'_> {
    /// Plans the links from file blocks `range` to the blocks from `disk` on.
    pub(super) fn link(&mut self, range: Range<u32>, disk: u32) -> Result {
        let bits = self.inode.block_bits();
        let (mut block, mut disk) = (range.start, disk);
        while block < range.end {
            let path = Path::to(block.into(), bits).ok_or(EFBIG)?;
            let mut node = Node::Root;
            for level in 0..path.depth() {
                node = self.descend(node, path.offset(level).unwrap_or(0))?;
            }
            let len = path.run_limit().min(range.end.saturating_sub(block));
            let index = path.offset(path.depth()).unwrap_or(0);
            self.set(Link {
                node,
                index,
                block: disk,
                len,
            })?;
            block = block.saturating_add(len);
            disk = disk.saturating_add(len);
        }
        Ok(())
    }

    /// The pointer block under pointer `index` of `node`.
    fn descend(&mut self, node: Node, index: u32) -> Result<Node> {
        let child = match &node {
            Node::Root => pointer(&self.state.pointers, index),
            Node::Linked(buffer) | Node::New(buffer) => pointer(buffer.bytes(), index),
        };
        let made = match (&node, child) {
            (Node::New(_), 0) => None,
            (Node::New(_), child) => Some(self.made(child).ok_or(EIO)?),
            (_, 0) => self.planned(&node, index),
            (_, child) => {
                return Walk::new(self.inode).read(child).map(Node::Linked);
            }
        };
        match made {
            Some(buffer) => Ok(Node::New(buffer)),
            None => self.make(node, index),
        }
    }

    /// The pointer block that a planned link puts under pointer `index` of `node`. File blocks come in order, and what
    /// lies under a pointer block made here needs no links: only the last link can be meant.
    fn planned(&self, node: &Node, index: u32) -> Option<Buffer> {
        let link = self
            .prepared
            .links
            .last()
            .filter(|link| link.index == index)?;
        let same = match (&link.node, node) {
            (Node::Root, Node::Root) => true,
            (Node::Linked(planned), Node::Linked(buffer)) => planned.block() == buffer.block(),
            _ => false,
        };
        self.made(link.block).filter(|_| same)
    }

    /// The pointer block made for this commit that has this number.
    fn made(&self, block: u32) -> Option<Buffer> {
        self.prepared
            .made()
            .iter()
            .rev()
            .find(|buffer| buffer.block() == u64::from(block))
            .cloned()
    }

    /// Makes a pointer block and plans its link under pointer `index` of `node`.
    fn make(&mut self, node: Node, index: u32) -> Result<Node> {
        let sb = self.inode.sb();
        let last = self
            .prepared
            .made()
            .last()
            .map_or(self.state.last_block.into(), Buffer::block);
        let from = if self.state.reserved > 0 {
            Budget::Reserved
        } else {
            Budget::Free
        };
        let goal = u32::try_from(last).unwrap_or(0).saturating_add(1);
        let run = sb.allocate(&Request {
            goal,
            len: 1,
            from,
            owner: self.inode.ino(),
        })?;
        let recorded = sb.new_buffer(run.start.into()).and_then(|buffer| {
            self.prepared.add_made(buffer.clone())?;
            Ok(buffer)
        });
        let buffer = recorded.inspect_err(|_| match from {
            Budget::Free => sb.return_run(run.start, 1),
            Budget::Reserved => {
                let lost = 1u64.saturating_sub(sb.return_reserved(run.start, 1));
                self.state.reserved = self.state.reserved.saturating_sub(lost);
            }
        })?;
        if from == Budget::Reserved {
            self.state.reserved = self.state.reserved.saturating_sub(1);
            self.prepared.from_reserved = self.prepared.from_reserved.saturating_add(1);
        }
        buffer.mark_dirty();
        self.set(Link {
            node,
            index,
            block: run.start,
            len: 1,
        })?;
        Ok(Node::New(buffer))
    }

    /// Sets pointers at once if nobody can see them, and later if they make something reachable.
    fn set(&mut self, link: Link) -> Result {
        match &link.node {
            Node::New(buffer) => {
                buffer.change(|bytes| write_pointers(bytes, &link));
                Ok(())
            }
            _ => self.prepared.links.push(link),
        }
    }
}

/// Stores the pointers of a link where they belong.
pub(super) fn write_pointers(bytes: &mut [u8], link: &Link) {
    let start = (link.index as usize).saturating_mul(4);
    let slots = bytes
        .get_mut(start..)
        .unwrap_or_default()
        .chunks_exact_mut(4);
    for (slot, block) in slots.zip(link.block..link.block.saturating_add(link.len)) {
        slot.copy_from_slice(&block.to_le_bytes());
    }
}

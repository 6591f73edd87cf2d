// SPDX-License-Identifier: GPL-2.0

//! Directories: names and the inodes they stand for, in blocks of entries.
//!
//! A directory's position, as `telldir(3)` gives it, is a byte in the directory. After changes it may lie in the
//! middle of an entry, and means the next one then.

use super::{
    inode, map,
    ondisk::{
        self,
        dirent::{DirBlock, DirFormat},
        error::Corruption,
    },
    volume::Place,
    Ext2, Inode, SuperBlock,
};
use crate::{
    mpage::{plan, BlockMap},
    vfs::{buffer::Buffer, dir::DirEmitter, errno::ENAMETOOLONG},
};
use kernel::{prelude::*, sync::aref::ARef};

/// How many blocks of a directory are read ahead, and mapped at once; a power of two.
const READ_AHEAD: u64 = 32;

/// A directory while it is locked.
pub(super) struct Dir<'a> {
    inode: &'a Inode,
    sb: &'a SuperBlock,
    format: DirFormat,
}

impl<'a> Dir<'a> {
    /// The directory of `inode`, whose lock is held, at least shared.
    pub(super) fn new(inode: &'a Inode) -> Self {
        let sb = inode.sb();
        let disk = &sb.data().disk;
        let format =
            DirFormat { inodes_count: disk.geometry.inodes_count(), filetype: disk.features.filetype() };
        Self { inode, sb, format }
    }

    /// Length in blocks.
    fn blocks(&self) -> u64 {
        self.inode.size() >> self.inode.block_bits()
    }

    fn damaged(&self, block: u64, error: &ondisk::error::Error) -> Error {
        self.sb.damaged(Place { ino: self.inode.ino(), block }, error)
    }

    /// Reads a block, and begins to read those after it.
    fn block(&self, index: u64) -> Result<Buffer> {
        let ahead = index & (READ_AHEAD - 1) == 0;
        let want = if ahead { READ_AHEAD.min(self.blocks().saturating_sub(index)) } else { 1 };
        let run = Ext2::map(self.inode, index, want)?;
        let plan::Place::Mapped(disk) = run.place else {
            let error = Corruption::DotEntries { reason: "it has a hole" };
            return Err(self.damaged(0, &error.into()));
        };
        for next in 1..run.len.min(want) {
            self.sb.read_ahead(disk.saturating_add(next));
        }
        map::read_metadata(self.sb, self.inode.ino(), disk)
    }

    /// Finds a name. `ENAMETOOLONG` for one that no entry can have.
    pub(super) fn lookup(&self, name: &[u8]) -> Result<Option<ARef<Inode>>> {
        if name.len() > ondisk::dirent::NAME_MAX {
            return Err(ENAMETOOLONG());
        }
        for index in 0..self.blocks() {
            let buffer = self.block(index)?;
            let found = DirBlock::new(buffer.bytes(), self.format)
                .find(name)
                .map_err(|error| self.damaged(buffer.block(), &error))?;
            if let Some(entry) = found {
                return inode::get(self.sb, entry.ino).map(Some);
            }
        }
        Ok(None)
    }

    /// Hands on entries from the emitter's position until it is full or the directory ends.
    pub(super) fn iterate(&self, out: &mut DirEmitter<'_>) -> Result {
        let bits = self.inode.block_bits();
        let mask = (1u64 << bits).saturating_sub(1);
        while out.position() < self.inode.size() {
            let start = out.position() & !mask;
            let buffer = self.block(start >> bits)?;
            let from = (out.position() & mask) as usize;
            for entry in DirBlock::new(buffer.bytes(), self.format).entries(from) {
                let entry = entry.map_err(|error| self.damaged(buffer.block(), &error))?;
                out.set_position(start.saturating_add(entry.offset as u64));
                let kind = entry.kind.map_or(DT_UNKNOWN, |kind| (kind.mode_bits() >> 12) as u8);
                if !out.emit(entry.name, entry.ino.into(), kind) {
                    return Ok(());
                }
                out.set_position(start.saturating_add(entry.end() as u64));
            }
            out.set_position(start.saturating_add(mask).saturating_add(1));
        }
        Ok(())
    }
}

/// `d_type` where the entry does not say.
const DT_UNKNOWN: u8 = 0;

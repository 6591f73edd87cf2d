// SPDX-License-Identifier: GPL-2.0

//! Directories: names and the inodes they stand for, in blocks of entries.
//!
//! A directory's position, as `telldir(3)` gives it, is a byte in the directory. After changes it may lie in the
//! middle of an entry, and means the next one then.

use super::{
    held_lists::Leaving,
    inode,
    name_index::FEW,
    ondisk::{
        self,
        dirent::{DirBlock, DirFormat},
        error::Corruption,
    },
    volume::Place,
    walk, Ext2, Inode, SuperBlock,
};
use crate::{
    mpage::{plan, BlockMap},
    vfs::{buffer::Buffer, dir::DirEmitter, errno::ENAMETOOLONG},
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic},
    },
};

/// No place in a directory.
const NOWHERE: u64 = u64::MAX;

/// How many entries are looked at where the next name is expected.
const NEAR: u32 = 4;

/// How many blocks of a directory are read ahead, and mapped at once; a power of two.
const READ_AHEAD: u64 = 32;

/// A directory while it is locked.
pub(super) struct Dir<'a> {
    pub(super) inode: &'a Inode,
    sb: &'a SuperBlock,
    pub(super) format: DirFormat,
}

/// Where to begin to search a directory. Wrong numbers cost time only.
pub(crate) struct Hints {
    /// The block in which a name was found last.
    found: Atomic<u64>,
    /// Where the entry behind the one found last begins: block in the upper half, byte in the lower. [`NOWHERE`] after a
    /// change of the directory, which may have moved it.
    next: Atomic<u64>,
    /// The block in which there was room last, and all before which are full.
    pub(super) room: Atomic<u64>,
    /// Where an entry begins in that block, behind all that gives no room. True at any time, or zero.
    pub(super) room_offset: Atomic<usize>,
}

impl Hints {
    pub(super) fn new() -> Self {
        Self {
            found: Atomic::new(0),
            next: Atomic::new(NOWHERE),
            room: Atomic::new(0),
            room_offset: Atomic::new(0),
        }
    }

    /// There may be room in that block: the search for some must not begin behind it. The directory is locked for writing,
    /// or what is found is too little for once.
    pub(super) fn may_have_room(&self, index: u64) {
        if index <= self.room.load(Relaxed) {
            self.room.store(index, Relaxed);
            self.room_offset.store(0, Relaxed);
        }
    }
}

/// An entry that was found. It stays where it is while its directory is locked for writing and not added to.
pub(super) struct Entry {
    /// The block of the directory.
    pub(super) index: u64,
    pub(super) buffer: Buffer,
    /// Where the entry before it in the block begins.
    pub(super) before: Option<usize>,
    /// First byte in the block, and first byte after the entry.
    pub(super) place: Range<usize>,
    /// The inode that it leads to.
    pub(super) ino: u32,
}

impl Entry {
    /// The entry as one that goes from `dir`, which it is in.
    pub(super) fn leaves<'a>(&'a self, dir: &'a Inode) -> Leaving<'a> {
        Leaving {
            dir,
            index: self.index,
            buffer: &self.buffer,
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &[u8] {
        let bytes = self.buffer.bytes().get(self.place.clone());
        ondisk::dirent::name_of(bytes.unwrap_or_default())
    }
}

impl<'a> Dir<'a> {
    /// The directory of `inode`, whose lock is held, at least shared.
    pub(super) fn new(inode: &'a Inode) -> Self {
        let sb = inode.sb();
        let disk = &sb.data().disk;
        let format = DirFormat {
            inodes_count: disk.geometry.inodes_count(),
            filetype: disk.features.filetype(),
        };
        Self { inode, sb, format }
    }

    /// Length in blocks.
    pub(super) fn blocks(&self) -> u64 {
        self.inode.size() >> self.inode.block_bits()
    }

    pub(super) fn damaged(&self, block: u64, error: &ondisk::error::Error) -> Error {
        self.sb.damaged(
            Place {
                ino: self.inode.ino(),
                block,
            },
            error,
        )
    }

    /// Reads a block, and begins to read those after it.
    pub(super) fn block(&self, index: u64) -> Result<Buffer> {
        let ahead = index & (READ_AHEAD - 1) == 0;
        let want = if ahead {
            READ_AHEAD.min(self.blocks().saturating_sub(index))
        } else {
            1
        };
        let run = Ext2::map(self.inode, index, want)?;
        let plan::Place::Mapped(disk) = run.place else {
            let error = Corruption::DotEntries {
                reason: "it has a hole",
            };
            return Err(self.damaged(0, &error.into()));
        };
        for next in 1..run.len.min(want) {
            self.sb.read_ahead(disk.saturating_add(next));
        }
        walk::read_metadata(self.sb, self.inode.ino(), disk)
    }

    /// Where the entry with this name is. In a large directory its [table](super::name_index) knows, which is made when
    /// a few blocks were searched in vain.
    pub(super) fn find(&self, name: &[u8]) -> Result<Option<Entry>> {
        if name.len() > ondisk::dirent::NAME_MAX {
            return Err(ENAMETOOLONG());
        }
        if let Some(places) = self.places(name) {
            return self.find_among(places, name);
        }
        // Names are asked for and removed in the order in which they lie.
        let found = self.inode.data().hints.found.load(Relaxed);
        let blocks = self.blocks();
        let first = found.min(blocks.saturating_sub(1));
        let mut order = Iterator::chain(first..blocks, 0..first);
        let entry = self.find_among(order.by_ref().take(FEW as usize), name)?;
        if entry.is_some() || blocks <= FEW {
            return Ok(entry);
        }
        self.index_names();
        match self.places(name) {
            Some(places) => self.find_among(places, name),
            None => self.find_among(order, name),
        }
    }

    /// The entry with this name in one of these blocks.
    fn find_among(&self, blocks: impl Iterator<Item = u64>, name: &[u8]) -> Result<Option<Entry>> {
        for index in blocks {
            let buffer = self.block(index)?;
            if let Some(entry) = self.find_in(index, buffer, name)? {
                self.inode.data().hints.found.store(index, Relaxed);
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The entry with this name in one block.
    fn find_in(&self, index: u64, buffer: Buffer, name: &[u8]) -> Result<Option<Entry>> {
        let found = DirBlock::new(buffer.bytes(), self.format).find_with_before(name);
        let found = found.map_err(|error| self.damaged(buffer.block(), &error))?;
        let parts = found.map(|(entry, before)| (entry.ino, entry.offset..entry.end(), before));
        Ok(parts.map(|(ino, place, before)| Entry {
            index,
            buffer,
            before,
            place,
            ino,
        }))
    }

    /// Finds a name. `ENAMETOOLONG` for one that no entry can have.
    pub(super) fn lookup(&self, name: &[u8]) -> Result<Option<ARef<Inode>>> {
        let hints = &self.inode.data().hints;
        if let Some(ino) = self.find_next(hints.next.load(Relaxed), name)? {
            return inode::get(self.sb, ino).map(Some);
        }
        let Some(entry) = self.find(name)? else {
            return Ok(None);
        };
        self.found_at(entry.index, entry.place.end);
        inode::get(self.sb, entry.ino).map(Some)
    }

    /// Names are often asked for in the order in which `readdir` gave them: looks whether this one is next.
    fn find_next(&self, hint: u64, name: &[u8]) -> Result<Option<u32>> {
        let index = hint >> 32;
        if index >= self.blocks() {
            return Ok(None);
        }
        let buffer = self.block(index)?;
        let block = DirBlock::new(buffer.bytes(), self.format);
        let found = block
            .find_near(name, hint as u32 as usize, NEAR)
            .map(|entry| (entry.ino, entry.end()));
        Ok(found.map(|(ino, end)| {
            self.found_at(index, end);
            ino
        }))
    }

    /// Remembers that an entry that was found ends at byte `end` of block `index`.
    fn found_at(&self, index: u64, end: usize) {
        let whole = end >> self.inode.block_bits() != 0;
        let (index, offset) = if whole {
            (index.wrapping_add(1), 0)
        } else {
            (index, end as u64)
        };
        self.inode
            .data()
            .hints
            .next
            .store(index << 32 | offset, Relaxed);
    }

    /// Entries are about to be moved: what was remembered of their places is void. The directory is locked for writing.
    pub(super) fn forget_places(&self) {
        self.inode.data().hints.next.store(NOWHERE, Relaxed);
    }

    /// Whether the directory has no entries but "." and "..".
    pub(super) fn is_empty(&self) -> Result<bool> {
        for index in 0..self.blocks() {
            let buffer = self.block(index)?;
            let empty = DirBlock::new(buffer.bytes(), self.format).is_empty();
            if !empty.map_err(|error| self.damaged(buffer.block(), &error))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first block, in which ".." stands, and the number that stands there.
    pub(super) fn parent(&self) -> Result<(Buffer, u32)> {
        let buffer = self.block(0)?;
        let own = u32::try_from(self.inode.ino())?;
        let parent = DirBlock::new(buffer.bytes(), self.format)
            .parent(own)
            .map(|entry| entry.ino)
            .map_err(|error| self.damaged(buffer.block(), &error))?;
        Ok((buffer, parent))
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
                let kind = entry
                    .kind
                    .map_or(DT_UNKNOWN, |kind| (kind.mode_bits() >> 12) as u8);
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

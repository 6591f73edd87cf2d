// SPDX-License-Identifier: GPL-2.0

//! Changing directories. Every method asks that the directory's lock is held for writing.

use super::{
    dir::{Dir, Entry},
    file,
    ondisk::{
        dirent::DirBlock,
        dirent_write::{DirBlockMut, Room},
        inode::Kind,
    },
    Inode,
};
use crate::vfs::buffer::Buffer;
use kernel::{prelude::*, sync::atomic::ordering::Relaxed};

impl Dir<'_> {
    /// Changes a block of the directory.
    fn change<R>(&self, buffer: &Buffer, apply: impl FnOnce(&mut DirBlockMut<'_>) -> R) -> R {
        self.forget_places();
        let apply = |bytes: &mut [u8]| apply(&mut DirBlockMut::new(bytes, self.format));
        let sb = self.inode.sb();
        sb.with_held(buffer.block(), |is_held| match is_held {
            true => buffer.change_kept_back(apply),
            false => self.inode.change_metadata(buffer, apply),
        })
    }

    /// The directory's contents changed now.
    fn touch(&self) {
        self.inode.data().attributes.clear_index();
        self.inode.set_modified_now();
        self.inode.mark_dirty();
    }

    /// Enters a name, which is not there and is 1 to 255 bytes long. Gives the block in which it stands. `ENOSPC`,
    /// `EIO`, `EUCLEAN`.
    pub(super) fn insert(&self, name: &[u8], ino: u32, kind: Kind) -> Result<u64> {
        let (index, buffer, room) = match self.find_room(name.len())? {
            Some(found) => found,
            None => self.append()?,
        };
        let offset = self.change(&buffer, |block| block.fill(&room, name, ino, kind));
        let hints = &self.inode.data().hints;
        hints.room.store(index, Relaxed);
        hints.room_offset.store(offset, Relaxed);
        self.note_inserted(name, index);
        self.touch();
        Ok(buffer.block())
    }

    /// Room for a name. The search begins where there was some last; what becomes free before that place moves it. Blocks
    /// that are held back are left out.
    fn find_room(&self, name_len: usize) -> Result<Option<(u64, Buffer, Room)>> {
        let hints = &self.inode.data().hints;
        let first = hints.room.load(Relaxed);
        for index in first..self.blocks() {
            let buffer = self.block(index)?;
            if self.inode.sb().is_held(buffer.block()) {
                continue;
            }
            let from = if index == first {
                hints.room_offset.load(Relaxed)
            } else {
                0
            };
            let room = DirBlock::new(buffer.bytes(), self.format).room_from(from, name_len);
            if let Some(room) = room.map_err(|error| self.damaged(buffer.block(), &error))? {
                return Ok(Some((index, buffer, room)));
            }
        }
        Ok(None)
    }

    /// Adds an empty block.
    fn append(&self) -> Result<(u64, Buffer, Room)> {
        let index = self.blocks();
        let buffer = self.new_block(index, |block| block.init_free())?;
        let room = Room {
            offset: 0,
            used: 0,
            len: DirBlock::new(buffer.bytes(), self.format).len(),
        };
        Ok((index, buffer, room))
    }

    /// Adds a block that `fill` makes one of a directory.
    fn new_block(&self, index: u64, fill: impl FnOnce(&mut DirBlockMut<'_>)) -> Result<Buffer> {
        let size = index.saturating_add(1) << self.inode.block_bits();
        file::dir_block(self.inode, index, size, |bytes| {
            fill(&mut DirBlockMut::new(bytes, self.format));
        })
    }

    /// Removes an entry.
    pub(super) fn remove(&self, entry: &Entry) {
        self.note_removed(entry.name(), entry.index);
        self.change(&entry.buffer, |block| {
            block.take_out(entry.before, entry.place.clone())
        });
        // There is no room in a block that is held back until it is released.
        if !self.inode.sb().is_held(entry.buffer.block()) {
            self.inode.data().hints.may_have_room(entry.index);
        }
        self.touch();
    }

    /// Makes an entry lead to another inode.
    pub(super) fn replace(&self, entry: &Entry, ino: u32, kind: Kind) {
        self.change(&entry.buffer, |block| {
            block.point_to(entry.place.start, ino, kind)
        });
        self.touch();
    }

    /// Makes ".." lead to another directory. `first` is the block that [`Dir::parent`] gave.
    pub(super) fn set_parent(&self, first: &Buffer, parent: u32) -> Result {
        let own = u32::try_from(self.inode.ino())?;
        self.change(first, |block| block.set_parent(own, parent))
            .map_err(|error| self.damaged(first.block(), &error))?;
        self.inode.mark_dirty();
        Ok(())
    }

    /// Gives a new directory its first block, with "." and "..".
    pub(super) fn init(&self, parent: &Inode) -> Result {
        let (own, parent) = (
            u32::try_from(self.inode.ino())?,
            u32::try_from(parent.ino())?,
        );
        self.new_block(0, |block| block.init_dir(own, parent))
            .map(drop)
    }
}

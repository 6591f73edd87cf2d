// SPDX-License-Identifier: GPL-2.0

//! Directory blocks, writing.
//!
//! A block stays filled from end to end: a new entry takes the unused end of another one or a free
//! entry, a removed one joins its predecessor. Every operation checks the entries on its way and
//! changes nothing if it fails.

use super::{
    dirent::{
        entry_len,
        DirBlock,
        DirEntry,
        DirFormat,
        HEADER,
        NAME_MAX, //
    },
    error::{
        Corruption,
        Result, //
    },
    inode::Kind,
    raw::Value, //
};

/// Where a new entry can go: behind the used part of the entry at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// First byte of the entry that gives room.
    pub offset: usize,
    /// Bytes of it that stay; 0 if it is free and given up whole.
    pub used: usize,
    /// Bytes for the new entry.
    pub len: usize,
}

impl Room {
    /// The room that an entry can give.
    fn of(entry: &DirEntry<'_>) -> Self {
        let used = entry.used();
        Self {
            offset: entry.offset,
            used,
            len: entry.rec_len.saturating_sub(used),
        }
    }
}

impl DirBlock<'_> {
    /// The first room for an entry with a name of `name_len` bytes.
    pub fn room_for(&self, name_len: usize) -> Result<Option<Room>> {
        self.room_from(0, name_len)
    }

    /// The same from the entry at byte `offset` on, where one is known to begin.
    pub fn room_from(&self, offset: usize, name_len: usize) -> Result<Option<Room>> {
        for slot in self.slots_from(offset) {
            let room = Room::of(&slot?);
            if room.len >= entry_len(name_len) {
                return Ok(Some(room));
            }
        }
        Ok(None)
    }
}

/// One block of a directory, to be changed.
pub struct DirBlockMut<'a> {
    bytes: &'a mut [u8],
    format: DirFormat,
}

impl<'a> DirBlockMut<'a> {
    /// A block of a directory; at most 32 KiB, so that `rec_len` can name its whole length.
    pub fn new(bytes: &'a mut [u8], format: DirFormat) -> Self {
        Self { bytes, format }
    }

    /// The same block, to be read.
    pub fn as_block(&self) -> DirBlock<'_> {
        DirBlock::new(self.bytes, self.format)
    }

    /// Makes it one free entry, whatever it was before.
    pub fn init_free(&mut self) {
        self.bytes.fill(0);
        self.put_header(0, 0, self.bytes.len());
    }

    /// Makes it the first block of directory `ino` inside `parent`, whatever it was before.
    pub fn init_dir(&mut self, ino: u32, parent: u32) {
        let first = entry_len(1);
        self.bytes.fill(0);
        self.put_header(0, ino, first);
        self.put_name(0, b".", Kind::Directory);
        self.put_header(first, parent, self.bytes.len().saturating_sub(first));
        self.put_name(first, b"..", Kind::Directory);
    }

    /// Adds an entry where there is room for it; gives back its offset, or `None` without room.
    ///
    /// The caller has made sure that the name is not there yet, is 1 to 255 bytes long and has
    /// neither slash nor NUL.
    pub fn insert(&mut self, name: &[u8], ino: u32, kind: Kind) -> Result<Option<usize>> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Ok(None);
        }
        let room = self.as_block().room_for(name.len())?;
        Ok(room.map(|room| self.fill(&room, name, ino, kind)))
    }

    /// Adds an entry in the room that [`DirBlock::room_from`] found, and gives back its offset. The caller has made
    /// sure of the name, as for [`Self::insert`].
    pub fn fill(&mut self, room: &Room, name: &[u8], ino: u32, kind: Kind) -> usize {
        let offset = room.offset.saturating_add(room.used);
        if room.used > 0 {
            self.put_rec_len(room.offset, room.used);
        }
        self.put_header(offset, ino, room.len);
        self.put_name(offset, name, kind);
        offset
    }

    /// Removes `entry`, which was found right behind the one that begins at `before`, or at the beginning of the
    /// block: its room goes to that one, or it becomes free.
    pub fn take_out(&mut self, before: Option<usize>, entry: core::ops::Range<usize>) {
        match before {
            Some(first) => self.put_rec_len(first, entry.end.saturating_sub(first)),
            None => self.put_header(entry.start, 0, entry.len()),
        }
    }

    /// Makes the entry that was found at byte `offset` lead to another inode.
    pub fn point_to(&mut self, offset: usize, ino: u32, kind: Kind) {
        self.put(offset, ino);
        self.put_kind(offset, kind);
    }

    /// Removes the entry at byte `offset`: its room goes to the entry before it, or it becomes free
    /// if it is the first.
    ///
    /// # Errors
    ///
    /// [`Corruption::EntryMissing`] if there is none in use.
    pub fn remove(&mut self, offset: usize) -> Result {
        let mut before = None;
        for slot in self.as_block().slots() {
            let entry = slot?;
            if entry.offset == offset && entry.ino != 0 {
                let end = entry.end();
                match before {
                    Some(first) => self.put_rec_len(first, end.saturating_sub(first)),
                    None => self.put_header(offset, 0, end),
                }
                return Ok(());
            }
            before = Some(entry.offset);
        }
        Err(Corruption::EntryMissing { offset }.into())
    }

    /// Makes the entry at byte `offset` lead to another inode.
    ///
    /// # Errors
    ///
    /// [`Corruption::EntryMissing`] if there is none in use.
    pub fn replace(&mut self, offset: usize, ino: u32, kind: Kind) -> Result {
        for slot in self.as_block().slots() {
            let entry = slot?;
            if entry.offset == offset && entry.ino != 0 {
                self.put(offset, ino);
                self.put_kind(offset, kind);
                return Ok(());
            }
        }
        Err(Corruption::EntryMissing { offset }.into())
    }

    /// Makes ".." of directory `ino`, whose first block this is, lead to `parent`.
    ///
    /// # Errors
    ///
    /// [`Corruption::DotEntries`] if the block does not begin with "." and "..".
    pub fn set_parent(&mut self, ino: u32, parent: u32) -> Result {
        let offset = self.as_block().parent(ino)?.offset;
        self.put(offset, parent);
        self.put_kind(offset, Kind::Directory);
        Ok(())
    }

    fn put<T: Value>(&mut self, at: usize, value: T) {
        // Every place comes from an entry that was found inside the block.
        let _ = value.write(self.bytes, at);
    }

    fn put_rec_len(&mut self, offset: usize, len: usize) {
        self.put(offset.saturating_add(4), len as u16);
    }

    fn put_header(&mut self, offset: usize, ino: u32, len: usize) {
        self.put(offset, ino);
        self.put_rec_len(offset, len);
    }

    /// The type; without the feature filetype its place is the upper half of the name's length.
    fn put_kind(&mut self, offset: usize, kind: Kind) {
        let file_type = match self.format.filetype {
            true => kind.entry_type(),
            false => 0,
        };
        self.put(offset.saturating_add(7), file_type);
    }

    /// The name, its length and the type; bytes up to the next multiple of four become zero.
    fn put_name(&mut self, offset: usize, name: &[u8], kind: Kind) {
        self.put(offset.saturating_add(6), name.len() as u8);
        self.put_kind(offset, kind);
        let start = offset.saturating_add(HEADER);
        let end = offset.saturating_add(entry_len(name.len()));
        let source = name.iter().copied().chain(core::iter::repeat(0));
        let place = self.bytes.get_mut(start..end).unwrap_or_default();
        for (to, from) in place.iter_mut().zip(source) {
            *to = from;
        }
    }
}

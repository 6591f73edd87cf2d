// SPDX-License-Identifier: GPL-2.0

//! Directory blocks, reading.
//!
//! A directory is a file whose every block is filled by entries from end to end: inode number (0
//! for a free entry), length of the entry, length of the name, type, name. A hash tree (dir_index)
//! hides in entries that are free and reach to the end of the block, so that reading it as a plain
//! list is right. Format: `Documentation/filesystems/ext4/directory.rst`, "Linear (Classic)
//! Directories".

use super::{
    error::{
        Corruption,
        Result, //
    },
    inode::Kind,
    raw::Value, //
};

/// Bytes of an entry before its name.
pub const HEADER: usize = 8;

/// Greatest length of a name in bytes.
pub const NAME_MAX: usize = 255;

/// Bytes that an entry with a name of this length needs: header and name, rounded up to a multiple
/// of four.
pub const fn entry_len(name_len: usize) -> usize {
    name_len.saturating_add(HEADER + 3) & !3
}

/// The name in an entry that has been checked, given the entry's bytes.
pub fn name_of(entry: &[u8]) -> &[u8] {
    let len = u8::read(entry, 6).unwrap_or(0);
    let rest = entry.get(HEADER..).unwrap_or_default();
    rest.get(..usize::from(len)).unwrap_or_default()
}

/// What is the same for all directory blocks of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirFormat {
    /// The highest inode number.
    pub inodes_count: u32,
    /// Whether entries have a type (feature filetype).
    pub filetype: bool,
}

/// An entry that has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// First byte of the entry in its block.
    pub offset: usize,
    /// Length of the entry in bytes, the room behind the name included.
    pub rec_len: usize,
    /// The inode; 0 in a free entry, which has no name then.
    pub ino: u32,
    /// The name, 1 to 255 bytes.
    pub name: &'a [u8],
    /// What the entry says that the inode is.
    pub kind: Option<Kind>,
}

impl DirEntry<'_> {
    /// First byte of the next entry, or the length of the block.
    pub fn end(&self) -> usize {
        self.offset.saturating_add(self.rec_len)
    }

    /// Bytes of the entry that its header and name need; 0 if it is free.
    pub fn used(&self) -> usize {
        match self.ino {
            0 => 0,
            _ => entry_len(self.name.len()),
        }
    }

    /// Whether the name is "." or "..".
    pub fn is_dot(&self) -> bool {
        matches!(self.name, b"." | b"..")
    }

    /// Checks the name, as must be done before anybody sees it. Looking for a name that is known to
    /// be good does not need it.
    ///
    /// # Errors
    ///
    /// [`Corruption::EntryName`].
    pub fn check_name(&self) -> Result {
        if self.name.iter().any(|&byte| byte == b'/' || byte == 0) {
            let offset = self.offset;
            return Err(Corruption::EntryName { offset }.into());
        }
        Ok(())
    }
}

/// One block of a directory.
#[derive(Clone, Copy)]
pub struct DirBlock<'a> {
    bytes: &'a [u8],
    format: DirFormat,
}

impl<'a> DirBlock<'a> {
    /// A block of a directory.
    pub fn new(bytes: &'a [u8], format: DirFormat) -> Self {
        Self { bytes, format }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All entries, free ones too, with names unchecked.
    pub fn slots(&self) -> Slots<'a> {
        Slots {
            block: *self,
            next: 0,
        }
    }

    /// The same from the entry at byte `offset` on, where one is known to begin.
    pub fn slots_from(&self, offset: usize) -> Slots<'a> {
        Slots {
            block: *self,
            next: offset,
        }
    }

    /// The entries that are in use and begin at or behind byte `from`, with names checked.
    ///
    /// The way is always from the beginning of the block, so that a position in the middle of an
    /// entry, which a program may have invented or kept over a change of the directory, leads to
    /// the next real entry.
    pub fn entries(&self, from: usize) -> impl Iterator<Item = Result<DirEntry<'a>>> {
        self.slots().filter_map(move |slot| match slot {
            Ok(entry) if entry.ino == 0 || entry.offset < from => None,
            Ok(entry) => Some(entry.check_name().map(|()| entry)),
            Err(error) => Some(Err(error)),
        })
    }

    /// The entry with this name. The whole block up to it is checked.
    pub fn find(&self, name: &[u8]) -> Result<Option<DirEntry<'a>>> {
        Ok(self.find_with_before(name)?.map(|(entry, _)| entry))
    }

    /// The entry with this name, if it is one of the `most` that follow from byte `offset` on, where one begins.
    pub fn find_near(&self, name: &[u8], offset: usize, most: u32) -> Option<DirEntry<'a>> {
        let mut offset = offset;
        for _ in 0..most {
            let entry = self.entry(offset).ok()?;
            if entry.ino != 0 && entry.name == name {
                return Some(entry);
            }
            offset = entry.end();
        }
        None
    }

    /// The entry with this name, and where the entry before it begins. The whole block up to it is checked.
    ///
    /// A directory without an index is searched from end to end for every new name, which makes this the loop that
    /// large directories cost most in. It looks at each entry's header and the last bytes of its name as one word
    /// each; names in a directory often begin alike.
    pub fn find_with_before(&self, name: &[u8]) -> Result<Option<(DirEntry<'a>, Option<usize>)>> {
        let end = self.bytes.len();
        let (mut offset, mut before) = (0, None);
        let wanted = last_bytes(name);
        while offset < end {
            let header = u64::read(self.bytes, offset).unwrap_or(0);
            let rec_len = (header >> 32) as usize & 0xffff;
            let name_len = (header >> 48) as usize & 0xff;
            let ino = header as u32;
            let next = offset.wrapping_add(rec_len);
            let fits =
                entry_len(name_len) <= rec_len && name_len != 0 && ino <= self.format.inodes_count;
            if rec_len < HEADER || rec_len % 4 != 0 || next > end || !(fits || ino == 0) {
                // Says what is wrong.
                self.entry(offset)?;
            }
            if ino != 0 && name_len == name.len() {
                // The word ends where the name ends; it begins inside the entry, because the header is as long.
                let word = u64::read(self.bytes, offset.wrapping_add(name_len)).unwrap_or(0);
                if keep_last(word, name_len) == wanted {
                    let entry = self.entry(offset)?;
                    if entry.name == name {
                        return Ok(Some((entry, before)));
                    }
                }
            }
            before = Some(offset);
            // What passed the checks is at least as long as its header.
            offset = next.max(offset.wrapping_add(HEADER));
        }
        Ok(None)
    }

    /// Whether the block has no entry but "." and "..".
    pub fn is_empty(&self) -> Result<bool> {
        for slot in self.slots() {
            let entry = slot?;
            if entry.ino != 0 && !entry.is_dot() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checks that this is the first block of directory `ino`, and gives back the entry "..".
    ///
    /// # Errors
    ///
    /// [`Corruption::DotEntries`] if it does not begin with "." for `ino` itself and "..".
    pub fn parent(&self, ino: u32) -> Result<DirEntry<'a>> {
        let bad = |reason| Corruption::DotEntries { reason };
        let mut slots = self.slots();
        let own = slots.next().ok_or(bad("no \".\""))??;
        if own.name != b"." || own.ino != ino {
            return Err(bad("the first entry is not \".\" for itself").into());
        }
        let parent = slots.next().ok_or(bad("no \"..\""))??;
        if parent.name != b".." {
            return Err(bad("the second entry is not \"..\"").into());
        }
        Ok(parent)
    }

    /// The entry at byte `offset`.
    ///
    /// # Errors
    ///
    /// [`Corruption::EntryHeader`] and [`Corruption::EntryInode`].
    fn entry(&self, offset: usize) -> Result<DirEntry<'a>> {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let rec_len = u16::read(rest, 4).unwrap_or(0);
        let name_len = u8::read(rest, 6).unwrap_or(0);
        let len = usize::from(rec_len);
        let bad = |reason| Corruption::EntryHeader {
            offset,
            rec_len,
            name_len: u16::from(name_len),
            reason,
        };
        if rest.len() < HEADER {
            return Err(bad("no room for an entry").into());
        }
        if len < HEADER {
            return Err(bad("rec_len is too small").into());
        }
        if len % 4 != 0 {
            return Err(bad("rec_len is not a multiple of four").into());
        }
        if len > rest.len() {
            return Err(bad("the entry does not fit its block").into());
        }
        let ino = u32::read(rest, 0).unwrap_or(0);
        if ino == 0 {
            return Ok(DirEntry {
                offset,
                rec_len: len,
                ino,
                name: &[],
                kind: None,
            });
        }
        if entry_len(usize::from(name_len)) > len {
            return Err(bad("the name does not fit the entry").into());
        }
        if name_len == 0 {
            return Err(bad("empty name").into());
        }
        if ino > self.format.inodes_count {
            return Err(Corruption::EntryInode {
                offset,
                ino,
                limit: self.format.inodes_count,
            }
            .into());
        }
        let name = rest
            .get(HEADER..)
            .and_then(|name| name.get(..usize::from(name_len)));
        let kind = u8::read(rest, 7).and_then(Kind::from_entry);
        Ok(DirEntry {
            offset,
            rec_len: len,
            ino,
            name: name.unwrap_or_default(),
            kind: kind.filter(|_| self.format.filetype),
        })
    }
}

/// Those bytes of a word, of which the last are the end of a name of `len` bytes, that are the name's.
fn keep_last(word: u64, len: usize) -> u64 {
    let others = 8usize.saturating_sub(len) as u32;
    word.checked_shr(others.wrapping_mul(8)).unwrap_or(0)
}

/// The last eight bytes of a name as a word, or all of a shorter one.
fn last_bytes(name: &[u8]) -> u64 {
    let start = name.len().saturating_sub(8);
    let tail = name.get(start..).unwrap_or_default();
    tail.iter()
        .rev()
        .fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

/// All entries of a block, in order. Ends after the first error.
pub struct Slots<'a> {
    block: DirBlock<'a>,
    next: usize,
}

impl<'a> Iterator for Slots<'a> {
    type Item = Result<DirEntry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.block.bytes.len() {
            return None;
        }
        let entry = self.block.entry(self.next);
        // Every entry is at least eight bytes long, so this comes to an end.
        self.next = match &entry {
            Ok(entry) => entry.end(),
            Err(_) => self.block.bytes.len(),
        };
        Some(entry)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The log that the kernel's `dm-log-writes` target keeps of a device.
//!
//! Format (Documentation/admin-guide/device-mapper/log-writes.rst and the comments in drivers/md/dm-log-writes.c):
//! little-endian; the first sector holds magic, version, number of entries and the sector size; then one sector for
//! each entry, followed by what was written. A mark's text stands in the entry's own sector, behind its head.

use crate::model::{decode, Chunk, CHUNK};
use std::{
    fs::File,
    io::{Error, ErrorKind, Result},
    os::unix::fs::FileExt,
};

const MAGIC: u64 = 0x6a73_6677_7368_72;
const VERSION: u64 = 1;
/// Bytes of an entry ahead of a mark's text.
const HEAD: u64 = 32;

/// Flags of an entry.
pub const FLUSH: u64 = 1;
/// The write was durable when it ended.
pub const FUA: u64 = 2;
/// Nothing was written: the sectors were discarded.
pub const DISCARD: u64 = 4;
/// Not a write but a text from outside.
pub const MARK: u64 = 8;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First byte on the device.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// See the constants of this module.
    pub flags: u64,
    /// The text of a mark.
    pub mark: Option<String>,
    /// Where the bytes stand in the log.
    data: u64,
}

impl Entry {
    /// Whether everything ahead of it in the log is durable.
    pub fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }
}

/// A log.
pub struct Log {
    file: File,
    /// All entries.
    pub entries: Vec<Entry>,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn bad(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("no log of dm-log-writes: {what}"),
    )
}

impl Log {
    /// Reads a log.
    pub fn open(path: &str) -> Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; 512];
        file.read_exact_at(&mut head, 0)?;
        if word(&head, 0) != MAGIC || word(&head, 8) != VERSION {
            return Err(bad("wrong magic or version"));
        }
        let sector = word(&head, 24) & 0xffff_ffff;
        if !(512..=65536).contains(&sector) {
            return Err(bad("wrong sector size"));
        }
        let mut entries = Vec::new();
        let mut at = sector;
        for _ in 0..word(&head, 16) {
            let (entry, next) = read_entry(&file, at, sector)?;
            entries.push(entry);
            at = next;
        }
        Ok(Self { file, entries })
    }

    /// Does to `disk` what entry `index` says was done.
    pub fn apply(&self, index: usize, disk: &File) -> Result<()> {
        let entry = self
            .entries
            .get(index)
            .ok_or_else(|| bad("no such entry"))?;
        if entry.flags & MARK != 0 || entry.len == 0 {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(entry.len).map_err(|_| bad("length"))?];
        if entry.flags & DISCARD == 0 {
            self.file.read_exact_at(&mut bytes, entry.data)?;
            self.keep_durable(index, entry, &mut bytes)?;
        }
        disk.write_all_at(&bytes, entry.offset)
    }

    /// The target writes down at once what is durable when it ends, and everything else with the next flush: what was
    /// written ahead of a durable write stands behind it in the log, and a device does not mix that up. Chunks of `bytes`
    /// that are older stay as the durable write left them.
    fn keep_durable(&self, index: usize, entry: &Entry, bytes: &mut [u8]) -> Result<()> {
        if entry.flags & FUA != 0 {
            return Ok(());
        }
        let before = self.entries[..index].iter().rev();
        for durable in before
            .take_while(|other| !other.is_flush())
            .filter(|other| other.flags & FUA != 0)
        {
            let start = entry.offset.max(durable.offset);
            let end = (entry.offset + entry.len).min(durable.offset + durable.len);
            if start >= end {
                continue;
            }
            let mut kept = vec![0; (end - start) as usize];
            let at = durable.data + (start - durable.offset);
            self.file.read_exact_at(&mut kept, at)?;
            let shared = &mut bytes[(start - entry.offset) as usize..(end - entry.offset) as usize];
            for (chunk, kept) in shared.chunks_mut(CHUNK).zip(kept.chunks(CHUNK)) {
                if is_older(chunk, kept) {
                    chunk.copy_from_slice(kept);
                }
            }
        }
        Ok(())
    }
}

/// Whether `one` is an earlier generation of the same chunk.
fn is_older(one: &[u8], other: &[u8]) -> bool {
    let written = |bytes: &[u8]| match decode(bytes) {
        Chunk::Written {
            file,
            place,
            generation,
        } => Some(((file, place), generation)),
        _ => None,
    };
    match (written(one), written(other)) {
        (Some((one, early)), Some((other, late))) => one == other && early < late,
        _ => false,
    }
}

/// The entry at `at`, and where the next one is.
fn read_entry(file: &File, at: u64, sector: u64) -> Result<(Entry, u64)> {
    let mut bytes = vec![0; sector as usize];
    file.read_exact_at(&mut bytes, at)?;
    let (first, count, flags, text) = (
        word(&bytes, 0),
        word(&bytes, 8),
        word(&bytes, 16),
        word(&bytes, 24),
    );
    let data = at + sector;
    let len = count.checked_mul(sector).ok_or_else(|| bad("length"))?;
    let mark = match flags & MARK != 0 && text <= sector - HEAD {
        true => Some(
            String::from_utf8_lossy(&bytes[HEAD as usize..(HEAD + text) as usize]).into_owned(),
        ),
        false => None,
    };
    let stored = if flags & (DISCARD | MARK) == 0 {
        len
    } else {
        0
    };
    let next = data.checked_add(stored).ok_or_else(|| bad("length"))?;
    let offset = first.checked_mul(sector).ok_or_else(|| bad("sector"))?;
    Ok((
        Entry {
            offset,
            len,
            flags,
            mark,
            data,
        },
        next,
    ))
}

/// A moment at which the power fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Entries ahead of the last flush, which are on the disk.
    pub durable: usize,
    /// Entries that may be there.
    pub sent: usize,
    /// The last mark.
    pub mark: String,
}

/// Every flush behind mark `start`, or about `flushes` of them, and about `count` moments between them.
pub fn points(entries: &[Entry], start: &str, count: usize, flushes: usize) -> Vec<Point> {
    let all = entries.iter().filter(|entry| entry.is_flush()).count();
    let (every, mut flush) = (all.div_ceil(flushes.max(1)).max(1), 0);
    let step = (entries.len() / count.max(1)).max(1);
    let (mut points, mut mark, mut durable) = (Vec::new(), None, 0);
    for (index, entry) in entries.iter().enumerate() {
        let behind = index + 1;
        if entry.is_flush() {
            durable = behind;
            flush += 1;
        }
        if let Some(text) = &entry.mark {
            // What the mark tells of is durable: it was set after that had been flushed.
            if mark.is_some() || text == start {
                mark = Some(text.clone());
            }
        }
        if let Some(mark) = mark
            .as_ref()
            .filter(|_| entry.is_flush() && flush % every == 0 || index % step == step - 1)
        {
            points.push(Point {
                durable,
                sent: behind,
                mark: mark.clone(),
            });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::encode;
    use std::{io::Write, path::Path};

    fn head(first: u64, count: u64, flags: u64, text: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = [first, count, flags, text.len() as u64]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        bytes.extend(text.as_bytes());
        bytes.resize(512, 0);
        bytes
    }

    /// The first sector of a log of four entries.
    fn start() -> Vec<u8> {
        let words = [MAGIC, VERSION, 4, 512];
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.resize(512, 0);
        bytes
    }

    /// A disk to replay to.
    fn empty(path: &Path) -> File {
        let mut options = File::options();
        options.create(true).truncate(true).read(true).write(true);
        options.open(path).unwrap()
    }

    /// mark "start", a write of sector 3, a flush, a write of sector 4.
    fn sample(path: &str) {
        let mut log = start();
        log.extend(head(0, 0, MARK, "start"));
        log.extend(head(3, 1, 0, ""));
        log.extend([7; 512]);
        log.extend(head(0, 0, FLUSH, ""));
        log.extend(head(4, 1, 0, ""));
        log.extend([8; 512]);
        File::create(path).unwrap().write_all(&log).unwrap();
    }

    #[test]
    fn reads_and_replays() {
        let path = std::env::temp_dir().join(format!("rext2-log-{}", std::process::id()));
        let disk = path.with_extension("disk");
        let name = path.to_str().unwrap();
        sample(name);
        let log = Log::open(name).unwrap();
        assert_eq!(log.entries[0].mark.as_deref(), Some("start"));
        assert!(log.entries[2].is_flush());
        let target = empty(&disk);
        target.set_len(4096).unwrap();
        for index in 0..log.entries.len() {
            log.apply(index, &target).unwrap();
        }
        let mut bytes = [0; 1024];
        target.read_exact_at(&mut bytes, 3 * 512).unwrap();
        assert_eq!(
            (bytes[0], bytes[511], bytes[512], bytes[1023]),
            (7, 7, 8, 8)
        );
        let found = points(&log.entries, "start", 4, 100);
        assert!(found.contains(&Point {
            durable: 3,
            sent: 3,
            mark: "start".into()
        }));
        assert!(found.contains(&Point {
            durable: 3,
            sent: 4,
            mark: "start".into()
        }));
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(disk).unwrap();
    }

    #[test]
    fn what_was_durable_at_once_is_not_undone() {
        let path = std::env::temp_dir().join(format!("rext2-fua-{}", std::process::id()));
        let disk = path.with_extension("disk");
        let name = path.to_str().unwrap();
        let mut log = start();
        // The second generation is durable; the first was sent before, and the third after the flush.
        for (flags, generation) in [(FUA, 2), (0, 1), (FLUSH, 0), (0, 3)] {
            let count = u64::from(generation != 0);
            log.extend(head(1, count, flags, ""));
            if generation != 0 {
                log.extend(encode(7, 0, generation));
            }
        }
        File::create(&path).unwrap().write_all(&log).unwrap();
        let log = Log::open(name).unwrap();
        let target = empty(&disk);
        let mut shown = Vec::new();
        for index in 0..4 {
            log.apply(index, &target).unwrap();
            let mut bytes = [0; CHUNK];
            target.read_exact_at(&mut bytes, 512).unwrap();
            let Chunk::Written { generation, .. } = decode(&bytes) else {
                panic!("entry {index}");
            };
            shown.push(generation);
        }
        assert_eq!(shown, [2, 2, 2, 3]);
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(disk).unwrap();
    }

    #[test]
    fn refuses_what_is_no_log() {
        let path = std::env::temp_dir().join(format!("rext2-nolog-{}", std::process::id()));
        File::create(&path).unwrap().write_all(&[0; 1024]).unwrap();
        assert!(Log::open(path.to_str().unwrap()).is_err());
        std::fs::remove_file(path).unwrap();
    }
}

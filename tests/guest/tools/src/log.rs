// SPDX-License-Identifier: GPL-2.0

//! The log that the kernel's `dm-log-writes` target keeps of a device.
//!
//! Format (Documentation/admin-guide/device-mapper/log-writes.rst and the comments in drivers/md/dm-log-writes.c):
//! little-endian; the first sector holds magic, version, number of entries and the sector size; then one sector for
//! each entry, followed by what was written. A mark's text stands in the entry's own sector, behind its head.

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

    /// Does to `disk` what the entry says was done.
    pub fn apply(&self, entry: &Entry, disk: &File) -> Result<()> {
        if entry.flags & MARK != 0 || entry.len == 0 {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(entry.len).map_err(|_| bad("length"))?];
        if entry.flags & DISCARD == 0 {
            self.file.read_exact_at(&mut bytes, entry.data)?;
        }
        disk.write_all_at(&bytes, entry.offset)
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

/// Every flush behind mark `start`, and about `count` moments between them.
pub fn points(entries: &[Entry], start: &str, count: usize) -> Vec<Point> {
    let step = (entries.len() / count.max(1)).max(1);
    let (mut points, mut mark, mut durable) = (Vec::new(), None, 0);
    for (index, entry) in entries.iter().enumerate() {
        let behind = index + 1;
        if entry.is_flush() {
            durable = behind;
        }
        if let Some(text) = &entry.mark {
            // What the mark tells of is durable: it was set after that had been flushed.
            if mark.is_some() || text == start {
                mark = Some(text.clone());
            }
        }
        if let Some(mark) = mark
            .as_ref()
            .filter(|_| entry.is_flush() || index % step == step - 1)
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
    use std::io::Write;

    fn head(first: u64, count: u64, flags: u64, text: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = [first, count, flags, text.len() as u64]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        bytes.extend(text.as_bytes());
        bytes.resize(512, 0);
        bytes
    }

    /// mark "start", a write of sector 3, a flush, a write of sector 4.
    fn sample(path: &str) {
        let mut log: Vec<u8> = [MAGIC, VERSION, 4, 512]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        log.resize(512, 0);
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
        let target = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&disk)
            .unwrap();
        target.set_len(4096).unwrap();
        for entry in &log.entries {
            log.apply(entry, &target).unwrap();
        }
        let mut bytes = [0; 1024];
        target.read_exact_at(&mut bytes, 3 * 512).unwrap();
        assert_eq!(
            (bytes[0], bytes[511], bytes[512], bytes[1023]),
            (7, 7, 8, 8)
        );
        let found = points(&log.entries, "start", 4);
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
    fn refuses_what_is_no_log() {
        let path = std::env::temp_dir().join(format!("rext2-nolog-{}", std::process::id()));
        File::create(&path).unwrap().write_all(&[0; 1024]).unwrap();
        assert!(Log::open(path.to_str().unwrap()).is_err());
        std::fs::remove_file(path).unwrap();
    }
}

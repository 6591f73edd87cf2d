// SPDX-License-Identifier: GPL-2.0

//! Compares what the kernel's trace shows with what the planner predicts.
//!
//! The trace tells which windows were read and of which folios they consist (that depends on the machine); from
//! then on every run mapped and every bio sent is predicted, in order. Needed are the events `mapfs:mpage_window`,
//! `mapfs:mpage_map`, `mapfs:mpage_bio`, `filemap:mm_filemap_add_to_page_cache` and `block:block_bio_queue`, of the
//! volume and its device alone.

use crate::{
    mpage::plan::{Place, Run},
    predict::{self, Bio, Event},
    volume::Volume,
    Result,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Range,
};

/// File n of the table has this inode number and n.
const FIRST_INO: u64 = 2;

const REASONS: [&str; 7] = [
    "not-adjacent",
    "full",
    "hole",
    "boundary",
    "eof",
    "window-end",
    "gap",
];

/// What has been seen so far.
struct Checker<'a> {
    volume: &'a Volume,
    /// The size in bytes of the folio at a position of a file.
    folios: BTreeMap<(u64, u64), u64>,
    /// What each task still has to do in its window.
    expected: HashMap<&'a str, VecDeque<Event>>,
    windows: u64,
    bios: BTreeMap<&'static str, u64>,
    bytes: u64,
}

/// Checks a trace; gives a summary.
pub(crate) fn check(volume: &Volume, trace: &str) -> Result<String> {
    let mut checker = Checker {
        volume,
        folios: BTreeMap::new(),
        expected: HashMap::new(),
        windows: 0,
        bios: BTreeMap::new(),
        bytes: 0,
    };
    for (index, line) in trace.lines().enumerate() {
        if line.contains("LOST") {
            return Err("the trace lost events; give it larger buffers".into());
        }
        if !line.trim_start().starts_with('#') {
            checker
                .line(line)
                .map_err(|error| format!("{error}\n  line {}: {}", index + 1, line.trim()))?;
        }
    }
    checker.end()
}

/// The number after a word.
fn after<T: std::str::FromStr>(words: &[&str], key: &str) -> Result<T> {
    let at = words.iter().position(|word| *word == key);
    let value = at
        .and_then(|at| words.get(at + 1))
        .and_then(|word| word.parse().ok());
    value.ok_or_else(|| format!("the event has no '{key} NUMBER'"))
}

/// The number in a word KEY=NUMBER.
fn assigned(words: &[&str], key: &str) -> Result<u64> {
    let value = words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let value = value.and_then(|value| value.parse().ok());
    value.ok_or_else(|| format!("the event has no '{key}=NUMBER'"))
}

impl<'a> Checker<'a> {
    fn line(&mut self, line: &'a str) -> Result {
        // "TASK-PID [CPU] FLAGS TIME: EVENT: DETAILS"
        let mut parts = line.splitn(3, ": ");
        let (Some(head), Some(event), Some(details)) = (parts.next(), parts.next(), parts.next())
        else {
            return Ok(());
        };
        let task = head.split(" [").next().unwrap_or_default().trim();
        let words: Vec<&str> = details.split_whitespace().collect();
        match event {
            "mm_filemap_add_to_page_cache" => self.folio(&words),
            "mpage_window" => self.window(task, &words),
            "mpage_map" => self.seen(task, Event::Map(map(&words)?)),
            "mpage_bio" => self.seen(task, Event::Bio(bio(&words)?)),
            "block_bio_queue" => self.seen(task, queued(&words)?),
            _ => Ok(()),
        }
    }

    /// "dev 254:0 ino 2 pfn=0x1234 ofs=4096 order=2"; the inode number is hexadecimal.
    fn folio(&mut self, words: &[&str]) -> Result {
        let ino: String = after(words, "ino")?;
        let ino =
            u64::from_str_radix(&ino, 16).map_err(|_| "the inode number is not hexadecimal")?;
        let size = 4096u64
            .checked_shl(assigned(words, "order")? as u32)
            .ok_or("the order is too large")?;
        self.folios.insert((ino, assigned(words, "ofs")?), size);
        Ok(())
    }

    fn window(&mut self, task: &'a str, words: &[&str]) -> Result {
        self.all_done(task)?;
        let (ino, pos, len) = (
            after(words, "ino")?,
            after(words, "pos")?,
            after::<u64>(words, "len")?,
        );
        let index = usize::try_from(FIRST_INO)
            .ok()
            .and_then(|first| usize::try_from(ino).ok()?.checked_sub(first));
        let file = index.and_then(|index| self.volume.layout.files.get(index));
        let file = file.ok_or("the volume has no such file")?;
        if after::<u64>(words, "size")? != file.size {
            return Err(format!("{} should have {} bytes", file.name, file.size));
        }
        let window = pos..pos + len;
        let folios = self.folios_of(ino, window.clone())?;
        let events = predict::window(self.volume.layout.block_bits, file, window, folios);
        self.expected.insert(task, events.into());
        self.windows += 1;
        Ok(())
    }

    /// The folios that make up a window.
    fn folios_of(&self, ino: u64, window: Range<u64>) -> Result<Vec<Range<u64>>> {
        let mut folios = Vec::new();
        let mut pos = window.start;
        while pos < window.end {
            let size = self
                .folios
                .get(&(ino, pos))
                .ok_or_else(|| format!("no folio is known at {pos}"))?;
            folios.push(pos..pos + size);
            pos += size;
        }
        Ok(folios)
    }

    /// Something happened: it has to be the next thing expected of the task.
    fn seen(&mut self, task: &'a str, event: Event) -> Result {
        let next = self.expected.get_mut(task).and_then(VecDeque::pop_front);
        match next {
            Some(next) if next == event => {}
            Some(next) => return Err(format!("predicted: {next}\n  but found: {event}")),
            None => return Err(format!("nothing more was predicted, but found: {event}")),
        }
        if let Event::Bio(bio) = event {
            *self.bios.entry(bio.reason).or_default() += 1;
            self.bytes += bio.bytes;
        }
        Ok(())
    }

    fn all_done(&self, task: &str) -> Result {
        match self.expected.get(task).and_then(VecDeque::front) {
            Some(event) => Err(format!("predicted, but not done by {task}: {event}")),
            None => Ok(()),
        }
    }

    fn end(self) -> Result<String> {
        for task in self.expected.keys() {
            self.all_done(task)?;
        }
        let bios: u64 = self.bios.values().sum();
        let reasons: String = self
            .bios
            .iter()
            .map(|(reason, count)| format!(" {reason}={count}"))
            .collect();
        Ok(format!(
            "windows={} folios={} bios={bios} bytes={}{reasons}\n",
            self.windows,
            self.folios.len(),
            self.bytes
        ))
    }
}

/// "dev 254,0 ino 2 block 0 count 4 disk 1024 boundary"
fn map(words: &[&str]) -> Result<Run> {
    let place = match words.contains(&"hole") {
        true => Place::Hole,
        false => Place::Mapped(after(words, "disk")?),
    };
    let boundary = words.contains(&"boundary");
    Ok(Run {
        first: after(words, "block")?,
        len: after(words, "count")?,
        place,
        boundary,
    })
}

/// "dev 254,0 ino 2 read sector 8192 bytes 4096 folios 1 reason eof"
fn bio(words: &[&str]) -> Result<Bio> {
    let reason: String = after(words, "reason")?;
    let reason = REASONS
        .into_iter()
        .find(|known| *known == reason)
        .ok_or("there is no such reason")?;
    let (sector, bytes, folios) = (
        after(words, "sector")?,
        after(words, "bytes")?,
        after(words, "folios")?,
    );
    Ok(Bio {
        sector,
        bytes,
        folios,
        reason,
    })
}

/// "254,0 RA 8192 + 8 [cat]"
fn queued(words: &[&str]) -> Result<Event> {
    match words {
        [_, _, sector, "+", ..] => {
            let sector = sector.parse().map_err(|_| "the sector is not a number")?;
            Ok(Event::Queued(sector, after::<u64>(words, "+")? << 9))
        }
        _ => Err("the event has no 'SECTOR + SECTORS'".into()),
    }
}

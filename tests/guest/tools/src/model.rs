// SPDX-License-Identifier: GPL-2.0

//! What a workload has done, written down as it went, and what may be left of it after a power cut.
//!
//! Files are made of chunks of [`CHUNK`] bytes. A chunk says which file and which place in it it was written for, and in
//! which generation: so every byte of a file tells whether it belongs there.

use crate::event::Event;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a chunk; no more than the smallest block.
pub const CHUNK: usize = 512;
/// Bytes of the largest block.
const LARGEST_BLOCK: usize = 4096;
/// Begins every chunk of a file's contents.
const MAGIC: u32 = 0x5243_484b;
/// What the disk is filled with before: it must never show.
pub const STALE: u8 = 0xdb;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Only zeroes.
    Zero,
    /// What was written by somebody for this file and place.
    Written {
        file: u32,
        place: u32,
        generation: u32,
    },
    /// Anything else.
    Foreign,
}

/// The bytes of a chunk.
pub fn encode(file: u32, place: u32, generation: u32) -> [u8; CHUNK] {
    let mut bytes = [0; CHUNK];
    let words = [MAGIC, file, place, generation];
    for (slot, word) in bytes.chunks_exact_mut(4).zip(words.iter().cycle()) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// What the bytes of a chunk say.
pub fn decode(bytes: &[u8]) -> Chunk {
    if bytes.iter().all(|byte| *byte == 0) {
        return Chunk::Zero;
    }
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|w| w.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    };
    let (file, place, generation) = (word(4), word(8), word(12));
    match bytes == encode(file, place, generation) {
        true => Chunk::Written {
            file,
            place,
            generation,
        },
        false => Chunk::Foreign,
    }
}

/// The name of a file below directory `old` if that is called `new`.
fn below(name: &str, old: &str, new: &str) -> Option<String> {
    Some(format!(
        "{new}/{}",
        name.strip_prefix(old)?.strip_prefix('/')?
    ))
}

/// One file: what it is now, and what it may be after a power cut.
#[derive(Clone, Debug, Default)]
pub struct FileModel {
    /// Its name; `None` if it is gone.
    pub name: Option<String>,
    /// The generation of each chunk; zero for a hole.
    pub chunks: Vec<u32>,
    /// Names under which it may be found. Without `maybe_gone` it must be under one of them.
    pub names: BTreeSet<String>,
    /// It may be missing.
    pub maybe_gone: bool,
    /// What it was when it was last made durable; `None` if never.
    synced: Option<Vec<u32>>,
    /// Generations that a chunk may have besides.
    later: BTreeMap<u32, BTreeSet<u32>>,
    /// The fewest and the most chunks that it may have.
    least: usize,
    most: usize,
}

impl FileModel {
    fn may_be(&mut self, place: u32, generation: u32) {
        self.later.entry(place).or_default().insert(generation);
    }

    fn resized(&mut self) {
        self.least = self.least.min(self.chunks.len());
        self.most = self.most.max(self.chunks.len());
    }

    fn set(&mut self, first: u32, end: u32, generation: u32) {
        for place in first..end {
            if self.chunks.len() <= place as usize {
                self.chunks.resize(place as usize + 1, 0);
            }
            self.chunks[place as usize] = generation;
            self.may_be(place, generation);
        }
        self.resized();
    }

    fn truncate(&mut self, chunks: u32) {
        let end = self.chunks.len() as u32;
        self.chunks.resize(chunks as usize, 0);
        for place in chunks.min(end)..chunks.max(end) {
            self.may_be(place, 0);
        }
        self.resized();
    }

    fn sync(&mut self) {
        self.synced = Some(self.chunks.clone());
        self.later.clear();
        (self.least, self.most) = (self.chunks.len(), self.chunks.len());
    }

    fn sync_range(&mut self, first: u32, end: u32) {
        let synced = self.synced.get_or_insert_default();
        for place in first..end.min(self.chunks.len() as u32) {
            if synced.len() <= place as usize {
                synced.resize(place as usize + 1, 0);
            }
            synced[place as usize] = self.chunks[place as usize];
            self.later.remove(&place);
        }
        self.least = self.least.max(end.min(self.chunks.len() as u32) as usize);
    }

    fn sync_name(&mut self) {
        self.names = self.name.iter().cloned().collect();
        self.maybe_gone = self.name.is_none();
    }

    /// A directory that it may be in has moved: it may still be there although it was renamed or removed before.
    fn moved(&mut self, old: &str, new: &str) {
        let names: Vec<String> = self
            .names
            .iter()
            .filter_map(|name| below(name, old, new))
            .collect();
        self.names.extend(names);
        if let Some(name) = self.name.as_ref().and_then(|name| below(name, old, new)) {
            self.name = Some(name);
        }
    }

    /// Why the file cannot be what is left of it after the power cut; `None` if it can.
    pub fn refuses(&self, number: u32, found: &[u8]) -> Option<String> {
        let chunks = found.len() / CHUNK;
        // Where the power failed ahead of the size, e2fsck rounds it up to a block.
        let most = self.most.next_multiple_of(LARGEST_BLOCK / CHUNK);
        if self.synced.is_some()
            && (found.len() % CHUNK != 0 || chunks < self.least || chunks > most)
        {
            return Some(format!(
                "has {} bytes, and should have {} to {} chunks",
                found.len(),
                self.least,
                self.most
            ));
        }
        found
            .chunks(CHUNK)
            .zip(0u32..)
            .find_map(|(bytes, place)| self.refuses_chunk(number, place, decode(bytes)))
    }

    fn refuses_chunk(&self, number: u32, place: u32, chunk: Chunk) -> Option<String> {
        let generation = match chunk {
            Chunk::Zero => 0,
            Chunk::Written {
                file,
                place: at,
                generation,
            } if (file, at) == (number, place) => generation,
            other => return Some(format!("chunk {place} shows {other:?}")),
        };
        let synced = self.synced.as_ref()?;
        let durable = synced.get(place as usize).copied().unwrap_or(0);
        let later = self
            .later
            .get(&place)
            .is_some_and(|set| set.contains(&generation));
        if generation == durable || later {
            return None;
        }
        Some(format!(
            "chunk {place} has generation {generation}, and was made durable with {durable}"
        ))
    }
}

/// The events, with the syncs of other threads that had returned before the mark where they began.
fn in_place(events: &[Event], mark: u32) -> Vec<Event> {
    let mut syncs: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
    for event in events
        .iter()
        .take_while(|event| **event != Event::Mark(mark))
    {
        let (since, sync) = match event {
            Event::SyncSince(file, since) => (since, Event::Sync(*file)),
            Event::SyncAllSince(since) => (since, Event::SyncAll),
            _ => continue,
        };
        syncs.entry(*since as usize).or_default().push(sync);
    }
    let begun = |at: usize| syncs.get(&at).cloned().unwrap_or_default();
    let ordered = events.iter().enumerate();
    ordered
        .flat_map(|(at, event)| begun(at).into_iter().chain([event.clone()]))
        .collect()
}

/// All files, after the events.
#[derive(Debug, Default)]
pub struct Model {
    /// The files by number.
    pub files: BTreeMap<u32, FileModel>,
    /// Directories that moved since names were last durable, with their old and new names. Where the disk has both,
    /// e2fsck keeps one of them.
    moves: Vec<(String, String)>,
}

impl Model {
    /// What may be there when the power fails after mark `mark` (0: before the first one): what came before it that was made durable, and anything
    /// that was done later, or not.
    pub fn after_mark(events: &[Event], mark: u32) -> Self {
        let mut model = Self::default();
        let mut durable = mark > 0;
        for event in in_place(events, mark) {
            model.apply(&event, durable);
            durable &= event != Event::Mark(mark);
        }
        model
    }

    /// Takes note of an event while the power is on.
    pub fn record(&mut self, event: &Event) {
        self.apply(event, true);
    }

    fn apply(&mut self, event: &Event, durable: bool) {
        match event {
            Event::Create(number, name) => {
                let file = FileModel {
                    name: Some(name.clone()),
                    maybe_gone: true,
                    ..FileModel::default()
                };
                self.files.insert(*number, file);
                self.named(*number, name);
            }
            Event::Rename(number, name) => {
                let replaced = self
                    .files
                    .iter()
                    .find(|(_, file)| file.name.as_ref() == Some(name))
                    .map(|(other, _)| *other);
                if let Some(other) = replaced {
                    self.gone(other);
                }
                self.named(*number, name);
            }
            Event::MoveDirectory(old, new) => {
                self.files
                    .values_mut()
                    .for_each(|file| file.moved(old, new));
                self.moves.push((old.clone(), new.clone()));
            }
            Event::Unlink(number) => self.gone(*number),
            Event::Write(number, first, end, generation) => {
                self.change(*number, |file| file.set(*first, *end, *generation))
            }
            Event::Punch(number, first, end) => self.change(*number, |file| {
                let end = (*end).min(file.chunks.len() as u32);
                file.set(*first, end, 0);
            }),
            Event::Truncate(number, chunks) => self.change(*number, |file| file.truncate(*chunks)),
            Event::Sync(number) if durable => self.change(*number, FileModel::sync),
            Event::SyncRange(number, first, end) if durable => {
                self.change(*number, |file| file.sync_range(*first, *end))
            }
            Event::SyncNames if durable => self.sync_names(),
            Event::SyncAll if durable => {
                self.files.values_mut().for_each(FileModel::sync);
                self.sync_names();
            }
            Event::Sync(_)
            | Event::SyncRange(..)
            | Event::SyncNames
            | Event::SyncAll
            | Event::SyncSince(..)
            | Event::SyncAllSince(_)
            | Event::Mark(_) => {}
        }
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut FileModel)) {
        if let Some(file) = self.files.get_mut(&number) {
            change(file);
        }
    }

    fn sync_names(&mut self) {
        self.files.values_mut().for_each(FileModel::sync_name);
        self.moves.clear();
    }

    fn named(&mut self, number: u32, name: &str) {
        let mut names = BTreeSet::from([name.to_string()]);
        for (old, new) in self.moves.iter().rev() {
            let before: Vec<String> = names
                .iter()
                .filter_map(|name| below(name, new, old))
                .collect();
            names.extend(before);
        }
        self.change(number, |file| {
            file.name = Some(name.to_string());
            file.names.append(&mut names);
        });
    }

    fn gone(&mut self, number: u32) {
        self.change(number, |file| {
            file.name = None;
            file.maybe_gone = true;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(number: u32, generations: &[u32]) -> Vec<u8> {
        let chunk = |(place, generation): (usize, &u32)| match generation {
            0 => [0; CHUNK],
            generation => encode(number, place as u32, *generation),
        };
        generations.iter().enumerate().flat_map(chunk).collect()
    }

    fn events() -> Vec<Event> {
        let lines =
            "create 1 a\nwrite 1 0 2 1\nsync 1\nsync-names\nmark 5\nwrite 1 1 3 2\nrename 1 b";
        lines
            .lines()
            .map(|line| Event::parse(line).unwrap())
            .collect()
    }

    #[test]
    fn keeps_what_was_synced() {
        let model = Model::after_mark(&events(), 5);
        let file = &model.files[&1];
        assert!(!file.maybe_gone && file.names.len() == 2);
        for good in [&[1, 1][..], &[1, 2], &[1, 2, 2], &[1, 1, 2]] {
            assert_eq!(file.refuses(1, &contents(1, good)), None);
        }
        for bad in [
            &[1][..],
            &[0, 1],
            &[2, 1],
            &[1, 0],
            &[1, 1, 1],
            &[1, 1, 2, 2],
            &[1; 9],
        ] {
            assert!(file.refuses(1, &contents(1, bad)).is_some(), "{bad:?}");
        }
        assert!(file.refuses(1, &[STALE; 2 * CHUNK]).is_some());
        assert!(file.refuses(1, &contents(2, &[1, 1])).is_some());
    }

    #[test]
    fn a_sync_of_another_thread_counts_from_where_it_began() {
        let lines = "create 1 a\nwrite 1 0 2 1\nwrite 1 0 1 2\nsync-since 1 2\nmark 1\nsync-all-since 3\nmark 2";
        let events: Vec<Event> = lines.lines().filter_map(Event::parse).collect();
        let file = |mark: u32| Model::after_mark(&events, mark).files[&1].clone();
        assert_eq!(file(1).refuses(1, &contents(1, &[1, 1])), None);
        assert_eq!(file(1).refuses(1, &contents(1, &[2, 1])), None);
        assert!(file(1).refuses(1, &contents(1, &[0, 1])).is_some());
        assert!(file(1).maybe_gone && !file(2).maybe_gone);
        assert!(file(2).refuses(1, &contents(1, &[1, 1])).is_some());
    }

    #[test]
    fn keeps_a_range_that_was_synced() {
        let lines =
            "create 1 a\nwrite 1 0 4 1\nsync-range 1 1 2\nsync-names\nmark 1\nwrite 1 3 4 2";
        let events: Vec<Event> = lines.lines().filter_map(Event::parse).collect();
        let file = &Model::after_mark(&events, 1).files[&1];
        for good in [&[0, 1][..], &[1, 1, 0], &[1, 1, 1, 2]] {
            assert_eq!(file.refuses(1, &contents(1, good)), None);
        }
        for bad in [&[1][..], &[1, 0], &[1, 1, 2]] {
            assert!(file.refuses(1, &contents(1, bad)).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn names_go_with_their_directory() {
        let lines = "create 1 d/f\ncreate 2 d/g\nsync-all\nunlink 2\nmark 1\nmove-directory d e\nmove-directory e h";
        let events: Vec<Event> = lines.lines().filter_map(Event::parse).collect();
        let model = Model::after_mark(&events, 1);
        let names = |number: u32| {
            model.files[&number]
                .names
                .iter()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(model.files[&1].name.as_deref(), Some("h/f"));
        assert_eq!(names(1), ["d/f", "e/f", "h/f"]);
        // What was removed and never made durable may come back wherever its directory is found.
        assert_eq!(names(2), ["d/g", "e/g", "h/g"]);
        assert!(!model.files[&1].maybe_gone && model.files[&2].maybe_gone);
    }

    #[test]
    fn a_moved_directory_may_be_under_its_old_name() {
        let lines =
            "sync-names\nmove-directory d e\nmove-directory e/a b\ncreate 1 b/f\ncreate 2 e/f";
        let mut events: Vec<Event> = lines.lines().filter_map(Event::parse).collect();
        let names = |events: &[Event], number: u32| {
            let names = Model::after_mark(events, 0).files[&number].names.clone();
            names.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(names(&events, 1), ["b/f", "d/a/f", "e/a/f"]);
        assert_eq!(names(&events, 2), ["d/f", "e/f"]);
        let mut durable = Model::default();
        events.insert(3, Event::SyncNames);
        events.iter().for_each(|event| durable.record(event));
        assert_eq!(durable.files[&1].names.len(), 1);
    }

    #[test]
    fn asks_nothing_of_what_was_not_synced() {
        let model = Model::after_mark(&events()[..2], 0);
        assert!(model.files[&1].maybe_gone);
        assert!(Model::after_mark(&events(), 0).files[&1].maybe_gone);
        assert_eq!(model.files[&1].refuses(1, &[]), None);
        assert!(model.files[&1].refuses(1, &[STALE; CHUNK]).is_some());
    }
}

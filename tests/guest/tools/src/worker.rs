// SPDX-License-Identifier: GPL-2.0

//! Works on files in ways that look random, and writes down what it does.

mod beside;
mod directories;
mod journal;

use crate::{
    event::Event,
    kinds::{
        Action::{self, *},
        Weights,
    },
    model::{encode, Model, CHUNK},
    random::Random,
    system,
};
use beside::Beside;
use journal::Journal;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Error, ErrorKind, Result},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

/// The most chunks of a file: past the blocks that a pointer block of 1 KiB knows.
const LONGEST: u32 = 900;
/// Files that live at a time, about.
const FILES: usize = 24;
/// Directories that stay; others come and go below them.
const DIRECTORIES: u64 = 4;

/// A live file: its number, name and length in chunks.
type Live = (u32, String, u32);

/// A running workload.
pub struct Worker {
    dir: PathBuf,
    journal: Arc<Journal>,
    /// Threads that sync meanwhile.
    beside: Option<Beside>,
    random: Random,
    weights: Weights,
    model: Model,
    /// All directories, by their names below `dir`.
    directories: BTreeSet<String>,
    next: u32,
    generation: u32,
}

impl Worker {
    /// Makes the directories, in which it works as `kind` says. Marks go into the log of `device`. So many threads sync
    /// meanwhile.
    pub fn new(
        dir: &str,
        journal: &str,
        seed: u64,
        kind: &str,
        device: Option<String>,
        syncers: u32,
    ) -> Result<Self> {
        let weights = Weights::of(kind)
            .ok_or_else(|| Error::other(format!("there is no workload '{kind}'")))?;
        let mut worker = Self {
            dir: PathBuf::from(dir),
            journal: Arc::new(Journal::create(journal, device)?),
            beside: None,
            random: Random::new(seed),
            weights,
            model: Model::default(),
            directories: (0..DIRECTORIES)
                .map(|number| format!("d{number}"))
                .collect(),
            next: 1,
            generation: 0,
        };
        for name in &worker.directories {
            fs::create_dir(worker.dir.join(name))?;
        }
        File::open(&worker.dir)?.sync_all()?;
        worker.sync_names()?;
        worker.mark()?;
        if syncers > 0 {
            worker.beside = Some(Beside::start(&worker.dir, &worker.journal, syncers)?);
        }
        Ok(worker)
    }

    /// The end: what the other threads say.
    pub fn finish(self) -> Result<()> {
        self.beside.map_or(Ok(()), Beside::finish)
    }

    /// One step.
    pub fn step(&mut self) -> Result<()> {
        let live: Vec<Live> = self.live();
        self.offer(&live)?;
        let mut action = self.weights.choose(&mut self.random);
        if live.len() < 3 || (action == Create && live.len() >= FILES) {
            action = if live.len() < 3 { Create } else { Append };
        }
        let index = self.random.below(live.len() as u64) as usize;
        match (action, live.get(index).cloned()) {
            (Create, _) | (_, None) => self.create(),
            (MakeDirectory, _) => self.make_directory(),
            (MoveDirectory, _) => self.move_directory(),
            (RemoveDirectory, _) => self.remove_directory(),
            (SyncAll, _) => self.sync_all(),
            (SyncNames, _) => self.sync_names().and_then(|()| self.mark()),
            (action, Some(file)) => self.change(action, file),
        }
    }

    /// Nothing is half done: from here on the other threads sync what was done so far, one of them a file.
    fn offer(&mut self, live: &[Live]) -> Result<()> {
        if self.beside.is_none() {
            return Ok(());
        }
        let index = self.random.below(live.len() as u64) as usize;
        let file = match live.get(index) {
            Some((number, name, _)) => Some((*number, Arc::new(self.open(name)?))),
            None => None,
        };
        if let Some(beside) = &self.beside {
            beside.offer(self.journal.lines()?, file)?;
        }
        Ok(())
    }

    /// Does something with one file. If the volume is full, the file goes.
    fn change(&mut self, action: Action, (number, name, chunks): Live) -> Result<()> {
        let result = self.change_file(action, number, &name, chunks);
        match result {
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                let live = self.live().into_iter().find(|(other, ..)| *other == number);
                live.map_or(Ok(()), |(_, name, _)| self.unlink(number, &name))
            }
            result => result,
        }
    }

    fn change_file(&mut self, action: Action, number: u32, name: &str, chunks: u32) -> Result<()> {
        if chunks == 0 {
            return self.write(number, name, 0, 1);
        }
        let place = self.below(chunks);
        let some = 1 + self.below(30);
        let room = |len: u32| len.min(LONGEST.saturating_sub(chunks));
        match action {
            Append => {
                let len = room(1 + self.below(120));
                self.write(number, name, chunks, len)
            }
            Overwrite => self.write(number, name, place, some),
            Far => {
                let place = self.below(LONGEST);
                self.write(number, name, place, 1)
            }
            Truncate => {
                let left = self.below(chunks + 10);
                self.truncate(number, name, left)
            }
            Punch => self.clear(number, name, place, 2 * some, system::PUNCH),
            // Past the end there is nothing to zero that would stay.
            Zero => self.clear(number, name, place, some.min(chunks - place), system::ZERO),
            Allocate => self.allocate(number, name, place, 4 * some),
            Unlink => self.unlink(number, name),
            Rename => {
                let new = self.new_name();
                self.rename(number, name, new)
            }
            Relink => self.relink(number, name),
            Replace => self.replace(name.to_string()),
            Map => self.map(number, name, chunks, false),
            MapSync => self.map(number, name, chunks, true),
            Direct => self.special(number, name, place, some, true, false),
            DirectDurable => self.special(number, name, place, some, true, true),
            Durable => self.special(number, name, place, some, false, true),
            StartWriting => system::start_writing(&self.open(name)?),
            _ => {
                self.sync(number, name)?;
                self.mark()
            }
        }
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.random.below(limit.into()) as u32
    }

    fn live(&self) -> Vec<Live> {
        let named = |(number, file): (&u32, &crate::model::FileModel)| {
            Some((*number, file.name.clone()?, file.chunks.len() as u32))
        };
        self.model.files.iter().filter_map(named).collect()
    }

    fn note(&mut self, event: Event) -> Result<()> {
        self.journal.write(&event)?;
        self.model.record(&event);
        Ok(())
    }

    /// What was noted so far as durable is durable behind this mark.
    fn mark(&mut self) -> Result<()> {
        self.journal.mark(None)
    }

    fn any_directory(&mut self) -> String {
        let index = self.random.below(self.directories.len() as u64) as usize;
        self.directories
            .iter()
            .nth(index)
            .cloned()
            .unwrap_or_default()
    }

    fn new_name(&mut self) -> String {
        let directory = self.any_directory();
        format!("{directory}/f{}-{}", self.next, self.random.below(1000))
    }

    fn open(&self, name: &str) -> Result<File> {
        File::options()
            .read(true)
            .write(true)
            .open(self.dir.join(name))
    }

    fn create(&mut self) -> Result<()> {
        let name = self.new_name();
        let number = self.next;
        self.next += 1;
        self.note(Event::Create(number, name.clone()))?;
        let made = File::options()
            .write(true)
            .create_new(true)
            .open(self.dir.join(&name));
        match made {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                return self.note(Event::Unlink(number));
            }
            Err(error) => return Err(error),
        }
        self.change(Append, (number, name, 0))
    }

    /// Notes come first: what was done may be found, what was not noted may not.
    fn write(&mut self, number: u32, name: &str, first: u32, len: u32) -> Result<()> {
        let bytes = self.contents(number, first, len)?;
        self.open(name)?.write_all_at(&bytes, position(first))
    }

    /// Notes that chunks get a new generation, and gives their bytes.
    fn contents(&mut self, number: u32, first: u32, len: u32) -> Result<Vec<u8>> {
        self.generation += 1;
        let (generation, end) = (self.generation, first + len);
        self.note(Event::Write(number, first, end, generation))?;
        Ok((first..end)
            .flat_map(|place| encode(number, place, generation))
            .collect())
    }

    fn truncate(&mut self, number: u32, name: &str, chunks: u32) -> Result<()> {
        self.note(Event::Truncate(number, chunks))?;
        self.open(name)?.set_len(position(chunks))
    }

    /// Punches a hole, or zeroes.
    fn clear(&mut self, number: u32, name: &str, first: u32, len: u32, mode: i32) -> Result<()> {
        self.note(Event::Punch(number, first, first + len))?;
        let (offset, len) = (position(first) as i64, position(len) as i64);
        system::fallocate(&self.open(name)?, mode, offset, len)
    }

    fn allocate(&mut self, number: u32, name: &str, first: u32, len: u32) -> Result<()> {
        let chunks = self
            .model
            .files
            .get(&number)
            .map_or(0, |file| file.chunks.len()) as u32;
        if first + len > chunks {
            self.note(Event::Truncate(number, first + len))?;
        }
        let (offset, len) = (position(first) as i64, position(len) as i64);
        system::fallocate(&self.open(name)?, system::ALLOCATE, offset, len)
    }

    /// Writes some chunks of the file as it is, through a mapping.
    fn map(&mut self, number: u32, name: &str, chunks: u32, sync: bool) -> Result<()> {
        let first = self.below(chunks);
        let len = (1 + self.below(30)).min(chunks - first);
        if len == 0 {
            return Ok(());
        }
        let bytes = self.contents(number, first, len)?;
        let (size, offset) = (position(chunks) as usize, position(first) as usize);
        system::write_mapped(&self.open(name)?, size, offset, &bytes, sync)?;
        if sync {
            self.note(Event::SyncRange(number, 0, chunks))?;
            self.mark()?;
        }
        Ok(())
    }

    fn special(
        &mut self,
        number: u32,
        name: &str,
        first: u32,
        len: u32,
        direct: bool,
        durable: bool,
    ) -> Result<()> {
        // Every second time whole pages, as programs do it.
        let (first, len) = match self.below(2) {
            0 => (first & !7, len.next_multiple_of(8)),
            _ => (first, len),
        };
        let bytes = self.contents(number, first, len)?;
        let path = self.dir.join(name);
        system::write_special(&path, position(first), &bytes, direct, durable)?;
        if durable {
            self.note(Event::SyncRange(number, first, first + len))?;
            self.mark()?;
        }
        Ok(())
    }

    fn unlink(&mut self, number: u32, name: &str) -> Result<()> {
        self.note(Event::Unlink(number))?;
        fs::remove_file(self.dir.join(name))
    }

    fn rename(&mut self, number: u32, name: &str, new: String) -> Result<()> {
        self.note(Event::Rename(number, new.clone()))?;
        fs::rename(self.dir.join(name), self.dir.join(&new))
    }

    /// The way of programs that must not overwrite: a new name first, then the old one goes. Every second time there is one
    /// between them, which goes before the old one.
    fn relink(&mut self, number: u32, name: &str) -> Result<()> {
        let between = match self.below(2) {
            0 => None,
            _ => Some(self.new_name()),
        };
        let new = self.new_name();
        for new in between.iter().chain([&new]) {
            self.note(Event::Rename(number, new.clone()))?;
            fs::hard_link(self.dir.join(name), self.dir.join(new))?;
        }
        for old in between.as_deref().into_iter().chain([name]) {
            fs::remove_file(self.dir.join(old))?;
        }
        Ok(())
    }

    /// The way programs replace a file: a new one is written, made durable and renamed over the old one.
    fn replace(&mut self, target: String) -> Result<()> {
        self.create()?;
        let number = self.next - 1;
        // The volume may have been full.
        let Some((_, name, _)) = self.live().into_iter().find(|(other, ..)| *other == number)
        else {
            return Ok(());
        };
        self.sync(number, &name)?;
        self.rename(number, &name, target)?;
        if self.below(2) == 0 {
            self.sync_names()?;
        }
        self.mark()
    }

    fn sync(&mut self, number: u32, name: &str) -> Result<()> {
        let file = self.open(name)?;
        match self.random.below(3) {
            0 => file.sync_data()?,
            _ => file.sync_all()?,
        }
        self.note(Event::Sync(number))
    }

    fn sync_all(&mut self) -> Result<()> {
        system::syncfs(&File::open(&self.dir)?)?;
        self.note(Event::SyncAll)?;
        self.mark()
    }

    fn sync_names(&mut self) -> Result<()> {
        for name in &self.directories {
            File::open(self.dir.join(name))?.sync_all()?;
        }
        self.note(Event::SyncNames)
    }
}

/// The first byte of a chunk.
fn position(chunk: u32) -> u64 {
    u64::from(chunk) * CHUNK as u64
}

// SPDX-License-Identifier: GPL-2.0

//! Works on files, writing down what it does, and checks what is left of it after a power cut.

use rext2_guest_tools::{
    die,
    model::{decode, encode, Chunk, Event, Model, CHUNK},
    random::Random,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Error, Result, Write},
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    process::Command,
};

const USAGE: &str = "usage: workload run DIR JOURNAL SEED STEPS [DM-NAME]   works in DIR; marks in the log of that device
       workload check DIR JOURNAL MARK               checks DIR after a power cut behind that mark";

/// The most chunks of a file: past the blocks that a pointer block of 1 KiB knows.
const LONGEST: u64 = 900;
/// Files that live at a time, about.
const FILES: usize = 24;
const DIRECTORIES: u64 = 4;

unsafe extern "C" {
    fn fallocate(fd: i32, mode: i32, offset: i64, len: i64) -> i32;
    fn syncfs(fd: i32) -> i32;
    fn sync_file_range(fd: i32, offset: i64, len: i64, flags: u32) -> i32;
}

fn checked(status: i32) -> Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// A running workload.
struct Worker {
    dir: PathBuf,
    journal: File,
    device: Option<String>,
    random: Random,
    model: Model,
    next_file: u32,
    generation: u32,
    marks: u32,
}

impl Worker {
    fn note(&mut self, event: Event) -> Result<()> {
        writeln!(self.journal, "{}", event.line())?;
        self.model.record(&event);
        Ok(())
    }

    /// What was noted so far as durable is durable behind this mark.
    fn mark(&mut self) -> Result<()> {
        self.marks += 1;
        self.note(Event::Mark(self.marks))?;
        let Some(device) = &self.device else {
            return Ok(());
        };
        let status = Command::new("dmsetup")
            .args(["message", device, "0", "mark", &self.marks.to_string()])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::other("dmsetup message failed"))
        }
    }

    fn new_name(&mut self) -> String {
        format!(
            "d{}/f{}-{}",
            self.random.below(DIRECTORIES),
            self.next_file,
            self.random.below(1000)
        )
    }

    fn any_file(&mut self) -> Option<(u32, String, u32)> {
        let live: Vec<(u32, String, u32)> = self
            .model
            .files
            .iter()
            .filter_map(|(number, file)| {
                Some((*number, file.name.clone()?, file.chunks.len() as u32))
            })
            .collect();
        let index = self.random.below(live.len() as u64) as usize;
        live.get(index).cloned()
    }

    fn open(&self, name: &str) -> Result<File> {
        File::options()
            .read(true)
            .write(true)
            .open(self.dir.join(name))
    }

    fn create(&mut self) -> Result<()> {
        let name = self.new_name();
        let number = self.next_file;
        self.next_file += 1;
        self.note(Event::Create(number, name.clone()))?;
        File::options()
            .write(true)
            .create_new(true)
            .open(self.dir.join(&name))?;
        let len = 1 + self.random.below(40) as u32;
        self.write(number, &name, 0, len)
    }

    /// Notes come first: what was done may be found, what was not noted may not.
    fn write(&mut self, number: u32, name: &str, first: u32, len: u32) -> Result<()> {
        self.generation += 1;
        let (generation, end) = (self.generation, first + len);
        self.note(Event::Write(number, first, end, generation))?;
        let bytes: Vec<u8> = (first..end)
            .flat_map(|place| encode(number, place, generation))
            .collect();
        self.open(name)?
            .write_all_at(&bytes, u64::from(first) * CHUNK as u64)
    }

    fn sync_names(&mut self) -> Result<()> {
        for number in 0..DIRECTORIES {
            File::open(self.dir.join(format!("d{number}")))?.sync_all()?;
        }
        self.note(Event::SyncNames)
    }

    /// The way programs replace a file: a new one is written, made durable and renamed over the old one.
    fn replace(&mut self, target: String) -> Result<()> {
        self.create()?;
        let number = self.next_file - 1;
        let Some(name) = self
            .model
            .files
            .get(&number)
            .and_then(|file| file.name.clone())
        else {
            return Ok(());
        };
        self.sync(number, &name)?;
        self.note(Event::Rename(number, target.clone()))?;
        fs::rename(self.dir.join(&name), self.dir.join(&target))?;
        self.sync_names()?;
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

    fn step(&mut self) -> Result<()> {
        let live = self
            .model
            .files
            .values()
            .filter(|file| file.name.is_some())
            .count();
        let Some((number, name, chunks)) = self.any_file().filter(|_| live >= 3) else {
            return self.create();
        };
        match self.random.below(100) {
            0..12 if live < FILES => self.create(),
            0..30 => {
                let len = (1 + self.random.below(120) as u32)
                    .min((LONGEST as u32).saturating_sub(chunks));
                self.write(number, &name, chunks, len)
            }
            30..48 => {
                let first = self.random.below(u64::from(chunks).max(1)) as u32;
                let len = 1 + self.random.below(30) as u32;
                self.write(number, &name, first, len)
            }
            48..53 => {
                let first = self.random.below(LONGEST) as u32;
                self.write(number, &name, first, 1)
            }
            53..60 => {
                let left = self.random.below(u64::from(chunks) + 10) as u32;
                self.note(Event::Truncate(number, left))?;
                self.open(&name)?.set_len(u64::from(left) * CHUNK as u64)
            }
            60..64 => self.punch(number, &name, chunks),
            64..72 => {
                self.note(Event::Unlink(number))?;
                fs::remove_file(self.dir.join(&name))
            }
            72..76 => {
                let new = self.new_name();
                self.note(Event::Rename(number, new.clone()))?;
                fs::rename(self.dir.join(&name), self.dir.join(&new))
            }
            76..80 => self.replace(name),
            80..83 => {
                let file = self.open(&name)?;
                // SAFETY: The descriptor is open; 2 starts writing.
                checked(unsafe { sync_file_range(file.as_raw_fd(), 0, 0, 2) })
            }
            83..86 => {
                let directory = File::open(&self.dir)?;
                // SAFETY: The descriptor is open.
                checked(unsafe { syncfs(directory.as_raw_fd()) })?;
                self.note(Event::SyncAll)?;
                self.mark()
            }
            86..90 => {
                self.sync_names()?;
                self.mark()
            }
            _ => {
                self.sync(number, &name)?;
                self.mark()
            }
        }
    }

    fn punch(&mut self, number: u32, name: &str, chunks: u32) -> Result<()> {
        let first = self.random.below(u64::from(chunks).max(1)) as u32;
        let end = first + 1 + self.random.below(60) as u32;
        self.note(Event::Punch(number, first, end))?;
        let (start, len) = (
            i64::from(first) * CHUNK as i64,
            i64::from(end - first) * CHUNK as i64,
        );
        let file = self.open(name)?;
        // SAFETY: The descriptor is open; 3 punches a hole and keeps the size.
        checked(unsafe { fallocate(file.as_raw_fd(), 3, start, len) })
    }
}

fn run(dir: &str, journal: &str, seed: u64, steps: u32, device: Option<String>) -> Result<()> {
    let journal = File::create(journal)?;
    let dir = PathBuf::from(dir);
    for number in 0..DIRECTORIES {
        fs::create_dir(dir.join(format!("d{number}")))?;
    }
    File::open(&dir)?.sync_all()?;
    let mut worker = Worker {
        dir,
        journal,
        device,
        random: Random::new(seed),
        model: Model::default(),
        next_file: 1,
        generation: 0,
        marks: 0,
    };
    worker.sync_names()?;
    worker.mark()?;
    for _ in 0..steps {
        worker.step()?;
    }
    Ok(())
}

/// Regular files below `dir` with their names from there.
fn walk(dir: &Path, name: &str, found: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{name}{}", entry.file_name().to_string_lossy());
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), &format!("{name}/"), found)?,
            false => drop(found.insert(name, fs::read(entry.path())?)),
        }
    }
    Ok(())
}

/// What a file without a known name shows that it must not.
fn foreign(bytes: &[u8]) -> Option<String> {
    let mut owner = None;
    bytes
        .chunks(CHUNK)
        .zip(0u32..)
        .find_map(|(bytes, place)| match decode(bytes) {
            Chunk::Zero => None,
            Chunk::Written {
                file, place: at, ..
            } if at == place && *owner.get_or_insert(file) == file => None,
            other => Some(format!("chunk {place} shows {other:?}")),
        })
}

fn check(dir: &str, journal: &str, mark: u32) -> Result<()> {
    let events: Vec<Event> = fs::read_to_string(journal)?
        .lines()
        .filter_map(Event::parse)
        .collect();
    let model = Model::after_mark(&events, mark);
    let mut found = BTreeMap::new();
    walk(Path::new(dir), "", &mut found)?;
    let mut wrong = Vec::new();
    for (number, file) in &model.files {
        if file.maybe_gone {
            continue;
        }
        let there = found.iter().filter(|(name, _)| file.names.contains(*name));
        let refused: Vec<Option<String>> = there
            .map(|(name, bytes)| {
                Some(format!(
                    "{name} (file {number}) {}",
                    file.refuses(*number, bytes)?
                ))
            })
            .collect();
        if refused.is_empty() {
            wrong.push(format!(
                "file {number} is gone; its names were {:?}",
                file.names
            ));
        } else if refused.iter().all(Option::is_some) {
            wrong.extend(refused.into_iter().flatten());
        }
    }
    for (name, bytes) in &found {
        if let Some(why) = foreign(bytes) {
            wrong.push(format!("{name}: {why}"));
        }
        if name.starts_with('d') && !model.files.values().any(|file| file.names.contains(name)) {
            wrong.push(format!("{name} should not be there"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Error::other(wrong.join("\n")))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| {
        text.parse::<u32>()
            .unwrap_or_else(|_| die(&format!("'{text}' is no number")))
    };
    let result = match words.as_slice() {
        ["run", dir, journal, seed, steps] => {
            run(dir, journal, number(seed).into(), number(steps), None)
        }
        ["run", dir, journal, seed, steps, device] => run(
            dir,
            journal,
            number(seed).into(),
            number(steps),
            Some((*device).to_string()),
        ),
        ["check", dir, journal, mark] => check(dir, journal, number(mark)),
        _ => die(USAGE),
    };
    result.unwrap_or_else(|error| die(&error.to_string()));
}

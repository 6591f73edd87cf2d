// SPDX-License-Identifier: GPL-2.0

//! Works on files, writing down what it does, and checks what is left of it after a power cut.

use rext2_guest_tools::{
    die,
    event::Event,
    kinds::kinds,
    model::{decode, Chunk, Model, CHUNK},
    worker::Worker,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{Error, Result},
    path::Path,
};

const USAGE: &str = "usage: workload run DIR JOURNAL SEED STEPS KIND [DM-NAME [SYNCERS]]
                works in DIR; marks in the log of that device; so many threads sync meanwhile
       workload check DIR JOURNAL MARK                     checks DIR after a power cut behind that mark
       workload kinds                                      what KIND can be";

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
        ["run", dir, journal, seed, steps, kind, device @ ..] => Worker::new(
            dir,
            journal,
            number(seed).into(),
            kind,
            device.first().map(ToString::to_string),
            device.get(1).map_or(0, |count| number(count)),
        )
        .and_then(|mut worker| {
            (0..number(steps)).try_for_each(|_| worker.step())?;
            worker.finish()
        }),
        ["kinds"] => {
            kinds().for_each(|kind| println!("{kind}"));
            Ok(())
        }
        ["check", dir, journal, mark] => check(dir, journal, number(mark)),
        _ => die(USAGE),
    };
    result.unwrap_or_else(|error| die(&error.to_string()));
}

// SPDX-License-Identifier: GPL-2.0

//! Writes volumes, reads their tables, and knows what each file contains.

use crate::{
    format::{self, Header, Record, COUNT_MAX, MAGIC, NAME_MAX, RECORD_SIZE},
    layout::{disk, File, Layout},
    random::Random,
    Result,
};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

/// What fills the blocks that belong to no file: if it shows up in one, that is a fault.
const UNUSED: u8 = 0xee;

/// A volume's table.
pub(crate) struct Volume {
    pub(crate) layout: Layout,
}

/// A record of the table.
fn record(words: [u64; 2], third: u64, fourth: u32, fifth: u32) -> Record {
    let mut record = [0; RECORD_SIZE];
    record[0..8].copy_from_slice(&words[0].to_le_bytes());
    record[8..16].copy_from_slice(&words[1].to_le_bytes());
    record[16..24].copy_from_slice(&third.to_le_bytes());
    record[24..28].copy_from_slice(&fourth.to_le_bytes());
    record[28..32].copy_from_slice(&fifth.to_le_bytes());
    record
}

fn file_record(file: &File) -> Result<Record> {
    let mut record = record([0, 0], file.size, count(file.runs.len())?, 0);
    let name = file.name.as_bytes();
    let place = record
        .get_mut(..name.len().min(NAME_MAX + 1))
        .filter(|place| place.len() <= NAME_MAX);
    place
        .ok_or_else(|| format!("the name {} is longer than {NAME_MAX} bytes", file.name))?
        .copy_from_slice(name);
    Ok(record)
}

/// A number of files or runs, as the format counts them.
fn count(number: usize) -> Result<u32> {
    let fits = u32::try_from(number)
        .ok()
        .filter(|number| u64::from(*number) <= COUNT_MAX);
    fits.ok_or_else(|| {
        format!("{number} files or runs are too many; a volume can have {COUNT_MAX}")
    })
}

/// The table of a layout.
fn table(layout: &Layout) -> Result<Vec<Record>> {
    let runs = layout.files.iter().flat_map(|file| &file.runs);
    let (files, run_count) = (count(layout.files.len())?, count(runs.clone().count())?);
    let mut header = Header {
        block_bits: layout.block_bits,
        blocks: 0,
        files: files.into(),
        runs: run_count.into(),
    };
    let end = runs
        .clone()
        .map(|run| disk(run).saturating_add(run.len))
        .max()
        .unwrap_or(0);
    header.blocks = end.max(header.table_blocks());
    let mut table = vec![record(
        [MAGIC, header.blocks],
        header.files,
        run_count,
        header.block_bits,
    )];
    for file in &layout.files {
        table.push(file_record(file)?);
    }
    table.extend(runs.map(|run| record([run.first, disk(run)], run.len, run.boundary.into(), 0)));
    Ok(table)
}

/// Checks a table with the kernel module's own eyes and makes a layout of it.
fn parse(records: impl Fn(u64) -> Result<Record>, device_bytes: u64) -> Result<(Header, Layout)> {
    let header = Header::parse(&records(0)?, device_bytes).map_err(|error| error.to_string())?;
    let mut layout = Layout {
        block_bits: header.block_bits,
        files: Vec::new(),
    };
    let mut before = None;
    for index in 1..=header.files {
        let file = format::File::parse(&records(index)?, &header, before.as_ref());
        let file = file.map_err(|error| format!("file {index}: {error}"))?;
        let name = String::from_utf8_lossy(file.name()).into_owned();
        let mut runs = Vec::new();
        for run in file.first_run..file.end_run {
            let parsed = format::parse_run(
                &records(header.run_record(run))?,
                &header,
                &file,
                runs.last(),
            );
            runs.push(parsed.map_err(|error| format!("file {name}: run {}: {error}", runs.len()))?);
        }
        layout.files.push(File {
            name,
            size: file.size,
            runs,
        });
        before = Some(file);
    }
    Ok((header, layout))
}

/// Writes the volume of a layout to a file or a device.
pub(crate) fn write(layout: &Layout, path: &str) -> Result {
    let table = table(layout)?;
    let get = |index: u64| {
        table
            .get(index as usize)
            .copied()
            .ok_or_else(|| "the table is too short".into())
    };
    let (header, _) = parse(get, u64::MAX)?;
    let size = (header.blocks << header.block_bits) as usize;
    let mut image = vec![UNUSED; size];
    let records = table.concat();
    image[..records.len()].copy_from_slice(&records);
    for file in &layout.files {
        let contents = Contents::of(file);
        for run in &file.runs {
            let start = (disk(run) << layout.block_bits) as usize;
            let bytes = (run.len << layout.block_bits) as usize;
            contents.fill(
                run.first << layout.block_bits,
                &mut image[start..start + bytes],
            );
        }
    }
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let written =
        written.and_then(|mut file| file.write_all(&image).and_then(|()| file.sync_all()));
    written.map_err(|error| format!("{path}: {error}"))
}

/// Reads the table of a volume in a file or on a device.
pub(crate) fn open(path: &str) -> Result<Volume> {
    let wrong = |error: std::io::Error| format!("{path}: {error}");
    let mut file = fs::File::open(path).map_err(wrong)?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(wrong)?;
    let get = |index: u64| {
        let mut record = [0; RECORD_SIZE];
        let mut file = &file;
        file.seek(SeekFrom::Start(index * RECORD_SIZE as u64))
            .map_err(wrong)?;
        file.read_exact(&mut record).map_err(wrong)?;
        Ok(record)
    };
    let (_, layout) = parse(get, bytes).map_err(|error| format!("{path}: {error}"))?;
    Ok(Volume { layout })
}

/// What a file contains: bytes that tell which file they belong to, and where in it.
struct Contents {
    key: u64,
    size: u64,
}

impl Contents {
    /// The contents differ from those of any other file or layout: a stale page of another volume shows.
    fn of(file: &File) -> Self {
        let words = file.name.bytes().map(u64::from).chain([file.size]);
        let words = words.chain(file.runs.iter().flat_map(|run| [run.first, disk(run)]));
        let key = words.fold(0, |key, word| Random(key ^ word).next());
        Self {
            key,
            size: file.size,
        }
    }

    /// The bytes at `position` of the file, a multiple of eight; zeroes past its end.
    fn fill(&self, position: u64, bytes: &mut [u8]) {
        for (index, word) in bytes.chunks_mut(8).enumerate() {
            let here = position + index as u64 * 8;
            let value = Random(self.key ^ here).next().to_le_bytes();
            for (at, byte) in word.iter_mut().enumerate() {
                *byte = if here + (at as u64) < self.size {
                    value[at]
                } else {
                    0
                };
            }
        }
    }
}

impl Volume {
    /// Checks that `directory` shows the volume's files, and nothing else, with their contents.
    pub(crate) fn verify(&self, directory: &Path) -> Result<String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", directory.display());
        let names = fs::read_dir(directory)
            .map_err(wrong)?
            .map(|entry| Ok(entry?.file_name()));
        let names: BTreeSet<_> = names.collect::<std::io::Result<_>>().map_err(wrong)?;
        let expected: BTreeSet<_> = self
            .layout
            .files
            .iter()
            .map(|file| file.name.clone().into())
            .collect();
        if names != expected {
            return Err(format!(
                "{}: the names are {names:?}, not {expected:?}",
                directory.display()
            ));
        }
        let mut bytes = 0;
        for file in &self.layout.files {
            self.verify_file(file, &directory.join(&file.name))?;
            bytes += file.size;
        }
        Ok(format!(
            "{} files, {bytes} bytes: as they should be\n",
            names.len()
        ))
    }

    fn verify_file(&self, file: &File, path: &Path) -> Result {
        let found = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if found.len() as u64 != file.size {
            return Err(format!(
                "{}: {} bytes, not {}",
                path.display(),
                found.len(),
                file.size
            ));
        }
        let mut expected = vec![0; found.len()];
        let contents = Contents::of(file);
        for run in &file.runs {
            let start = run.first << self.layout.block_bits;
            let end = (run.end() << self.layout.block_bits).min(file.size);
            contents.fill(start, &mut expected[start as usize..end as usize]);
        }
        match found
            .iter()
            .zip(&expected)
            .position(|(found, expected)| found != expected)
        {
            Some(at) => Err(format!(
                "{}: byte {at} is {:#04x}, not {:#04x}",
                path.display(),
                found[at],
                expected[at]
            )),
            None => Ok(()),
        }
    }
}

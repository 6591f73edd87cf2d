// SPDX-License-Identifier: GPL-2.0

//! A volume's files and runs, as text.

use crate::{
    mpage::plan::{Place, Run},
    number, Result,
};
use std::fmt;

/// A file: its size in bytes, and its runs, all mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) runs: Vec<Run>,
}

impl File {
    /// Its length in blocks.
    pub(crate) fn blocks(&self, block_bits: u32) -> u64 {
        self.size.div_ceil(1 << block_bits)
    }
}

/// A volume: the block size as a power of two, and the files by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) block_bits: u32,
    pub(crate) files: Vec<File>,
}

/// The disk block of a run; those of a layout are all mapped.
pub(crate) fn disk(run: &Run) -> u64 {
    match run.place {
        Place::Mapped(disk) => disk,
        Place::Hole => 0,
    }
}

/// Reads a layout. Whether it makes a volume is for the format to say.
pub(crate) fn parse(text: &str) -> Result<Layout> {
    let mut layout = Layout {
        block_bits: 0,
        files: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        take(&mut layout, &words).map_err(|error| format!("line {}: {error}", index + 1))?;
    }
    if layout.block_bits == 0 {
        return Err("there is no line 'block-size BYTES'".into());
    }
    layout
        .files
        .sort_by(|one, other| one.name.as_bytes().cmp(other.name.as_bytes()));
    Ok(layout)
}

fn take(layout: &mut Layout, words: &[&str]) -> Result {
    match words {
        [] => {}
        [comment, ..] if comment.starts_with('#') => {}
        ["block-size", bytes] => {
            let bytes = number(bytes)?;
            if !(512..=4096).contains(&bytes) || !bytes.is_power_of_two() {
                return Err("the block size is 512, 1024, 2048 or 4096".into());
            }
            layout.block_bits = bytes.ilog2();
        }
        ["file", name, size] => {
            layout.files.push(File {
                name: (*name).into(),
                size: number(size)?,
                runs: Vec::new(),
            });
        }
        ["run", first, disk, len] => add_run(layout, first, disk, len, false)?,
        ["run", first, disk, len, "boundary"] => add_run(layout, first, disk, len, true)?,
        _ => {
            return Err(format!(
                "'{}' is no line of a layout; see mapfs-tool --help",
                words.join(" ")
            ))
        }
    }
    Ok(())
}

fn add_run(layout: &mut Layout, first: &str, disk: &str, len: &str, boundary: bool) -> Result {
    let (first, place, len) = (number(first)?, Place::Mapped(number(disk)?), number(len)?);
    let file = layout
        .files
        .last_mut()
        .ok_or("a run needs a file before it")?;
    file.runs.push(Run {
        first,
        len,
        place,
        boundary,
    });
    Ok(())
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "block-size {}", 1u64 << self.block_bits)?;
        for file in &self.files {
            writeln!(f, "file {} {}", file.name, file.size)?;
            for run in &file.runs {
                let boundary = if run.boundary { " boundary" } else { "" };
                writeln!(f, "run {} {} {}{boundary}", run.first, disk(run), run.len)?;
            }
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Makes mapfs volumes and checks what becomes of them.
//!
//! | module | does |
//! | --- | --- |
//! | [`format`] | the format; the kernel module's own file |
//! | [`mpage`] | the merge planner; the kernel module's own file |
//! | [`layout`] | a volume's files and runs as text |
//! | [`random`] | layouts of every kind from a number |
//! | [`volume`] | writes volumes, reads their tables, knows what each file contains |
//! | [`predict`] | what the engine has to do with a window |
//! | [`trace`] | what it did |

#![forbid(unsafe_code)]

#[path = "../format.rs"]
mod format;
mod layout;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../rust/mpage"]
mod mpage {
    //! The page-I/O engine's pure part.
    #[path = "plan.rs"]
    pub mod plan;
}
mod predict;
mod random;
mod trace;
mod volume;

use std::{fs, path::Path, process::ExitCode};

/// Failures are told in one line.
type Result<T = ()> = std::result::Result<T, String>;

const USAGE: &str = "\
mapfs-tool random SEED                  prints a layout of many files with runs of every kind
mapfs-tool make LAYOUT VOLUME           writes the volume that a layout describes to a file or a device
mapfs-tool list VOLUME                  prints the layout of a volume
mapfs-tool verify VOLUME DIRECTORY      checks that a mounted volume shows every file with its contents
mapfs-tool predict VOLUME FILE FOLIO POSITION LENGTH
                                        prints the bios for a window of folios of so many bytes
mapfs-tool check VOLUME TRACE           checks that a kernel trace shows the bios that the planner predicts

A layout: `block-size BYTES`, then for each file `file NAME BYTES` and its runs, in blocks,
`run FIRST DISK LENGTH [boundary]`. What no run covers is a hole. The volume begins with its table:
runs have to lie after it.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mapfs-tool: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for, and gives what is to be printed.
fn run(words: &[&str]) -> Result<String> {
    match words {
        ["--help" | "-h"] => Ok(format!("{USAGE}\n")),
        ["random", seed] => Ok(random::layout(number(seed)?).to_string()),
        ["make", layout, volume] => make(layout, volume),
        ["list", volume] => Ok(volume::open(volume)?.layout.to_string()),
        ["verify", volume, directory] => volume::open(volume)?.verify(Path::new(directory)),
        ["predict", volume, name, folio, position, len] => predict_one(
            volume,
            name,
            number(folio)?,
            number(position)?,
            number(len)?,
        ),
        ["check", volume, trace] => trace::check(&volume::open(volume)?, &read(trace)?),
        _ => Err("unknown command; see mapfs-tool --help".into()),
    }
}

fn number(word: &str) -> Result<u64> {
    word.parse()
        .map_err(|_| format!("'{word}' is not a whole number"))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn make(layout: &str, volume: &str) -> Result<String> {
    let layout = layout::parse(&read(layout)?).map_err(|error| format!("{layout}: {error}"))?;
    volume::write(&layout, volume)?;
    Ok(String::new())
}

/// The bios of one window of equal folios.
fn predict_one(volume: &str, name: &str, folio: u64, position: u64, len: u64) -> Result<String> {
    let volume = volume::open(volume)?;
    let file = volume.layout.files.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| format!("there is no file {name}"))?;
    if !folio.is_power_of_two() || folio < 4096 || position % folio != 0 || len % folio != 0 {
        return Err(
            "folios are a power of two from 4096 bytes on, and windows are made of whole folios"
                .into(),
        );
    }
    let window = position
        ..position
            .checked_add(len)
            .ok_or("the window ends beyond all numbers")?;
    let folios = window
        .clone()
        .step_by(folio as usize)
        .map(|start| start..start + folio);
    let steps = predict::window(volume.layout.block_bits, file, window.clone(), folios);
    let bios = steps
        .iter()
        .filter(|step| matches!(step, predict::Event::Bio(_)));
    Ok(bios.map(|bio| format!("{bio}\n")).collect())
}

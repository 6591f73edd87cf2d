//! The comparison of a processed object with its original notices every byte that means something.
#![allow(missing_docs)]

mod common;

use std::ops::Range;

use common::*;
use ftrace_sites::compare::compare;
use ftrace_sites::elf::Object as Parsed;
use ftrace_sites::site::{self, Site};
use ftrace_sites::{process, Options};
use object::read::{Object as _, ObjectSection as _};

fn sites(before: &Parsed<'_>) -> Vec<Site> {
    let mut sites = site::find(before, 16).unwrap();
    sites.retain(|site| before.sections[site.section].name != ".noinstr.text");
    sites
}

fn accepted(before: &[u8], after: &[u8]) -> bool {
    let before = Parsed::parse(before).unwrap();
    Parsed::parse(after).is_ok_and(|after| compare(&before, &after, &sites(&before)).is_ok())
}

/// The parts of the file that mean something: its header, the section table and the sections.
fn meaningful(data: &[u8]) -> Vec<Range<usize>> {
    let number = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().unwrap()) as usize;
    let mut ranges = vec![0..64, number(40)..data.len()];
    let file = object::File::parse(data).unwrap();
    for section in file.sections() {
        if let Some((offset, size)) = section.file_range() {
            ranges.push(offset as usize..(offset + size) as usize);
        }
    }
    ranges
}

#[test]
fn the_right_output_is_accepted() {
    let before = ordinary();
    let after = process(&before, &Options::default()).unwrap().bytes;
    assert!(accepted(&before, &after));
    assert!(!accepted(&before, &before));
}

#[test]
fn any_other_byte_is_not() {
    let before = ordinary();
    let after = process(&before, &Options::default()).unwrap().bytes;
    let mut tried = 0;
    for at in meaningful(&after).into_iter().flatten() {
        for bit in 0..8 {
            let mut damaged = after.clone();
            damaged[at] ^= 1 << bit;
            assert!(!accepted(&before, &damaged), "bit {bit} of byte {at:#x}");
            tried += 1;
        }
    }
    assert!(tried > 10_000, "{tried}");
}

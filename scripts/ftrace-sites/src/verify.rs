//! Checks a processed object by itself, without trusting what wrote it.

use std::collections::HashSet;

use object::elf;
use object::LittleEndian as LE;

use crate::elf::{
    Object,
    Reloc, //
};
use crate::error::{
    refuse,
    Result, //
};
use crate::site::{
    after_endbr,
    place,
    CALL,
    FENTRY,
    MCOUNT_LOC, //
};

/// One entry of `__mcount_loc`: section and offset of the call.
pub type Location = (usize, u64);

/// What `__mcount_loc` lists, in its order, after checking that the section and each entry are
/// as the module loader and ftrace want them.
pub fn locations(object: &Object<'_>) -> Result<Vec<Location>> {
    let mut found = object.sections_named(MCOUNT_LOC);
    let Some((index, section)) = found.next() else {
        refuse!("no {MCOUNT_LOC}: not processed yet");
    };
    if found.next().is_some() {
        refuse!("two sections {MCOUNT_LOC}: the module loader reads only one");
    }
    let kind = section.header.sh_type.get(LE);
    let flags = section.header.sh_flags.get(LE);
    if kind != elf::SHT_PROGBITS || flags != elf::SHF_ALLOC {
        refuse!(
            "{MCOUNT_LOC}: type {kind}, flags {flags:?}; the linker would not join it with gcc's"
        );
    }
    if section.data.iter().any(|byte| *byte != 0) {
        refuse!("{MCOUNT_LOC}: not zero where relocations apply; the module loader refuses that");
    }
    let relocations = object.relocations(index)?;
    if relocations.is_empty() || relocations.len() * 8 != section.data.len() {
        refuse!(
            "{MCOUNT_LOC}: {} bytes but {} relocations",
            section.data.len(),
            relocations.len()
        );
    }
    let mut list = Vec::with_capacity(relocations.len());
    for (index, reloc) in relocations.iter().enumerate() {
        if reloc.offset != index as u64 * 8 || reloc.kind != elf::R_X86_64_64 {
            refuse!("{MCOUNT_LOC}+{:#x}: malformed relocation", reloc.offset);
        }
        match object.target(reloc) {
            Some(location) => list.push(location),
            None => refuse!("{MCOUNT_LOC}+{:#x}: refers to nothing here", reloc.offset),
        }
    }
    calls_match(object, &list)?;
    Ok(list)
}

/// Each listed place holds one relocated call of `__fentry__` at the start of a function, and
/// there is no such call that is not listed.
fn calls_match(object: &Object<'_>, list: &[Location]) -> Result<()> {
    let listed: HashSet<Location> = list.iter().copied().collect();
    if listed.len() != list.len() {
        refuse!("{MCOUNT_LOC}: lists a place twice");
    }
    let mut calls = HashSet::new();
    for (section, code) in object
        .sections
        .iter()
        .enumerate()
        .filter(|(_, s)| s.is_code())
    {
        let starts = function_starts(object, section)?;
        for reloc in object.relocations(section)? {
            if !is_fentry(object, &reloc) {
                continue;
            }
            let offset = reloc.offset.wrapping_sub(1);
            if code.bytes(offset, CALL.len()) != Some(&CALL) || reloc.addend != -4 {
                refuse!(
                    "{}: no call of {FENTRY}",
                    place(object, section, offset, None)
                );
            }
            if !starts.contains(&offset) {
                refuse!(
                    "{}: not at the start of a function",
                    place(object, section, offset, None)
                );
            }
            if !listed.contains(&(section, offset)) {
                refuse!(
                    "{}: calls {FENTRY}, not listed",
                    place(object, section, offset, None)
                );
            }
            calls.insert((section, offset));
        }
    }
    match list.iter().find(|location| !calls.contains(location)) {
        Some((section, offset)) => refuse!(
            "{}: listed, but does not call {FENTRY}",
            place(object, *section, *offset, None)
        ),
        None => Ok(()),
    }
}

fn is_fentry(object: &Object<'_>, reloc: &Reloc) -> bool {
    let named = object
        .symbols
        .get(reloc.symbol as usize)
        .is_some_and(|symbol| symbol.name == FENTRY);
    named && (reloc.kind == elf::R_X86_64_PLT32 || reloc.kind == elf::R_X86_64_PC32)
}

/// Where functions of a section may call `__fentry__`.
fn function_starts(object: &Object<'_>, section: usize) -> Result<HashSet<u64>> {
    object
        .symbols
        .iter()
        .filter(|symbol| symbol.is_function() && symbol.section == Some(section))
        .map(|symbol| after_endbr(object, section, symbol.value()))
        .collect()
}

/// Checks a processed object by itself; gives back the number of ftrace locations.
pub fn check(object: &Object<'_>) -> Result<usize> {
    let list = locations(object)?;
    for (before, after) in list.iter().zip(list.iter().skip(1)) {
        if before >= after {
            refuse!(
                "{MCOUNT_LOC}: not in order at {}",
                place(object, after.0, after.1, None)
            );
        }
    }
    Ok(list.len())
}

//! Compares a processed object with what it was made from.
//!
//! Nothing but the calls, their relocations, the list, `__fentry__` and three names may differ.

use std::collections::HashSet;

use object::elf::{
    self,
    SectionHeader64,
    Sym64,
    SymbolInfo, //
};
use object::pod;
use object::LittleEndian as LE;

use crate::elf::{
    Object,
    Reloc,
    Symbol, //
};
use crate::error::{
    refuse,
    Result, //
};
use crate::site::{
    Site,
    CALL,
    FENTRY,
    MCOUNT_LOC, //
};
use crate::verify::{
    check,
    locations,
    Location, //
};

/// Checks that `after` is `before` plus what the `sites` need, and nothing else.
pub fn compare(before: &Object<'_>, after: &Object<'_>, sites: &[Site]) -> Result<()> {
    same_file_header(before, after)?;
    if after.sections.len() < before.sections.len() {
        refuse!("verification failed: sections are missing");
    }
    for index in 0..before.sections.len() {
        same_section(before, after, index, sites)?;
    }
    new_sections(before, after, sites)?;
    new_parts_are_apart(before, after)?;
    same_symbols(before, after)?;
    let wanted: Vec<Location> = sites
        .iter()
        .map(|site| (site.section, site.offset))
        .collect();
    check(after)?;
    if locations(after)? != wanted {
        refuse!("verification failed: {MCOUNT_LOC} does not list the sites");
    }
    Ok(())
}

fn same_file_header(before: &Object<'_>, after: &Object<'_>) -> Result<()> {
    let mut expected = before.header;
    expected.e_shoff = after.header.e_shoff;
    expected.e_shnum = after.header.e_shnum;
    if pod::bytes_of(&expected) != pod::bytes_of(&after.header) {
        refuse!("verification failed: the file header changed");
    }
    Ok(())
}

fn same_section(
    before: &Object<'_>,
    after: &Object<'_>,
    index: usize,
    sites: &[Site],
) -> Result<()> {
    let (old, new) = (before.section(index)?, after.section(index)?);
    let target = old.header.sh_info.get(LE) as usize;
    let holds_calls = |section| sites.iter().any(|site| site.section == section);
    let is_table = index == before.symtab || index == before.strtab || index == before.shstrtab;
    let is_grown = old.header.sh_type.get(LE) == elf::SHT_RELA && holds_calls(target);

    let mut expected = old.header;
    if is_table || is_grown {
        expected.sh_offset = new.header.sh_offset;
        expected.sh_size = new.header.sh_size;
    }
    if old.name != new.name || !same_header(&expected, &new.header) {
        refuse!("verification failed: the header of {} changed", old.name);
    }
    if is_grown {
        return same_relocations(before, after, target, sites);
    }
    if index == before.strtab || index == before.shstrtab {
        if new.data != [old.data, &new_names(before, after, index)].concat() {
            refuse!("verification failed: the names in {} changed", old.name);
        }
    } else if !is_table && !same_data(old.data, new.data, index, sites) {
        refuse!("verification failed: the contents of {} changed", old.name);
    }
    Ok(())
}

/// The names that string table `index` has to gain, each with its terminating zero.
fn new_names(before: &Object<'_>, after: &Object<'_>, index: usize) -> Vec<u8> {
    let mut names = Vec::new();
    if index == before.strtab && before.undefined_symbol(FENTRY).is_none() {
        names.push(FENTRY);
    }
    if index == before.shstrtab {
        let added = after.sections.iter().skip(before.sections.len());
        names.extend(added.map(|section| section.name.as_ref()));
    }
    names
        .iter()
        .flat_map(|name| name.bytes().chain([0]))
        .collect()
}

/// What is new or has moved lies behind the old end of the file, and apart.
fn new_parts_are_apart(before: &Object<'_>, after: &Object<'_>) -> Result<()> {
    let mut parts: Vec<(u64, u64)> = after
        .sections
        .iter()
        .map(|section| (section.header.sh_offset.get(LE), section.data.len() as u64))
        .filter(|(offset, _)| *offset >= before.size)
        .collect();
    let moved = after
        .sections
        .iter()
        .enumerate()
        .filter(|(index, section)| {
            let old = before
                .sections
                .get(*index)
                .map(|old| old.header.sh_offset.get(LE));
            old != Some(section.header.sh_offset.get(LE))
        });
    if moved.count() != parts.len() {
        refuse!("verification failed: a section is where it must not be");
    }
    let table = after.sections.len() * size_of::<SectionHeader64<LE>>();
    parts.push((after.header.e_shoff.get(LE), table as u64));
    parts.sort_unstable();
    let apart = parts.windows(2).all(|pair| match pair {
        [(offset, size), (next, _)] => offset + size <= *next,
        _ => true,
    });
    if !apart {
        refuse!("verification failed: sections overlap");
    }
    Ok(())
}

fn same_header(a: &SectionHeader64<LE>, b: &SectionHeader64<LE>) -> bool {
    pod::bytes_of(a) == pod::bytes_of(b)
}

/// Equal but for the calls at the sites.
fn same_data(old: &[u8], new: &[u8], section: usize, sites: &[Site]) -> bool {
    let mut expected = old.to_vec();
    for site in sites.iter().filter(|site| site.section == section) {
        let at = site.offset as usize;
        match expected.get_mut(at..at + CALL.len()) {
            Some(bytes) => bytes.copy_from_slice(&CALL),
            None => return false,
        }
    }
    expected == new
}

/// The old relocations are all there, in their order; the others are the calls'.
fn same_relocations(
    before: &Object<'_>,
    after: &Object<'_>,
    section: usize,
    sites: &[Site],
) -> Result<()> {
    let at_sites: HashSet<u64> = sites
        .iter()
        .filter(|site| site.section == section)
        .map(|site| site.offset + 1)
        .collect();
    let (added, kept): (Vec<Reloc>, Vec<Reloc>) = after
        .relocations(section)?
        .into_iter()
        .partition(|reloc| at_sites.contains(&reloc.offset));
    let mut old = before.relocations(section)?;
    old.sort_by_key(|reloc| reloc.offset);
    if kept != old || added.len() != at_sites.len() {
        refuse!(
            "verification failed: relocations of {} changed",
            before.section(section)?.name
        );
    }
    Ok(())
}

/// The new sections are the list, and relocations for it and for code that had none.
fn new_sections(before: &Object<'_>, after: &Object<'_>, sites: &[Site]) -> Result<()> {
    let mut expected = Vec::new();
    for code in sites.chunk_by(|a, b| a.section == b.section) {
        let Some(site) = code.first() else { continue };
        if before.relocation_section(site.section).is_none() {
            expected.push((before.section(site.section)?.name.to_string(), site.section));
        }
    }
    let list = before.sections.len() + expected.len();
    expected.push((MCOUNT_LOC.to_string(), list));
    let added = after
        .sections
        .get(before.sections.len()..)
        .unwrap_or_default();
    if added.len() != expected.len() + 1 {
        refuse!("verification failed: unexpected new sections");
    }
    for (name, target) in &expected {
        let index = if *target == list {
            list + 1
        } else {
            after.relocation_section(*target).unwrap_or(0)
        };
        let section = after.section(index)?;
        let header = &section.header;
        let right = section.name == format!(".rela{name}")
            && header.sh_type.get(LE) == elf::SHT_RELA
            && header.sh_flags.get(LE) == elf::SHF_INFO_LINK
            && header.sh_link.get(LE) as usize == before.symtab
            && header.sh_info.get(LE) as usize == *target
            && header.sh_entsize.get(LE) == size_of::<elf::Rela64<LE>>() as u64
            && is_placed(header);
        if !right {
            refuse!("verification failed: the relocations of {name} are malformed");
        }
    }
    let header = &after.section(list)?.header;
    let plain = header.sh_link.get(LE) == 0
        && header.sh_info.get(LE) == 0
        && header.sh_entsize.get(LE) == 0;
    if !plain || !is_placed(header) {
        refuse!("verification failed: {MCOUNT_LOC} is malformed");
    }
    Ok(())
}

/// At an offset that suits 8-byte entries, and at no address.
fn is_placed(header: &SectionHeader64<LE>) -> bool {
    header.sh_addralign.get(LE) == 8
        && header.sh_offset.get(LE) % 8 == 0
        && header.sh_addr.get(LE) == 0
}

/// The old symbols are all there; the one that may be new is the undefined `__fentry__`.
fn same_symbols(before: &Object<'_>, after: &Object<'_>) -> Result<()> {
    let kept = before.symbols.iter().zip(&after.symbols).all(|(old, new)| {
        old.name == new.name && pod::bytes_of(&old.raw) == pod::bytes_of(&new.raw)
    });
    let Some(added) = after.symbols.get(before.symbols.len()..) else {
        refuse!("verification failed: symbols are missing");
    };
    let right = match (before.undefined_symbol(FENTRY), added) {
        (Some(_), []) => true,
        (None, [fentry]) => is_undefined_fentry(fentry),
        _ => false,
    };
    if !kept || !right {
        refuse!("verification failed: the symbol table changed");
    }
    Ok(())
}

fn is_undefined_fentry(symbol: &Symbol<'_>) -> bool {
    let expected = Sym64 {
        st_name: symbol.raw.st_name,
        st_info: SymbolInfo::new(elf::STB_GLOBAL, elf::STT_NOTYPE),
        ..Sym64::default()
    };
    symbol.name == FENTRY && pod::bytes_of(&symbol.raw) == pod::bytes_of(&expected)
}

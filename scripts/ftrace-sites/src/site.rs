//! Finds the places that ftrace may patch and checks what stands there.
//!
//! `rustc -Zpatchable-function-entry=21,16` (16 bytes of prefix, then 5 bytes of entry) lists each
//! function in `__patchable_function_entries` as the address of its prefix:
//!
//! ```text
//! function - 16   90 90 … 90         prefix, listed; the kernel's call thunks live here
//! function        f3 0f 1e fa        endbr64, where the compiler wants one
//!                 0f 1f 44 00 08     one 5-byte nop: the site
//! ```

use crate::elf::{
    Object,
    Reloc, //
};
use crate::error::{
    refuse,
    Error,
    Result, //
};
use crate::name::demangled;
use object::elf;

/// Where the compiler lists the functions that have a patchable entry.
pub const ENTRIES: &str = "__patchable_function_entries";
/// Where the kernel looks for ftrace locations.
pub const MCOUNT_LOC: &str = "__mcount_loc";
/// What every ftrace location calls until the kernel turns the call into a nop.
pub const FENTRY: &str = "__fentry__";

/// The 5-byte nop as LLVM writes it for a patchable entry. Alignment padding has another form
/// (`0f 1f 44 00 00`), so this one cannot be mistaken.
pub const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x08];
/// `call` with a displacement that a relocation fills in; the kernel's module loader insists on
/// zero where a relocation applies.
pub const CALL: [u8; 5] = [0xe8, 0, 0, 0, 0];

const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
const PREFIX_NOP: u8 = 0x90;

/// What stands at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The compiler's nop.
    Nop,
    /// A call of `__fentry__`.
    Call,
}

/// One function and the place in it that ftrace may patch.
#[derive(Clone, Debug)]
pub struct Site {
    /// Index of the section with the function.
    pub section: usize,
    /// Offset of the function in that section, in bytes.
    pub function: u64,
    /// Offset of the 5 bytes to patch, in bytes.
    pub offset: u64,
    /// Index of the function's symbol.
    pub symbol: usize,
    /// Index of the symbol through which the compiler refers to the function, and its value: a
    /// section symbol as a rule.
    pub base: (u32, u64),
    /// What stands at `offset`.
    pub state: State,
}

impl Site {
    /// `section+offset (name)`, for messages.
    pub fn describe(&self, object: &Object<'_>) -> String {
        place(object, self.section, self.offset, Some(self.symbol))
    }
}

/// `section+offset (name)`, for messages.
pub fn place(object: &Object<'_>, section: usize, offset: u64, symbol: Option<usize>) -> String {
    let section = object
        .sections
        .get(section)
        .map_or("?", |section| &section.name);
    match symbol.and_then(|symbol| object.symbols.get(symbol)) {
        Some(symbol) => format!("{section}+{offset:#x} ({})", demangled(&symbol.name)),
        None => format!("{section}+{offset:#x}"),
    }
}

/// All functions with a patchable entry, ascending by section and offset. `prefix` is the number
/// of bytes between the listed address and the function.
pub fn find(object: &Object<'_>, prefix: u64) -> Result<Vec<Site>> {
    let mut sites = Vec::new();
    for (index, section) in object.sections_named(ENTRIES) {
        let relocations = object.relocations(index)?;
        if relocations.len() * 8 != section.data.len() {
            refuse!(
                "{ENTRIES} holds {} bytes but {} relocations",
                section.data.len(),
                relocations.len()
            );
        }
        for relocation in &relocations {
            sites.push(site(object, relocation, prefix)?);
        }
    }
    if sites.is_empty() {
        refuse!(
            "no sites: compile with -Zpatchable-function-entry={},{prefix}",
            prefix + NOP.len() as u64
        );
    }
    in_order(object, &sites)?;
    sites.sort_by_key(|site| (site.section, site.offset));
    Ok(sites)
}

/// The compiler writes each section's functions in address order and once; anything else means
/// that the list is not what it seems.
fn in_order(object: &Object<'_>, sites: &[Site]) -> Result<()> {
    let mut last = std::collections::HashMap::new();
    for site in sites {
        match last.insert(site.section, site.offset) {
            Some(before) if before == site.offset => {
                refuse!("{} is listed twice in {ENTRIES}", site.describe(object))
            }
            Some(before) if before > site.offset => {
                refuse!("{ENTRIES} is not in order at {}", site.describe(object))
            }
            _ => {}
        }
    }
    Ok(())
}

fn site(object: &Object<'_>, relocation: &Reloc, prefix: u64) -> Result<Site> {
    let target = object.target(relocation);
    let (section, listed) = match target {
        Some(target) if relocation.kind == elf::R_X86_64_64 => target,
        _ => refuse!("{ENTRIES}+{:#x} refers to no function", relocation.offset),
    };
    let code = object.section(section)?;
    if !code.is_code() {
        refuse!(
            "{ENTRIES} lists {}, which is not code",
            place(object, section, listed, None)
        );
    }
    let function = listed.saturating_add(prefix);
    let Some(symbol) = object.function_at(section, function) else {
        refuse!(
            "no function {prefix} bytes after {}: is --prefix right?",
            place(object, section, listed, None)
        );
    };
    match code.bytes(listed, prefix as usize) {
        Some(bytes) if bytes.iter().all(|byte| *byte == PREFIX_NOP) => {}
        _ => refuse!(
            "{}: the {prefix} bytes before it are not nops",
            place(object, section, function, Some(symbol))
        ),
    }
    let offset = after_endbr(object, section, function)?;
    let base = object
        .symbols
        .get(relocation.symbol as usize)
        .ok_or_else(|| Error::new("malformed ELF: relocation without a symbol"))?;
    Ok(Site {
        section,
        function,
        offset,
        symbol,
        base: (relocation.symbol, base.value()),
        state: state(object, section, offset, symbol, prefix)?,
    })
}

/// Offset of the first instruction that is no `endbr64`.
pub fn after_endbr(object: &Object<'_>, section: usize, function: u64) -> Result<u64> {
    let endbr = object.section(section)?.bytes(function, ENDBR64.len());
    let length = if endbr == Some(&ENDBR64) {
        ENDBR64.len()
    } else {
        0
    };
    Ok(function + length as u64)
}

fn state(
    object: &Object<'_>,
    section: usize,
    offset: u64,
    symbol: usize,
    prefix: u64,
) -> Result<State> {
    let code = object.section(section)?;
    let here = || place(object, section, offset, Some(symbol));
    match code.bytes(offset, NOP.len()) {
        Some(bytes) if bytes == NOP => {}
        Some(bytes) if bytes == CALL => return Ok(State::Call),
        _ => refuse!(
            "{}: no 5-byte nop; compile with -Zpatchable-function-entry={},{prefix}",
            here(),
            prefix + NOP.len() as u64
        ),
    }
    if code.bytes(offset + NOP.len() as u64, NOP.len()) == Some(&NOP) {
        refuse!("{}: two nops where one is expected", here());
    }
    Ok(State::Nop)
}

//! Makes the functions of a Rust kernel object visible to ftrace and kprobes.
//!
//! The x86-64 kernel's function tracer patches calls of `__fentry__` at the start of functions. rustc
//! emits none, but it can leave a nop there. This crate turns each such nop into the call, lists it in
//! `__mcount_loc`, and reads the result again to check it; see the README.
//!
//! - [`elf`]: a parsed object;
//! - [`site`]: finds the nops and checks what stands there;
//! - [`exclude`]: what must be left alone;
//! - [`rewrite`]: the new object;
//! - [`compare`]: reads it again, beside the old one;
//! - [`verify`]: checks a processed object by itself;
//! - this module: the three things a caller may want.

#![warn(clippy::unwrap_used, clippy::indexing_slicing)]

pub mod compare;
pub mod elf;
pub mod error;
pub mod exclude;
pub mod name;
pub mod rewrite;
pub mod site;
pub mod verify;

use elf::Object;
use error::{
    refuse,
    Result, //
};
use exclude::Exclude;
use site::{
    Site,
    State,
    MCOUNT_LOC, //
};

/// Bytes of prefix that the stock kernel asks for (`CONFIG_FUNCTION_PADDING_BYTES`).
pub const DEFAULT_PREFIX: u64 = 16;

/// What to do with an object.
pub struct Options {
    /// Bytes between the listed address and the function.
    pub prefix: u64,
    /// The functions to leave alone.
    pub exclude: Exclude,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_PREFIX,
            exclude: Exclude::default(),
        }
    }
}

/// A processed object.
pub struct Processed {
    /// The new file.
    pub bytes: Vec<u8>,
    /// Number of functions that became ftrace locations.
    pub traced: usize,
    /// Number of functions that were left alone.
    pub excluded: usize,
}

/// Makes every function of the object in `data`, less the excluded ones, an ftrace location.
pub fn process(data: &[u8], options: &Options) -> Result<Processed> {
    let object = Object::parse(data)?;
    let (sites, excluded) = choose(&object, options)?;
    let bytes = rewrite::rewrite(data, &object, &sites)?;
    compare::compare(&object, &Object::parse(&bytes)?, &sites)?;
    Ok(Processed {
        bytes,
        traced: sites.len(),
        excluded,
    })
}

/// The sites to turn into calls, and the number of functions left alone.
fn choose(object: &Object<'_>, options: &Options) -> Result<(Vec<Site>, usize)> {
    if object.sections_named(MCOUNT_LOC).next().is_some() {
        refuse!("already processed: it has {MCOUNT_LOC}; pass the object as rustc wrote it");
    }
    let all = site::find(object, options.prefix)?;
    if let Some(site) = all.iter().find(|site| site.state == State::Call) {
        refuse!("already processed: {} is a call", site.describe(object));
    }
    let without = every_function_has_a_site(object, &all, &options.exclude)?;
    let found = all.len();
    let sites: Vec<Site> = all
        .into_iter()
        .filter(|site| !options.exclude.covers(object, site.section, site.symbol))
        .collect();
    options.exclude.all_used()?;
    if sites.is_empty() {
        refuse!("no sites: all {found} functions are excluded");
    }
    let excluded = found - sites.len() + without;
    Ok((sites, excluded))
}

/// Refuses a function that was compiled without a patchable entry, unless it is excluded; gives
/// back the number of those.
fn every_function_has_a_site(
    object: &Object<'_>,
    sites: &[Site],
    exclude: &Exclude,
) -> Result<usize> {
    let known: std::collections::HashSet<_> = sites
        .iter()
        .map(|site| (site.section, site.function))
        .collect();
    let mut without = 0;
    for (index, symbol) in object
        .symbols
        .iter()
        .enumerate()
        .filter(|(_, s)| s.is_function())
    {
        let Some(section) = symbol.section else {
            continue;
        };
        if known.contains(&(section, symbol.value())) {
            continue;
        }
        if !exclude.covers(object, section, index) {
            refuse!(
                "{}: no patchable entry; compile it with one or --exclude it",
                site::place(object, section, symbol.value(), Some(index))
            );
        }
        without += 1;
    }
    Ok(without)
}

/// Checks an object that was processed before; gives back its number of ftrace locations.
pub fn check(data: &[u8]) -> Result<usize> {
    verify::check(&Object::parse(data)?)
}

/// One line of the list of functions.
pub struct Listed {
    /// `nop` (will be traced), `excluded` (will not) or `traced` (is an ftrace location).
    pub state: &'static str,
    /// Section and offset of the site.
    pub place: String,
    /// Demangled name.
    pub name: String,
}

/// Lists the functions of an object, processed or not. A linked module (`.ko`) can be listed too.
pub fn list(data: &[u8], options: &Options) -> Result<Vec<Listed>> {
    let object = Object::parse(data)?;
    let processed = object.sections_named(MCOUNT_LOC).next().is_some();
    let mut listed = if processed {
        traced(&object)?
    } else {
        Vec::new()
    };
    let sites = match site::find(&object, options.prefix) {
        Ok(sites) => sites,
        Err(_) if processed => Vec::new(),
        Err(error) => return Err(error),
    };
    for site in sites.iter().filter(|site| site.state == State::Nop) {
        let excluded = processed || options.exclude.covers(&object, site.section, site.symbol);
        let state = if excluded { "excluded" } else { "nop" };
        listed.push(line(&object, state, site.section, site.offset, site.symbol));
    }
    Ok(listed)
}

fn traced(object: &Object<'_>) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for (section, offset) in verify::locations(object)? {
        let starts = [offset, offset.wrapping_sub(4)];
        let symbol = starts
            .iter()
            .find_map(|start| object.function_at(section, *start));
        listed.push(line(
            object,
            "traced",
            section,
            offset,
            symbol.unwrap_or_default(),
        ));
    }
    Ok(listed)
}

fn line(
    object: &Object<'_>,
    state: &'static str,
    section: usize,
    offset: u64,
    symbol: usize,
) -> Listed {
    let name = object.symbols.get(symbol).map_or("", |symbol| &symbol.name);
    Listed {
        state,
        place: site::place(object, section, offset, None),
        name: name::demangled(name),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The compiled pure files cannot panic: no function of theirs reaches `core::panicking`.
//!
//! They are compiled as the kernel compiles them, optimised and with overflow checks, and every function is kept.
//! The assembler text then says which function refers to which.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Generic functions exist only where they are used.
const GENERICS: &str = "
use overlay::{Extent, Found, Overlay, State, Store};
use core::ops::Range;

pub type Ticket = u8;

/// The few extents that it needs to be whole; that there is room is its caller's word.
pub struct Few([Extent<Ticket>; 4], usize);

impl Store<Extent<Ticket>> for Few {
    type Error = ();

    fn at_or_after(&self, key: u32) -> Option<&Extent<Ticket>> {
        self.0.iter().take(self.1).find(|extent| extent.end() > key)
    }

    fn reserve(&mut self, more: usize) -> Result<(), ()> {
        if self.1.saturating_add(more) <= self.0.len() { Ok(()) } else { Err(()) }
    }

    fn insert(&mut self, _key: u32, element: Extent<Ticket>) {
        if let Some(slot) = self.0.get_mut(self.1) {
            *slot = element;
        }
        self.1 = self.1.saturating_add(1);
    }

    fn remove(&mut self, _key: u32) {
        self.1 = self.1.saturating_sub(1);
    }
}

pub fn find(overlay: &Overlay<Few>, block: u32) -> Found<Ticket> {
    overlay.find(block)
}

pub fn add(overlay: &mut Overlay<Few>, extent: Extent<Ticket>) -> Result<(), ()> {
    overlay.add(extent)
}

pub fn take(overlay: &mut Overlay<Few>, range: Range<u32>, taken: fn(Extent<Ticket>)) -> Result<(), ()> {
    overlay.take(range, taken)
}

pub fn change(overlay: &mut Overlay<Few>, range: Range<u32>, state: State<Ticket>) -> Result<(), ()> {
    overlay.change(range, state)
}
";

/// The assembler text of a crate of the pure files.
fn assemble() -> String {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rust");
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (root, text) = (dir.join("pure.rs"), dir.join("pure.s"));
    let module = |name, path: &str| {
        let path = sources.join(path);
        format!("#[path = {path:?}]\npub mod {name};\n")
    };
    let contents = format!(
        "#![no_std]\n{}{}{}{GENERICS}",
        module("ondisk", "ext2/ondisk/mod.rs"),
        module("overlay", "ext2/overlay.rs"),
        module("plan", "mpage/plan.rs"),
    );
    fs::write(&root, contents).expect("the crate root can be written");
    let status = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args([
            "--edition=2021",
            "--crate-type=lib",
            "--emit=asm",
            "-Copt-level=2",
        ])
        .args(["-Coverflow-checks=on", "-Cpanic=abort", "-Ccodegen-units=1"])
        .args(["-Clink-dead-code=yes", "-Csymbol-mangling-version=v0", "-o"])
        .args([&text, &root])
        .status()
        .expect("rustc can be run");
    assert!(status.success());
    fs::read_to_string(&text).expect("the text was just written")
}

/// Which function refers to which.
fn references(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut functions = BTreeMap::<_, BTreeSet<_>>::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(label) = line
            .strip_suffix(':')
            .filter(|label| label.starts_with("_R"))
        {
            current = label;
        }
        // These name the function that comes next.
        if [".section", ".globl", ".hidden", ".type"]
            .iter()
            .any(|word| line.trim().starts_with(word))
        {
            continue;
        }
        let is_symbol = |c: char| c.is_alphanumeric() || "_$.".contains(c);
        let symbols = line
            .split(|c| !is_symbol(c))
            .filter(|word| word.starts_with("_R"));
        functions.entry(current).or_default().extend(symbols);
    }
    functions
}

/// Whether a function is written in the crate, and not one of `core` made for a type of the crate, such as the
/// methods that a trait provides.
fn is_own(symbol: &str) -> bool {
    // Before the first crate's name, capital letters say what the path is of; Y is a trait's implementation.
    let provided = symbol
        .find("Cs")
        .and_then(|end| symbol.get(..end))
        .is_some_and(|path| path.contains('Y'));
    let own = symbol.find("4pure").filter(|_| !provided);
    own.is_some_and(|own| symbol.find("4core").is_none_or(|core| own < core))
}

#[test]
fn no_way_leads_to_a_panic() {
    let text = assemble();
    let functions = references(&text);
    let own: Vec<_> = functions
        .keys()
        .copied()
        .filter(|name| is_own(name))
        .collect();
    assert!(own.len() > 100, "the functions are found: {}", own.len());
    for start in own {
        let mut seen = BTreeSet::from([start]);
        let mut todo = vec![start];
        while let Some(function) = todo.pop() {
            for &next in functions.get(function).into_iter().flatten() {
                assert!(
                    !next.contains("4core9panicking"),
                    "{start} reaches {next} through {function}"
                );
                if seen.insert(next) {
                    todo.push(next);
                }
            }
        }
    }
}

//! What a processed object looks like.
#![allow(missing_docs)]

mod common;

use common::*;
use ftrace_sites::{check, list, process, Options};
use object::elf;
use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget};
use object::{RelocationFlags, SectionFlags, SectionKind};

fn states(data: &[u8]) -> Vec<(String, String)> {
    list(data, &Options::default())
        .unwrap()
        .into_iter()
        .map(|line| (line.name, line.state.to_string()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| (a.to_string(), b.to_string());
    expected.iter().map(own).collect()
}

#[test]
fn every_function_is_traced_but_those_in_noinstr_sections() {
    let done = process(&ordinary(), &Options::default()).unwrap();
    assert_eq!((done.traced, done.excluded), (4, 1));
    assert_eq!(check(&done.bytes).unwrap(), 4);
    let expected = pairs(&[
        ("first", "traced"),
        ("second", "traced"),
        ("bare", "traced"),
        ("start", "traced"),
        ("quiet", "excluded"),
    ]);
    assert_eq!(states(&done.bytes), expected);
}

#[test]
fn list_says_beforehand_what_will_be_traced() {
    let expected = pairs(&[
        ("first", "nop"),
        ("second", "nop"),
        ("bare", "nop"),
        ("start", "nop"),
        ("quiet", "excluded"),
    ]);
    assert_eq!(states(&ordinary()), expected);
}

#[test]
fn sites_hold_a_relocated_call() {
    let done = process(&ordinary(), &Options::default()).unwrap();
    let file = object::File::parse(&*done.bytes).unwrap();
    let text = file.section_by_name(".text").unwrap();
    // Each function takes 16 + 10 bytes, aligned to 16.
    let data = text.data().unwrap();
    for site in [20, 52, 80] {
        assert_eq!(data[site..site + 5], [0xe8, 0, 0, 0, 0], "at {site}");
    }
    let relocations: Vec<_> = text.relocations().collect();
    let offsets: Vec<_> = relocations.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [21, 53, 81]);
    for (_, relocation) in relocations {
        assert_eq!(relocation.addend(), -4);
        let kind = RelocationFlags::Elf {
            r_type: elf::R_X86_64_PLT32,
        };
        assert_eq!(relocation.flags(), kind);
        let RelocationTarget::Symbol(symbol) = relocation.target() else {
            panic!("no symbol");
        };
        let symbol = file.symbol_by_index(symbol).unwrap();
        assert_eq!(symbol.name(), Ok("__fentry__"));
        assert!(symbol.is_undefined() && symbol.is_global());
    }
}

#[test]
fn mcount_loc_is_as_gcc_writes_it() {
    let done = process(&ordinary(), &Options::default()).unwrap();
    let file = object::File::parse(&*done.bytes).unwrap();
    let section = file.section_by_name("__mcount_loc").unwrap();
    assert_eq!(section.size(), 4 * 8);
    assert_eq!(section.align(), 8);
    assert!(section.data().unwrap().iter().all(|byte| *byte == 0));
    match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => assert_eq!(sh_flags, elf::SHF_ALLOC),
        other => panic!("{other:?}"),
    }
    for (index, (offset, relocation)) in section.relocations().enumerate() {
        assert_eq!(offset, index as u64 * 8);
        let kind = RelocationFlags::Elf {
            r_type: elf::R_X86_64_64,
        };
        assert_eq!(relocation.flags(), kind);
    }
}

#[test]
fn the_list_of_entries_stays_for_objtool() {
    let before = ordinary();
    let done = process(&before, &Options::default()).unwrap();
    let count = |data: &[u8]| {
        let file = object::File::parse(data).unwrap();
        let named = |s: &object::Section<'_, '_>| s.name() == Ok("__patchable_function_entries");
        file.sections().filter(named).count()
    };
    assert_eq!(count(&before), 5);
    assert_eq!(count(&done.bytes), 5);
}

#[test]
fn relocations_of_the_code_are_kept_in_order() {
    let mut builder = Builder::new();
    let mut caller = function("caller");
    caller.code = [ENDBR, NOP, &[0xe8, 0, 0, 0, 0], RET].concat();
    builder.add(&caller);
    let callee = builder.add(&function("callee"));
    let text = builder.section(".text", SectionKind::Text);
    builder.relocate(text, 16 + 10, callee, elf::R_X86_64_PLT32, -4);
    let done = process(&builder.finish(), &Options::default()).unwrap();
    let file = object::File::parse(&*done.bytes).unwrap();
    let text = file.section_by_name(".text").unwrap();
    let offsets: Vec<_> = text.relocations().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [21, 26, 53]);
}

#[test]
fn unknown_sections_come_through() {
    let mut builder = Builder::new();
    builder.add(&function("one"));
    let odd = builder.section(".odd", SectionKind::Other);
    builder.object.section_mut(odd).flags = SectionFlags::Elf {
        sh_flags: elf::SectionFlags(0),
        sh_type: elf::SectionType(0x6fff_4c03),
    };
    builder.object.append_section_data(odd, b"kept as it is", 1);
    let done = process(&builder.finish(), &Options::default()).unwrap();
    let file = object::File::parse(&*done.bytes).unwrap();
    assert_eq!(
        file.section_by_name(".odd").unwrap().data().unwrap(),
        b"kept as it is"
    );
}

#[test]
fn patterns_match_mangled_and_demangled_names() {
    let names = [
        "_RNvCs1234_5rext26irq_in",
        "_RNvCs1234_5rext24read",
        "plain",
    ];
    let data = object(&names.map(function));
    let traced = |pattern: &str| {
        let mut options = Options::default();
        options.exclude.pattern(pattern).unwrap();
        process(&data, &options)
            .map(|done| done.traced)
            .map_err(|error| error.to_string())
    };
    assert_eq!(traced("^rext2::irq_"), Ok(2));
    assert_eq!(traced("6irq_in$"), Ok(2));
    assert_eq!(traced("rext2"), Ok(1));
    assert_eq!(
        traced("gone"),
        Err("--exclude gone: matches no function".into())
    );
    assert_eq!(
        traced("."),
        Err("no sites: all 3 functions are excluded".into())
    );
}

#[test]
fn a_list_of_patterns_has_comments() {
    let mut options = Options::default();
    options
        .exclude
        .list("# not these\n\n  ^first$\nsecond\n")
        .unwrap();
    assert_eq!(process(&ordinary(), &options).unwrap().traced, 2);
}

#[test]
fn sections_are_excluded_with_their_parts_only() {
    let mut functions = ["a", "b", "c"].map(function);
    functions[0].section = ".text.hot";
    functions[1].section = ".text.hotter";
    functions[2].section = ".text.hot.c";
    let mut options = Options::default();
    options.exclude.section(".text.hot");
    assert_eq!(process(&object(&functions), &options).unwrap().traced, 1);
}

#[test]
fn a_function_without_an_entry_can_be_excluded() {
    let mut functions = ["listed", "assembly"].map(function);
    functions[1].listed = false;
    let mut options = Options::default();
    options.exclude.pattern("^assembly$").unwrap();
    let done = process(&object(&functions), &options).unwrap();
    assert_eq!((done.traced, done.excluded), (1, 1));
}

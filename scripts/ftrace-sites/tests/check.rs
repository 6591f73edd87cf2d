//! `--check` on objects that were damaged after processing, or never processed rightly.
#![allow(missing_docs)]

mod common;

use common::*;
use ftrace_sites::{check, process, Options};
use object::elf;
use object::write::{SectionId, Symbol, SymbolSection};
use object::{SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

fn processed() -> Vec<u8> {
    process(&ordinary(), &Options::default()).unwrap().bytes
}

fn complaint(data: &[u8]) -> String {
    check(data).expect_err("a complaint").to_string()
}

/// Functions that call `__fentry__`, in `.text`; those with the given indices are not relocated.
fn calling(count: usize, without: &[usize]) -> (Builder, SectionId) {
    let mut builder = Builder::new();
    let fentry = builder.object.add_symbol(Symbol {
        name: b"__fentry__".to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Unknown,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    for (index, name) in ["a", "b", "c"].into_iter().enumerate().take(count) {
        let mut function = function(name);
        function.code = [ENDBR, &[0xe8, 0, 0, 0, 0], RET].concat();
        function.listed = false;
        builder.add(&function);
        if !without.contains(&index) {
            let text = builder.section(".text", SectionKind::Text);
            let at = index as u64 * 32 + 21;
            builder.relocate(text, at, fentry, elf::R_X86_64_PLT32, -4);
        }
    }
    let text = builder.section(".text", SectionKind::Text);
    (builder, text)
}

#[test]
fn not_processed() {
    assert_eq!(complaint(&ordinary()), "no __mcount_loc: not processed yet");
}

#[test]
fn what_gcc_would_write_is_fine() {
    let (mut builder, text) = calling(3, &[]);
    add_mcount_loc(&mut builder, &[(text, 20), (text, 52), (text, 84)]);
    assert_eq!(check(&builder.finish()).unwrap(), 3);
}

#[test]
fn a_call_that_was_overwritten() {
    let mut data = processed();
    let at = file_offset(&data, ".text", 20);
    data[at] = 0x90;
    assert_eq!(complaint(&data), ".text+0x14: no call of __fentry__");
}

#[test]
fn displacements_and_addresses_must_be_zero() {
    let mut data = processed();
    let at = file_offset(&data, ".text", 22);
    data[at] = 1;
    assert_eq!(complaint(&data), ".text+0x14: no call of __fentry__");

    let mut data = processed();
    let at = file_offset(&data, "__mcount_loc", 0);
    data[at] = 1;
    let line = "__mcount_loc: not zero where relocations apply; the module loader refuses that";
    assert_eq!(complaint(&data), line);
}

#[test]
fn a_call_that_is_not_listed() {
    let (mut builder, text) = calling(3, &[]);
    add_mcount_loc(&mut builder, &[(text, 20), (text, 84)]);
    assert_eq!(
        complaint(&builder.finish()),
        ".text+0x34: calls __fentry__, not listed"
    );
}

#[test]
fn a_listed_place_that_does_not_call() {
    let (mut builder, text) = calling(2, &[1]);
    add_mcount_loc(&mut builder, &[(text, 20), (text, 52)]);
    let line = ".text+0x34: listed, but does not call __fentry__";
    assert_eq!(complaint(&builder.finish()), line);
}

#[test]
fn order_and_repetition() {
    let (mut builder, text) = calling(2, &[]);
    add_mcount_loc(&mut builder, &[(text, 52), (text, 20)]);
    assert_eq!(
        complaint(&builder.finish()),
        "__mcount_loc: not in order at .text+0x14"
    );

    let (mut builder, text) = calling(1, &[]);
    add_mcount_loc(&mut builder, &[(text, 20), (text, 20)]);
    assert_eq!(
        complaint(&builder.finish()),
        "__mcount_loc: lists a place twice"
    );
}

#[test]
fn a_second_list() {
    let (mut builder, text) = calling(1, &[]);
    add_mcount_loc(&mut builder, &[(text, 20)]);
    add_mcount_loc(&mut builder, &[(text, 20)]);
    let line = "two sections __mcount_loc: the module loader reads only one";
    assert_eq!(complaint(&builder.finish()), line);
}

#[test]
fn a_list_with_other_flags() {
    let (mut builder, text) = calling(1, &[]);
    let list = add_mcount_loc(&mut builder, &[(text, 20)]);
    builder.object.section_mut(list).flags = SectionFlags::Elf {
        sh_flags: elf::SHF_ALLOC | elf::SHF_WRITE,
        sh_type: elf::SHT_PROGBITS,
    };
    assert!(complaint(&builder.finish()).contains("the linker would not join it with gcc's"));
}

#[test]
fn entries_without_relocations() {
    let (mut builder, text) = calling(1, &[]);
    let list = add_mcount_loc(&mut builder, &[(text, 20)]);
    builder.object.append_section_data(list, &[0; 8], 8);
    assert_eq!(
        complaint(&builder.finish()),
        "__mcount_loc: 16 bytes but 1 relocations"
    );
}

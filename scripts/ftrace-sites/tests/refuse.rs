//! Objects that must not be processed, each with the line that says why.
#![allow(missing_docs)]

mod common;

use common::*;
use ftrace_sites::{process, Options};
use object::elf;
use object::SectionKind;

#[test]
fn not_an_elf_file() {
    assert_eq!(refusal(b""), "not an ELF file");
    assert_eq!(
        refusal(b"#!/bin/sh\nexit 0\n# long enough to be looked at\n"),
        "not an ELF file"
    );
}

#[test]
fn other_machines_and_kinds() {
    let with = |offset: usize, value: u8| {
        let mut data = ordinary();
        data[offset] = value;
        refusal(&data)
    };
    assert_eq!(with(4, 1), "32-bit ELF: only x86-64 objects are supported");
    assert_eq!(with(5, 2), "not an x86-64 object");
    assert_eq!(with(18, 183), "not an x86-64 object");
    let linked = "not relocatable: pass an object (.o), not a linked program or library";
    assert_eq!(with(16, 2), linked);
    assert_eq!(with(16, 3), linked);
}

#[test]
fn no_sites() {
    let mut one = function("one");
    one.listed = false;
    let line = "no sites: compile with -Zpatchable-function-entry=21,16";
    assert_eq!(refusal(&object(&[one])), line);
}

#[test]
fn a_site_without_the_nop() {
    let line = ".text+0x34 (two): no 5-byte nop; compile with -Zpatchable-function-entry=21,16";
    for nop in [&[][..], &[0x90; 5], &[0x0f, 0x1f, 0x44, 0x00, 0x00]] {
        let mut functions = ["one", "two"].map(function);
        functions[1].code = [ENDBR, nop, RET].concat();
        assert_eq!(refusal(&object(&functions)), line, "{nop:x?}");
    }
}

#[test]
fn two_nops() {
    let mut one = function("one");
    one.code = [ENDBR, NOP, NOP, RET].concat();
    assert_eq!(
        refusal(&object(&[one])),
        ".text+0x14 (one): two nops where one is expected"
    );
}

#[test]
fn a_function_cut_short() {
    let mut one = function("one");
    one.code = [ENDBR, &NOP[..3]].concat();
    assert!(refusal(&object(&[one])).contains("no 5-byte nop"));
}

#[test]
fn a_prefix_that_is_not_nops() {
    let mut one = function("one");
    one.prefix[7] = 0xcc;
    assert_eq!(
        refusal(&object(&[one])),
        ".text+0x10 (one): the 16 bytes before it are not nops"
    );
}

#[test]
fn another_prefix_than_was_said() {
    let options = Options {
        prefix: 0,
        ..Options::default()
    };
    let error = process(&ordinary(), &options).err().unwrap().to_string();
    assert_eq!(
        error,
        "no function 0 bytes after .text+0x0: is --prefix right?"
    );
}

#[test]
fn lists_that_repeat_or_go_back() {
    let twice = [
        ".text+0x14 (one) is listed twice in __patchable_function_entries",
        "0 0",
    ];
    let back = [
        "__patchable_function_entries is not in order at .text+0x14 (one)",
        "32 0",
    ];
    for [line, listed] in [twice, back] {
        let mut builder = Builder::new();
        for name in ["one", "two"] {
            let mut function = function(name);
            function.listed = false;
            builder.add(&function);
        }
        let text = builder.section(".text", SectionKind::Text);
        for offset in listed.split(' ') {
            builder.list_one(text, offset.parse().unwrap());
        }
        assert_eq!(refusal(&builder.finish()), line);
    }
}

#[test]
fn entries_that_refer_to_no_function() {
    let mut builder = Builder::new();
    builder.add(&function("one"));
    let data = builder.section(".data", SectionKind::Data);
    builder.object.append_section_data(data, &[0x90; 32], 8);
    builder.list_one(data, 0);
    let line = "__patchable_function_entries lists .data+0x0, which is not code";
    assert_eq!(refusal(&builder.finish()), line);
}

#[test]
fn entries_and_relocations_that_differ_in_number() {
    let mut builder = Builder::new();
    builder.add(&function("one"));
    builder.list();
    let entries = builder.listed_in.unwrap();
    builder.object.append_section_data(entries, &[0; 8], 8);
    let line = "__patchable_function_entries holds 16 bytes but 1 relocations";
    assert_eq!(refusal(&builder.finish()), line);
}

#[test]
fn a_function_without_an_entry() {
    let mut functions = ["listed", "forgotten"].map(function);
    functions[1].listed = false;
    let line = ".text+0x30 (forgotten): no patchable entry; compile it with one or --exclude it";
    assert_eq!(refusal(&object(&functions)), line);
}

#[test]
fn a_relocation_where_the_nop_is() {
    let mut builder = Builder::new();
    let one = builder.add(&function("one"));
    let text = builder.section(".text", SectionKind::Text);
    builder.relocate(text, 21, one, elf::R_X86_64_PC32, 0);
    assert_eq!(
        refusal(&builder.finish()),
        ".text+0x14 (one): a relocation where the nop is"
    );
}

#[test]
fn processed_already() {
    let done = process(&ordinary(), &Options::default()).unwrap();
    let line = "already processed: it has __mcount_loc; pass the object as rustc wrote it";
    assert_eq!(refusal(&done.bytes), line);
}

#[test]
fn calls_without_a_list() {
    let mut one = function("one");
    one.code = [ENDBR, &[0xe8, 0, 0, 0, 0], RET].concat();
    assert_eq!(
        refusal(&object(&[one])),
        "already processed: .text+0x14 (one) is a call"
    );
}

#[test]
fn a_stripped_object() {
    let mut data = ordinary();
    let table = u64::from_le_bytes(data[40..48].try_into().unwrap()) as usize;
    // Turn the symbol table (type 2) into plain data (type 1).
    let header = (table..data.len())
        .step_by(64)
        .find(|at| data[at + 4] == 2)
        .unwrap();
    data[header + 4] = 1;
    let line = "no symbol table: pass the object as the compiler wrote it, not stripped";
    assert_eq!(refusal(&data), line);
}

/// Whatever a byte of the input is changed to: refused, or processed and verified, never a panic.
#[test]
fn damaged_objects_never_panic() {
    let whole = ordinary();
    let options = Options::default();
    for length in 0..whole.len() {
        assert!(
            process(&whole[..length], &options).is_err(),
            "cut to {length} bytes"
        );
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, whole[at] ^ 0x10] {
            let mut data = whole.clone();
            data[at] = value;
            if let Ok(done) = process(&data, &options) {
                assert_eq!(ftrace_sites::check(&done.bytes).unwrap(), done.traced);
            }
        }
    }
}

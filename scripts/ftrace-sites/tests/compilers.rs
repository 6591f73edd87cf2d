//! Objects as rustc and the C compiler write them.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ftrace_sites::{check, list, process, Options};
use object::read::{Object as _, ObjectSection as _};

const RUST: &str = r#"
#![no_std]
#[inline(never)]
fn helper(x: u64) -> u64 {
    core::hint::black_box(x).wrapping_mul(3)
}
#[no_mangle]
pub fn spin(mut x: u64) -> u64 {
    while x % 7 != 0 {
        x = helper(x).wrapping_add(1);
    }
    x
}
#[no_mangle]
#[link_section = ".init.text"]
pub extern "C" fn start() -> u64 {
    spin(5)
}
#[no_mangle]
#[link_section = ".noinstr.text"]
pub extern "C" fn quiet() -> u64 {
    7
}
"#;

const C: &str = "int twice(int x) { return x * 2; }\nint thrice(int x) { return x * 3; }\n";

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}

/// Compiles with the flags that the kernel gives, and those given here.
fn rustc(directory: &Path, flags: &[&str]) -> PathBuf {
    let source = directory.join("demo.rs");
    let output = directory.join("demo.o");
    fs::write(&source, RUST).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    run(Command::new(rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "--edition=2021",
            "--crate-type=lib",
            "--emit=obj",
            "-Cpanic=abort",
        ])
        .args([
            "-Copt-level=2",
            "-Ccodegen-units=1",
            "-Csymbol-mangling-version=v0",
            "-g",
        ])
        .args(["-Zcf-protection=branch", "-Zpatchable-function-entry=16,16"])
        .args(flags)
        .arg("-o")
        .args([&output, &source]));
    output
}

fn cc(directory: &Path, arguments: &[&str]) {
    run(Command::new("cc").current_dir(directory).args(arguments));
}

#[test]
fn a_crate_that_rustc_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let object = rustc(directory.path(), &["-Zpatchable-function-entry=21,16"]);
    let data = fs::read(object).unwrap();
    let done = process(&data, &Options::default()).unwrap();
    assert_eq!((done.traced, done.excluded), (3, 1));

    let names = |state: &str| -> Vec<String> {
        let lines = list(&done.bytes, &Options::default()).unwrap();
        let of_state = lines.into_iter().filter(|line| line.state == state);
        of_state.map(|line| line.name).collect()
    };
    assert_eq!(names("traced"), ["demo::helper", "spin", "start"]);
    assert_eq!(names("excluded"), ["quiet"]);
}

#[test]
fn a_crate_compiled_without_room_for_the_call() {
    let directory = tempfile::tempdir().unwrap();
    let data = fs::read(rustc(directory.path(), &[])).unwrap();
    let error = common::refusal(&data);
    let end = "no 5-byte nop; compile with -Zpatchable-function-entry=21,16";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn a_crate_compiled_with_too_much_room() {
    let directory = tempfile::tempdir().unwrap();
    let object = rustc(directory.path(), &["-Zpatchable-function-entry=26,16"]);
    let error = common::refusal(&fs::read(object).unwrap());
    assert!(error.contains("nop"), "{error}");
}

/// The linker makes one list of ours and the C compiler's; that list is what the kernel reads.
#[test]
fn joins_with_what_the_c_compiler_marks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let object = rustc(path, &["-Zpatchable-function-entry=21,16"]);
    let done = process(&fs::read(object).unwrap(), &Options::default()).unwrap();
    fs::write(path.join("traced.o"), &done.bytes).unwrap();
    fs::write(path.join("c.c"), C).unwrap();
    let marks = [
        "-pg",
        "-mfentry",
        "-mrecord-mcount",
        "-fno-pic",
        "-fcf-protection=branch",
    ];
    cc(path, &[&["-O2", "-c", "c.c"], &marks[..]].concat());
    for order in [["traced.o", "c.o"], ["c.o", "traced.o"]] {
        cc(
            path,
            &[&["-r", "-nostdlib", "-o", "all.o"], &order[..]].concat(),
        );
        let all = fs::read(path.join("all.o")).unwrap();
        let file = object::File::parse(&*all).unwrap();
        let lists = file
            .sections()
            .filter(|section| section.name() == Ok("__mcount_loc"));
        let sizes: Vec<u64> = lists.map(|section| section.size()).collect();
        assert_eq!(sizes, [(3 + 2) * 8], "{order:?}");
        let lines = list(&all, &Options::default()).unwrap();
        let traced = lines.iter().filter(|line| line.state == "traced").count();
        assert_eq!(traced, 5, "{order:?}");
    }
}

#[test]
fn what_the_c_compiler_marks_passes_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("c.c"), C).unwrap();
    let marks = ["-pg", "-mfentry", "-mrecord-mcount", "-fno-pic"];
    cc(path, &[&["-O2", "-c", "c.c"], &marks[..]].concat());
    assert_eq!(check(&fs::read(path.join("c.o")).unwrap()).unwrap(), 2);
}

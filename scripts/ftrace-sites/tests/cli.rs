//! The program as it is called.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::*;

fn call(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ftrace-sites"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}

/// Exit status, standard output, standard error.
fn said(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = call(directory, arguments);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn with_object() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in.o"), ordinary()).unwrap();
    directory
}

fn silent() -> (i32, String, String) {
    (0, String::new(), String::new())
}

fn refused(line: &str) -> (i32, String, String) {
    (1, String::new(), format!("ftrace-sites: {line}\n"))
}

#[test]
fn processes_silently_and_checks() {
    let directory = with_object();
    let path = directory.path();
    assert_eq!(said(path, &["in.o", "-o", "out.o"]), silent());
    let line = "out.o: 4 ftrace locations\n".to_string();
    assert_eq!(said(path, &["--check", "out.o"]), (0, line, String::new()));
    let names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing else is left behind: {names:?}");
}

#[test]
fn processes_in_place_once() {
    let directory = with_object();
    let path = directory.path();
    let line = "in.o: 4 functions traceable, 1 left alone\n".to_string();
    assert_eq!(
        said(path, &["-v", "in.o", "-o", "in.o"]),
        (0, line, String::new())
    );
    let before = fs::read(path.join("in.o")).unwrap();
    let again = "in.o: already processed: it has __mcount_loc; pass the object as rustc wrote it";
    assert_eq!(said(path, &["in.o", "-o", "in.o"]), refused(again));
    assert_eq!(fs::read(path.join("in.o")).unwrap(), before);
}

#[test]
fn the_same_input_gives_the_same_output() {
    let directory = with_object();
    let path = directory.path();
    for output in ["one.o", "two.o"] {
        assert_eq!(said(path, &["in.o", "-o", output]), silent());
    }
    let read = |name| fs::read(path.join(name)).unwrap();
    assert_eq!(read("one.o"), read("two.o"));
}

#[test]
fn lists_state_place_and_name() {
    let directory = with_object();
    let (status, text, _) = said(
        directory.path(),
        &["--list", "in.o", "--exclude", "^second$"],
    );
    assert_eq!(status, 0);
    let first: Vec<_> = text.lines().take(2).collect();
    assert_eq!(
        first,
        ["nop\t.text+0x14\tfirst", "excluded\t.text+0x34\tsecond"]
    );
}

#[test]
fn a_refused_object_leaves_no_output() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut one = function("one");
    one.code = [ENDBR, NOP, NOP, RET].concat();
    fs::write(path.join("bad.o"), object(&[one])).unwrap();
    let line = "bad.o: .text+0x14 (one): two nops where one is expected";
    assert_eq!(said(path, &["bad.o", "-o", "out.o"]), refused(line));
    assert!(!path.join("out.o").exists());
}

#[test]
fn excludes_from_a_file() {
    let directory = with_object();
    let path = directory.path();
    fs::write(path.join("quiet.txt"), "# slow\nfirst\n").unwrap();
    let (status, text, _) = said(
        path,
        &["-v", "in.o", "-o", "out.o", "--exclude-from", "quiet.txt"],
    );
    assert_eq!(
        (status, text.as_str()),
        (0, "out.o: 3 functions traceable, 2 left alone\n")
    );
}

#[test]
fn bad_arguments_get_one_line() {
    let directory = with_object();
    let path = directory.path();
    let cases: [(&[&str], &str); 9] = [
        (&[], "which object? try --help"),
        (
            &["in.o"],
            "give one of -o FILE, --list, --check; try --help",
        ),
        (
            &["in.o", "--list", "--check"],
            "give one of -o FILE, --list, --check; try --help",
        ),
        (
            &["in.o", "--prefix", "x"],
            "--prefix x: give a number of bytes, 0 to 255",
        ),
        (&["in.o", "--frob"], "invalid option '--frob'; try --help"),
        (
            &["in.o", "two.o"],
            "unexpected argument \"two.o\"; try --help",
        ),
        (
            &["--check", "gone.o"],
            "gone.o: No such file or directory (os error 2)",
        ),
        (
            &["in.o", "-o", "no/out.o"],
            "no/out.o: No such file or directory (os error 2)",
        ),
        (
            &["--exclude-from", "gone"],
            "gone: No such file or directory (os error 2)",
        ),
    ];
    for (arguments, line) in cases {
        assert_eq!(said(path, arguments), refused(line), "{arguments:?}");
    }
    let (status, _, line) = said(path, &["--exclude", "(", "in.o", "--list"]);
    assert_eq!((status, line.lines().count()), (1, 1), "{line}");
}

#[test]
fn help_and_version() {
    let directory = with_object();
    let (status, text, _) = said(directory.path(), &["--help"]);
    assert_eq!(status, 0);
    for option in [
        "--exclude REGEX",
        "--exclude-section",
        "--prefix",
        "--list",
        "--check",
    ] {
        assert!(text.contains(option), "{option}");
    }
    let (status, text, _) = said(directory.path(), &["--version"]);
    assert_eq!((status, text.starts_with("ftrace-sites ")), (0, true));
}

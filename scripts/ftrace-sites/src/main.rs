//! The command line of `ftrace-sites`.

#![warn(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Display;
use std::fs;
use std::io::{
    self,
    BufRead,
    BufWriter,
    Write, //
};
use std::path::{
    Path,
    PathBuf, //
};
use std::process::ExitCode;

use ftrace_sites::error::{
    Error,
    Result, //
};
use ftrace_sites::{
    check,
    list,
    name,
    process,
    Options, //
};
use lexopt::Arg::{
    Long,
    Short,
    Value, //
};
use lexopt::ValueExt;

const HELP: &str = "\
Makes the functions of a Rust kernel object visible to ftrace and kprobes (x86-64).

Usage: ftrace-sites [OPTIONS] OBJECT -o OUTPUT   process an object that rustc wrote
       ftrace-sites [OPTIONS] --list OBJECT      list its functions (.o or .ko, processed or not)
       ftrace-sites --check OBJECT               check an object that was processed
       ftrace-sites --demangle                   copy standard input, Rust symbols in it demangled

OBJECT has to be compiled with -Zpatchable-function-entry=N,M, N being M + 5 and M the kernel's
CONFIG_FUNCTION_PADDING_BYTES (21,16 on the stock kernel). Process it before it is linked.

Options:
  -o, --output FILE           where to write; OBJECT itself is allowed
      --exclude REGEX         leave functions alone whose mangled or demangled name matches;
                              may be given several times; one that matches nothing is an error
      --exclude-from FILE     the same, one REGEX a line, # starts a comment
      --exclude-section NAME  leave functions in NAME and NAME.* alone, besides .noinstr.text,
                              .entry.text, .cpuidle.text, .kprobes.text and .head.text
      --prefix BYTES          M, 16 if not given
  -v, --verbose               say how many functions were processed
      --list                  print state (nop, excluded, traced), place and name, tab-separated
      --check                 check, print the number of ftrace locations
      --demangle              a filter for traces
  -h, --help                  print this
  -V, --version               print the version

Exit status: 0, or 1 with one line that says what is wrong.
";

const VERSION: &str = concat!("ftrace-sites ", env!("CARGO_PKG_VERSION"), "\n");

enum Mode {
    Process(PathBuf),
    List,
    Check,
}

struct Arguments {
    object: PathBuf,
    mode: Mode,
    options: Options,
    verbose: bool,
}

fn main() -> ExitCode {
    let outcome = arguments().and_then(|arguments| match arguments {
        Some(arguments) => run(&arguments),
        None => Ok(()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ftrace-sites: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Copies standard input to standard output, a line at a time, with the Rust symbols in it demangled.
fn demangle() -> Result<()> {
    let failed = |error: io::Error| Error::new(format!("--demangle: {error}"));
    let mut output = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    let mut input = io::stdin().lock();
    while input.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let text = String::from_utf8_lossy(&line);
        output
            .write_all(name::demangled_text(&text).as_bytes())
            .map_err(failed)?;
        line.clear();
    }
    output.flush().map_err(failed)
}

/// What the command line may say, as it is read.
#[derive(Default)]
struct Words {
    object: Option<PathBuf>,
    output: Option<PathBuf>,
    list: bool,
    check: bool,
    verbose: bool,
    options: Options,
}

/// Reads the command line; nothing is left to do after `--help` and `--version`.
fn arguments() -> Result<Option<Arguments>> {
    let mut parser = lexopt::Parser::from_env();
    let mut words = Words::default();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Short('h') | Long("help") => return print(HELP).map(|()| None),
            Short('V') | Long("version") => return print(VERSION).map(|()| None),
            Short('v') | Long("verbose") => words.verbose = true,
            Long("demangle") => return demangle().map(|()| None),
            Long("list") => words.list = true,
            Long("check") => words.check = true,
            Short('o') | Long("output") => words.output = Some(path(&mut parser)?),
            Long("prefix") => words.options.prefix = prefix(&text(&mut parser)?)?,
            Long("exclude") => words.options.exclude.pattern(&text(&mut parser)?)?,
            Long("exclude-from") => {
                let file = path(&mut parser)?;
                let list = fs::read_to_string(&file).map_err(|error| about(&file, &error))?;
                words.options.exclude.list(&list)?;
            }
            Long("exclude-section") => words.options.exclude.section(&text(&mut parser)?),
            Value(value) if words.object.is_none() => words.object = Some(value.into()),
            other => return Err(usage(other.unexpected())),
        }
    }
    words.into_arguments().map(Some)
}

impl Words {
    fn into_arguments(self) -> Result<Arguments> {
        let Some(object) = self.object else {
            return Err(Error::new("which object? try --help"));
        };
        let mode = match (self.output, self.list, self.check) {
            (Some(output), false, false) => Mode::Process(output),
            (None, true, false) => Mode::List,
            (None, false, true) => Mode::Check,
            _ => {
                return Err(Error::new(
                    "give one of -o FILE, --list, --check; try --help",
                ))
            }
        };
        Ok(Arguments {
            object,
            mode,
            options: self.options,
            verbose: self.verbose,
        })
    }
}

fn usage(error: lexopt::Error) -> Error {
    Error::new(format!("{error}; try --help"))
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf> {
    parser.value().map(PathBuf::from).map_err(usage)
}

fn text(parser: &mut lexopt::Parser) -> Result<String> {
    parser
        .value()
        .and_then(|value| value.string())
        .map_err(usage)
}

fn prefix(text: &str) -> Result<u64> {
    match text.parse() {
        Ok(prefix) if prefix <= 255 => Ok(prefix),
        _ => Err(Error::new(format!(
            "--prefix {text}: give a number of bytes, 0 to 255"
        ))),
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let object = &arguments.object;
    let data = fs::read(object).map_err(|error| about(object, &error))?;
    match &arguments.mode {
        Mode::Process(output) => {
            let done = process(&data, &arguments.options).map_err(|error| about(object, &error))?;
            write(output, &done.bytes)?;
            if arguments.verbose {
                print(&format!(
                    "{}: {} functions traceable, {} left alone\n",
                    output.display(),
                    done.traced,
                    done.excluded
                ))?;
            }
            Ok(())
        }
        Mode::List => {
            let listed = list(&data, &arguments.options).map_err(|error| about(object, &error))?;
            let lines = listed
                .iter()
                .map(|line| format!("{}\t{}\t{}\n", line.state, line.place, line.name));
            print(&lines.collect::<String>())
        }
        Mode::Check => {
            let count = check(&data).map_err(|error| about(object, &error))?;
            print(&format!("{}: {count} ftrace locations\n", object.display()))
        }
    }
}

/// Writes a file whole or not at all: make must not find half an object.
fn write(output: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = output.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, output));
    written.map_err(|error| {
        // The first error is the one to report; there may be nothing to remove.
        let _ = fs::remove_file(&temporary);
        about(output, &error)
    })
}

fn print(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Error::new(format!("standard output: {error}")))
}

fn about(file: &Path, error: &dyn Display) -> Error {
    Error::new(format!("{}: {error}", file.display()))
}

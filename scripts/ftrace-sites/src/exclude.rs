//! Which functions must be left alone.

use std::cell::Cell;

use regex_lite::Regex;

use crate::elf::Object;
use crate::error::{
    refuse,
    Error,
    Result, //
};
use crate::name::demangled;

/// Sections whose functions the kernel must never trace: code that runs before or while the
/// kernel's own entry code has set up what tracing needs (`noinstr`, entry and idle code), and
/// code that kprobes itself uses. Init and exit sections are not among them: the module loader
/// forgets their sites when it frees them.
pub const SECTIONS: [&str; 5] = [
    ".noinstr.text",
    ".entry.text",
    ".cpuidle.text",
    ".kprobes.text",
    ".head.text",
];

/// The functions to leave alone: by section, and by patterns over mangled and demangled names.
pub struct Exclude {
    sections: Vec<String>,
    patterns: Vec<Pattern>,
}

struct Pattern {
    text: String,
    regex: Regex,
    used: Cell<bool>,
}

impl Default for Exclude {
    fn default() -> Self {
        Self {
            sections: SECTIONS.map(String::from).to_vec(),
            patterns: Vec::new(),
        }
    }
}

impl Exclude {
    /// Leaves alone the functions whose mangled or demangled name matches `pattern`.
    pub fn pattern(&mut self, pattern: &str) -> Result<()> {
        let regex = Regex::new(pattern)
            .map_err(|error| Error::new(format!("--exclude {pattern}: {error}")))?;
        self.patterns.push(Pattern {
            text: pattern.to_string(),
            regex,
            used: Cell::new(false),
        });
        Ok(())
    }

    /// Leaves alone the functions whose names match one of the patterns in `list`, one a line;
    /// empty lines and lines that start with `#` say nothing.
    pub fn list(&mut self, list: &str) -> Result<()> {
        list.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .try_for_each(|line| self.pattern(line))
    }

    /// Leaves alone the functions in section `name` and in its parts (`name.*`).
    pub fn section(&mut self, name: &str) {
        self.sections.push(name.to_string());
    }

    /// Whether the function named by `symbol` is to be left alone.
    pub fn covers(&self, object: &Object<'_>, section: usize, symbol: usize) -> bool {
        let section = object
            .sections
            .get(section)
            .map_or("", |section| &section.name);
        let by_section = self.sections.iter().any(|name| {
            section
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let name = object.symbols.get(symbol).map_or("", |symbol| &symbol.name);
        let plain = demangled(name);
        let mut by_name = false;
        for pattern in &self.patterns {
            if pattern.regex.is_match(name) || pattern.regex.is_match(&plain) {
                pattern.used.set(true);
                by_name = true;
            }
        }
        by_section || by_name
    }

    /// Refuses a pattern that matched nothing: a function that was renamed would be traced
    /// without anyone noticing.
    pub fn all_used(&self) -> Result<()> {
        match self.patterns.iter().find(|pattern| !pattern.used.get()) {
            Some(pattern) => refuse!("--exclude {}: matches no function", pattern.text),
            None => Ok(()),
        }
    }
}

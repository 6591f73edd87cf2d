//! Names as people read them.

/// The demangled form of a Rust symbol, without its hash; other names as they are.
pub fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

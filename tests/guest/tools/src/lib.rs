// SPDX-License-Identifier: GPL-2.0

//! What the programs that tests run in the guest have in common.

pub mod event;
pub mod kinds;
pub mod log;
pub mod model;
pub mod random;
pub mod system;
pub mod worker;

/// Ends the program with one line that says why.
pub fn die(message: &str) -> ! {
    eprintln!("{}: {message}", std::env::args().next().unwrap_or_default());
    std::process::exit(1)
}

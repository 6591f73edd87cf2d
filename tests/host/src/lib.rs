// SPDX-License-Identifier: GPL-2.0

//! The pure files of the kernel module, unchanged, as an ordinary crate.
//!
//! What needs no kernel is written without the kernel. These are the very files that the module is
//! built from, so what is tested here is what runs there.
#![no_std]
#![forbid(unsafe_code)]

/// The file system's pure part.
#[path = "../../../rust/ext2"]
pub mod ext2 {
    #[path = "name_table.rs"]
    pub mod name_table;
    #[path = "ondisk/mod.rs"]
    pub mod ondisk;
    #[path = "overlay.rs"]
    pub mod overlay;
}

/// The page-I/O engine's pure part.
#[path = "../../../rust/mpage"]
pub mod mpage {
    #[path = "ahead.rs"]
    pub mod ahead;
    #[path = "plan.rs"]
    pub mod plan;
}

pub mod exercise;

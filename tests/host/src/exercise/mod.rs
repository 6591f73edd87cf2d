// SPDX-License-Identifier: GPL-2.0

//! Checks that take any bytes and fail only if the code under test is wrong.
//!
//! Property tests and fuzz targets call the same functions: the former with bytes made up in an orderly way, the
//! latter with whatever finds new paths.
extern crate std;

mod disk;
mod planner;

pub use disk::{
    directory, group_desc, indirect, inode, sample_superblock, sample_volume, superblock, symlink,
};
pub use planner::planner;

/// Numbers taken one after the other from bytes; zero when they are used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number in `0..limit`.
    fn below(&mut self, limit: u32) -> u32 {
        u32::from(u16::from_le_bytes([self.byte(), self.byte()])) % limit.max(1)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

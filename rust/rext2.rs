// SPDX-License-Identifier: GPL-2.0
//! rext2
use kernel::prelude::*;
#[path = "bindings/mod.rs"]
mod bindings;
module! {
    type: Rext2,
    name: "rext2",
    authors: ["The rext2 authors"],
    description: "ext2 file system in Rust",
    license: "GPL",
}
struct Rext2;
impl kernel::Module for Rext2 {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("hello\n");
        Ok(Self)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! rext2: the ext2 file system in Rust, with a page-I/O engine of its own.
//!
//! Imports go down only: [`ext2`] → [`mpage`] → [`vfs`] → [`bindings`].

use kernel::prelude::*;

#[path = "bindings/mod.rs"]
mod bindings;
#[path = "ext2/mod.rs"]
mod ext2;
#[path = "mpage/mod.rs"]
mod mpage;
#[path = "vfs/mod.rs"]
mod vfs;

use ext2::Ext2;
use vfs::fs_type::Registration;

module! {
    type: Rext2,
    name: "rext2",
    authors: ["The rext2 authors"],
    description: "The ext2 file system in Rust",
    license: "GPL",
    alias: ["fs-rext2"],
    params: {
        serve_ext2: u8 {
            default: 0,
            description: "1: also serve file systems mounted as type ext2",
        },
    },
}

#[pin_data]
struct Rext2 {
    #[pin]
    own: Registration<Ext2>,
    ext2: Option<Pin<KBox<Registration<Ext2>>>>,
}

impl kernel::InPlaceModule for Rext2 {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            own <- Registration::new(c"rext2", module),
            ext2: serve_ext2(module)?,
        }? Error)
    }
}

/// Takes the name `ext2` too, if the module parameter asks for it.
fn serve_ext2(module: &'static ThisModule) -> Result<Option<Pin<KBox<Registration<Ext2>>>>> {
    if *module_parameters::serve_ext2.value() == 0 {
        return Ok(None);
    }
    let registration = KBox::pin_init(Registration::new(c"ext2", module), GFP_KERNEL);
    registration.map(Some).inspect_err(|_| {
        pr_err!(
            "serve_ext2=1: the file system type ext2 is taken; load rext2 before ext4 or ext2\n"
        );
    })
}

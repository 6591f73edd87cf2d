// SPDX-License-Identifier: GPL-2.0

//! What the kernel offers, as bindgen sees it: the kernel crate's own bindings, and ours (`bindings.h`,
//! `allow.list`) for what those lack. Nothing here is safe to call; only [`vfs`](crate::vfs) does.

#![allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    improper_ctypes
)]

pub(crate) use kernel::bindings::*;

mod generated {
    use kernel::bindings::*;
    use kernel::ffi;
    include!(env!("REXT2_BINDINGS"));
}

// Names of ours win over the opaque ones of the kernel crate.
pub(crate) use generated::{
    buffer_head, export_operations, file_kattr, fs_context, fs_context_operations, fs_parameter, iomap, iomap_ops, kstatfs,
};
pub(crate) use generated::*;

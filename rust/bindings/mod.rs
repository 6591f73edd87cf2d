// SPDX-License-Identifier: GPL-2.0

//! What the kernel offers, as bindgen sees it: the kernel crate's own bindings, and ours (`bindings.h`,
//! `allow.list`) for what those lack. Nothing here is safe to call; only [`vfs`](crate::vfs) does.

/// What bindgen makes, judged as leniently as the kernel judges its own bindings.
#[allow(
    clippy::all,
    clippy::as_ptr_cast_mut,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::missing_safety_doc,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
mod generated {
    use kernel::ffi;
    // A name that is defined below wins over one from here: whole types over mere declarations.
    pub(crate) use kernel::bindings::*;

    include!(env!("REXT2_BINDINGS"));
}

pub(crate) use generated::*;

/// Types that the kernel crate's bindings only declare, and that our bindings define: operation tables of the kernel
/// crate mention these.
pub(crate) mod declared {
    pub(crate) use kernel::bindings::{fiemap_extent_info, file_kattr, fs_context, kstatfs};
}

// Constants that C spells as casts, under their own names.
pub(crate) const SB_RDONLY: usize = RFS_SB_RDONLY as usize;
pub(crate) const SB_SILENT: usize = RFS_SB_SILENT as usize;
pub(crate) const FOP_BUFFER_RASYNC: u32 = RFS_FOP_BUFFER_RASYNC;
pub(crate) const FMODE_CAN_ODIRECT: u32 = RFS_FMODE_CAN_ODIRECT;
pub(crate) const FMODE_NOWAIT: u32 = RFS_FMODE_NOWAIT;
pub(crate) const GFP_NOFS: u32 = RFS_GFP_NOFS;
pub(crate) const GFP_NOWAIT: u32 = RFS_GFP_NOWAIT;
pub(crate) const IOCB_DSYNC: u32 = RFS_IOCB_DSYNC;
pub(crate) const IOCB_NOWAIT: u32 = RFS_IOCB_NOWAIT;

pub(crate) mod trace;

// SPDX-License-Identifier: GPL-2.0

//! The trace events of `trace.h` as Rust functions. An event that is off costs a jump over a nop.

use super::{bio, inode, super_block};
use kernel::jump_label::static_branch_unlikely;

/// Declares, for each event, the C symbols that `TRACE_EVENT` and `CREATE_RUST_TRACE_POINTS` define, and a function
/// that calls the event if it is on.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?);)*) => {
        kernel::macros::paste! {
            // Lock classes are empty structs in this kernel; the kernel crate's own declarations have them too.
            #[allow(improper_ctypes)]
            extern "C" {
                $(
                    static [<__tracepoint_ $name>]: super::tracepoint;
                    fn [<rust_do_trace_ $name>]($($arg: $type),*);
                )*
            }
            $(
                $(#[$doc])*
                ///
                /// # Safety
                ///
                /// The inode is live, with its super block; a bio is ours, not empty, and holds folios of a file.
                #[allow(dead_code)]
                #[inline(always)]
                pub(crate) unsafe fn $name($($arg: $type),*) {
                    // SAFETY: The symbols are those of an event of this module; the caller vouches for its arguments.
                    unsafe {
                        if static_branch_unlikely!([<__tracepoint_ $name>], super::tracepoint, key) {
                            [<rust_do_trace_ $name>]($($arg),*);
                        }
                    }
                }
            )*
        }
    };
}

events! {
    /// A window of readahead or writeback begins. Bytes.
    mpage_window(inode: *mut inode, pos: u64, len: u64, write: bool);
    /// A run was mapped. Blocks.
    mpage_map(inode: *mut inode, first: u64, len: u64, disk: u64, hole: bool, boundary: bool);
    /// A bio is about to be sent.
    mpage_bio(inode: *mut inode, bio: *mut bio, folios: u32, reason: u8, write: bool);
    /// A bio has ended. Its folios have not been given back yet.
    mpage_end(bio: *mut bio);
    /// A folio needs a record of its blocks: it is not one piece of I/O. Bytes.
    mpage_per_block(inode: *mut inode, pos: u64, len: u64, write: bool);
    /// Space was set aside for file blocks. Blocks; `total` counts the pointer blocks that they may need.
    reserve_blocks(inode: *mut inode, first: u64, len: u64, total: u64);
    /// Blocks were chosen for an inode.
    alloc_blocks(sb: *mut super_block, ino: u64, goal: u32, want: u32, disk: u32, len: u32, reserved: bool);
    /// Blocks of a file became reachable.
    commit_blocks(inode: *mut inode, extents: u32, made: u32, links: u32);
    /// The volume turned out to be damaged.
    damage(sb: *mut super_block, ino: u64, block: u64);
}

// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over the kernel objects that a block-device file system works with, one object per file.
//!
//! | module | kernel object | what it answers for |
//! | --- | --- | --- |
//! | [`fs_type`] | `file_system_type` | registration, the inode cache, nothing left after unload |
//! | [`context`] | `fs_context` | mount and remount: options, then [`FileSystem::fill_super`] |
//! | [`super_block`] | `super_block` | the mounted volume; [`super_block::NewSuperBlock`] while it is being set up |
//! | [`inode`], [`inode_new`], [`inode_write`] | `inode` | the file system's data beside each inode; blank → new → live; changes |
//! | [`idmap`], [`fileattr`] | `mnt_idmap`, `file_kattr` | users of a mount; attributes of `chattr(1)` |
//! | [`inode_ops`], [`file_ops`], [`aops`] | operation tables | a trait each, made into a C table |
//! | [`dentry`], [`dir`] | `dentry`, `dir_context` | names; emitting directory entries |
//! | [`folio`], [`block_state`], [`readahead`] | `folio`, `readahead_control` | page cache memory and its life |
//! | [`writeback`], [`ticket`] | `writeback_control` | passes over dirty folios; whether all that one sent has arrived |
//! | [`bio`] | `bio` | I/O on runs of sectors: open → in flight → done |
//! | [`buffer`], [`lost_writes`] | `buffer_head`, `errseq_t` | metadata blocks; those whose write failed |
//! | [`later`] | `delayed_work` | what a volume does in the background |
//! | [`task`] | `current` | rights of the caller, the time of day |
//! | [`buffered`] | `kiocb`, `iov_iter` | writing through the page cache |
//! | [`iomap`], [`direct`] | `iomap_ops` | SEEK_HOLE/DATA, FIEMAP, swap files; direct I/O |
//!
//! All `unsafe` of the project is here and in [`bindings`](crate::bindings). A file system built on these modules
//! needs none.
//!
//! # Invariants
//!
//! The `SAFETY` comments below cite these by name.
//!
//! - **Typed super block**: every super block whose `s_type` was registered by [`fs_type::Registration<T>`] carries
//!   `s_fs_info` that is null or a `KBox<T::Super>`; the VFS hands callbacks of `T`'s tables no other super block.
//! - **Typed inode**: every inode of such a super block was allocated by `T`'s `alloc_inode` and is the first field
//!   of an initialised `inode_slab::Storage<T>`.
//! - **Callback pointer**: a pointer that the VFS passes to a callback is valid, and referenced by the caller, for
//!   the length of the call.
//! - **Typed private**: the `private` field of a folio of a `T` inode is null or a `KBox<BlockState>`, changed only
//!   under the folio lock.

// The callbacks in C's tables are called by C alone; what it owes them is "Callback pointer", above.
#![allow(clippy::missing_safety_doc)]

pub(crate) mod aops;
pub(crate) mod bio;
pub(crate) mod block_state;
pub(crate) mod buffer;
mod buffer_row;
mod buffered;
pub(crate) mod context;
pub(crate) mod dentry;
pub(crate) mod dir;
mod direct;
pub(crate) mod errno;
pub(crate) mod file;
pub(crate) mod file_ops;
mod file_table;
pub(crate) mod fileattr;
pub(crate) mod folio;
mod folio_end;
pub(crate) mod fs_type;
pub(crate) mod idmap;
pub(crate) mod inode;
mod inode_io;
pub(crate) mod inode_new;
pub(crate) mod inode_ops;
mod inode_slab;
mod inode_table;
pub(crate) mod inode_write;
pub(crate) mod iomap;
pub(crate) mod later;
pub(crate) mod lost_writes;
pub(crate) mod no_fail;
pub(crate) mod readahead;
pub(crate) mod stat;
pub(crate) mod super_block;
pub(crate) mod super_ops;
pub(crate) mod sync;
pub(crate) mod task;
pub(crate) mod ticket;
pub(crate) mod trace;
pub(crate) mod writeback;

use context::ParamValue;
use inode::Inode;
use kernel::{prelude::*, str::CStr, sync::aref::ARef};
use super_block::{NewSuperBlock, SuperBlock};

/// Stops the machine, because the administrator asked for that rather than to go on with a damaged volume.
pub(crate) fn halt(why: &'static CStr) -> ! {
    // SAFETY: The format takes one string.
    unsafe { crate::bindings::panic(c"%s".as_char_ptr(), why.as_char_ptr()) }
}

/// The bytes of a C string, without its end.
///
/// # Safety
///
/// `text` ends with a NUL and is not changed for the lifetime chosen.
unsafe fn bytes_of<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: The caller's promise; so many bytes come before the NUL.
    unsafe { core::slice::from_raw_parts(text.cast(), crate::bindings::strlen(text)) }
}

/// C tables of function pointers, in which a null entry means "not offered".
///
/// # Safety
///
/// All-zero bytes are a valid value of the type.
unsafe trait Table {}

// SAFETY: Each is a struct of optional function pointers, integers and raw pointers.
unsafe impl Table for crate::bindings::super_operations {}
// SAFETY: As above.
unsafe impl Table for crate::bindings::export_operations {}
// SAFETY: As above.
unsafe impl Table for crate::bindings::inode_operations {}
// SAFETY: As above.
unsafe impl Table for crate::bindings::file_operations {}
// SAFETY: As above.
unsafe impl Table for crate::bindings::address_space_operations {}
// SAFETY: As above.
unsafe impl Table for crate::bindings::vm_operations_struct {}

/// A table that offers nothing, to be filled.
const fn none<O: Table>() -> O {
    // SAFETY: By the trait's promise zero bytes are a value.
    unsafe { core::mem::MaybeUninit::zeroed().assume_init() }
}

/// What a file system is: the types of its data and how it is mounted. What it *does* is in
/// [`super_ops::SuperOperations`], [`inode_ops::InodeOperations`], [`file_ops::FileOperations`] and
/// [`aops::AddressSpaceOperations`].
pub(crate) trait FileSystem:
    super_ops::SuperOperations<FS = Self> + Sized + Send + Sync + 'static
{
    /// Name of the slab cache of its inodes.
    const CACHE_NAME: &'static CStr;
    /// Mount options, filled by [`parse_param`](Self::parse_param).
    type Options: Send + Sync + 'static;
    /// What the file system keeps per volume.
    type Super: Send + Sync + 'static;
    /// What the file system keeps per inode.
    type Inode: Send + Sync + 'static;

    /// The options to start from: the defaults, or on a remount those in force on `sb`.
    fn options(sb: Option<&SuperBlock<Self>>) -> Result<Self::Options>;

    /// Takes one mount option. Fails with `ENOPARAM` for one it does not know and with `EINVAL` for a bad value.
    fn parse_param(_options: &mut Self::Options, _key: &[u8], _value: ParamValue<'_>) -> Result {
        Err(ENOPARAM)
    }

    /// Reads the volume and sets up `sb`. The device is open; nobody else sees the super block.
    fn fill_super(sb: &NewSuperBlock<Self>, options: &Self::Options) -> Result<KBox<Self::Super>>;

    /// The root directory of a super block whose data is in place.
    fn root(sb: &SuperBlock<Self>) -> Result<ARef<Inode<Self>>>;

    /// Changes the options of a mounted volume; `read_only` is the state asked for. `s_umount` is held for writing.
    /// Unless implemented, the volume stays read-only.
    fn reconfigure(_sb: &SuperBlock<Self>, _options: &Self::Options, read_only: bool) -> Result {
        if read_only {
            Ok(())
        } else {
            Err(EROFS)
        }
    }

    /// The data of an inode that has just been allocated and is not known to anybody.
    fn new_inode_data() -> impl PinInit<Self::Inode>;
}

// SPDX-License-Identifier: GPL-2.0

//! The ioctls of files: those for the volume ([`trim`]), and the version of `lsattr -v` and `chattr -v`, which is the
//! inode's generation.
//!
//! They are declared with the type `long` and have always carried an `int`; the numbers for 32-bit programs differ.

use super::{trim, Ext2, Inode};
use crate::vfs::file::File;
use kernel::{
    ioctl::{_IOR, _IOW},
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

const GET_VERSION: u32 = _IOR::<core::ffi::c_long>(b'v' as u32, 1);
const SET_VERSION: u32 = _IOW::<core::ffi::c_long>(b'v' as u32, 2);
const GET_VERSION_32: u32 = _IOR::<core::ffi::c_int>(b'v' as u32, 1);
const SET_VERSION_32: u32 = _IOW::<core::ffi::c_int>(b'v' as u32, 2);

/// Answers an ioctl on `file`. `ENOTTY` for one that is not known.
pub(super) fn ioctl(file: &File<Ext2>, command: u32, argument: UserPtr) -> Result {
    let user = UserSlice::new(argument, size_of::<u32>());
    match command {
        GET_VERSION | GET_VERSION_32 => user.writer().write(&file.inode().generation()),
        SET_VERSION | SET_VERSION_32 => set(file, user),
        _ => trim::ioctl(file, command, argument).unwrap_or(Err(ENOTTY)),
    }
}

fn set(file: &File<Ext2>, user: UserSlice) -> Result {
    if !file.is_owner_or_capable() {
        return Err(EPERM);
    }
    let writable = file.want_write()?;
    let generation = user.reader().read::<u32>()?;
    let inode: &Inode = file.inode();
    let locked = inode.lock();
    inode.set_generation(generation);
    inode.set_changed_now();
    inode.mark_dirty();
    drop(locked);
    drop(writable);
    Ok(())
}

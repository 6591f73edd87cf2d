// SPDX-License-Identifier: GPL-2.0

//! System calls that the standard library does not have.

use std::{
    fs::File,
    io::{Error, Result},
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::Path,
    ptr,
};

unsafe extern "C" {
    #[link_name = "fallocate"]
    fn c_fallocate(fd: i32, mode: i32, offset: i64, len: i64) -> i32;
    #[link_name = "syncfs"]
    fn c_syncfs(fd: i32) -> i32;
    fn sync_file_range(fd: i32, offset: i64, len: i64, flags: u32) -> i32;
    fn mmap(start: *mut u8, len: usize, protection: i32, flags: i32, fd: i32, at: i64) -> *mut u8;
    fn msync(start: *mut u8, len: usize, flags: i32) -> i32;
    fn munmap(start: *mut u8, len: usize) -> i32;
}

/// Keeps the size and makes a hole.
pub const PUNCH: i32 = 3;
/// Keeps the size and zeroes.
pub const ZERO: i32 = 0x11;
/// Gives blocks to holes.
pub const ALLOCATE: i32 = 0;

const O_DIRECT: i32 = 0o40000;
const O_DSYNC: i32 = 0o10000;

fn checked(status: i32) -> Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// `fallocate(2)` of `len` bytes at `offset`.
pub fn fallocate(file: &File, mode: i32, offset: i64, len: i64) -> Result<()> {
    // SAFETY: The descriptor is open.
    checked(unsafe { c_fallocate(file.as_raw_fd(), mode, offset, len) })
}

/// `syncfs(2)`.
pub fn syncfs(file: &File) -> Result<()> {
    // SAFETY: The descriptor is open.
    checked(unsafe { c_syncfs(file.as_raw_fd()) })
}

/// Has the kernel start writing all of the file.
pub fn start_writing(file: &File) -> Result<()> {
    // SAFETY: The descriptor is open; 2 starts writing.
    checked(unsafe { sync_file_range(file.as_raw_fd(), 0, 0, 2) })
}

/// Writes `bytes` at `offset` through a shared mapping of the first `len` bytes of the file, and, if `sync`, makes these
/// durable.
pub fn write_mapped(
    file: &File,
    len: usize,
    offset: usize,
    bytes: &[u8],
    sync: bool,
) -> Result<()> {
    assert!(offset + bytes.len() <= len);
    // SAFETY: Nothing is asked of the address, and the descriptor is open; 3 is to read and write, 1 is shared.
    let start = unsafe { mmap(ptr::null_mut(), len, 3, 1, file.as_raw_fd(), 0) };
    if start as isize == -1 {
        return Err(Error::last_os_error());
    }
    // SAFETY: The mapping has `len` bytes, all of them in the file, and nobody else uses it; 4 waits for the disk.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), start.add(offset), bytes.len());
        let synced = if sync {
            checked(msync(start, len, 4))
        } else {
            Ok(())
        };
        synced.and(checked(munmap(start, len)))
    }
}

/// Memory that starts where a page does, as direct I/O wants it.
#[repr(align(4096))]
struct Page([u8; 4096]);

/// Writes `bytes` at `offset` past the page cache (`direct`), so that they are durable on return (`durable`).
pub fn write_special(
    path: &Path,
    offset: u64,
    bytes: &[u8],
    direct: bool,
    durable: bool,
) -> Result<()> {
    let flag = |set: bool, flag: i32| if set { flag } else { 0 };
    let file = File::options()
        .read(true)
        .write(true)
        .custom_flags(flag(direct, O_DIRECT) | flag(durable, O_DSYNC))
        .open(path)?;
    let mut pages: Vec<Page> = Vec::new();
    for part in bytes.chunks(4096) {
        let mut page = Page([0; 4096]);
        page.0[..part.len()].copy_from_slice(part);
        pages.push(page);
    }
    // SAFETY: The pages lie in a row and hold at least as many bytes.
    let aligned = unsafe { std::slice::from_raw_parts(pages.as_ptr().cast::<u8>(), bytes.len()) };
    file.write_all_at(aligned, offset)
}

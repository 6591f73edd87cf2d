// SPDX-License-Identifier: GPL-2.0

//! What can be done with an open file: `struct file_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    dir::DirEmitter,
    file::File,
    inode::Inode,
    iomap::{self, IomapOperations},
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{from_result, VTABLE_DEFAULT_ERROR},
    prelude::*,
};

/// Operations on an open file. Directories give [`iterate`](Self::iterate); files that carry data set
/// [`HAS_DATA`](Self::HAS_DATA) and get reads through the page cache and past it, `mmap`, `splice` and seeks.
#[vtable]
pub(crate) trait FileOperations {
    /// The file system.
    type FS: FileSystem;
    /// Where the file's blocks are.
    type Map: IomapOperations<FS = Self::FS>;
    /// Whether the file's bytes are in the page cache of its own inode.
    const HAS_DATA: bool;

    /// Hands on directory entries from the emitter's position. The directory is locked, shared.
    fn iterate(_file: &File<Self::FS>, _out: &mut DirEmitter<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The C table of `O`.
pub(super) struct FileTable<O>(PhantomData<O>);

impl<O: FileOperations> FileTable<O> {
    pub(super) const OPS: bindings::file_operations = bindings::file_operations {
        llseek: if O::HAS_DATA { Some(Self::llseek) } else { Some(bindings::generic_file_llseek) },
        read: if O::HAS_ITERATE { Some(bindings::generic_read_dir) } else { None },
        iterate_shared: if O::HAS_ITERATE { Some(Self::iterate) } else { None },
        read_iter: if O::HAS_DATA { Some(Self::read_iter) } else { None },
        splice_read: if O::HAS_DATA { Some(Self::splice_read) } else { None },
        mmap_prepare: if O::HAS_DATA { Some(bindings::generic_file_readonly_mmap_prepare) } else { None },
        open: if O::HAS_DATA { Some(Self::open) } else { None },
        fop_flags: bindings::FOP_BUFFER_RASYNC,
        ..super::none()
    };

    unsafe extern "C" fn iterate(file: *mut bindings::file, ctx: *mut bindings::dir_context) -> c_int {
        // SAFETY: "Callback pointer" for both.
        let (file, mut out) = unsafe { (File::from_raw(file), DirEmitter::from_raw(ctx)) };
        from_result(|| O::iterate(file, &mut out).map(|()| 0))
    }

    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: "Callback pointer" for both; the file is being opened and not shared yet.
        unsafe {
            (*file).f_mode |= bindings::FMODE_CAN_ODIRECT | bindings::FMODE_NOWAIT;
            bindings::generic_file_open(inode, file)
        }
    }

    unsafe extern "C" fn read_iter(iocb: *mut bindings::kiocb, to: *mut bindings::iov_iter) -> isize {
        // SAFETY: "Callback pointer" for both.
        unsafe {
            if (*iocb).ki_flags & bindings::IOCB_DIRECT as c_int == 0 {
                return bindings::generic_file_read_iter(iocb, to);
            }
            if bindings::rfs_iov_iter_count(to) == 0 {
                return 0;
            }
            let inode = File::<O::FS>::from_raw((*iocb).ki_filp).inode();
            let nowait = (*iocb).ki_flags & bindings::IOCB_NOWAIT as c_int != 0;
            let locked = if nowait { inode.try_lock_shared() } else { Some(inode.lock_shared()) };
            let read = match &locked {
                Some(_) => iomap::direct_read::<O::Map>(iocb, to),
                None => return EAGAIN.to_errno() as isize,
            };
            drop(locked);
            bindings::rfs_file_accessed((*iocb).ki_filp);
            read
        }
    }

    unsafe extern "C" fn splice_read(
        file: *mut bindings::file,
        position: *mut i64,
        pipe: *mut bindings::pipe_inode_info,
        len: usize,
        flags: c_uint,
    ) -> isize {
        // SAFETY: The arguments are the VFS's own.
        unsafe { bindings::filemap_splice_read(file, position, pipe, len, flags) }
    }

    unsafe extern "C" fn llseek(file: *mut bindings::file, offset: i64, whence: c_int) -> i64 {
        // SAFETY: "Callback pointer".
        let inode: &Inode<O::FS> = unsafe { File::from_raw(file) }.inode();
        // SAFETY: The file is the VFS's own, and `whence` is checked before `seek`.
        unsafe {
            let max = (*inode.sb().as_raw()).s_maxbytes;
            match whence as u32 {
                bindings::SEEK_HOLE | bindings::SEEK_DATA => {
                    let locked = inode.lock_shared();
                    let found = iomap::seek::<O::Map>(inode, offset, whence);
                    drop(locked);
                    if found < 0 { found } else { bindings::vfs_setpos(file, found, max) }
                }
                _ => bindings::generic_file_llseek_size(file, offset, whence, max, inode.size() as i64),
            }
        }
    }
}

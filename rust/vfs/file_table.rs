// SPDX-License-Identifier: GPL-2.0

//! The C table of [`FileOperations`]: arguments become typed, results become errno or counts.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h), `struct file_operations`

use super::{
    buffered,
    dir::DirEmitter,
    direct::{self, Written},
    file::File,
    file_ops::{Allocation, FileOperations, SyncRange},
    folio::CachedFolio,
    inode::Inode,
    iomap,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{from_result, to_result},
    prelude::*,
    uaccess::UserPtr,
};

/// The C table of `O`.
pub(super) struct FileTable<O>(PhantomData<O>);

impl<O: FileOperations> FileTable<O> {
    pub(super) const OPS: bindings::file_operations = bindings::file_operations {
        llseek: if O::HAS_DATA {
            Some(Self::llseek)
        } else {
            Some(bindings::generic_file_llseek)
        },
        read: if O::HAS_ITERATE {
            Some(bindings::generic_read_dir)
        } else {
            None
        },
        unlocked_ioctl: if O::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        // Arguments are addresses, which a 32-bit program's are without more ado.
        compat_ioctl: if O::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        iterate_shared: if O::HAS_ITERATE {
            Some(Self::iterate)
        } else {
            None
        },
        read_iter: if O::HAS_DATA {
            Some(Self::read_iter)
        } else {
            None
        },
        splice_read: if O::HAS_DATA {
            Some(Self::splice_read)
        } else {
            None
        },
        write_iter: if O::WRITES {
            Some(Self::write_iter)
        } else {
            None
        },
        splice_write: if O::WRITES {
            Some(bindings::iter_file_splice_write)
        } else {
            None
        },
        mmap_prepare: match (O::HAS_DATA, O::WRITES) {
            (true, true) => Some(Self::mmap_prepare),
            (true, false) => Some(bindings::generic_file_readonly_mmap_prepare),
            _ => None,
        },
        // A mapping that is aligned as the file is: a large folio is mapped in one go.
        #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
        get_unmapped_area: if O::HAS_DATA {
            Some(bindings::thp_get_unmapped_area)
        } else {
            None
        },
        open: if O::HAS_DATA { Some(Self::open) } else { None },
        setlease: Some(bindings::generic_setlease),
        fsync: if O::HAS_SYNC { Some(Self::fsync) } else { None },
        fallocate: if O::HAS_ALLOCATE {
            Some(Self::fallocate)
        } else {
            None
        },
        fop_flags: bindings::FOP_BUFFER_RASYNC,
        ..super::none()
    };

    unsafe extern "C" fn ioctl(
        file: *mut bindings::file,
        command: c_uint,
        argument: usize,
    ) -> c_long {
        // SAFETY: "Callback pointer".
        let file = unsafe { File::from_raw(file) };
        from_result(|| O::ioctl(file, command, UserPtr::from_addr(argument)).map(|()| 0))
    }

    unsafe extern "C" fn iterate(
        file: *mut bindings::file,
        ctx: *mut bindings::dir_context,
    ) -> c_int {
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

    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
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
            let locked = if nowait {
                inode.try_lock_shared()
            } else {
                Some(inode.lock_shared())
            };
            let read = match &locked {
                Some(_) => direct::read::<O::Map>(iocb, to),
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
                    // What is only in memory has no place that could be told from a hole.
                    if inode.has_dirty_pages() {
                        if let Err(error) = inode.write_and_wait(&(0..inode.size())) {
                            return error.to_errno().into();
                        }
                    }
                    let locked = inode.lock_shared();
                    let found = iomap::seek::<O::Map>(inode, offset, whence);
                    drop(locked);
                    if found < 0 {
                        found
                    } else {
                        bindings::vfs_setpos(file, found, max)
                    }
                }
                _ => bindings::generic_file_llseek_size(
                    file,
                    offset,
                    whence,
                    max,
                    inode.size() as i64,
                ),
            }
        }
    }
}

/// Writing.
impl<O: FileOperations> FileTable<O> {
    unsafe extern "C" fn write_iter(
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: "Callback pointer" for both.
        unsafe {
            let inode: &Inode<O::FS> = File::from_raw((*iocb).ki_filp).inode();
            let nowait = (*iocb).ki_flags & bindings::IOCB_NOWAIT as c_int != 0;
            let locked = match nowait {
                true => inode.try_lock(),
                false => Some(inode.lock()),
            };
            let Some(locked) = locked else {
                return EAGAIN.to_errno() as isize;
            };
            let (written, is_synced) = Self::write_locked(inode, iocb, from);
            drop(locked);
            if written > 0 && !is_synced {
                bindings::rfs_generic_write_sync(iocb, written)
            } else {
                written
            }
        }
    }

    /// Gives the bytes written or an errno, and whether what was asked to be synced is.
    ///
    /// # Safety
    ///
    /// The arguments are those of a write call on `inode`, which is locked for writing.
    unsafe fn write_locked(
        inode: &Inode<O::FS>,
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> (isize, bool) {
        // SAFETY: The caller's promise.
        unsafe {
            let allowed = bindings::generic_write_checks(iocb, from);
            if allowed <= 0 {
                return (allowed, false);
            }
            let modified = bindings::kiocb_modified(iocb);
            if modified != 0 {
                return (modified as isize, false);
            }
            let (position, size) = (u64::try_from((*iocb).ki_pos).unwrap_or(0), inode.size());
            if position > size {
                if let Err(error) = O::prepare_extension(inode, size, position) {
                    return (error.to_errno() as isize, false);
                }
            }
            if (*iocb).ki_flags & bindings::IOCB_DIRECT as c_int == 0 {
                return (buffered::write(iocb, from, inode.block_bits()), false);
            }
            let direct = match direct::write::<O::Map>(inode, iocb, from) {
                Written::Over(direct) => return (direct, true),
                Written::Rest(direct) => direct,
            };
            if bindings::rfs_iov_iter_count(from) == 0 {
                return (direct, true);
            }
            // What cannot go past the page cache goes through it, and out of it at once.
            (*iocb).ki_flags &= !(bindings::IOCB_DIRECT as c_int);
            let buffered = buffered::write(iocb, from, inode.block_bits());
            let written = bindings::direct_write_fallback(iocb, from, direct, buffered);
            (written, false)
        }
    }

    unsafe extern "C" fn fsync(
        file: *mut bindings::file,
        start: i64,
        end: i64,
        data_only: c_int,
    ) -> c_int {
        // SAFETY: "Callback pointer".
        let inode = unsafe { File::<O::FS>::from_raw(file) }.inode();
        let range = SyncRange {
            inode,
            file,
            start,
            end,
            data_only: data_only != 0,
        };
        let synced = from_result(|| O::sync(inode, &range).map(|()| 0));
        // SAFETY: "Callback pointer". An error of writeback that came meanwhile is told here, once.
        let error = unsafe { bindings::file_check_and_advance_wb_err(file) };
        if synced != 0 {
            synced
        } else {
            error
        }
    }

    unsafe extern "C" fn fallocate(
        file: *mut bindings::file,
        mode: c_int,
        offset: i64,
        len: i64,
    ) -> c_long {
        // SAFETY: "Callback pointer".
        let inode = unsafe { File::<O::FS>::from_raw(file) }.inode();
        let result = from_result(|| -> Result<c_int> {
            let how = Allocation::from_mode(mode as u32).ok_or_else(super::errno::EOPNOTSUPP)?;
            let start = u64::try_from(offset)?;
            let end = start.checked_add(u64::try_from(len)?).ok_or(EFBIG)?;
            let _locked = inode.lock();
            let grows = !matches!(how, Allocation::PunchHole) && end > inode.size();
            if grows {
                // SAFETY: The inode is live and locked.
                to_result(unsafe {
                    bindings::inode_newsize_ok(inode.as_raw(), i64::try_from(end)?)
                })?;
            }
            inode.wait_for_direct();
            // SAFETY: "Callback pointer".
            to_result(unsafe { bindings::file_modified(file) })?;
            let _no_faults = inode.lock_invalidate();
            O::allocate(inode, how, start..end).map(|()| 0)
        });
        result as c_long
    }

    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: "Callback pointer".
        unsafe {
            bindings::rfs_file_accessed((*desc).file);
            (*desc).vm_ops = &Self::VM_OPS;
        }
        0
    }

    const VM_OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(Self::page_mkwrite),
        ..super::none()
    };

    unsafe extern "C" fn page_mkwrite(fault: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: "Callback pointer"; the mapping's file is one of `O::FS`, and the folio is referenced by the fault.
        unsafe {
            let file = bindings::rfs_fault_file(fault);
            let inode: &Inode<O::FS> = File::from_raw(file).inode();
            let sb = inode.sb().as_raw();
            bindings::rfs_sb_start_pagefault(sb);
            bindings::file_update_time(file);
            bindings::rfs_filemap_invalidate_lock_shared((*inode.as_raw()).i_mapping);
            let folio = bindings::rfs_fault_folio(fault);
            let result = Self::make_writable(inode, folio, bindings::rfs_fault_position(fault));
            bindings::rfs_filemap_invalidate_unlock_shared((*inode.as_raw()).i_mapping);
            bindings::rfs_sb_end_pagefault(sb);
            match result {
                Ok(()) => bindings::vm_fault_reason_VM_FAULT_LOCKED,
                Err(error) => bindings::rfs_vmf_fs_error(error.to_errno()),
            }
        }
    }

    /// Locks the folio of a fault at byte `start` of the file, where a page begins, and makes it ready to be written. On success it stays locked.
    ///
    /// # Safety
    ///
    /// `folio` is referenced by the fault.
    unsafe fn make_writable(
        inode: &Inode<O::FS>,
        folio: *mut bindings::folio,
        start: i64,
    ) -> Result {
        // SAFETY: The caller's promise; one reference more goes with the guard.
        let cached = unsafe {
            bindings::rfs_folio_get(folio);
            bindings::rfs_folio_lock(folio);
            CachedFolio::from_raw(folio)
        };
        // Truncated while it was waited for: the fault is done over, and fails if the file ends before.
        // SAFETY: The inode is live.
        if cached.mapping() != unsafe { (*inode.as_raw()).i_mapping }
            || cached.pos() >= inode.size()
        {
            return Err(EFAULT);
        }
        let start = u64::try_from(start)?;
        let page = start..start.saturating_add(kernel::page::PAGE_SIZE as u64);
        O::page_mkwrite(inode, &cached, page)?;
        cached.wait_stable();
        cached.leave_locked();
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The C table of [`InodeOperations`]: arguments become typed, results become errno or pointers.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h), `struct inode_operations`

use super::{
    dentry::Dentry,
    fileattr::FileAttr,
    idmap::IdMap,
    inode::Inode,
    inode_ops::{AttributeOperations, InodeOperations, New, Rename},
    inode_write::SetAttr,
    iomap::{self, IomapOperations},
    stat::Stat,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{error::from_result, prelude::*, sync::aref::ARef};

/// The C table of `O`.
pub(super) struct InodeTable<O>(PhantomData<O>);

impl<O: InodeOperations> InodeTable<O> {
    pub(super) const OPS: bindings::inode_operations = bindings::inode_operations {
        lookup: if O::HAS_LOOKUP {
            Some(Self::lookup)
        } else {
            None
        },
        getattr: if O::Attributes::HAS_GETATTR {
            Some(Self::getattr)
        } else {
            None
        },
        create: if O::HAS_CREATE {
            Some(Self::create)
        } else {
            None
        },
        mkdir: if O::HAS_CREATE {
            Some(Self::mkdir)
        } else {
            None
        },
        mknod: if O::HAS_CREATE {
            Some(Self::mknod)
        } else {
            None
        },
        symlink: if O::HAS_SYMLINK {
            Some(Self::symlink)
        } else {
            None
        },
        tmpfile: if O::HAS_TMPFILE {
            Some(Self::tmpfile)
        } else {
            None
        },
        link: if O::HAS_LINK { Some(Self::link) } else { None },
        unlink: if O::HAS_UNLINK {
            Some(Self::unlink)
        } else {
            None
        },
        rmdir: if O::HAS_RMDIR {
            Some(Self::rmdir)
        } else {
            None
        },
        rename: if O::HAS_RENAME {
            Some(Self::rename)
        } else {
            None
        },
        setattr: if O::Attributes::HAS_SETATTR {
            Some(Self::setattr)
        } else {
            None
        },
        fileattr_get: if O::Attributes::HAS_FILEATTR_GET {
            Some(Self::fileattr_get)
        } else {
            None
        },
        fileattr_set: if O::Attributes::HAS_FILEATTR_SET {
            Some(Self::fileattr_set)
        } else {
            None
        },
        // The VFS follows `i_link` itself and calls this only where there is none.
        get_link: if O::Map::IS_LINK {
            Some(bindings::simple_get_link)
        } else {
            None
        },
        fiemap: if O::Map::HAS_MAP {
            Some(Self::fiemap)
        } else {
            None
        },
        ..super::none()
    };

    unsafe extern "C" fn lookup(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        _flags: c_uint,
    ) -> *mut bindings::dentry {
        // SAFETY: "Callback pointer" for both; `dir` is locked, which keeps the name stable.
        let (dir, name) = unsafe { (Inode::from_raw(dir), Dentry::<O::FS>::from_raw(dentry)) };
        let found = match O::lookup(dir, name.name()) {
            Ok(found) => found,
            Err(error) => return error.to_ptr(),
        };
        let raw = found.map_or(core::ptr::null_mut(), |inode| {
            ARef::into_raw(inode).as_ptr().cast()
        });
        // SAFETY: `dentry` is new; our reference on the inode, if any, goes to it.
        unsafe { bindings::d_splice_alias(raw, dentry) }
    }

    unsafe extern "C" fn fiemap(
        inode: *mut bindings::inode,
        info: *mut bindings::declared::fiemap_extent_info,
        start: u64,
        len: u64,
    ) -> c_int {
        // SAFETY: "Callback pointer"; the inode is of the file system that the table is for.
        unsafe { iomap::fiemap::<O::Map>(Inode::from_raw(inode), info.cast(), start, len) }
    }
}

/// Making files.
impl<O: InodeOperations> InodeTable<O> {
    /// Makes a file that `mode` and `device` describe, and publishes it.
    ///
    /// # Safety
    ///
    /// `dir` and `dentry` are those of a call that makes a file: `dir` is locked and `dentry` negative.
    unsafe fn make(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: u16,
        device: u32,
    ) -> Result {
        // SAFETY: "Callback pointer" for all.
        let (dir, dentry, idmap) = unsafe {
            (
                Inode::from_raw(dir),
                Dentry::<O::FS>::from_raw(dentry),
                IdMap::from_raw(idmap),
            )
        };
        O::create(
            dir,
            dentry.name(),
            &New {
                mode,
                device,
                idmap,
            },
        )?
        .instantiate(dentry);
        Ok(())
    }

    unsafe extern "C" fn create(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
        _exclusive: bool,
    ) -> c_int {
        // SAFETY: The arguments are those of a `create` call.
        from_result(|| unsafe { Self::make(idmap, dir, dentry, mode, 0) }.map(|()| 0))
    }

    unsafe extern "C" fn mkdir(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> *mut bindings::dentry {
        let mode = mode & !(bindings::S_IFMT as u16) | bindings::S_IFDIR as u16;
        // SAFETY: The arguments are those of a `mkdir` call.
        match unsafe { Self::make(idmap, dir, dentry, mode, 0) } {
            Ok(()) => core::ptr::null_mut(),
            Err(error) => error.to_ptr(),
        }
    }

    unsafe extern "C" fn mknod(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
        device: bindings::dev_t,
    ) -> c_int {
        // SAFETY: The arguments are those of a `mknod` call.
        from_result(|| unsafe { Self::make(idmap, dir, dentry, mode, device) }.map(|()| 0))
    }

    unsafe extern "C" fn symlink(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        target: *const c_char,
    ) -> c_int {
        // SAFETY: "Callback pointer" for all; the target ends with a NUL.
        let (dir, dentry, idmap, target) = unsafe {
            let target = super::bytes_of(target);
            (
                Inode::from_raw(dir),
                Dentry::<O::FS>::from_raw(dentry),
                IdMap::from_raw(idmap),
                target,
            )
        };
        from_result(|| {
            O::symlink(dir, dentry.name(), target, idmap)?.instantiate(dentry);
            Ok(0)
        })
    }

    unsafe extern "C" fn tmpfile(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        file: *mut bindings::file,
        mode: bindings::umode_t,
    ) -> c_int {
        // SAFETY: "Callback pointer" for all; the file is the one of this call.
        from_result(|| unsafe {
            let what = New {
                mode,
                device: 0,
                idmap: IdMap::from_raw(idmap),
            };
            O::tmpfile(Inode::from_raw(dir), &what)?
                .finish_tmpfile(file)
                .map(|()| 0)
        })
    }
}

/// Names.
impl<O: InodeOperations> InodeTable<O> {
    unsafe extern "C" fn link(
        old: *mut bindings::dentry,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: "Callback pointer" for all; the VFS locked the inode of `old`, which therefore has one.
        let (inode, dir, dentry) = unsafe {
            (
                Inode::from_raw((*old).d_inode),
                Inode::from_raw(dir),
                Dentry::<O::FS>::from_raw(dentry),
            )
        };
        from_result(|| {
            O::link(inode, dir, dentry.name())?;
            dentry.instantiate(inode.hold());
            Ok(0)
        })
    }

    unsafe extern "C" fn unlink(dir: *mut bindings::inode, dentry: *mut bindings::dentry) -> c_int {
        // SAFETY: "Callback pointer" for both.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::<O::FS>::from_raw(dentry)) };
        from_result(|| O::unlink(dir, dentry.name(), dentry.inode().ok_or(ENOENT)?).map(|()| 0))
    }

    unsafe extern "C" fn rmdir(dir: *mut bindings::inode, dentry: *mut bindings::dentry) -> c_int {
        // SAFETY: "Callback pointer" for both.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::<O::FS>::from_raw(dentry)) };
        from_result(|| O::rmdir(dir, dentry.name(), dentry.inode().ok_or(ENOENT)?).map(|()| 0))
    }

    unsafe extern "C" fn rename(
        idmap: *mut bindings::mnt_idmap,
        from: *mut bindings::inode,
        old: *mut bindings::dentry,
        to: *mut bindings::inode,
        new: *mut bindings::dentry,
        flags: c_uint,
    ) -> c_int {
        const KNOWN: u32 =
            bindings::RENAME_NOREPLACE | bindings::RENAME_EXCHANGE | bindings::RENAME_WHITEOUT;
        if flags & !KNOWN != 0 {
            return EINVAL.to_errno();
        }
        // SAFETY: "Callback pointer" for all; both directories are locked, which keeps the names stable.
        let (old, new) = unsafe { (Dentry::<O::FS>::from_raw(old), Dentry::from_raw(new)) };
        from_result(|| {
            // SAFETY: As above. The VFS has checked RENAME_NOREPLACE.
            let what = unsafe {
                Rename {
                    from: Inode::from_raw(from),
                    name: old.name(),
                    inode: old.inode().ok_or(ENOENT)?,
                    to: Inode::from_raw(to),
                    new_name: new.name(),
                    target: new.inode(),
                    exchange: flags & bindings::RENAME_EXCHANGE != 0,
                    whiteout: flags & bindings::RENAME_WHITEOUT != 0,
                    idmap: IdMap::from_raw(idmap),
                }
            };
            O::rename(&what).map(|()| 0)
        })
    }
}

/// Attributes.
impl<O: InodeOperations> InodeTable<O> {
    unsafe extern "C" fn getattr(
        idmap: *mut bindings::mnt_idmap,
        path: *const bindings::path,
        raw: *mut bindings::kstat,
        mask: u32,
        _flags: c_uint,
    ) -> c_int {
        // SAFETY: "Callback pointer" for all; the path's dentry has an inode of `O::FS`.
        let (inode, mut stat) = unsafe {
            let inode = (*(*path).dentry).d_inode;
            bindings::generic_fillattr(idmap, mask, inode, raw);
            (Inode::from_raw(inode), Stat::from_raw(raw))
        };
        from_result(|| O::Attributes::getattr(inode, &mut stat).map(|()| 0))
    }

    unsafe extern "C" fn setattr(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        attr: *mut bindings::iattr,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The arguments are those of a `setattr` call.
            let change = unsafe { SetAttr::prepare(idmap, dentry, attr)? };
            O::Attributes::setattr(change).map(|()| 0)
        })
    }

    unsafe extern "C" fn fileattr_get(
        dentry: *mut bindings::dentry,
        attr: *mut bindings::declared::file_kattr,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both; the VFS asks of a file that exists.
        let (inode, mut attr) = unsafe {
            (
                Inode::from_raw((*dentry).d_inode),
                FileAttr::from_raw(attr.cast()),
            )
        };
        from_result(|| O::Attributes::fileattr_get(inode, &mut attr).map(|()| 0))
    }

    unsafe extern "C" fn fileattr_set(
        _idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        attr: *mut bindings::declared::file_kattr,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both; the VFS asks of a file that exists.
        let (inode, attr) = unsafe {
            (
                Inode::from_raw((*dentry).d_inode),
                FileAttr::from_raw(attr.cast()),
            )
        };
        from_result(|| O::Attributes::fileattr_set(inode, &attr).map(|()| 0))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What can be done with an inode by name or by itself: `struct inode_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    dentry::Dentry,
    inode::Inode,
    iomap::{self, IomapOperations},
    stat::Stat,
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{from_result, VTABLE_DEFAULT_ERROR},
    prelude::*,
    sync::aref::ARef,
};

/// Operations on an inode. A type implements those that its kind of file has.
#[vtable]
pub(crate) trait InodeOperations {
    /// The file system.
    type FS: FileSystem;
    /// Where the file's blocks are, for FIEMAP; [`iomap::NoMap`] for what has none.
    type Map: IomapOperations<FS = Self::FS>;

    /// Finds a name in the directory. `dir` is locked, at least shared. A name that does not exist is `None`.
    fn lookup(_dir: &Inode<Self::FS>, _name: &[u8]) -> Result<Option<ARef<Inode<Self::FS>>>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Adds to the answer of `statx(2)` what the VFS does not know.
    fn getattr(_inode: &Inode<Self::FS>, _stat: &mut Stat<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The C table of `O`.
pub(super) struct InodeTable<O>(PhantomData<O>);

impl<O: InodeOperations> InodeTable<O> {
    pub(super) const OPS: bindings::inode_operations = bindings::inode_operations {
        lookup: if O::HAS_LOOKUP { Some(Self::lookup) } else { None },
        getattr: if O::HAS_GETATTR { Some(Self::getattr) } else { None },
        // The VFS follows `i_link` itself and calls this only where there is none.
        get_link: if O::Map::IS_LINK { Some(bindings::simple_get_link) } else { None },
        fiemap: if O::Map::HAS_MAP { Some(Self::fiemap) } else { None },
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
        let raw = found.map_or(core::ptr::null_mut(), |inode| ARef::into_raw(inode).as_ptr().cast());
        // SAFETY: `dentry` is new; our reference on the inode, if any, goes to it.
        unsafe { bindings::d_splice_alias(raw, dentry) }
    }

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
        from_result(|| O::getattr(inode, &mut stat).map(|()| 0))
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

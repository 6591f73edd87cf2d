// SPDX-License-Identifier: GPL-2.0

//! What can be done with an inode by name or by itself: `struct inode_operations`, which
//! [`inode_table`](super::inode_table) makes of the trait here.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    fileattr::FileAttr,
    idmap::IdMap,
    inode::{Inode, NewInode},
    inode_write::SetAttr,
    iomap::IomapOperations,
    stat::Stat,
    FileSystem,
};
use core::marker::PhantomData;
use kernel::{error::VTABLE_DEFAULT_ERROR, prelude::*, sync::aref::ARef};

/// Operations on an inode. A type implements those that its kind of file has. Those that change a directory are
/// called with its lock held for writing, and names are 1 to 255 bytes long unless said otherwise.
#[vtable]
pub(crate) trait InodeOperations {
    /// The file system.
    type FS: FileSystem;
    /// Where the file's blocks are, for FIEMAP; [`iomap::NoMap`] for what has none.
    type Map: IomapOperations<FS = Self::FS>;
    /// What can be asked of its attributes, and changed in them.
    type Attributes: AttributeOperations<FS = Self::FS>;

    /// Finds a name of any length in the directory. `dir` is locked, at least shared. A name that does not exist is
    /// `None`.
    fn lookup(_dir: &Inode<Self::FS>, _name: &[u8]) -> Result<Option<ARef<Inode<Self::FS>>>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Makes a file, directory, device, FIFO or socket and enters it in `dir`, which does not have the name.
    fn create(_dir: &Inode<Self::FS>, _name: &[u8], _what: &New<'_>) -> Result<NewInode<Self::FS>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Makes a symbolic link and enters it in `dir`, which does not have the name.
    fn symlink(
        _dir: &Inode<Self::FS>,
        _name: &[u8],
        _target: &[u8],
        _idmap: IdMap<'_>,
    ) -> Result<NewInode<Self::FS>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Makes a regular file that has one link but no name. It loses that link later, without a further call.
    fn tmpfile(_dir: &Inode<Self::FS>, _what: &New<'_>) -> Result<NewInode<Self::FS>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Enters a file, which is locked too, under one more name.
    fn link(_inode: &Inode<Self::FS>, _dir: &Inode<Self::FS>, _name: &[u8]) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Removes the name of a file that is not a directory. Both are locked.
    fn unlink(_dir: &Inode<Self::FS>, _name: &[u8], _inode: &Inode<Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Removes a directory, if it is empty. Both are locked.
    fn rmdir(_dir: &Inode<Self::FS>, _name: &[u8], _inode: &Inode<Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Renames. Both directories are locked, and so are the inodes that are replaced or move from one to the other.
    fn rename(_what: &Rename<'_, Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Operations on the attributes of a file, which most file systems do alike for every kind.
#[vtable]
pub(crate) trait AttributeOperations {
    /// The file system.
    type FS: FileSystem;

    /// Adds to the answer of `statx(2)` what the VFS does not know.
    fn getattr(_inode: &Inode<Self::FS>, _stat: &mut Stat<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Changes owner, mode, times or size. The inode is locked.
    fn setattr(_change: SetAttr<'_, Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Answers which attributes of `chattr(1)` the file has.
    fn fileattr_get(_inode: &Inode<Self::FS>, _attr: &mut FileAttr<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Sets them. The inode is locked, and what the VFS can check has been checked.
    fn fileattr_set(_inode: &Inode<Self::FS>, _attr: &FileAttr<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The operations of files whose attributes are those that the VFS keeps, and do not change.
pub(crate) struct FixedAttributes<T>(PhantomData<T>);

#[vtable]
impl<T: FileSystem> AttributeOperations for FixedAttributes<T> {
    type FS = T;
}

/// What a new file is to be.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    /// Type and permission bits.
    pub(crate) mode: u16,
    /// The kernel's device number, for a device.
    pub(crate) device: u32,
    /// The map of the mount that the call came through.
    pub(crate) idmap: IdMap<'a>,
}

/// What to rename. The target's place is in the same volume and not inside the source.
pub(crate) struct Rename<'a, FS: FileSystem> {
    /// The source's directory.
    pub(crate) from: &'a Inode<FS>,
    /// The source's name.
    pub(crate) name: &'a [u8],
    /// The source.
    pub(crate) inode: &'a Inode<FS>,
    /// The target's directory.
    pub(crate) to: &'a Inode<FS>,
    /// The target's name.
    pub(crate) new_name: &'a [u8],
    /// What has the target's name so far. A directory only if the source is one, unless both are exchanged.
    pub(crate) target: Option<&'a Inode<FS>>,
    /// Source and target change places.
    pub(crate) exchange: bool,
    /// A white-out, a device 0:0, takes the source's place.
    pub(crate) whiteout: bool,
    /// The map of the mount that the call came through.
    pub(crate) idmap: IdMap<'a>,
}

// SPDX-License-Identifier: GPL-2.0

//! All that a regular file of a read-only file system can do follows from where its blocks lie.

use super::{read, BlockMap, ReadMap};
use crate::vfs::{
    aops::AddressSpaceOperations,
    file_ops::FileOperations,
    folio::LockedFolio,
    inode::Inode,
    inode_ops::{FixedAttributes, InodeOperations},
    readahead::Readahead,
};
use core::marker::PhantomData;
use kernel::prelude::*;

/// The operations of a regular file of `T` that nobody writes: on its inode, when it is open, and on its pages.
pub(crate) struct ReadOnly<T>(PhantomData<T>);

#[vtable]
impl<T: BlockMap> InodeOperations for ReadOnly<T> {
    type FS = T;
    type Map = ReadMap<T>;
    type Attributes = FixedAttributes<T>;
}

#[vtable]
impl<T: BlockMap> FileOperations for ReadOnly<T> {
    type FS = T;
    type Map = ReadMap<T>;
    const HAS_DATA: bool = true;
}

#[vtable]
impl<T: BlockMap> AddressSpaceOperations for ReadOnly<T> {
    type FS = T;
    type Map = ReadMap<T>;

    fn read_folio(inode: &Inode<T>, folio: LockedFolio<'_>) -> Result {
        read::read_folio(inode, folio)
    }

    fn readahead(window: &mut Readahead<'_, T>) {
        read::readahead(window);
    }
}

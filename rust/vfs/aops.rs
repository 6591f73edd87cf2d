// SPDX-License-Identifier: GPL-2.0

//! What the page cache asks of a file system: `struct address_space_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    folio::LockedFolio,
    inode::Inode,
    iomap::{self, IomapOperations},
    readahead::Readahead,
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{error::from_result, prelude::*};

/// Operations on the pages of a file.
#[vtable]
pub(crate) trait AddressSpaceOperations {
    /// The file system.
    type FS: FileSystem;
    /// Where the file's blocks are.
    type Map: IomapOperations<FS = Self::FS>;

    /// Reads a folio and unlocks it. `inode` is the file. May sleep.
    fn read_folio(inode: &Inode<Self::FS>, folio: LockedFolio<'_>) -> Result;

    /// Reads the folios of the window, as far as that makes sense. Errors show in the folios.
    fn readahead(window: &mut Readahead<'_, Self::FS>);
}

/// The C table of `O`.
pub(super) struct AopsTable<O>(PhantomData<O>);

impl<O: AddressSpaceOperations> AopsTable<O> {
    pub(super) const OPS: bindings::address_space_operations = bindings::address_space_operations {
        read_folio: Some(Self::read_folio),
        readahead: Some(Self::readahead),
        bmap: if O::Map::HAS_MAP { Some(Self::bmap) } else { None },
        invalidate_folio: Some(Self::invalidate_folio),
        release_folio: Some(Self::release_folio),
        migrate_folio: Some(bindings::filemap_migrate_folio),
        is_partially_uptodate: Some(Self::is_partially_uptodate),
        error_remove_folio: Some(bindings::generic_error_remove_folio),
        ..super::none()
    };

    unsafe extern "C" fn read_folio(_file: *mut bindings::file, folio: *mut bindings::folio) -> c_int {
        // SAFETY: "Callback pointer"; the folio is locked for us, and its mapping's host is an inode of `O::FS`.
        unsafe {
            let folio = LockedFolio::from_raw(folio);
            let inode = Inode::from_raw((*folio.mapping()).host);
            from_result(|| O::read_folio(inode, folio).map(|()| 0))
        }
    }

    unsafe extern "C" fn readahead(raw: *mut bindings::readahead_control) {
        // SAFETY: "Callback pointer".
        O::readahead(&mut unsafe { Readahead::from_raw(raw) });
    }

    unsafe extern "C" fn bmap(mapping: *mut bindings::address_space, block: bindings::sector_t) -> bindings::sector_t {
        // SAFETY: "Callback pointer".
        unsafe { iomap::bmap::<O::Map>(mapping, block) }
    }

    unsafe extern "C" fn invalidate_folio(folio: *mut bindings::folio, offset: usize, len: usize) {
        // SAFETY: "Callback pointer"; the folio is locked by the caller, who keeps the lock.
        let folio = core::mem::ManuallyDrop::new(unsafe { LockedFolio::from_raw(folio) });
        if offset == 0 && len as u64 >= folio.size() {
            folio.drop_state();
        }
    }

    unsafe extern "C" fn release_folio(folio: *mut bindings::folio, _gfp: bindings::gfp_t) -> bool {
        // SAFETY: "Callback pointer"; the folio is locked by the caller, who keeps the lock.
        let folio = core::mem::ManuallyDrop::new(unsafe { LockedFolio::from_raw(folio) });
        if folio.is_dirty() {
            return false;
        }
        folio.drop_state();
        true
    }

    unsafe extern "C" fn is_partially_uptodate(folio: *mut bindings::folio, from: usize, count: usize) -> bool {
        // SAFETY: "Callback pointer"; the folio is locked by the caller, who keeps the lock.
        let folio = core::mem::ManuallyDrop::new(unsafe { LockedFolio::from_raw(folio) });
        let Some(state) = folio.state() else {
            return false;
        };
        let bits = folio.block_bits();
        let end = (from as u64).saturating_add(count as u64).min(folio.size());
        let last = end.saturating_add((1 << bits) - 1) >> bits;
        state.is_uptodate((from >> bits) as u32..last as u32)
    }
}

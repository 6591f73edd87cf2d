// SPDX-License-Identifier: GPL-2.0

//! What the page cache asks of a file system: `struct address_space_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    folio::{CachedFolio, Folio, LockedFolio},
    inode::Inode,
    iomap::{self, IomapOperations},
    readahead::Readahead,
    writeback::Writeback,
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{from_result, VTABLE_DEFAULT_ERROR},
    prelude::*,
};

/// Operations on the pages of a file.
#[vtable]
pub(crate) trait AddressSpaceOperations {
    /// The file system.
    type FS: FileSystem;
    /// Where the file's blocks are.
    type Map: IomapOperations<FS = Self::FS>;

    /// Reads a folio and unlocks it. `inode` is the file. May sleep.
    fn read_folio(inode: &Inode<Self::FS>, folio: LockedFolio<'_>) -> Result;

    /// Begins a write of up to `len` bytes at `pos`: sets space aside and gives the folio into which the bytes go, with
    /// everything around them in their blocks up to date. The inode is locked. `ENOSPC` now, not later.
    fn write_begin(
        _inode: &Inode<Self::FS>,
        _pos: u64,
        _len: u64,
        _nowait: bool,
    ) -> Result<CachedFolio> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Ends the write begun: of `len` bytes `copied` are in the folio. Gives how many count.
    fn write_end(
        _inode: &Inode<Self::FS>,
        _folio: CachedFolio,
        _pos: u64,
        _len: u64,
        _copied: u64,
    ) -> u64 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes the folios of the pass.
    fn writepages(_pass: &mut Writeback<'_, Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Reads the folios of the window, as far as that makes sense. Errors show in the folios.
    fn readahead(window: &mut Readahead<'_, Self::FS>);
}

/// The C table of `O`.
pub(super) struct AopsTable<O>(PhantomData<O>);

impl<O: AddressSpaceOperations> AopsTable<O> {
    pub(super) const OPS: bindings::address_space_operations = bindings::address_space_operations {
        read_folio: Some(Self::read_folio),
        readahead: Some(Self::readahead),
        write_begin: if O::HAS_WRITE_BEGIN {
            Some(Self::write_begin)
        } else {
            None
        },
        write_end: if O::HAS_WRITE_END {
            Some(Self::write_end)
        } else {
            None
        },
        writepages: if O::HAS_WRITEPAGES {
            Some(Self::writepages)
        } else {
            None
        },
        dirty_folio: if O::HAS_WRITEPAGES {
            Some(Self::dirty_folio)
        } else {
            None
        },
        bmap: if O::Map::HAS_MAP {
            Some(Self::bmap)
        } else {
            None
        },
        invalidate_folio: Some(Self::invalidate_folio),
        release_folio: Some(Self::release_folio),
        migrate_folio: Some(bindings::filemap_migrate_folio),
        is_partially_uptodate: Some(Self::is_partially_uptodate),
        error_remove_folio: Some(bindings::generic_error_remove_folio),
        ..super::none()
    };

    unsafe extern "C" fn read_folio(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: "Callback pointer"; the folio is locked for us, and its mapping's host is an inode of `O::FS`.
        unsafe {
            let folio = LockedFolio::from_raw(folio);
            let inode = Inode::from_raw((*folio.mapping()).host);
            from_result(|| O::read_folio(inode, folio).map(|()| 0))
        }
    }

    unsafe extern "C" fn write_begin(
        iocb: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: i64,
        len: c_uint,
        folio: *mut *mut bindings::folio,
        _data: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: "Callback pointer" for all; there is no kiocb where the kernel writes for itself.
        let (inode, nowait) = unsafe {
            let nowait = !iocb.is_null() && (*iocb).ki_flags & bindings::IOCB_NOWAIT as c_int != 0;
            (Inode::from_raw((*mapping).host), nowait)
        };
        from_result(|| {
            let begun = O::write_begin(inode, u64::try_from(pos)?, len.into(), nowait)?;
            // SAFETY: "Callback pointer"; lock and reference go to the caller.
            unsafe { *folio = begun.into_raw() };
            Ok(0)
        })
    }

    unsafe extern "C" fn write_end(
        _iocb: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: i64,
        len: c_uint,
        copied: c_uint,
        folio: *mut bindings::folio,
        _data: *mut c_void,
    ) -> c_int {
        // SAFETY: "Callback pointer" for all; the folio is the one from `write_begin`, with its lock and reference.
        let (inode, folio) = unsafe {
            (
                Inode::from_raw((*mapping).host),
                CachedFolio::from_raw(folio),
            )
        };
        let pos = u64::try_from(pos).unwrap_or(0);
        O::write_end(inode, folio, pos, len.into(), copied.into()) as c_int
    }

    unsafe extern "C" fn writepages(
        mapping: *mut bindings::address_space,
        control: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both.
        let mut pass = unsafe { Writeback::from_raw(mapping, control) };
        from_result(|| O::writepages(&mut pass).map(|()| 0))
    }

    unsafe extern "C" fn dirty_folio(
        mapping: *mut bindings::address_space,
        folio: *mut bindings::folio,
    ) -> bool {
        // SAFETY: "Callback pointer" for both. Who makes a mapped folio dirty keeps it from being taken apart.
        unsafe {
            if let Some(state) = Folio::from_raw(folio).state() {
                state.set_dirty(0..state.blocks());
            }
            bindings::filemap_dirty_folio(mapping, folio)
        }
    }

    unsafe extern "C" fn readahead(raw: *mut bindings::readahead_control) {
        // SAFETY: "Callback pointer".
        O::readahead(&mut unsafe { Readahead::from_raw(raw) });
    }

    unsafe extern "C" fn bmap(
        mapping: *mut bindings::address_space,
        block: bindings::sector_t,
    ) -> bindings::sector_t {
        // SAFETY: "Callback pointer".
        unsafe { iomap::bmap::<O::Map>(mapping, block) }
    }

    unsafe extern "C" fn invalidate_folio(folio: *mut bindings::folio, offset: usize, len: usize) {
        // SAFETY: "Callback pointer"; the folio is locked by the caller, who keeps the lock.
        let folio = unsafe { LockedFolio::lent(folio) };
        if offset == 0 && len as u64 >= folio.size() {
            folio.drop_state();
        } else if folio.is_dirty() {
            // Blocks that are gone must not be written: there is no place for them any more.
            let bits = folio.block_bits();
            let first = (offset as u64).saturating_add((1 << bits) - 1) >> bits;
            let end = (offset as u64).saturating_add(len as u64) >> bits;
            if first < end {
                folio.make_state(bits).clear_dirty(first as u32..end as u32);
            }
        }
    }

    unsafe extern "C" fn release_folio(folio: *mut bindings::folio, _gfp: bindings::gfp_t) -> bool {
        // SAFETY: "Callback pointer"; the folio is locked by the caller, who keeps the lock.
        let folio = unsafe { LockedFolio::lent(folio) };
        if folio.is_dirty() {
            return false;
        }
        folio.drop_state();
        true
    }

    unsafe extern "C" fn is_partially_uptodate(
        folio: *mut bindings::folio,
        from: usize,
        count: usize,
    ) -> bool {
        // SAFETY: "Callback pointer"; the folio is locked by the caller, who keeps the lock.
        let folio = unsafe { LockedFolio::lent(folio) };
        let Some(state) = folio.state() else {
            return false;
        };
        let bits = folio.block_bits();
        let end = (from as u64).saturating_add(count as u64).min(folio.size());
        let last = end.saturating_add((1 << bits) - 1) >> bits;
        state.is_uptodate((from >> bits) as u32..last as u32)
    }
}

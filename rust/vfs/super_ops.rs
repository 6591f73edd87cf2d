// SPDX-License-Identifier: GPL-2.0

//! What a file system does as a whole: `struct super_operations`.
//!
//! C header: [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)

use super::{inode::Inode, inode_slab, stat::StatFs, super_block::SuperBlock, FileSystem};
use crate::bindings;
use core::{fmt, marker::PhantomData};
use kernel::{
    error::{from_result, VTABLE_DEFAULT_ERROR},
    prelude::*,
    sync::aref::ARef,
};

/// Operations on a volume. The optional ones have a table entry only where an implementation gives them.
#[vtable]
pub(crate) trait SuperOperations {
    /// The file system.
    type FS: FileSystem;

    /// Fills the answer to `statfs(2)`.
    fn statfs(sb: &SuperBlock<Self::FS>, stat: &mut StatFs<'_>) -> Result;

    /// Writes the mount options that differ from the defaults, each with a comma before it.
    fn show_options(_sb: &SuperBlock<Self::FS>, _out: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }

    /// The inode of that number, for a file handle (NFS, `open_by_handle_at(2)`); `ESTALE` if there is none.
    fn inode_by_number(_sb: &SuperBlock<Self::FS>, _ino: u64) -> Result<ARef<Inode<Self::FS>>> {
        Err(super::errno::ESTALE())
    }

    /// The directory that holds the directory `inode`, by "..", for a file handle; `ESTALE` if there is none.
    fn parent(_inode: &Inode<Self::FS>) -> Result<ARef<Inode<Self::FS>>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes the inode into its block. The VFS lets one call at a time through for an inode, and never one while it
    /// is evicted.
    fn write_inode(_inode: &Inode<Self::FS>, _why: WriteReason) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Lets go of an inode that is about to leave memory: nobody else has it, its pages are gone, and if it has no
    /// links it is to be deleted. Inodes that were never filled do not come here. A reference that is given back is let go of
    /// when the volume may be frozen again: it can be the last one.
    fn evict(_inode: &Inode<Self::FS>) -> Option<ARef<Inode<Self::FS>>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Writes what is dirty; waits for it if `wait`.
    fn sync(_sb: &SuperBlock<Self::FS>, _wait: bool) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Brings the volume to rest, because it is about to be copied below us: everything is written, and nobody changes
    /// anything until [`unfreeze`](Self::unfreeze).
    fn freeze(_sb: &SuperBlock<Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The end of a freeze.
    fn unfreeze(_sb: &SuperBlock<Self::FS>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// How much memory the file system keeps for the volume and could do without: pages, or whatever
    /// [`reclaim`](Self::reclaim) counts in. Any context; must not sleep.
    fn reclaimable(_sb: &SuperBlock<Self::FS>) -> usize {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Gives back about as much of it, and tells how much it was. Called when memory is short, by whoever wants some, but
    /// not in a scope without file-system reclaim.
    fn reclaim(_sb: &SuperBlock<Self::FS>, _most: usize) -> usize {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Ends the mount: the last inode is gone.
    fn put(_sb: &SuperBlock<Self::FS>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Why an inode is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteReason {
    /// It has been dirty for long, or too much is.
    Background,
    /// In passing: a pass that waits comes after this one, or memory is needed.
    Passing,
    /// All inodes are, and [`SuperOperations::sync`] comes after that.
    SyncAll,
    /// Somebody waits for this one: it must be on the device when the call returns.
    Durable,
}

/// The C tables of `T`.
pub(super) struct SuperTable<T>(PhantomData<T>);

impl<T: FileSystem> SuperTable<T> {
    pub(super) const OPS: bindings::super_operations = bindings::super_operations {
        alloc_inode: Some(inode_slab::alloc_inode::<T>),
        destroy_inode: Some(inode_slab::destroy_inode::<T>),
        free_inode: Some(inode_slab::free_inode::<T>),
        write_inode: if T::HAS_WRITE_INODE {
            Some(Self::write_inode)
        } else {
            None
        },
        evict_inode: if T::HAS_EVICT {
            Some(Self::evict_inode)
        } else {
            None
        },
        statfs: Some(Self::statfs),
        show_options: Some(Self::show_options),
        sync_fs: if T::HAS_SYNC {
            Some(Self::sync_fs)
        } else {
            None
        },
        freeze_fs: if T::HAS_FREEZE {
            Some(Self::freeze_fs)
        } else {
            None
        },
        unfreeze_fs: if T::HAS_UNFREEZE {
            Some(Self::unfreeze_fs)
        } else {
            None
        },
        nr_cached_objects: if T::HAS_RECLAIMABLE {
            Some(Self::nr_cached_objects)
        } else {
            None
        },
        free_cached_objects: if T::HAS_RECLAIM {
            Some(Self::free_cached_objects)
        } else {
            None
        },
        put_super: if T::HAS_PUT {
            Some(Self::put_super)
        } else {
            None
        },
        ..super::none()
    };

    unsafe extern "C" fn statfs(
        dentry: *mut bindings::dentry,
        raw: *mut bindings::declared::kstatfs,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both; a dentry of a mounted `T` is on a live super block of `T`.
        let (sb, mut stat) = unsafe {
            let sb = (*dentry).d_sb;
            (SuperBlock::from_raw(sb), StatFs::from_raw(raw.cast(), sb))
        };
        from_result(|| T::statfs(sb, &mut stat).map(|()| 0))
    }

    unsafe extern "C" fn show_options(
        seq: *mut bindings::seq_file,
        root: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both, as above.
        let (sb, mut out) = unsafe { (SuperBlock::from_raw((*root).d_sb), SeqWriter(&mut *seq)) };
        from_result(|| {
            T::show_options(sb, &mut out)
                .map(|()| 0)
                .map_err(|_| EINVAL)
        })
    }

    unsafe extern "C" fn write_inode(
        inode: *mut bindings::inode,
        wbc: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: "Callback pointer" for both.
        let (inode, why) = unsafe {
            let all = (*wbc).sync_mode == bindings::writeback_sync_modes_WB_SYNC_ALL;
            let routine = (*wbc).for_kupdate() != 0 || (*wbc).for_background() != 0;
            let why = match (all, (*wbc).for_sync() != 0) {
                (false, _) if routine => WriteReason::Background,
                (false, _) => WriteReason::Passing,
                (true, true) => WriteReason::SyncAll,
                (true, false) => WriteReason::Durable,
            };
            (Inode::from_raw(inode), why)
        };
        from_result(|| T::write_inode(inode, why).map(|()| 0))
    }

    unsafe extern "C" fn evict_inode(raw: *mut bindings::inode) {
        // SAFETY: "Callback pointer"; nobody else has the inode. Deleting changes the volume, which therefore must
        // not be frozen meanwhile.
        unsafe {
            bindings::truncate_inode_pages_final(&raw mut (*raw).i_data);
            let mut other = None;
            if !bindings::is_bad_inode(raw) {
                let inode = Inode::<T>::from_raw(raw);
                let deletes = inode.links() == 0;
                if deletes {
                    // Before its blocks become others': a buffer is on one list only.
                    inode.forget_metadata();
                    bindings::rfs_sb_start_intwrite((*raw).i_sb);
                }
                other = T::evict(inode);
                if deletes {
                    bindings::rfs_sb_end_intwrite((*raw).i_sb);
                }
            }
            Inode::<T>::from_raw(raw).forget_metadata();
            bindings::clear_inode(raw);
            // To evict that one too inside of `rfs_sb_start_intwrite` would wait for a freeze that waits for us.
            drop(other);
        }
    }

    unsafe extern "C" fn sync_fs(sb: *mut bindings::super_block, wait: c_int) -> c_int {
        // SAFETY: "Callback pointer"; `s_umount` keeps the super block live.
        let sb = unsafe { SuperBlock::from_raw(sb) };
        from_result(|| T::sync(sb, wait != 0).map(|()| 0))
    }

    unsafe extern "C" fn freeze_fs(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: "Callback pointer"; `s_umount` keeps the super block live.
        let sb = unsafe { SuperBlock::from_raw(sb) };
        from_result(|| T::freeze(sb).map(|()| 0))
    }

    unsafe extern "C" fn unfreeze_fs(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: As above.
        let sb = unsafe { SuperBlock::from_raw(sb) };
        from_result(|| T::unfreeze(sb).map(|()| 0))
    }

    unsafe extern "C" fn nr_cached_objects(
        sb: *mut bindings::super_block,
        _control: *mut bindings::shrink_control,
    ) -> c_long {
        // SAFETY: "Callback pointer"; the kernel asks only after the mount has succeeded (`SB_BORN`), and stops before it
        // takes the super block apart.
        let count = T::reclaimable(unsafe { SuperBlock::from_raw(sb) });
        c_long::try_from(count).unwrap_or(c_long::MAX)
    }

    unsafe extern "C" fn free_cached_objects(
        sb: *mut bindings::super_block,
        control: *mut bindings::shrink_control,
    ) -> c_long {
        // SAFETY: "Callback pointer" for both; `s_umount` keeps the super block live.
        let (sb, most) = unsafe { (SuperBlock::from_raw(sb), (*control).nr_to_scan) };
        c_long::try_from(T::reclaim(sb, most)).unwrap_or(c_long::MAX)
    }

    unsafe extern "C" fn put_super(sb: *mut bindings::super_block) {
        // SAFETY: "Callback pointer"; the data is dropped later, in `kill_sb`.
        T::put(unsafe { SuperBlock::from_raw(sb) });
    }
}

/// Writes text to a `seq_file`.
struct SeqWriter<'a>(&'a mut bindings::seq_file);

impl fmt::Write for SeqWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: The file is ours during the call, and `text` is valid for its length.
        let full = unsafe { bindings::seq_write(self.0, text.as_ptr().cast(), text.len()) };
        match full {
            0 => Ok(()),
            // A buffer that is too small is enlarged by the caller, who then asks again.
            _ => Ok(()),
        }
    }
}

/// File handles: an inode number and its generation, as `generic_encode_ino32_fh` writes them.
impl<T: FileSystem> SuperTable<T> {
    pub(super) const EXPORT: bindings::export_operations = bindings::export_operations {
        encode_fh: Some(bindings::generic_encode_ino32_fh),
        fh_to_dentry: Some(Self::fh_to_dentry),
        fh_to_parent: Some(Self::fh_to_parent),
        get_parent: if T::HAS_PARENT {
            Some(Self::get_parent)
        } else {
            None
        },
        ..super::none()
    };

    unsafe extern "C" fn get_inode(
        sb: *mut bindings::super_block,
        ino: u64,
        generation: u32,
    ) -> *mut bindings::inode {
        // SAFETY: "Callback pointer"; the super block is live.
        let sb = unsafe { SuperBlock::from_raw(sb) };
        let found = T::inode_by_number(sb, ino).and_then(|inode| match inode.generation() {
            current if generation != 0 && current != generation => Err(super::errno::ESTALE()),
            _ => Ok(inode),
        });
        match found {
            Ok(inode) => ARef::into_raw(inode).as_ptr().cast(),
            Err(error) => error.to_ptr(),
        }
    }

    unsafe extern "C" fn fh_to_dentry(
        sb: *mut bindings::super_block,
        fid: *mut bindings::fid,
        len: c_int,
        kind: c_int,
    ) -> *mut bindings::dentry {
        // SAFETY: The arguments are the VFS's own.
        unsafe { bindings::generic_fh_to_dentry(sb, fid, len, kind, Some(Self::get_inode)) }
    }

    unsafe extern "C" fn fh_to_parent(
        sb: *mut bindings::super_block,
        fid: *mut bindings::fid,
        len: c_int,
        kind: c_int,
    ) -> *mut bindings::dentry {
        // SAFETY: The arguments are the VFS's own.
        unsafe { bindings::generic_fh_to_parent(sb, fid, len, kind, Some(Self::get_inode)) }
    }

    unsafe extern "C" fn get_parent(child: *mut bindings::dentry) -> *mut bindings::dentry {
        // SAFETY: "Callback pointer"; the child is a directory that exists.
        match T::parent(unsafe { Inode::from_raw((*child).d_inode) }) {
            // SAFETY: Our reference goes to the dentry.
            Ok(parent) => unsafe {
                bindings::d_obtain_alias(ARef::into_raw(parent).as_ptr().cast())
            },
            Err(error) => error.to_ptr(),
        }
    }
}

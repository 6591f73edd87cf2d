// SPDX-License-Identifier: GPL-2.0

//! The super block: a mounted volume.
//!
//! States: *new* ([`NewSuperBlock`], while [`FileSystem::fill_super`] runs) → *live* ([`SuperBlock`], data in place)
//! → gone (the data is dropped after the last inode).
//!
//! C header: [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)

use super::{
    buffer::Buffer,
    inode::{Inode, NewInode},
    super_ops::SuperTable,
    FileSystem,
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{from_result, to_result},
    prelude::*,
    sync::aref::ARef,
    types::{ForeignOwnable, Opaque},
};

/// A super block that is being set up: nobody else sees it.
pub(crate) struct NewSuperBlock<T> {
    raw: *mut bindings::super_block,
    _fs: PhantomData<T>,
}

impl<T: FileSystem> NewSuperBlock<T> {
    pub(super) fn as_raw(&self) -> *mut bindings::super_block {
        self.raw
    }

    /// The device's size, in bytes.
    pub(crate) fn device_bytes(&self) -> u64 {
        // SAFETY: The super block is live and its device open while `self` exists.
        unsafe { bindings::rfs_bdev_nr_bytes((*self.raw).s_bdev) }
    }

    /// The device's name, for messages.
    pub(crate) fn id(&self) -> &str {
        // SAFETY: As above.
        unsafe { id(self.raw) }
    }

    /// Whether a read-only mount was asked for.
    pub(crate) fn is_read_only(&self) -> bool {
        // SAFETY: As above.
        unsafe { (*self.raw).s_flags & bindings::SB_RDONLY != 0 }
    }

    /// Whether messages about a volume of another kind are unwanted (the kernel tries its file systems in turn).
    pub(crate) fn is_silent(&self) -> bool {
        // SAFETY: As above.
        unsafe { (*self.raw).s_flags & bindings::SB_SILENT != 0 }
    }

    /// Makes the mount read-only.
    pub(crate) fn set_read_only(&self) {
        // SAFETY: As above; nobody else uses the super block.
        unsafe { (*self.raw).s_flags |= bindings::SB_RDONLY };
    }

    /// Whether the device itself refuses writes.
    pub(crate) fn is_device_read_only(&self) -> bool {
        // SAFETY: As above.
        unsafe { bindings::rfs_bdev_read_only((*self.raw).s_bdev) }
    }

    /// Sets the block size, in bytes: a power of two from the device's logical block size to the largest folio.
    /// Fails with `EINVAL` where the device cannot do it.
    pub(crate) fn set_block_size(&self, bytes: u32) -> Result {
        let bytes = c_int::try_from(bytes)?;
        // SAFETY: As above; no buffer is held.
        match unsafe { bindings::sb_set_blocksize(self.raw, bytes) } {
            0 => Err(EINVAL),
            _ => Ok(()),
        }
    }

    /// The least block size in which the device can be read, in bytes.
    pub(crate) fn min_block_size(&self, at_least: u32) -> Result<u32> {
        let at_least = c_int::try_from(at_least)?;
        // SAFETY: As above; no buffer is held.
        match unsafe { bindings::sb_min_blocksize(self.raw, at_least) } {
            0 => Err(EINVAL),
            size => u32::try_from(size).map_err(|_| EINVAL),
        }
    }

    /// Reads a block of the size set last. Fails with `EIO`.
    pub(crate) fn read(&self, block: u64) -> Result<Buffer> {
        // SAFETY: The super block is live and its block size set.
        unsafe { Buffer::read(self.raw, block) }
    }

    /// Sets what the VFS must know of the format: its magic number, the largest file in bytes, the most links.
    pub(crate) fn set_limits(&self, magic: u32, max_bytes: u64, max_links: u32) {
        // SAFETY: As above; nobody else uses the super block.
        let sb = unsafe { &mut *self.raw };
        sb.s_magic = magic as usize;
        sb.s_maxbytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        sb.s_max_links = max_links;
    }

    /// Sets the range and grain of times: seconds, seconds, nanoseconds.
    pub(crate) fn set_times(&self, min: i64, max: i64, granularity: u32) {
        // SAFETY: As above.
        let sb = unsafe { &mut *self.raw };
        sb.s_time_min = min;
        sb.s_time_max = max;
        sb.s_time_gran = granularity;
    }

    /// Sets the volume's identity as user space sees it.
    pub(crate) fn set_uuid(&self, uuid: [u8; 16]) {
        // SAFETY: As above.
        let sb = unsafe { &mut *self.raw };
        sb.s_uuid.b = uuid;
        sb.s_uuid_len = 16;
    }

    /// Lets the VFS account writeback to control groups.
    pub(crate) fn enable_cgroup_writeback(&self) {
        // SAFETY: As above.
        unsafe { (*self.raw).s_iflags |= bindings::SB_I_CGROUPWB as usize };
    }
}

/// The name of the device under `sb`.
///
/// # Safety
///
/// `sb` is live for the lifetime chosen.
unsafe fn id<'a>(sb: *mut bindings::super_block) -> &'a str {
    // SAFETY: `s_id` is written once, before `fill_super`, and ends with a NUL.
    core::str::from_utf8(unsafe { super::bytes_of((&raw const (*sb).s_id).cast()) }).unwrap_or("?")
}

/// A mounted volume of the file system `T`.
///
/// # Invariants
///
/// **Live super block**: `s_fs_info` is a `KBox<T::Super>` (see "Typed super block").
#[repr(transparent)]
pub(crate) struct SuperBlock<T>(Opaque<bindings::super_block>, PhantomData<T>);

impl<T: FileSystem> SuperBlock<T> {
    /// Wraps a pointer.
    ///
    /// # Safety
    ///
    /// `raw` is a super block of `T` with its data in place, and stays so for the lifetime chosen.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::super_block) -> &'a Self {
        // SAFETY: `SuperBlock` is transparent over `Opaque`; the rest is the caller's promise.
        unsafe { &*raw.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::super_block {
        self.0.get()
    }

    /// What the file system keeps for the volume.
    pub(crate) fn data(&self) -> &T::Super {
        // SAFETY: "Live super block".
        unsafe { &*(*self.as_raw()).s_fs_info.cast::<T::Super>() }
    }

    /// The device's name, for messages.
    pub(crate) fn id(&self) -> &str {
        // SAFETY: The super block is live.
        unsafe { id(self.as_raw()) }
    }

    /// The block size as a power of two.
    ///
    /// Below 32, as the compiler can see: shifts by it need no check.
    pub(crate) fn block_bits(&self) -> u32 {
        // SAFETY: The super block is live, and its block size does not change after `fill_super`.
        u32::from(unsafe { (*self.as_raw()).s_blocksize_bits }) & 31
    }

    /// Whether the volume is mounted read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        // SAFETY: The super block is live; the flag may change under us, and a stale answer is allowed.
        unsafe { (&raw const (*self.as_raw()).s_flags).read_volatile() & bindings::SB_RDONLY != 0 }
    }

    /// Makes the volume read-only from now on, after an error.
    pub(crate) fn force_read_only(&self) {
        // SAFETY: The super block is live. The flag is a word of its own, as in every file system that does this.
        unsafe {
            let flags = &raw mut (*self.as_raw()).s_flags;
            flags.write_volatile(flags.read_volatile() | bindings::SB_RDONLY);
        }
    }

    /// Reads a metadata block. Sleeps; fails with `EIO`.
    pub(crate) fn read(&self, block: u64) -> Result<Buffer> {
        // SAFETY: The super block is live and its block size set.
        unsafe { Buffer::read(self.as_raw(), block) }
    }

    /// A metadata block, if it is in memory and up to date. Does not read.
    pub(crate) fn find(&self, block: u64) -> Option<Buffer> {
        // SAFETY: As above.
        unsafe { Buffer::find(self.as_raw(), block) }
    }

    /// Starts reading a metadata block and does not wait.
    pub(crate) fn read_ahead(&self, block: u64) {
        // SAFETY: As above.
        unsafe { bindings::rfs_sb_breadahead(self.as_raw(), block) };
    }

    /// The inode of that number: one in memory, or a new one to be filled. Sleeps; fails with `ENOMEM`.
    pub(crate) fn iget(&self, ino: u64) -> Result<Iget<T>> {
        // SAFETY: The super block is live.
        let raw = unsafe { bindings::iget_locked(self.as_raw(), ino) };
        if raw.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: `iget_locked` gave us a reference on an inode of this super block ("Typed inode"), which is ours
        // alone to fill while `I_NEW` is set.
        unsafe {
            Ok(if bindings::rfs_inode_is_new(raw) {
                Iget::New(NewInode::from_raw(raw))
            } else {
                Iget::Live(Inode::own(raw))
            })
        }
    }
}

/// What [`SuperBlock::iget`] found.
pub(crate) enum Iget<T: FileSystem> {
    /// An inode that somebody filled before.
    Live(ARef<Inode<T>>),
    /// An inode that the caller has to fill.
    New(NewInode<T>),
}

/// The callback of `get_tree_bdev`: reads the volume and makes the root.
pub(super) unsafe extern "C" fn fill_super<T: FileSystem>(
    raw: *mut bindings::super_block,
    fc: *mut bindings::fs_context,
) -> c_int {
    // SAFETY: "Callback pointer" for both; `fs_private` holds options of `T`, and the super block is ours alone.
    let (options, new) = unsafe {
        (
            &*(*fc).fs_private.cast::<T::Options>(),
            NewSuperBlock {
                raw,
                _fs: PhantomData,
            },
        )
    };
    from_result(|| {
        let data = T::fill_super(&new, options)?;
        // SAFETY: The super block is ours alone; `kill_sb` takes the data back, whether or not what follows fails.
        let sb = unsafe {
            (*raw).s_fs_info = data.into_foreign().cast();
            (*raw).s_op = &SuperTable::<T>::OPS;
            (*raw).s_export_op = core::ptr::from_ref(&SuperTable::<T>::EXPORT).cast();
            SuperBlock::<T>::from_raw(raw)
        };
        let root = ARef::into_raw(T::root(sb)?);
        // SAFETY: `d_make_root` consumes our reference on the inode, also when it fails.
        unsafe {
            (*raw).s_root = bindings::d_make_root(root.as_ptr().cast());
            match (*raw).s_root.is_null() {
                true => Err(ENOMEM),
                false => Ok(0),
            }
        }
    })
}

/// `file_system_type::kill_sb`: the VFS lets go of everything, then the data is dropped.
pub(super) unsafe extern "C" fn kill_sb<T: FileSystem>(raw: *mut bindings::super_block) {
    // SAFETY: "Callback pointer", with `s_umount` held; `s_fs_info` is null or ours ("Typed super block"), and after `kill_block_super`
    // no inode is left that could look at it.
    unsafe {
        let data = (*raw).s_fs_info;
        // The VFS passes by what is read-only, and one that became so under its users may have pages to be written.
        let read_only = (*raw).s_flags & bindings::SB_RDONLY != 0;
        if read_only && !data.is_null() && !(*raw).s_root.is_null() {
            bindings::sync_inodes_sb(raw);
        }
        bindings::kill_block_super(raw);
        if !data.is_null() {
            drop(<KBox<T::Super> as ForeignOwnable>::from_foreign(
                data.cast(),
            ));
        }
    }
}

/// The volume as a device.
impl<T: FileSystem> SuperBlock<T> {
    /// The device, which is open as long as the super block lives.
    pub(super) fn device(&self) -> *mut bindings::block_device {
        // SAFETY: As above.
        unsafe { (*self.as_raw()).s_bdev }
    }

    /// Whether the device itself refuses writes.
    pub(crate) fn is_device_read_only(&self) -> bool {
        // SAFETY: As above.
        unsafe { bindings::rfs_bdev_read_only(self.device()) }
    }

    /// Freezes the volume, calls `action`, thaws it. Sleeps; fails with what freezing failed with.
    pub(crate) fn while_frozen(&self, action: impl FnOnce()) -> Result {
        let device = self.device();
        // SAFETY: The device is open; no lock of the volume is held.
        to_result(unsafe { bindings::bdev_freeze(device) })?;
        action();
        // SAFETY: Undoes the freeze above.
        to_result(unsafe { bindings::bdev_thaw(device) })
    }

    /// The least number of bytes that the device discards at once; `None` if it takes no discards.
    pub(crate) fn discard_granularity(&self) -> Option<u64> {
        // SAFETY: As above.
        let bytes = unsafe { bindings::rfs_bdev_discard_granularity(self.device()) };
        (bytes != 0).then_some(bytes)
    }

    /// Tells the device that `len` blocks from `block` hold nothing of value. Sleeps. Fails with `EOPNOTSUPP` where
    /// it has no use for that, and with `EIO`.
    pub(crate) fn discard(&self, block: u64, len: u64) -> Result {
        let bits = self.block_bits().saturating_sub(bindings::SECTOR_SHIFT) & 63;
        // SAFETY: As above. The blocks are free: nobody reads or writes them meanwhile.
        to_result(unsafe {
            let (sector, sectors) = (block << bits, len << bits);
            bindings::blkdev_issue_discard(self.device(), sector, sectors, bindings::GFP_NOFS)
        })
    }
}

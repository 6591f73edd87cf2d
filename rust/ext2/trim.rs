// SPDX-License-Identifier: GPL-2.0

//! Ioctls for the volume as a whole: telling the device which blocks are free (FITRIM), and cutting the volume off
//! from its device as a test of crashes (FS_IOC_SHUTDOWN).

use super::{ondisk::bitmap, Ext2, SuperBlock};
use crate::vfs::{errno::EOPNOTSUPP, file::File, task};
use core::ops::Range;
use kernel::{
    ioctl::{_IOR, _IOWR},
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

/// `struct fstrim_range`: bytes.
struct TrimRange {
    start: u64,
    len: u64,
    min_len: u64,
}

const FITRIM: u32 = _IOWR::<[u64; 3]>(b'X' as u32, 121);
const SHUTDOWN: u32 = _IOR::<u32>(b'X' as u32, 125);

/// `FS_SHUTDOWN_FLAGS_*`: what is written before the volume is cut off.
const SHUTDOWN_FROZEN: u32 = 0;
const SHUTDOWN_SYNCED: u32 = 1;
const SHUTDOWN_AT_ONCE: u32 = 2;

/// Answers an ioctl on `file`. `None` for one that is not known here.
pub(super) fn ioctl(file: &File<Ext2>, command: u32, argument: UserPtr) -> Option<Result> {
    let sb = file.inode().sb();
    match command {
        FITRIM => Some(fitrim(sb, argument)),
        SHUTDOWN => Some(shutdown(sb, argument)),
        _ => None,
    }
}

fn fitrim(sb: &SuperBlock, argument: UserPtr) -> Result {
    if !task::is_administrator() {
        return Err(EPERM);
    }
    let mut words = [0u64; 3];
    let (mut reader, mut writer) = UserSlice::new(argument, size_of::<[u64; 3]>()).reader_writer();
    for word in &mut words {
        *word = reader.read()?;
    }
    let [start, len, min_len] = words;
    let trimmed = sb.trim(&TrimRange {
        start,
        len,
        min_len,
    })?;
    for word in [start, trimmed, min_len] {
        writer.write(&word)?;
    }
    Ok(())
}

fn shutdown(sb: &SuperBlock, argument: UserPtr) -> Result {
    if !task::is_administrator() {
        return Err(EPERM);
    }
    let how = UserSlice::new(argument, size_of::<u32>())
        .reader()
        .read::<u32>()?;
    match how {
        SHUTDOWN_FROZEN => sb.while_frozen(|| sb.data().shut_down())?,
        SHUTDOWN_SYNCED => {
            // The point of the call is the end of all writing, whether or not this succeeds.
            if super::mode::sync(sb).is_err() {
                sb.report(format_args!("shut down without everything written"));
            }
            sb.data().shut_down();
        }
        SHUTDOWN_AT_ONCE => sb.data().shut_down(),
        _ => return Err(EINVAL),
    }
    pr_notice!("{}: shut down\n", sb.id());
    Ok(())
}

impl SuperBlock {
    /// Tells the device which blocks of a range are free; gives the number of bytes. Sleeps. `EOPNOTSUPP` if it does
    /// not want to know, `EINVAL` for a range that makes no sense, `EIO`.
    fn trim(&self, range: &TrimRange) -> Result<u64> {
        let granularity = self.discard_granularity().ok_or_else(EOPNOTSUPP)?;
        let geometry = &self.data().disk.geometry;
        let bits = geometry.block_bits() & 63;
        let end = range.start.saturating_add(range.len) >> bits;
        let start = u32::try_from(range.start >> bits).map_err(|_| EINVAL)?;
        let least = range
            .min_len
            .max(granularity)
            .saturating_add((1 << bits) - 1)
            >> bits;
        let least = u32::try_from(least).map_err(|_| EINVAL)?;
        let impossible = least > geometry.blocks_per_group() || start >= geometry.blocks_count();
        if impossible || range.len >> bits == 0 {
            return Err(EINVAL);
        }
        let end = u32::try_from(end)
            .unwrap_or(u32::MAX)
            .min(geometry.blocks_count());
        // What was freed lately is free for the caller, and its bits are not clear yet.
        self.quiesce()?;
        let mut trimmed = 0u64;
        for group in 0..geometry.group_count() {
            let first = geometry.group_first_block(group);
            let last = first.saturating_add(geometry.group_blocks(group));
            let inside =
                start.max(first).saturating_sub(first)..end.min(last).saturating_sub(first);
            if !inside.is_empty() {
                trimmed = trimmed.saturating_add(self.trim_group(group, inside, least)?);
            }
            if task::is_dying() {
                break;
            }
            task::may_reschedule();
        }
        Ok(trimmed << bits)
    }

    /// The same for bits of one group; gives the number of blocks.
    fn trim_group(&self, group: u32, bits: Range<u32>, least: u32) -> Result<u64> {
        let volume = self.data();
        let first = volume.disk.geometry.group_first_block(group);
        let state = volume.space.group(group)?;
        let (mut from, mut trimmed) = (bits.start, 0u64);
        while state.blocks.free() >= least {
            // The lock keeps the blocks free while the device forgets them. It is let go after each run.
            let _windows = volume.space.lock(group)?;
            let buffer = self.block_bitmap(group)?;
            let Some(start) = bitmap::next_clear(buffer.bytes(), bits.end, from) else {
                break;
            };
            let len = bitmap::clear_run(buffer.bytes(), bits.end, start, u32::MAX);
            from = start.saturating_add(len);
            if len >= least {
                self.discard(first.saturating_add(start).into(), len.into())?;
                trimmed = trimmed.saturating_add(len.into());
            }
        }
        Ok(trimmed)
    }
}

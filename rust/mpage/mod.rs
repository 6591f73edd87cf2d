// SPDX-License-Identifier: GPL-2.0

//! The page-I/O engine: carries pages between the page cache and the disk in as few bios as the disk's layout
//! allows.
//!
//! | part | file | does |
//! | --- | --- | --- |
//! | mapper | [`BlockMap`] | asks the file system for the longest run from a block; one call a run |
//! | window | [`ahead`] | decides how far to read ahead where the page cache stopped short; pure |
//! | planner | [`plan`] | decides which bytes join which bio and why a bio is sent; pure |
//! | submitter | [`submit`] | builds and sends the bios; traces each with its reason |
//! | reading | [`read`], [`read_only`] | `read_folio` and `readahead`; all that a read-only file does |
//! | writing | [`write`] | `write_begin`, `write_end`, page faults, zeroing: into the page cache |
//! | writeback | [`writeback`], [`outgoing`] | `writepages`: from the page cache to the disk |
//!
//! A folio that is one piece of I/O joins the open bio and carries no state of its own. A folio that is several, and
//! one of which only some blocks need I/O, gets a [`BlockState`](crate::vfs::block_state::BlockState).
//!
//! The engine knows folios and runs of blocks; it knows nothing of any disk format.

#![forbid(unsafe_code)]

// The items of both are `pub` for the host, where they are part of a crate of its own.
#[allow(unreachable_pub)]
mod ahead;
#[allow(unreachable_pub)]
pub(crate) mod plan;
pub(crate) mod queue;
pub(crate) mod read;
// For file systems that only read, which rext2 is not.
mod outgoing;
#[allow(dead_code)]
pub(crate) mod read_only;
mod submit;
pub(crate) mod write;
pub(crate) mod writeback;

use crate::vfs::{
    inode::Inode,
    iomap::{Extent, IomapOperations, Purpose},
    FileSystem,
};
use core::{marker::PhantomData, ops::Range};
use kernel::prelude::*;
use plan::{Place, Planner, Run};
use queue::RunQueue;
use write::{Chosen, WriteMap};

/// Where a file system's files lie on disk.
pub(crate) trait BlockMap: FileSystem {
    /// The longest run from file block `first` on, of which at most `max` blocks are of use (more may be given).
    ///
    /// The run contains `first` and lies in the volume. Sleeps to read metadata; fails with `EIO`, or with `EUCLEAN`
    /// if the metadata is damaged.
    fn map(inode: &Inode<Self>, first: u64, max: u64) -> Result<Run>;

    /// The same without sleeping; `EAGAIN` if that takes reading metadata, or waiting for somebody.
    fn map_now(_inode: &Inode<Self>, _first: u64, _max: u64) -> Result<Run> {
        Err(EAGAIN)
    }

    /// The same as [`map`](Self::map) for a pass of reading, which goes on to the blocks behind the run: what the look-up finds of them
    /// without more ado is put into `rest`, which is empty.
    fn map_for_read(
        inode: &Inode<Self>,
        first: u64,
        max: u64,
        _rest: &mut RunQueue,
    ) -> Result<Run> {
        Self::map(inode, first, max)
    }
}

/// Traces a run and answers the planner with it. Fails with `EIO` if it does not contain what was asked for: a planner
/// would ask for that for ever.
fn answer<T: FileSystem>(inode: &Inode<T>, planner: &mut Planner, run: Run) -> Result {
    let disk = match run.place {
        Place::Mapped(disk) => Some(disk),
        Place::Hole => None,
    };
    inode.trace_map(run.first, run.len, disk, run.boundary);
    match planner.mapped(run) {
        true => Ok(()),
        false => Err(EIO),
    }
}

/// A file system's block map as `iomap` wants it, for reading.
pub(crate) struct ReadMap<T>(PhantomData<T>);

impl<T: BlockMap> IomapOperations for ReadMap<T> {
    type FS = T;
    const HAS_MAP: bool = true;

    fn begin(inode: &Inode<T>, position: u64, len: u64, purpose: Purpose) -> Result<Extent> {
        if purpose.write {
            return Err(EROFS);
        }
        extent(inode, position, len, purpose)
    }
}

/// A file system's block map as `iomap` wants it, for reading and writing.
pub(crate) struct FileMap<T>(PhantomData<T>);

impl<T: WriteMap> IomapOperations for FileMap<T> {
    type FS = T;
    const HAS_MAP: bool = true;

    fn begin(inode: &Inode<T>, position: u64, len: u64, purpose: Purpose) -> Result<Extent> {
        if purpose.write {
            T::check_writes(inode)?;
        }
        if purpose.allocate {
            return new_extent(inode, position, len);
        }
        let mut found = extent(inode, position, len, purpose)?;
        // A write that grows the file or fills a hole needs blocks, or has something to do when it ends.
        let grows = position.saturating_add(len) > inode.size();
        if purpose.write && (found.address.is_none() || grows) {
            return Err(ENOTBLK);
        }
        found.is_dirty = purpose.durable && !T::is_durable(inode);
        Ok(found)
    }

    fn written(inode: &Inode<T>, bytes: Range<u64>) -> Result {
        T::written(inode, bytes)
    }

    fn unwritten(inode: &Inode<T>, bytes: Range<u64>) {
        T::unwritten(inode, bytes);
    }
}

/// The extent at `position` for a direct write, with blocks.
fn new_extent<T: WriteMap>(inode: &Inode<T>, position: u64, len: u64) -> Result<Extent> {
    let bits = inode.block_bits();
    let blocks = write::touched(&(position..position.saturating_add(len)), bits);
    let Chosen { run, fresh } = T::map_direct(inode, blocks)?;
    let Place::Mapped(disk) = run.place else {
        return Err(EIO);
    };
    Ok(Extent {
        offset: run.first << bits,
        len: run.len << bits,
        address: Some(disk << bits),
        is_new: fresh,
        // The file's size may change, which is not on disk when the data is.
        is_dirty: true,
        is_merged: true,
    })
}

/// The extent at `position`, as it is on disk.
fn extent<T: BlockMap>(
    inode: &Inode<T>,
    position: u64,
    len: u64,
    purpose: Purpose,
) -> Result<Extent> {
    let bits = inode.block_bits();
    let first = position >> bits;
    let last = position.saturating_add(len.max(1)).saturating_sub(1) >> bits;
    let max = last.saturating_sub(first).saturating_add(1);
    let run = match purpose.nowait {
        true => T::map_now(inode, first, max)?,
        false => T::map(inode, first, max)?,
    };
    Ok(Extent {
        offset: run.first << bits,
        len: run.len << bits,
        address: match run.place {
            Place::Mapped(disk) => Some(disk << bits),
            Place::Hole => None,
        },
        is_new: false,
        is_dirty: false,
        is_merged: true,
    })
}

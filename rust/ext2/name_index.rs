// SPDX-License-Identifier: GPL-2.0

//! Finding names in large directories: a volume keeps a [table](super::name_table) for each of a few of them, those that
//! were used last.
//!
//! A table is complete or it is not there. It is made by whoever has looked at [`FEW`] blocks in vain, at the price of
//! looking at all, and follows every name that comes or goes; where memory is short it is dropped, and blocks are looked
//! at one by one again. It belongs to the directory's number, until that is given back.
//!
//! # Locks
//!
//! Names change while the directory is locked for writing, tables are asked and made while it is locked at least for
//! reading. The list of tables has a mutex of its own, under which nothing else is locked; memory is allocated under it in
//! a scope without file-system reclaim, because reclaim takes tables away.

use super::{
    dir::Dir,
    name_table::{hash, NameTable},
    ondisk::dirent::DirBlock,
};
use crate::vfs::{sync::NoFsScope, task};
use kernel::{
    alloc::AllocError,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Acquire, Relaxed, Release},
            Atomic, //
        },
        Mutex, MutexGuard,
    },
};

/// A directory of no more blocks has no table.
pub(super) const FEW: u64 = 8;

/// How many directories of a volume have one.
const MOST_TABLES: usize = 8;

/// Slots of the first table of a directory, and of the largest; powers of two. 16 MiB, for 1.5 million names.
const LEAST_SLOTS: usize = 1024;
const MOST_SLOTS: usize = 1 << 21;

/// In how many blocks a name is looked for on a table's word. Names with the same hash are rare, but nothing keeps a
/// damaged directory from having one name a thousand times.
const MOST_PLACES: usize = 4;

/// Bytes of a page, the unit in which memory is reclaimed here.
const PAGE: usize = kernel::page::PAGE_SIZE;

type Table = NameTable<KVVec<u64>>;

/// The table of one directory.
struct Known {
    dir: u32,
    table: Table,
    /// When it was used last, by the clock of the list.
    used: u64,
    /// It was used since memory was reclaimed last.
    recently: bool,
}

struct List {
    known: [Option<Known>; MOST_TABLES],
    clock: u64,
}

impl List {
    fn place(&mut self, dir: u32) -> Option<&mut Option<Known>> {
        let is_it = |known: &Option<Known>| known.as_ref().is_some_and(|known| known.dir == dir);
        self.known.iter_mut().find(|known| is_it(known))
    }

    /// The table of a directory, which is being used.
    fn get(&mut self, dir: u32) -> Option<&mut Known> {
        self.clock = self.clock.wrapping_add(1);
        let clock = self.clock;
        let known = self.place(dir)?.as_mut()?;
        (known.used, known.recently) = (clock, true);
        Some(known)
    }

    /// Takes a directory's table out of the list.
    fn take(&mut self, dir: u32) -> Option<Known> {
        self.place(dir)?.take()
    }

    /// Puts a table in the place of the one that has not been used for longest, and gives that back.
    fn put(&mut self, dir: u32, table: Table) -> Option<Known> {
        let old = self.take(dir);
        self.clock = self.clock.wrapping_add(1);
        let known = Known {
            dir,
            table,
            used: self.clock,
            recently: true,
        };
        let age = |known: &Option<Known>| known.as_ref().map_or(0, |known| known.used);
        let place = self.known.iter_mut().min_by_key(|known| age(known))?;
        place.replace(known).or(old)
    }
}

/// The tables of a volume.
#[pin_data]
pub(super) struct NameIndexes {
    /// What the hashes depend on.
    secret: u64,
    /// Pages of memory in use. Nothing is looked for while it is zero.
    pages: Atomic<usize>,
    #[pin]
    list: Mutex<List>,
}

/// What a table says of a name.
enum Places {
    /// Nothing: there is no table, or too many names have the hash.
    Unknown,
    /// It is in one of these blocks, or nowhere.
    In([u32; MOST_PLACES], usize),
}

impl NameIndexes {
    /// No tables. `ENOMEM`.
    pub(super) fn new() -> Result<Pin<KBox<Self>>> {
        let list = List {
            known: [const { None }; MOST_TABLES],
            clock: 0,
        };
        let indexes = pin_init!(Self {
            secret: task::random(),
            pages: Atomic::new(0),
            list <- new_mutex!(list, "rext2_names"),
        });
        KBox::pin_init(indexes, GFP_KERNEL)
    }

    fn are_none(&self) -> bool {
        self.pages.load(Acquire) == 0
    }

    /// Counts the memory anew, after the list has changed.
    fn count(&self, list: &MutexGuard<'_, List>) {
        let slots = |known: &Known| known.table.slots().saturating_mul(size_of::<u64>());
        let bytes = list.known.iter().flatten().map(slots).sum::<usize>();
        self.pages.store(bytes.div_ceil(PAGE), Release);
    }

    /// Drops the table of a directory whose number is given back, or that cannot be kept true.
    pub(super) fn forget(&self, dir: u32) {
        if self.are_none() {
            return;
        }
        let mut list = self.list.lock();
        let gone = list.take(dir);
        self.count(&list);
        drop(list);
        drop(gone);
    }

    /// How much memory could be reclaimed, in pages.
    pub(super) fn reclaimable(&self) -> usize {
        self.pages.load(Relaxed)
    }

    /// Gives back about `pages` pages, but no table that was used since the last call. Does not sleep for the list.
    pub(super) fn reclaim(&self, pages: usize) -> usize {
        let mut given = 0usize;
        let Some(mut list) = self.list.try_lock() else {
            return 0;
        };
        for place in &mut list.known {
            let Some(known) = place else { continue };
            if !core::mem::take(&mut known.recently) && given < pages {
                given = given.saturating_add(known.table.slots().saturating_mul(8) / PAGE);
                *place = None;
            }
        }
        self.count(&list);
        given
    }

    fn places(&self, dir: u32, name: &[u8]) -> Places {
        if self.are_none() {
            return Places::Unknown;
        }
        let hash = hash(self.secret, name);
        let mut list = self.list.lock();
        let Some(known) = list.get(dir) else {
            return Places::Unknown;
        };
        let mut blocks = known.table.blocks(hash);
        let (mut found, mut count) = ([0; MOST_PLACES], 0usize);
        for (place, block) in found.iter_mut().zip(&mut blocks) {
            *place = block;
            count = count.saturating_add(1);
        }
        match blocks.next() {
            None => Places::In(found, count),
            Some(_) => Places::Unknown,
        }
    }

    /// Changes the table of a directory, if it has one; what cannot be changed is dropped.
    fn change(&self, dir: u32, apply: impl FnOnce(&mut Table) -> Result<(), AllocError>) {
        if self.are_none() {
            return;
        }
        let mut list = self.list.lock();
        let Some(known) = list.get(dir) else {
            return;
        };
        let slots = known.table.slots();
        let gone = match apply(&mut known.table) {
            Ok(()) if known.table.slots() == slots => return,
            Ok(()) => None,
            Err(AllocError) => list.take(dir),
        };
        self.count(&list);
        drop(list);
        drop(gone);
    }
}

/// A table with room for one more name, made from a full one. Fails without memory, or if it would get too large.
fn make_room(table: &mut Table) -> Result<(), AllocError> {
    if table.is_full() {
        let slots = table.slots().saturating_mul(2);
        if slots > MOST_SLOTS {
            return Err(AllocError);
        }
        let _scope = NoFsScope::new();
        *table = table.moved(KVVec::from_elem(0, slots, GFP_KERNEL)?);
    }
    Ok(())
}

impl Dir<'_> {
    fn indexes(&self) -> &NameIndexes {
        &self.inode.sb().data().names
    }

    fn number(&self) -> u32 {
        // Inode numbers of the format have 32 bits.
        self.inode.ino() as u32
    }

    /// In which blocks this name can be only; nothing if that is not known.
    pub(super) fn places(&self, name: &[u8]) -> Option<impl Iterator<Item = u64>> {
        if self.blocks() <= FEW {
            return None;
        }
        match self.indexes().places(self.number(), name) {
            Places::In(found, count) => Some(found.into_iter().take(count).map(u64::from)),
            Places::Unknown => None,
        }
    }

    /// A name was entered in block `index`.
    pub(super) fn note_inserted(&self, name: &[u8], index: u64) {
        let indexes = self.indexes();
        indexes.change(self.number(), |table| {
            make_room(table)?;
            table.insert(hash(indexes.secret, name), index as u32);
            Ok(())
        });
    }

    /// A name was removed from block `index`. A table that did not have it is not true, and goes.
    pub(super) fn note_removed(&self, name: &[u8], index: u64) {
        let indexes = self.indexes();
        indexes.change(self.number(), |table| {
            match table.remove(hash(indexes.secret, name), index as u32) {
                true => Ok(()),
                false => Err(AllocError),
            }
        });
    }

    /// Makes a table of all names and keeps it, or not: whoever goes on without one finds out what is wrong with the
    /// directory.
    pub(super) fn index_names(&self) {
        let Some(table) = self.read_names() else {
            return;
        };
        let indexes = self.indexes();
        let mut list = indexes.list.lock();
        let gone = list.put(self.number(), table);
        indexes.count(&list);
        drop(list);
        drop(gone);
    }

    fn read_names(&self) -> Option<Table> {
        let secret = self.indexes().secret;
        let slots = KVVec::from_elem(0, LEAST_SLOTS, GFP_KERNEL).ok()?;
        let mut table = NameTable::new(slots);
        for index in 0..self.blocks() {
            let buffer = self.block(index).ok()?;
            for slot in DirBlock::new(buffer.bytes(), self.format).slots() {
                let entry = slot.ok()?;
                if entry.ino != 0 {
                    make_room(&mut table).ok()?;
                    table.insert(hash(secret, entry.name), u32::try_from(index).ok()?);
                }
            }
            task::may_reschedule();
            if task::is_dying() {
                return None;
            }
        }
        Some(table)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! In which blocks of a directory a name may stand: a table of the hashes of its names.
//!
//! The format lists names in no order, and a hash tree is not ours to keep: what is found by looking at every block is
//! remembered here. The table holds, for each name, its hash and the number of its block. Two names may have one hash;
//! who asks has to look into the blocks. A slot is empty (zero), or has the hash in its upper half and one more than the
//! block in its lower; an entry stands in the first free slot from the one on that its hash points to, round the end.
//!
//! Hashes depend on a secret number: who chooses names cannot make them meet.
//!
//! Pure: `core` alone; the slots are the kernel's memory here and the standard library's in the tests on the host.

use core::ops::DerefMut;

/// Spreads the bits of a word over two; odd, and without a pattern.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a name.
pub fn hash(secret: u64, name: &[u8]) -> u32 {
    let mut state = fold(secret ^ name.len() as u64);
    for chunk in name.chunks(8) {
        let word = chunk
            .iter()
            .rev()
            .fold(0u64, |word, &byte| (word << 8) | u64::from(byte));
        state = fold(state ^ word).wrapping_add(secret);
    }
    (state >> 32) as u32 ^ state as u32
}

/// Both halves of a long product, one over the other.
fn fold(word: u64) -> u64 {
    let product = u128::from(word).wrapping_mul(u128::from(MIX));
    (product >> 64) as u64 ^ product as u64
}

/// The table. The number of slots is a power of two.
pub struct NameTable<S> {
    slots: S,
    /// Slots in use.
    names: usize,
}

impl<S: DerefMut<Target = [u64]>> NameTable<S> {
    /// A table of these slots, which are all zero.
    pub fn new(slots: S) -> Self {
        Self { slots, names: 0 }
    }

    /// The number of slots.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether it is to grow before more is entered: a full table is slow, and with the last slot goes the end of every
    /// search.
    pub fn is_full(&self) -> bool {
        self.names >= self.slots.len() / 4 * 3
    }

    /// Enters that a name with this hash stands in `block`. Nothing happens if the table is full.
    pub fn insert(&mut self, hash: u32, block: u32) {
        self.put(entry(hash, block));
    }

    fn put(&mut self, entry: u64) {
        if self.is_full() {
            return;
        }
        let (mask, mut at) = (self.mask(), self.home(entry));
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = entry;
                self.names = self.names.saturating_add(1);
                return;
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    /// Takes out one entry for a name with this hash in `block`, and tells whether there was one.
    pub fn remove(&mut self, hash: u32, block: u32) -> bool {
        let wanted = entry(hash, block);
        let Some((at, _)) = self.chain(hash).find(|(_, slot)| *slot == wanted) else {
            return false;
        };
        self.names = self.names.saturating_sub(1);
        self.close(at);
        true
    }

    /// Empties a slot. What stands behind it moves up, so that no search ends too early.
    fn close(&mut self, at: usize) {
        let (mask, mut hole) = (self.mask(), at);
        let mut next = at.wrapping_add(1) & mask;
        while let Some(&slot) = self.slots.get(next).filter(|slot| **slot != 0) {
            let from_home = next.wrapping_sub(self.home(slot)) & mask;
            // It may stand in the hole if that is not before its home.
            if from_home >= next.wrapping_sub(hole) & mask {
                self.set(hole, slot);
                hole = next;
            }
            next = next.wrapping_add(1) & mask;
        }
        self.set(hole, 0);
    }

    fn set(&mut self, at: usize, value: u64) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = value;
        }
    }

    /// The blocks in which names with this hash stand: one for each name.
    pub fn blocks(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        self.chain(hash)
            .filter(move |(_, slot)| (slot >> 32) as u32 == hash)
            .map(|(_, slot)| (slot as u32).wrapping_sub(1))
    }

    /// The slots from the home of `hash` on, up to the first that is empty; there always is one.
    fn chain(&self, hash: u32) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (mask, home) = (self.mask(), hash as usize);
        let places = (0..self.slots.len()).map(move |step| home.wrapping_add(step) & mask);
        places.map_while(|at| Some((at, *self.slots.get(at).filter(|slot| **slot != 0)?)))
    }

    /// The same names in `slots`, which are more and all zero.
    pub fn moved(&self, slots: S) -> Self {
        let mut table = Self::new(slots);
        for slot in self.slots.iter().filter(|slot| **slot != 0) {
            table.put(*slot);
        }
        table
    }

    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    /// Where the search for an entry begins.
    fn home(&self, entry: u64) -> usize {
        (entry >> 32) as usize & self.mask()
    }
}

fn entry(hash: u32, block: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(block.wrapping_add(1))
}

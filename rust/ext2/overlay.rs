// SPDX-License-Identifier: GPL-2.0

//! What is known of a file's blocks ahead of its pointers on disk.
//!
//! A block that a file is given becomes reachable on disk only after its contents are there. Until then the overlay
//! knows of it. An extent of the overlay is in one of three states, in this order:
//!
//! 1. *reserved*: space is set aside, no block is chosen (delayed allocation);
//! 2. *allocated*: blocks are chosen, nothing is written to them yet; they read as zeroes;
//! 3. *submitted*: their contents are on the way to the disk, or there, which their ticket knows.
//!
//! Pure: `core` alone; the vector is the kernel's here and the standard library's in the tests on the host.

use core::ops::Range;

/// Where an extent is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State<T> {
    /// Space is set aside.
    Reserved,
    /// Blocks are chosen: the first of them.
    Allocated(u32),
    /// The first of the blocks, and who knows whether their contents have arrived.
    Submitted(u32, T),
}

impl<T: Clone> State<T> {
    /// The state of the blocks from `by` on.
    fn advanced(&self, by: u32) -> Self {
        match self {
            Self::Reserved => Self::Reserved,
            Self::Allocated(disk) => Self::Allocated(disk.wrapping_add(by)),
            Self::Submitted(disk, ticket) => Self::Submitted(disk.wrapping_add(by), ticket.clone()),
        }
    }
}

/// A run of file blocks in the same state, consecutive on disk if they have blocks there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent<T> {
    /// First file block.
    pub first: u32,
    /// Length in blocks; never zero.
    pub len: u32,
    /// Where it is on its way.
    pub state: State<T>,
}

impl<T: Clone + PartialEq> Extent<T> {
    /// The file block after the last.
    pub fn end(&self) -> u32 {
        self.first.saturating_add(self.len)
    }

    /// The part of the extent in `range`; `None` if there is none.
    fn part(&self, range: &Range<u32>) -> Option<Self> {
        let first = self.first.max(range.start);
        let len = self
            .end()
            .min(range.end)
            .checked_sub(first)
            .filter(|len| *len > 0)?;
        let state = self.state.advanced(first.saturating_sub(self.first));
        Some(Self { first, len, state })
    }

    /// Whether `next` continues this extent in the file, on disk and in state.
    fn continues(&self, next: &Self) -> bool {
        self.end() == next.first && self.state.advanced(self.len) == next.state
    }
}

/// A growing array; an insertion can fail for want of memory, and changes nothing then.
pub trait Store<E> {
    /// Why an insertion failed.
    type Error;
    /// The elements.
    fn items(&self) -> &[E];
    /// The elements, to be changed.
    fn items_mut(&mut self) -> &mut [E];
    /// Makes room for `more` elements, so that as many insertions do not fail.
    fn reserve(&mut self, more: usize) -> Result<(), Self::Error>;
    /// Inserts before the element at `index`. There is room, and `index` is at most the length.
    fn insert(&mut self, index: usize, element: E);
    /// Removes the element at `index`, which exists.
    fn remove(&mut self, index: usize);
}

/// What the overlay says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The part of an extent from the block on.
    Extent(Extent<T>),
    /// Nothing, up to this block.
    Nothing(u32),
}

/// The extents of one file, in ascending order and without overlap.
#[derive(Debug, Default)]
pub struct Overlay<S> {
    extents: S,
}

impl<S> Overlay<S> {
    /// An overlay over `extents`, which are empty.
    pub const fn new(extents: S) -> Self {
        Self { extents }
    }

    /// All extents.
    pub fn extents<T>(&self) -> &[Extent<T>]
    where
        S: Store<Extent<T>>,
    {
        self.extents.items()
    }

    /// What is known of `block`.
    pub fn find<T: Clone + PartialEq>(&self, block: u32) -> Found<T>
    where
        S: Store<Extent<T>>,
    {
        let items = self.extents.items();
        let index = items.partition_point(|extent| extent.end() <= block);
        match items.get(index) {
            Some(extent) if extent.first <= block => match extent.part(&(block..u32::MAX)) {
                Some(part) => Found::Extent(part),
                None => Found::Nothing(extent.first),
            },
            Some(extent) => Found::Nothing(extent.first),
            None => Found::Nothing(u32::MAX),
        }
    }

    /// Adds an extent where there is none.
    pub fn add<T: Clone + PartialEq>(&mut self, new: Extent<T>) -> Result<(), S::Error>
    where
        S: Store<Extent<T>>,
    {
        self.extents.reserve(1)?;
        let index = self
            .extents
            .items()
            .partition_point(|extent| extent.end() <= new.first);
        self.extents.insert(index, new);
        self.merge(index);
        if let Some(before) = index.checked_sub(1) {
            self.merge(before);
        }
        Ok(())
    }

    /// Takes away what is known of `range`, and hands each piece to `taken`.
    pub fn take<T: Clone + PartialEq>(
        &mut self,
        range: Range<u32>,
        mut taken: impl FnMut(Extent<T>),
    ) -> Result<(), S::Error>
    where
        S: Store<Extent<T>>,
    {
        // Cutting a piece out of the middle of an extent leaves two.
        self.extents.reserve(1)?;
        let mut index = self
            .extents
            .items()
            .partition_point(|extent| extent.end() <= range.start);
        while let Some(extent) = self.extents.items().get(index).cloned() {
            let Some(piece) = extent.part(&range) else {
                break;
            };
            let head = extent.part(&(0..range.start));
            let tail = extent.part(&(range.end..u32::MAX));
            self.extents.remove(index);
            for rest in [head, tail].into_iter().flatten() {
                self.extents.insert(index, rest);
                index = index.saturating_add(1);
            }
            taken(piece);
        }
        Ok(())
    }

    /// Puts `state` in place of what is known of `range`, all of which lies in the overlay.
    pub fn change<T: Clone + PartialEq>(
        &mut self,
        range: Range<u32>,
        state: State<T>,
    ) -> Result<(), S::Error>
    where
        S: Store<Extent<T>>,
    {
        self.extents.reserve(2)?;
        let len = range.end.saturating_sub(range.start);
        let first = range.start;
        self.take(range, |_| {})?;
        self.add(Extent { first, len, state })
    }

    /// Joins the extent at `index` with the next one if that continues it.
    fn merge<T: Clone + PartialEq>(&mut self, index: usize)
    where
        S: Store<Extent<T>>,
    {
        let next = index.saturating_add(1);
        let items = self.extents.items_mut();
        let Some((head, tail)) = items.split_at_mut_checked(next) else {
            return;
        };
        let (Some(left), Some(right)) = (head.last_mut(), tail.first()) else {
            return;
        };
        if left.continues(right) {
            left.len = left.len.saturating_add(right.len);
            self.extents.remove(next);
        }
    }
}

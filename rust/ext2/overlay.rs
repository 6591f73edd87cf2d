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
//! A file that is written to at random may have as many extents as its pages: none of the operations takes longer than
//! the logarithm of their number, apart from those that visit each.
//!
//! Pure: `core` alone; the tree is the kernel's here and the standard library's in the tests on the host.

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

impl<T> Extent<T> {
    /// The file block after the last.
    pub fn end(&self) -> u32 {
        self.first.saturating_add(self.len)
    }

    /// The last file block.
    fn last(&self) -> u32 {
        self.end().saturating_sub(1)
    }
}

impl<T: Clone + PartialEq> Extent<T> {
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

    /// Blocks for which only space is set aside.
    fn reserved(&self) -> u64 {
        match self.state {
            State::Reserved => self.len.into(),
            State::Allocated(_) | State::Submitted(..) => 0,
        }
    }

    /// Whether `next` continues this extent in the file, on disk and in state.
    fn continues(&self, next: &Self) -> bool {
        self.end() == next.first && self.state.advanced(self.len) == next.state
    }
}

/// Elements sorted by a key of their own. An insertion can fail for want of memory, and changes nothing then.
pub trait Store<E> {
    /// Why an insertion failed.
    type Error;
    /// The element with the smallest key that is at least `key`.
    fn at_or_after(&self, key: u32) -> Option<&E>;
    /// Makes room for `more` elements, at most [`MOST_ROOM`], so that as many insertions do not fail.
    fn reserve(&mut self, more: usize) -> Result<(), Self::Error>;
    /// Inserts an element, for which there is room. No other one has that key.
    fn insert(&mut self, key: u32, element: E);
    /// Removes the element of that key. Its room is there for another one, as long as it is not more than [`MOST_ROOM`].
    fn remove(&mut self, key: u32);
}

/// As much room is kept for insertions between a [`Store::reserve`] and the next.
///
/// [`Overlay::change`] needs it: a piece taken out of the middle of an extent gives back room for one, and needs two for
/// the rest and one for what comes in its place.
pub const MOST_ROOM: usize = 3;

/// What the overlay says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The part of an extent from the block on.
    Extent(Extent<T>),
    /// Nothing, up to this block.
    Nothing(u32),
}

/// The extents of one file, without overlap. Each is kept under the number of its last block.
#[derive(Debug, Default)]
pub struct Overlay<S> {
    extents: S,
    /// Blocks in reserved extents.
    reserved: u64,
}

impl<S> Overlay<S> {
    /// An overlay over `extents`, which are empty.
    pub const fn new(extents: S) -> Self {
        Self {
            extents,
            reserved: 0,
        }
    }

    /// Blocks for which only space is set aside.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// All extents, in ascending order.
    pub fn extents<'a, T: 'a>(&'a self) -> impl Iterator<Item = &'a Extent<T>>
    where
        S: Store<Extent<T>>,
    {
        self.extents_from(0)
    }

    /// The extents that reach beyond the start of `block`, in ascending order.
    pub fn extents_from<'a, T: 'a>(&'a self, block: u32) -> impl Iterator<Item = &'a Extent<T>>
    where
        S: Store<Extent<T>>,
    {
        let first = self.extents.at_or_after(block);
        core::iter::successors(first, |extent| self.extents.at_or_after(extent.end()))
    }

    /// Whether there are none.
    pub fn is_empty<T>(&self) -> bool
    where
        S: Store<Extent<T>>,
    {
        self.extents.at_or_after(0).is_none()
    }

    /// What is known of `block`.
    pub fn find<T: Clone + PartialEq>(&self, block: u32) -> Found<T>
    where
        S: Store<Extent<T>>,
    {
        match self.extents.at_or_after(block) {
            Some(extent) => match extent.part(&(block..u32::MAX)) {
                Some(part) if part.first == block => Found::Extent(part),
                _ => Found::Nothing(extent.first),
            },
            None => Found::Nothing(u32::MAX),
        }
    }

    /// Adds an extent where there is none.
    pub fn add<T: Clone + PartialEq>(&mut self, mut new: Extent<T>) -> Result<(), S::Error>
    where
        S: Store<Extent<T>>,
    {
        self.extents.reserve(1)?;
        self.reserved = self.reserved.wrapping_add(new.reserved());
        let before = new
            .first
            .checked_sub(1)
            .and_then(|block| self.extents.at_or_after(block))
            .filter(|before| before.continues(&new))
            .cloned();
        if let Some(before) = before {
            self.extents.remove(before.last());
            new = Extent {
                len: before.len.saturating_add(new.len),
                ..before
            };
        }
        let after = self
            .extents
            .at_or_after(new.end())
            .filter(|after| new.continues(after))
            .cloned();
        if let Some(after) = after {
            self.extents.remove(after.last());
            new.len = new.len.saturating_add(after.len);
        }
        self.extents.insert(new.last(), new);
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
        while let Some(extent) = self.extents.at_or_after(range.start).cloned() {
            let Some(piece) = extent.part(&range) else {
                break;
            };
            self.extents.remove(extent.last());
            let head = extent.part(&(0..range.start));
            let tail = extent.part(&(range.end..u32::MAX));
            for rest in [head, tail].into_iter().flatten() {
                self.extents.insert(rest.last(), rest);
            }
            self.reserved = self.reserved.wrapping_sub(piece.reserved());
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
}

// SPDX-License-Identifier: GPL-2.0

//! What is known in memory of where one file's blocks lie, or will.

use super::{
    ondisk::inode::MAP_SIZE,
    overlay::{self, Found, Overlay, Store},
};
use crate::vfs::ticket::Ticket;
use core::ops::Range;
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::Arc,
};

/// A ticket as part of an extent's state: two are equal if they are the same one.
#[derive(Clone)]
pub(super) struct Pass(pub(super) Arc<Ticket>);

impl PartialEq for Pass {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(&*self.0, &*other.0)
    }
}

/// An extent of the overlay.
pub(super) type Extent = overlay::Extent<Pass>;
/// The state of an extent.
pub(super) type State = overlay::State<Pass>;

/// The overlay's extents.
pub(super) struct Extents {
    tree: RBTree<u32, Extent>,
    /// Room for extents.
    room: [Option<RBTreeNodeReservation<u32, Extent>>; overlay::MOST_ROOM],
}

impl Extents {
    fn new() -> Self {
        Self {
            tree: RBTree::new(),
            room: [const { None }; overlay::MOST_ROOM],
        }
    }
}

impl Store<Extent> for Extents {
    type Error = Error;

    fn at_or_after(&self, key: u32) -> Option<&Extent> {
        let cursor = self.tree.cursor_lower_bound(&key)?;
        self.tree.get(cursor.current().0)
    }

    fn reserve(&mut self, more: usize) -> Result {
        for room in self.room.iter_mut().take(more) {
            if room.is_none() {
                *room = Some(RBTreeNodeReservation::new(GFP_KERNEL)?);
            }
        }
        Ok(())
    }

    fn insert(&mut self, key: u32, element: Extent) {
        // The caller has made room.
        if let Some(room) = self.room.iter_mut().rev().find_map(Option::take) {
            self.tree.insert(room.into_node(key, element));
        }
    }

    fn remove(&mut self, key: u32) {
        let node = self.tree.remove_node(&key);
        if let Some(room) = self.room.iter_mut().find(|room| room.is_none()) {
            *room = node.map(RBTreeNode::into_reservation);
        }
    }
}

/// Where a file's blocks lie, or will. Under the lock [`Node::map`](super::inode::Node).
pub(crate) struct MapState {
    /// `i_block`: block pointers, the target of a fast symlink, or a device number.
    pub(super) pointers: [u8; MAP_SIZE],
    /// What is ahead of the pointers.
    pub(super) overlay: Overlay<Extents>,
    /// Blocks set aside for the reserved extents: for their data, and for the pointer blocks that they may need.
    pub(super) reserved: u64,
    /// Where the last block was chosen: after it the next one is looked for.
    pub(super) last_block: u32,
    /// The file block after the one for which that was.
    pub(super) next_chosen: u32,
    /// File blocks to which the pointers are known not to lead.
    pub(super) hole: Range<u32>,
    /// How often blocks were taken from the file: a commit between its halves is void then.
    pub(super) truncations: u64,
    /// How often a commit was finished: another one between its halves is void then, as both link the same.
    pub(super) commits: u64,
    /// Commits that are between their halves, with pointer blocks made.
    pub(super) preparing: u32,
    /// Done when one of them has come to its end.
    pub(super) awaited: Option<Arc<Ticket>>,
    /// The volume knows that the file has to be committed.
    pub(super) listed: bool,
}

impl MapState {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            pointers: [0; MAP_SIZE],
            overlay: Overlay::new(Extents::new()),
            reserved: 0,
            last_block: 0,
            next_chosen: 0,
            hole: 0..0,
            truncations: 0,
            commits: 0,
            preparing: 0,
            awaited: None,
            listed: false,
        }
    }

    /// The pointers lead to `blocks` from now on.
    pub(super) fn fill_hole(&mut self, blocks: &Range<u32>) {
        if blocks.start <= self.hole.start {
            self.hole.start = self.hole.start.max(blocks.end);
        } else {
            self.hole.end = self.hole.end.min(blocks.start);
        }
    }

    /// The first part of `range` whose extent `choose` wants, and what it says of it.
    pub(super) fn first_in<R>(
        &self,
        range: &Range<u32>,
        choose: impl Fn(&State) -> Option<R>,
    ) -> Option<(Range<u32>, R)> {
        let mut block = range.start;
        while block < range.end {
            match self.overlay.find(block) {
                Found::Extent(extent) => {
                    let end = extent.end().min(range.end);
                    if let Some(chosen) = choose(&extent.state) {
                        return Some((block..end, chosen));
                    }
                    block = end;
                }
                Found::Nothing(until) => block = until,
            }
        }
        None
    }

    /// Whether contents are on their way to blocks that the pointers do not know.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.overlay
            .extents()
            .any(|extent| matches!(extent.state, State::Submitted(..)))
    }

    /// Whether blocks were chosen that the pointers do not know.
    pub(super) fn has_chosen(&self) -> bool {
        self.overlay
            .extents()
            .any(|extent| extent.state != State::Reserved)
    }

    /// Whether nothing is ahead of the pointers.
    pub(super) fn is_settled(&self) -> bool {
        self.overlay.is_empty()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The overlay of a file against a model that knows of each block by itself.

use proptest::prelude::*;
use rext2_host::ext2::overlay::{Extent, Found, Overlay, State, Store, MOST_ROOM};
use std::{cell::Cell, collections::BTreeMap, ops::Range, rc::Rc};

/// Blocks in the model's file.
const BLOCKS: u32 = 64;

/// The number of a write; two are the same write if they are equal.
type Ticket = u8;

/// A sorted map that has room only for what was asked, or for nothing more.
#[derive(Debug, Default)]
struct Sorted {
    items: BTreeMap<u32, Extent<Ticket>>,
    room: Rc<Cell<usize>>,
    full: bool,
    /// How many more reservations that need memory succeed; all if it does not say.
    memory: Rc<Cell<Option<usize>>>,
}

/// There is no more memory.
#[derive(Debug, PartialEq, Eq)]
struct NoMemory;

impl Store<Extent<Ticket>> for Sorted {
    type Error = NoMemory;

    fn at_or_after(&self, key: u32) -> Option<&Extent<Ticket>> {
        self.items.range(key..).next().map(|(_, extent)| extent)
    }

    fn reserve(&mut self, more: usize) -> Result<(), NoMemory> {
        if self.full {
            return Err(NoMemory);
        }
        assert!(more <= MOST_ROOM);
        if more > self.room.get() {
            if let Some(left) = self.memory.get() {
                self.memory.set(Some(left.checked_sub(1).ok_or(NoMemory)?));
            }
        }
        self.room.set(self.room.get().max(more));
        Ok(())
    }

    fn insert(&mut self, key: u32, element: Extent<Ticket>) {
        let room = self.room.get().checked_sub(1);
        self.room.set(room.expect("room was asked for"));
        assert_eq!(self.items.insert(key, element), None, "keys are unique");
    }

    fn remove(&mut self, key: u32) {
        self.items
            .remove(&key)
            .expect("only what is there is removed");
        self.room.set((self.room.get() + 1).min(MOST_ROOM));
    }
}

fn all(overlay: &Overlay<Sorted>) -> Vec<Extent<Ticket>> {
    overlay.extents().cloned().collect()
}

/// What is known of a block that lies `by` blocks into a run of state `state`.
fn at(state: &State<Ticket>, by: u32) -> State<Ticket> {
    match state {
        State::Reserved => State::Reserved,
        State::Allocated(disk) => State::Allocated(disk + by),
        State::Submitted(disk, ticket) => State::Submitted(disk + by, *ticket),
    }
}

#[derive(Clone, Debug)]
enum Action {
    Add(Range<u32>, State<Ticket>),
    Take(Range<u32>),
    Change(Range<u32>, State<Ticket>),
}

/// What each block of the file is, and the overlay that has to say the same.
struct Pair {
    model: Vec<Option<State<Ticket>>>,
    overlay: Overlay<Sorted>,
}

impl Pair {
    fn new() -> Self {
        Self {
            model: vec![None; BLOCKS as usize],
            overlay: Overlay::new(Sorted::default()),
        }
    }

    fn model(&mut self, range: &Range<u32>) -> &mut [Option<State<Ticket>>] {
        &mut self.model[range.start as usize..range.end as usize]
    }

    fn set(&mut self, range: &Range<u32>, state: &State<Ticket>) {
        for (by, block) in (0..).zip(self.model(range)) {
            *block = Some(at(state, by));
        }
    }

    /// Does what the overlay's callers may do: they add where nothing is, and change what is there.
    fn apply(&mut self, action: &Action) {
        match action {
            Action::Add(range, state) if self.model(range).iter().all(Option::is_none) => {
                let extent = Extent {
                    first: range.start,
                    len: range.end - range.start,
                    state: state.clone(),
                };
                self.overlay.add(extent).expect("there is memory");
                self.set(range, state);
            }
            Action::Change(range, state) if self.model(range).iter().all(Option::is_some) => {
                let changed = self.overlay.change(range.clone(), state.clone());
                changed.expect("there is memory");
                self.set(range, state);
            }
            Action::Take(range) => self.take(range),
            Action::Add(..) | Action::Change(..) => {}
        }
    }

    fn take(&mut self, range: &Range<u32>) {
        let mut taken = vec![None; BLOCKS as usize];
        let note = |extent: Extent<Ticket>| {
            for by in 0..extent.len {
                let block = &mut taken[(extent.first + by) as usize];
                assert_eq!(block.replace(at(&extent.state, by)), None, "taken once");
            }
        };
        self.overlay
            .take(range.clone(), note)
            .expect("there is memory");
        for block in 0..BLOCKS {
            let expected = range
                .contains(&block)
                .then(|| self.model[block as usize].take())
                .flatten();
            assert_eq!(taken[block as usize], expected, "block {block}");
        }
    }

    fn check(&self) {
        for block in 0..BLOCKS {
            match (self.overlay.find(block), &self.model[block as usize]) {
                (Found::Extent(extent), Some(state)) => {
                    assert_eq!((extent.first, &extent.state), (block, state));
                }
                (Found::Nothing(until), None) => {
                    let gap = block..until.min(BLOCKS);
                    assert!(
                        !gap.is_empty() && gap.clone().all(|b| self.model[b as usize].is_none())
                    );
                    let next = self.model.get(until as usize);
                    assert!(next.is_none_or(Option::is_some), "the whole gap");
                }
                (found, expected) => panic!("block {block}: {found:?}, not {expected:?}"),
            }
        }
        let extents = all(&self.overlay);
        assert_eq!(extents.is_empty(), self.overlay.is_empty());
        let reserved = extents
            .iter()
            .filter(|extent| extent.state == State::Reserved);
        let reserved = reserved.map(|extent| u64::from(extent.len)).sum();
        assert_eq!(self.overlay.reserved(), reserved);
        assert!(extents.iter().all(|extent| extent.len > 0));
        assert!(extents.windows(2).all(|two| two[0].end() <= two[1].first));
    }
}

fn range() -> impl Strategy<Value = Range<u32>> {
    (0..BLOCKS, 1u32..12).prop_map(|(start, len)| start..(start + len).min(BLOCKS))
}

fn state() -> impl Strategy<Value = State<Ticket>> {
    prop_oneof![
        Just(State::Reserved),
        (100u32..140).prop_map(State::Allocated),
        (100u32..140, 0u8..2).prop_map(|(disk, ticket)| State::Submitted(disk, ticket)),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (range(), state()).prop_map(|(range, state)| Action::Add(range, state)),
        1 => range().prop_map(Action::Take),
        2 => (range(), state()).prop_map(|(range, state)| Action::Change(range, state)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_block_is_what_was_last_said_of_it(actions in prop::collection::vec(action(), 1..120)) {
        let mut pair = Pair::new();
        for action in &actions {
            pair.apply(action);
            pair.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whichever allocation fails, what is known stays, and the operation can be done over.
    #[test]
    fn a_change_without_memory_can_be_done_over(
        actions in prop::collection::vec(action(), 1..40), range in range(), state in state(), memory in 0usize..3,
    ) {
        let (room, left) = (Rc::default(), Rc::<Cell<_>>::default());
        let store = Sorted { room: Rc::clone(&room), memory: left.clone(), ..Sorted::default() };
        let mut pair = Pair { overlay: Overlay::new(store), ..Pair::new() };
        for action in &actions {
            pair.apply(action);
        }
        // Each extent changes at once.
        let Some(extent) = pair.overlay.extents_from(range.start).next().cloned() else { return Ok(()) };
        let start = range.start.max(extent.first);
        let range = start..(start + (range.end - range.start)).min(extent.end());
        room.set(0);
        left.set(Some(memory));
        if pair.overlay.change(range.clone(), state.clone()).is_err() {
            pair.check();
            left.set(None);
            pair.overlay.change(range.clone(), state.clone()).expect("there is memory");
        }
        pair.set(&range, &state);
        pair.check();
    }
}

fn extent(first: u32, len: u32, state: State<Ticket>) -> Extent<Ticket> {
    Extent { first, len, state }
}

#[test]
fn an_extent_joins_its_neighbours() {
    let mut overlay = Overlay::new(Sorted::default());
    for first in [0, 8, 4] {
        let added = overlay.add(extent(first, 4, State::Submitted(100 + first, 1)));
        assert_eq!(added, Ok(()));
    }
    assert_eq!(all(&overlay), [extent(0, 12, State::Submitted(100, 1))]);
}

#[test]
fn extents_of_different_writes_stay_apart() {
    let mut overlay = Overlay::new(Sorted::default());
    for (first, ticket) in [(0, 1), (4, 2)] {
        let added = overlay.add(extent(first, 4, State::Submitted(100 + first, ticket)));
        assert_eq!(added, Ok(()));
    }
    assert_eq!(all(&overlay).len(), 2);
}

#[test]
fn without_memory_nothing_changes() {
    let whole = extent(0, 9, State::Allocated(100));
    let mut overlay = Overlay::new(Sorted {
        items: BTreeMap::from([(8, whole.clone())]),
        full: true,
        ..Sorted::default()
    });
    assert_eq!(overlay.add(extent(20, 1, State::Reserved)), Err(NoMemory));
    assert_eq!(overlay.change(2..4, State::Reserved), Err(NoMemory));
    let taken = overlay.take(2..4, |piece| panic!("{piece:?} was taken"));
    assert_eq!(taken, Err(NoMemory));
    assert_eq!(all(&overlay), [whole]);
}

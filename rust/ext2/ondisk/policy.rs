// SPDX-License-Identifier: GPL-2.0

//! Which free blocks to take, and where a new directory goes.
//!
//! Nothing here is part of the format: any choice among free blocks is valid. Bits are those of one
//! group's bitmap.

use super::bitmap;
use core::ops::Range;

/// Files for which a [`Windows`] remembers where they grow.
const SLOTS: usize = 8;

/// Blocks that a file which begins to grow in small steps gets for its next steps.
const FIRST_WINDOW: u32 = 8;

/// The most blocks kept for one file's next steps.
pub const LAST_WINDOW: u32 = 1024;

/// A wish for clear bits of a bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Bit to begin at, or near.
    pub goal: u32,
    /// The most bits to take.
    pub want: u32,
    /// Blocks in a stripe of the disk array, 0 or 1 for none.
    pub stripe: u32,
    /// Bit at which some stripe begins, below `stripe`.
    pub phase: u32,
}

/// What [`choose`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The clear bits to take; none if no bit is clear outside of the windows of others.
    pub run: Option<Range<u32>>,
    /// No row of clear bits in the whole bitmap is longer than this, if that is known now.
    pub longest: Option<u32>,
}

/// Chooses clear bits among the first `len` of `bitmap`, none of them in `avoid`.
///
/// The order of preference: as [`bitmap::find_run`]; a request for at least a stripe that cannot
/// begin at its goal begins at a stripe, if there is room.
pub fn choose(bitmap: &[u8], len: u32, wish: &Wish, avoid: &Avoid) -> Choice {
    if let Some(run) = at_stripe(bitmap, len, wish, avoid) {
        return Choice {
            run: Some(run),
            longest: None,
        };
    }
    if avoid.is_empty() {
        let run = bitmap::find_run(bitmap, len, wish.goal, wish.want);
        let found = run.as_ref().map_or(0, run_len);
        let longest = (found < wish.want).then_some(found);
        return Choice { run, longest };
    }
    Choice {
        run: find_outside(bitmap, len, wish.goal, wish.want, avoid),
        longest: None,
    }
}

fn run_len(run: &Range<u32>) -> u32 {
    run.end.saturating_sub(run.start)
}

/// A row of `want` bits that begins at a stripe, for a request of a stripe at least that cannot
/// continue where it would like to.
fn at_stripe(bitmap: &[u8], len: u32, wish: &Wish, avoid: &Avoid) -> Option<Range<u32>> {
    let behind = wish.stripe.checked_sub(1).filter(|&behind| behind > 0)?;
    if wish.want < wish.stripe || bitmap::clear_run(bitmap, len, wish.goal, wish.want) == wish.want
    {
        return None;
    }
    let room = wish.want.saturating_add(behind);
    let run = find_outside(bitmap, len, wish.goal, room, avoid)?;
    let ahead = wish.stripe.saturating_sub(wish.phase);
    let past = run.start.saturating_add(ahead).checked_rem(wish.stripe)?;
    let skip = if past == 0 {
        0
    } else {
        wish.stripe.saturating_sub(past)
    };
    let start = run.start.saturating_add(skip);
    let end = start.saturating_add(wish.want);
    (end <= run.end).then_some(start..end)
}

/// As [`bitmap::find_run`], leaving out what others keep for themselves.
fn find_outside(
    bitmap: &[u8],
    len: u32,
    goal: u32,
    want: u32,
    avoid: &Avoid,
) -> Option<Range<u32>> {
    let goal = if goal < len { goal } else { 0 };
    if want == 1 && goal < len && !bitmap::is_set(bitmap, goal) && avoid.end_of(goal).is_none() {
        return Some(goal..goal.saturating_add(1));
    }
    let behind = longest_outside(bitmap, goal..len, want, avoid);
    if behind.as_ref().map_or(0, run_len) >= want {
        return behind;
    }
    let before = longest_outside(bitmap, 0..goal, want, avoid);
    match before.as_ref().map_or(0, run_len) > behind.as_ref().map_or(0, run_len) {
        true => before,
        false => behind,
    }
}

/// The first row of `want` clear bits inside `inside` and outside of `avoid`, or the longest shorter
/// one.
fn longest_outside(
    bitmap: &[u8],
    inside: Range<u32>,
    want: u32,
    avoid: &Avoid,
) -> Option<Range<u32>> {
    let mut best: Option<Range<u32>> = None;
    let mut from = inside.start;
    while let Some(start) = bitmap::next_clear(bitmap, inside.end, from) {
        if let Some(end) = avoid.end_of(start) {
            from = end;
            continue;
        }
        let limit = avoid
            .next_after(start)
            .unwrap_or(inside.end)
            .min(inside.end);
        let len = bitmap::clear_run(bitmap, limit, start, want);
        let end = start.saturating_add(len);
        if len > best.as_ref().map_or(0, run_len) {
            best = Some(start..end);
        }
        if len >= want {
            break;
        }
        from = end;
    }
    best
}

/// Ranges of bits that are kept for others.
#[derive(Clone, Debug, Default)]
pub struct Avoid {
    ranges: [(u32, u32); SLOTS],
    count: usize,
}

impl Avoid {
    /// Nothing is kept for anybody.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Whether nothing is to be avoided.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn all(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.iter().take(self.count).copied()
    }

    /// The end of a range that `bit` is in; behind `bit`.
    fn end_of(&self, bit: u32) -> Option<u32> {
        self.all()
            .find(|&(start, end)| start <= bit && bit < end)
            .map(|(_, end)| end)
    }

    /// The first beginning of a range behind `bit`.
    fn next_after(&self, bit: u32) -> Option<u32> {
        self.all()
            .map(|(start, _)| start)
            .filter(|&start| start > bit)
            .min()
    }

    fn add(&mut self, range: &Range<u32>) {
        if let Some(slot) = self.ranges.get_mut(self.count) {
            *slot = (range.start, range.end);
            self.count = self.count.saturating_add(1);
        }
    }
}

/// Where a file grows.
#[derive(Clone, Debug, Default)]
struct Window {
    /// The inode; 0 for a slot without use.
    owner: u64,
    group: u32,
    /// The bits kept for it. They begin where its last request ended.
    bits: Range<u32>,
    /// When it was used last, counted in requests.
    used: u64,
}

/// Soft reservations: bits behind the end of files that grow in small steps. As long as there is
/// room elsewhere, other files stay out of them, so that files written side by side do not become
/// interleaved. They cost nothing but that: whoever needs the space takes it.
#[derive(Debug, Default)]
pub struct Windows {
    slots: [Window; SLOTS],
    /// Requests so far.
    clock: u64,
}

impl Windows {
    /// No windows.
    pub fn new() -> Self {
        Self::default()
    }

    /// What others than `owner` keep in `group`.
    pub fn avoid(&self, group: u32, owner: u64) -> Avoid {
        let mut avoid = Avoid::nothing();
        for slot in &self.slots {
            let others = slot.owner != 0 && slot.owner != owner && slot.group == group;
            if others && !slot.bits.is_empty() {
                avoid.add(&slot.bits);
            }
        }
        avoid
    }

    /// Notes that `owner` was given `taken` in a `group`. `room` tells how many bits behind it are
    /// clear, of as many as are of interest. A file
    /// that continues where it ended gets a window, twice as long each time, as far as nobody else
    /// is in the way.
    pub fn note(
        &mut self,
        group: u32,
        room: impl FnOnce(u32) -> u32,
        owner: u64,
        taken: &Range<u32>,
    ) {
        if owner == 0 {
            return;
        }
        self.clock = self.clock.wrapping_add(1);
        let used = self.clock;
        let known = |slot: &Window| slot.owner == owner && slot.group == group;
        let index = match self.slots.iter().position(known) {
            Some(index) => index,
            None => self.least_used(),
        };
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let continues = known(slot) && slot.bits.start == taken.start;
        let size = match continues && run_len(taken) < LAST_WINDOW {
            true => run_len(&slot.bits)
                .saturating_mul(2)
                .clamp(FIRST_WINDOW, LAST_WINDOW),
            false => 0,
        };
        let bits = taken.end
            ..taken
                .end
                .saturating_add(self.free(group, owner, taken.end, size, room));
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Window {
                owner,
                group,
                bits,
                used,
            };
        }
    }

    /// How many of the `size` bits from `start` on are clear, and kept for nobody but `owner`.
    fn free(
        &self,
        group: u32,
        owner: u64,
        start: u32,
        size: u32,
        room: impl FnOnce(u32) -> u32,
    ) -> u32 {
        if size == 0 {
            return 0;
        }
        let others = self.avoid(group, owner);
        match (others.end_of(start), others.next_after(start)) {
            (Some(_), _) => 0,
            (None, Some(next)) => room(size.min(next.saturating_sub(start))).min(size),
            (None, None) => room(size).min(size),
        }
    }

    fn least_used(&self) -> usize {
        let oldest = self
            .slots
            .iter()
            .enumerate()
            .min_by_key(|(_, slot)| slot.used);
        oldest.map_or(0, |(index, _)| index)
    }
}

/// What a group has, for the choice of a place for a new directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupUse {
    /// Clear bits of the block bitmap.
    pub free_blocks: u32,
    /// Clear bits of the inode bitmap.
    pub free_inodes: u32,
    /// Directories.
    pub directories: u32,
}

/// Means over all groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Average {
    /// Of free blocks.
    pub free_blocks: u32,
    /// Of free inodes.
    pub free_inodes: u32,
    /// Of directories.
    pub directories: u32,
}

/// Whether `group` may take a directory at the top of the tree, which is likely to become large: it
/// has at least the mean of free inodes and of free blocks.
pub fn suits_top_directory(group: &GroupUse, average: &Average) -> bool {
    group.free_inodes > 0
        && group.free_inodes >= average.free_inodes
        && group.free_blocks >= average.free_blocks
}

/// Whether `group` may take a directory below another one: it is not much fuller than the mean.
/// `per_group` are the inodes and blocks of a whole group.
pub fn suits_directory(group: &GroupUse, average: &Average, inodes: u32, blocks: u32) -> bool {
    group.free_inodes > 0
        && group.directories <= average.directories.saturating_add(inodes / 16)
        && group.free_inodes >= average.free_inodes.saturating_sub(inodes / 4)
        && group.free_blocks >= average.free_blocks.saturating_sub(blocks / 4)
}

/// The order in which groups are tried for a file: the directory's, then at growing distances from
/// it (so that the files of neighbouring full groups do not meet in the same next one), then all.
/// `salt` tells one directory from another.
pub fn file_groups(parent: u32, salt: u32, count: u32) -> impl Iterator<Item = u32> {
    let start = parent.wrapping_add(salt.checked_rem(count.max(1)).unwrap_or(0));
    let jumps = (0..u32::BITS)
        .map(|step| 1u32.wrapping_shl(step))
        .take_while(move |&jump| jump < count)
        .scan(start, |at, jump| {
            *at = at.wrapping_add(jump);
            Some(*at)
        });
    // The kernel's prelude has another `chain` for values of any type.
    let near = Iterator::chain(core::iter::once(parent), jumps);
    let all = (1..count).map(move |step| parent.wrapping_add(step));
    Iterator::chain(near, all).map(move |group| group.checked_rem(count).unwrap_or(0))
}

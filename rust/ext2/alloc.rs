// SPDX-License-Identifier: GPL-2.0

//! Giving out blocks, and reserving them beforehand.
//!
//! Locks: see [`space`](super::space).

use super::{
    ondisk::{
        bitmap,
        policy::{self, Avoid, Wish},
    },
    space::{self, Group},
    volume::Place,
    SuperBlock,
};
use crate::vfs::{task, trace};
use kernel::prelude::*;

/// Groups whose bitmaps are searched for a row as long as the one wanted before a shorter one is taken.
const LOOKS: u32 = 32;

/// How often a search is repeated because others took what it saw, or because what was freed became free.
const RETRIES: u32 = 4;

/// Where the blocks of a request are accounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// They were reserved before: as many blocks of the reservation as are given out are used up.
    Reserved,
    /// They were not; the request fails if what is free is spoken for.
    Free,
}

/// A wish for blocks in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// The block to begin at, or as near to it as there is room. A number that is no block means anywhere.
    pub(super) goal: u32,
    /// The most blocks to give, at least 1.
    pub(super) len: u32,
    /// Who pays.
    pub(super) from: Budget,
    /// The inode that gets them.
    pub(super) owner: u64,
}

/// Blocks in a row on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run32 {
    /// The first.
    pub(super) start: u32,
    /// How many, at least 1.
    pub(super) len: u32,
}

impl Run32 {
    /// The block behind the last.
    pub(super) fn end(self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// Becomes one run with `other` if that is a neighbour; tells whether it did.
    pub(super) fn join(&mut self, other: Self) -> bool {
        let start = match (self.end() == other.start, other.end() == self.start) {
            (true, _) => self.start,
            (_, true) => other.start,
            _ => return false,
        };
        match self.len.checked_add(other.len) {
            Some(len) => {
                *self = Self { start, len };
                true
            }
            None => false,
        }
    }
}

impl SuperBlock {
    /// Sets `count` blocks aside, so that a later [`allocate`](Self::allocate) with [`Budget::Reserved`] finds them.
    /// Fails with `ENOSPC`; blocks kept for the administrator count only for those who may use them.
    pub(super) fn reserve_blocks(&self, count: u64) -> Result {
        let count = i64::try_from(count).map_err(|_| ENOSPC)?;
        self.reserve(count, count).map(drop)
    }

    /// Sets between `least` and `most` blocks aside and tells how many.
    fn reserve(&self, least: i64, most: i64) -> Result<i64> {
        let volume = self.data();
        let kept = volume.disk.reserved_blocks.into();
        let available = &volume.space.available;
        space::take(available, least, most, kept)
            .or_else(|| {
                self.may_use_kept_blocks()
                    .then(|| space::take(available, least, most, 0))?
            })
            .ok_or(ENOSPC)
    }

    /// Whether the task may have the blocks kept for the administrator.
    fn may_use_kept_blocks(&self) -> bool {
        let (disk, options) = (&self.data().disk, self.data().options());
        let uid = options.reserve_uid.unwrap_or(disk.resuid.into());
        let gid = options.reserve_gid.unwrap_or(disk.resgid.into());
        task::is_user(uid) || (gid != 0 && task::is_in_group(gid)) || task::may_exceed_limits()
    }

    /// Gives `count` blocks of a reservation back.
    pub(super) fn release_blocks(&self, count: u64) {
        space::add(
            &self.data().space.available,
            i64::try_from(count).unwrap_or(0),
        );
    }

    /// Gives out blocks: the longest row near the goal. Sleeps. `ENOSPC`, `EIO`, `EUCLEAN`, `EROFS`: the bitmaps of a volume
    /// that became read-only because it is damaged are not to be believed.
    pub(super) fn allocate(&self, want: &Request) -> Result<Run32> {
        self.check_writes()?;
        let most = want.len.max(1);
        match want.from {
            Budget::Reserved => self.search_again(&Request { len: most, ..*want }),
            Budget::Free => {
                let count = self.reserve(1, most.into())?;
                let len = u32::try_from(count).unwrap_or(most);
                let found = self.search_again(&Request { len, ..*want });
                let used = found.as_ref().map_or(0, |run| run.len);
                self.release_blocks(len.saturating_sub(used).into());
                found
            }
        }
    }

    /// The block at which a file of that number should begin when nothing else tells.
    pub(super) fn first_goal(&self, ino: u64) -> u32 {
        let geometry = &self.data().disk.geometry;
        let place = u32::try_from(ino)
            .ok()
            .and_then(|ino| geometry.inode_place(ino).ok());
        geometry.group_first_block(place.map_or(0, |place| place.group))
    }

    /// Finds and takes blocks that are accounted for.
    fn search_again(&self, want: &Request) -> Result<Run32> {
        let mut failure = None;
        for _ in 0..RETRIES {
            if let Some(run) = self.search(want, &mut failure) {
                return Ok(run);
            }
            self.quiesce()?;
        }
        Err(failure.unwrap_or(ENOSPC))
    }

    /// Looks for a row of the whole length first, near the goal, then for whatever there is.
    fn search(&self, want: &Request, failure: &mut Option<Error>) -> Option<Run32> {
        let space = &self.data().space;
        // A row of half a group is as good as any: a group's own metadata keep longer ones from the disk.
        let half = self.data().disk.geometry.blocks_per_group() / 2;
        let aim = want.len.min(half).min(space.bound()).max(1);
        let mut looks = LOOKS;
        for (group, bit) in self.groups_from(want.goal) {
            if space.group(group).map_or(0, Group::bound) < aim {
                continue;
            }
            let Some(left) = looks.checked_sub(1) else {
                break;
            };
            looks = left;
            let taken = self.take(group, bit, want, aim, true);
            if let Some(run) = keep_failure(taken, failure) {
                return Some(run);
            }
        }
        let bound = space.groups.iter().map(Group::bound).max().unwrap_or(0);
        if looks > 0 {
            space.set_bound(bound);
        }
        self.search_scraps(want, bound, failure)
    }

    /// Takes what there is: in the groups that may have the longest rows first.
    fn search_scraps(
        &self,
        want: &Request,
        longest: u32,
        failure: &mut Option<Error>,
    ) -> Option<Run32> {
        let space = &self.data().space;
        for at_least in [longest, longest / 8, 1] {
            for (group, bit) in self.groups_from(want.goal) {
                if space.group(group).map_or(0, Group::bound) < at_least.max(1) {
                    continue;
                }
                let taken = self.take(group, bit, want, 1, false);
                if let Some(run) = keep_failure(taken, failure) {
                    return Some(run);
                }
                task::may_reschedule();
            }
        }
        None
    }

    /// All groups from that of the goal on, each with the bit to begin at.
    fn groups_from(&self, goal: u32) -> impl Iterator<Item = (u32, u32)> {
        let geometry = &self.data().disk.geometry;
        let count = geometry.group_count();
        let (first, bit) = geometry.block_place(goal).unwrap_or((0, 0));
        let others =
            Iterator::chain(first.saturating_add(1)..count, 0..first).map(|group| (group, 0));
        Iterator::chain(core::iter::once((first, bit)), others)
    }

    /// Takes at least `least` and at most the wanted blocks of a group, if it has them in a row. A `polite` search
    /// stays out of the windows of others.
    fn take(
        &self,
        group: u32,
        bit: u32,
        want: &Request,
        least: u32,
        polite: bool,
    ) -> Result<Option<Run32>> {
        let volume = self.data();
        let (geometry, state) = (&volume.disk.geometry, volume.space.group(group)?);
        let (first, len) = (
            geometry.group_first_block(group),
            geometry.group_blocks(group),
        );
        let mut windows = volume.space.lock(group)?;
        let buffer = self.block_bitmap(group)?;
        let avoid = if polite {
            windows.avoid(group, want.owner)
        } else {
            Avoid::nothing()
        };
        let wish = self.wish(first, bit, want.len);
        let choice = policy::choose(buffer.bytes(), len, &wish, &avoid);
        if let Some(longest) = choice.longest {
            state.set_bound(longest);
        }
        let Some(bits) = choice
            .run
            .filter(|run| run.end.saturating_sub(run.start) >= least)
        else {
            return Ok(None);
        };
        let place = Place {
            ino: want.owner,
            block: buffer.block(),
        };
        buffer
            .change(|bytes| bitmap::take(bytes, bits.clone()))
            .map_err(|error| self.damaged(place, &error))?;
        let run = Run32 {
            start: first.saturating_add(bits.start),
            len: bits.end.saturating_sub(bits.start),
        };
        state.take_blocks(run.len);
        let room = |most| bitmap::clear_run(buffer.bytes(), len, bits.end, most);
        windows.note(group, room, want.owner, &bits);
        self.trace_alloc(&trace::Chosen {
            ino: want.owner,
            goal: want.goal,
            want: want.len,
            disk: run.start,
            len: run.len,
            reserved: want.from == Budget::Reserved,
        });
        Ok(Some(run))
    }

    /// The wish for `want` bits of the group that begins with block `first`.
    fn wish(&self, first: u32, goal: u32, want: u32) -> Wish {
        let stripe = self.data().disk.stripe_width;
        let ahead = first.checked_rem(stripe).unwrap_or(0);
        let phase = stripe
            .saturating_sub(ahead)
            .checked_rem(stripe)
            .unwrap_or(0);
        Wish {
            goal,
            want,
            stripe,
            phase,
        }
    }
}

/// The result without its error, which is kept for the case that nothing is found in the end.
fn keep_failure(taken: Result<Option<Run32>>, failure: &mut Option<Error>) -> Option<Run32> {
    taken.unwrap_or_else(|error| {
        *failure = Some(error);
        None
    })
}

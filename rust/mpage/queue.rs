// SPDX-License-Identifier: GPL-2.0

//! Runs that were found on the way to others.

use super::plan::Run;

/// How many runs are put aside at most.
const ROOM: usize = 32;

/// The runs that follow the one that was looked up last: of a file in many pieces one look-up answers for many.
///
/// They hold for one pass. One that reads has the folios of its window locked, and who takes blocks from a file waits for
/// these first. One that writes looks under each folio's lock whether blocks were taken, and empties the queue then.
pub(crate) struct RunQueue {
    /// Filled at the first use, for most files are in few pieces.
    runs: Option<[Run; ROOM]>,
    next: usize,
    end: usize,
}

impl RunQueue {
    /// A queue without runs.
    pub(crate) const fn new() -> Self {
        Self {
            runs: None,
            next: 0,
            end: 0,
        }
    }

    /// The run of `block` if it is the next one in the queue, which is without it then. If it is not, the queue is of
    /// no more use and is emptied.
    #[inline]
    pub(super) fn take(&mut self, block: u64) -> Option<Run> {
        if self.next == self.end {
            return None;
        }
        let run = self.runs().first().copied();
        self.next = self.next.wrapping_add(1);
        let found = run.filter(|run| run.contains(block));
        if found.is_none() {
            self.clear();
        }
        found
    }

    /// What is in the queue, in ascending order.
    pub(crate) fn runs(&self) -> &[Run] {
        let all = self.runs.as_ref().map_or(&[][..], |runs| runs);
        all.get(self.next..self.end).unwrap_or_default()
    }

    /// Puts a run behind the others. `false` if there is no room.
    #[must_use]
    pub(crate) fn push(&mut self, run: Run) -> bool {
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert([run; ROOM]),
        };
        let slot = runs.get_mut(self.end);
        let fits = slot.is_some();
        if let Some(slot) = slot {
            *slot = run;
            self.end = self.end.wrapping_add(1);
        }
        fits
    }

    /// The last run.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Run> {
        let last = self.end.checked_sub(1).filter(|last| *last >= self.next)?;
        self.runs.as_mut()?.get_mut(last)
    }

    /// Empties the queue.
    pub(crate) fn clear(&mut self) {
        self.next = 0;
        self.end = 0;
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The runs of a file that were looked up lately.
//!
//! A cached run spares the walk down the pointer blocks. Only runs that are on disk are kept: these stay where they are
//! until blocks are taken from the file, and then all are forgotten.

use crate::mpage::plan::{Place, Run};
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

/// How many runs are kept of one file.
const ROOM: usize = 64;

/// Look-ups that a full cache must have answered to have been worth its while: one for each run.
const WORTHWHILE: u32 = ROOM as u32;

/// A run that is on disk.
#[derive(Clone, Copy)]
struct Known {
    /// First file block.
    first: u32,
    /// The file block after the last.
    end: u32,
    /// First block on disk.
    disk: u32,
    /// Mapping the block after it may have to read another pointer block.
    last_of_leaf: bool,
}

impl Known {
    fn contains(&self, block: u32) -> bool {
        self.first <= block && block < self.end
    }
}

/// Runs in ascending order, and which of them was asked for last.
struct Runs {
    known: KVec<Known>,
    last: usize,
    /// Look-ups that found something since the cache was last full.
    hits: u32,
    /// The file has too many runs for the cache to be of use: it was full again soon.
    scattered: bool,
    /// Changes when runs are forgotten: what was looked up before must not be remembered then.
    epoch: u64,
}

/// A look-up that found nothing.
pub(super) struct Missed {
    /// [`Runs::epoch`] then.
    epoch: u64,
    /// It is of no use to look for more than was asked for.
    pub(super) scattered: bool,
}

/// What the cache knows of a block.
pub(super) enum Hit {
    /// The rest of the run from the block on; mapping the block after it needs nothing that is not in memory.
    Run(Run),
    /// The same, but what mapping the block after it needs has to be looked for.
    LastOfLeaf(Run),
    /// Nothing. For [`RunCache::remember`].
    Miss(Missed),
}

/// The cache of one file.
#[pin_data]
pub(super) struct RunCache {
    #[pin]
    runs: SpinLock<Runs>,
}

impl RunCache {
    /// An empty cache.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            runs <- new_spinlock!(Runs { known: KVec::new(), last: 0, hits: 0, scattered: false, epoch: 0 }, "rext2_runs"),
        })
    }

    /// The run that contains `block`.
    #[inline]
    pub(super) fn find(&self, block: u32) -> Hit {
        let mut runs = self.runs.lock();
        let Some((index, run)) = runs.search(block) else {
            return Hit::Miss(Missed {
                epoch: runs.epoch,
                scattered: runs.scattered,
            });
        };
        runs.last = index;
        runs.hits = runs.hits.saturating_add(1);
        let into = block.wrapping_sub(run.first);
        let rest = Run {
            first: block.into(),
            len: run.end.wrapping_sub(block).into(),
            place: Place::Mapped(run.disk.wrapping_add(into).into()),
            boundary: false,
        };
        if run.last_of_leaf {
            Hit::LastOfLeaf(rest)
        } else {
            Hit::Run(rest)
        }
    }

    /// Makes room for what [`remember`](Self::remember) will keep; without memory it keeps nothing.
    pub(super) fn prepare(&self) {
        if self.runs.lock().known.capacity() == 0 {
            if let Ok(mut room) = KVec::with_capacity(ROOM, GFP_KERNEL) {
                // What is replaced, if somebody else was faster, is dropped after the lock.
                core::mem::swap(&mut self.runs.lock().known, &mut room);
            }
        }
    }

    /// Keeps those of `found`, which are in ascending order, that are on disk. They were looked up after `missed`, in
    /// a pointer block whose last pointer is that of the file block before `leaf_end`.
    pub(super) fn remember(&self, missed: &Missed, found: &[Run], leaf_end: u32) {
        let mut runs = self.runs.lock();
        if runs.epoch != missed.epoch || runs.known.capacity() == 0 {
            return;
        }
        if runs.known.len().saturating_add(found.len()) > ROOM {
            runs.known.clear();
            runs.scattered = runs.hits < WORTHWHILE;
            runs.hits = 0;
        }
        for run in found {
            if let Place::Mapped(disk) = run.place {
                // Below a pointer block all numbers have 32 bits.
                let (first, end) = (run.first as u32, run.end() as u32);
                runs.keep(Known {
                    first,
                    end,
                    disk: disk as u32,
                    last_of_leaf: end >= leaf_end,
                });
            }
        }
    }

    /// Forgets everything: blocks are taken from the file.
    pub(super) fn forget(&self) {
        let mut runs = self.runs.lock();
        runs.known.clear();
        runs.last = 0;
        runs.epoch = runs.epoch.wrapping_add(1);
    }
}

impl Runs {
    /// Keeps a run; there is room.
    fn keep(&mut self, new: Known) {
        let behind_all = self.known.last().is_none_or(|run| run.end <= new.first);
        let index = match behind_all {
            true => self.known.len(),
            false => self.known.partition_point(|run| run.end <= new.first),
        };
        match self.known.get_mut(index) {
            // The same run, as far as it was of use then: the longer one is kept.
            Some(run) if run.first < new.end => {
                if new.first <= run.first && new.end >= run.end {
                    *run = new;
                }
            }
            _ => {
                let _ = self.known.insert_within_capacity(index, new);
            }
        }
    }

    /// The run that contains `block`, and its index. The one asked for last and the next one are tried first.
    #[inline]
    fn search(&self, block: u32) -> Option<(usize, Known)> {
        let at = |index: usize| {
            let run = self.known.get(index)?;
            run.contains(block).then_some((index, *run))
        };
        at(self.last)
            .or_else(|| at(self.last.wrapping_add(1)))
            .or_else(|| at(self.known.partition_point(|run| run.end <= block)))
    }
}

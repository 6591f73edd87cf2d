// SPDX-License-Identifier: GPL-2.0

//! Layouts of every kind, the same for the same number.

use crate::{
    layout::{File, Layout},
    mpage::plan::{Place, Run},
};

/// A small generator of numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.next() % times == 0
    }
}

/// How the runs of a file lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One run.
    Contiguous,
    /// Runs that the table tells apart although they are adjacent.
    Adjacent,
    /// Adjacent runs, with boundaries between some.
    Boundaries,
    /// Single blocks, no two adjacent.
    Scattered,
    /// Runs of any length, with holes between some.
    Holes,
    /// Runs whose order on disk is the reverse of that in the file.
    Backward,
    /// Runs in any order.
    Shuffled,
}

const KINDS: [(&str, Kind); 7] = [
    ("adjacent", Kind::Adjacent),
    ("backward", Kind::Backward),
    ("boundaries", Kind::Boundaries),
    ("contiguous", Kind::Contiguous),
    ("holes", Kind::Holes),
    ("scattered", Kind::Scattered),
    ("shuffled", Kind::Shuffled),
];

/// Files of each kind.
const EACH: u64 = 3;
/// Blocks kept free for the table: more than it can need.
const TABLE: u64 = 1024;

/// The layout of that number.
pub(crate) fn layout(seed: u64) -> Layout {
    let mut random = Random(seed);
    let block_bits = 9 + (seed % 4) as u32;
    let mut next = TABLE;
    let mut files = Vec::new();
    for (name, kind) in KINDS {
        for number in 0..EACH {
            // One small file of each kind, one about a readahead window long, one of several.
            let bytes = random.between(1, (24 << 10) << (3 * number));
            let blocks = bytes.div_ceil(1 << block_bits);
            let runs = pieces(&mut random, kind, blocks);
            let runs = place(&mut random, kind, runs, &mut next);
            files.push(File {
                name: format!("{name}-{number}"),
                size: bytes,
                runs,
            });
        }
    }
    Layout { block_bits, files }
}

/// Cuts a file of so many blocks into runs that are not placed yet.
fn pieces(random: &mut Random, kind: Kind, blocks: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut first = 0;
    while first < blocks {
        if kind == Kind::Holes && random.once_in(2) {
            first += random.between(1, 40);
            continue;
        }
        let longest = match kind {
            Kind::Contiguous => blocks,
            Kind::Scattered => 1,
            _ if random.once_in(2) => 3,
            _ => 60,
        };
        let shortest = if kind == Kind::Contiguous { blocks } else { 1 };
        let len = random.between(shortest, longest).min(blocks - first);
        let boundary = kind == Kind::Boundaries && random.once_in(2);
        runs.push(Run {
            first,
            len,
            place: Place::Hole,
            boundary,
        });
        first += len;
    }
    runs
}

/// Places the runs from disk block `next` on.
fn place(random: &mut Random, kind: Kind, mut runs: Vec<Run>, next: &mut u64) -> Vec<Run> {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    match kind {
        Kind::Backward => order.reverse(),
        Kind::Shuffled => order.sort_by_cached_key(|_| random.next()),
        _ => {}
    }
    for index in order {
        let run = &mut runs[index];
        run.place = Place::Mapped(*next);
        *next += run.len;
        *next += match kind {
            Kind::Scattered => random.between(1, 3),
            Kind::Holes if random.once_in(2) => 1,
            _ => 0,
        };
    }
    *next += random.between(0, 9);
    runs
}

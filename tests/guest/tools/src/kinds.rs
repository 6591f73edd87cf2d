// SPDX-License-Identifier: GPL-2.0

//! What each kind of workload does, and how often.

use crate::random::Random;

/// What is done in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Append,
    Overwrite,
    /// One chunk anywhere, past the end too.
    Far,
    Truncate,
    Punch,
    Zero,
    Allocate,
    Unlink,
    Rename,
    /// A file is linked to a new name, or to one after the other, and loses the old.
    Relink,
    Replace,
    /// A shared mapping is written, and left to the kernel.
    Map,
    /// The same, and `msync`.
    MapSync,
    Direct,
    /// Direct, and durable on return.
    DirectDurable,
    /// Through the cache, and durable on return.
    Durable,
    MakeDirectory,
    MoveDirectory,
    RemoveDirectory,
    StartWriting,
    SyncAll,
    SyncNames,
    Sync,
}

use Action::*;

/// How often each action is taken, by name of the workload.
const KINDS: [(&str, &[(u32, Action)]); 8] = [
    (
        "mixed",
        &[
            (12, Create),
            (18, Append),
            (18, Overwrite),
            (5, Far),
            (7, Truncate),
            (4, Punch),
            (8, Unlink),
            (4, Rename),
            (3, Relink),
            (4, Replace),
            (3, StartWriting),
            (3, SyncAll),
            (4, SyncNames),
            (10, Sync),
        ],
    ),
    (
        "append",
        &[
            (3, Create),
            (40, Append),
            (4, StartWriting),
            (3, SyncNames),
            (50, Sync),
        ],
    ),
    (
        "replace",
        &[
            (10, Create),
            (10, Append),
            (60, Replace),
            (10, Rename),
            (5, Unlink),
            (5, SyncNames),
        ],
    ),
    (
        "holes",
        &[
            (6, Create),
            (10, Append),
            (8, Far),
            (12, Truncate),
            (16, Punch),
            (10, Zero),
            (12, Allocate),
            (4, StartWriting),
            (2, SyncAll),
            (4, SyncNames),
            (16, Sync),
        ],
    ),
    (
        "reuse",
        &[
            (35, Create),
            (10, Append),
            (10, Truncate),
            (25, Unlink),
            (3, StartWriting),
            (3, SyncAll),
            (4, SyncNames),
            (10, Sync),
        ],
    ),
    (
        "directories",
        &[
            (20, Create),
            (10, Rename),
            (8, Relink),
            (12, Unlink),
            (14, MakeDirectory),
            (8, MoveDirectory),
            (10, RemoveDirectory),
            (2, SyncAll),
            (12, SyncNames),
            (12, Sync),
        ],
    ),
    (
        "mapped",
        &[
            (8, Create),
            (8, Append),
            (6, Far),
            (6, Truncate),
            (4, Punch),
            (24, Map),
            (26, MapSync),
            (3, StartWriting),
            (5, SyncNames),
            (10, Sync),
        ],
    ),
    (
        "direct",
        &[
            (8, Create),
            (8, Append),
            (8, Overwrite),
            (5, Far),
            (5, Truncate),
            (4, Punch),
            (22, Direct),
            (14, DirectDurable),
            (8, Durable),
            (5, SyncNames),
            (13, Sync),
        ],
    ),
];

/// The names of all workloads.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _)| *name)
}

/// How often each action is taken.
#[derive(Clone, Copy, Debug)]
pub struct Weights(&'static [(u32, Action)]);

impl Weights {
    /// Those of the workload of that name.
    pub fn of(kind: &str) -> Option<Self> {
        let (_, weights) = KINDS.iter().find(|(name, _)| *name == kind)?;
        Some(Self(weights))
    }

    /// The next action.
    pub fn choose(&self, random: &mut Random) -> Action {
        let sum: u32 = self.0.iter().map(|(weight, _)| weight).sum();
        let mut left = random.below(sum.into()) as u32;
        for (weight, action) in self.0 {
            if left < *weight {
                return *action;
            }
            left -= weight;
        }
        Sync
    }
}

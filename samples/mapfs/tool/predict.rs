// SPDX-License-Identifier: GPL-2.0

//! What the engine has to do with a window: the planner's own decisions, step by step.

use crate::{
    format,
    layout::File,
    mpage::plan::{Limits, Place, Planner, Reason, Run, Step},
};
use std::{fmt, ops::Range};

/// What a bio can hold: `BIO_MAX_VECS` of the kernel, and the engine's own limit of bytes.
const LIMITS: Limits = Limits {
    segments: 256,
    bytes: 1 << 30,
};

/// A bio that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bio {
    /// First sector, in 512 bytes.
    pub(crate) sector: u64,
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// Pieces of folios in it.
    pub(crate) folios: u64,
    /// Why it was sent; see [`Reason`].
    pub(crate) reason: &'static str,
}

/// Something that the engine does, and that its trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Blocks were mapped.
    Map(Run),
    /// A bio was sent.
    Bio(Bio),
    /// A bio reached the block layer: first sector, bytes.
    Queued(u64, u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(Run {
                first,
                len,
                place: Place::Mapped(disk),
                ..
            }) => {
                write!(f, "map block {first} count {len} disk {disk}")
            }
            Self::Map(Run { first, len, .. }) => write!(f, "map block {first} count {len} hole"),
            Self::Bio(Bio {
                sector,
                bytes,
                folios,
                reason,
            }) => {
                write!(
                    f,
                    "bio sector {sector} bytes {bytes} folios {folios} reason {reason}"
                )
            }
            Self::Queued(sector, bytes) => write!(f, "queued sector {sector} bytes {bytes}"),
        }
    }
}

/// A reason as the trace names it.
fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::NotAdjacent => "not-adjacent",
        Reason::Full => "full",
        Reason::Hole => "hole",
        Reason::Boundary => "boundary",
        Reason::EndOfFile => "eof",
        Reason::WindowEnd => "window-end",
        Reason::Gap => "gap",
    }
}

/// The bio that is being built, and all that happened so far.
#[derive(Default)]
struct Pass {
    open: Option<Bio>,
    events: Vec<Event>,
}

impl Pass {
    fn append(&mut self, sector: u64, len: u64) {
        let bio = self.open.get_or_insert(Bio {
            sector,
            bytes: 0,
            folios: 0,
            reason: "",
        });
        bio.bytes += len;
        bio.folios += 1;
    }

    fn send(&mut self, reason: Reason) {
        if let Some(bio) = self.open.take() {
            self.events.push(Event::Bio(Bio {
                reason: name(reason),
                ..bio
            }));
            self.events.push(Event::Queued(bio.sector, bio.bytes));
        }
    }
}

/// What happens when `window` (bytes) of a file is read into these folios, none of which holds anything yet.
pub(crate) fn window(
    block_bits: u32,
    file: &File,
    window: Range<u64>,
    folios: impl IntoIterator<Item = Range<u64>>,
) -> Vec<Event> {
    let mut pass = Pass::default();
    let mut planner = Planner::new(block_bits, file.size, window, LIMITS);
    for folio in folios {
        planner.range(folio.start, folio.end - folio.start);
        loop {
            match planner.step() {
                Step::Done => break,
                Step::Zero { .. } => {}
                Step::Send(reason) => pass.send(reason),
                Step::Append { sector, len, .. } => pass.append(sector, len),
                Step::Map { block, .. } => {
                    let run = format::find_run(&file.runs, block, file.blocks(block_bits));
                    pass.events.push(Event::Map(run));
                    assert!(
                        planner.mapped(run),
                        "the map of block {block} does not contain it: {run:?}"
                    );
                }
            }
        }
    }
    if let Some(reason) = planner.finish() {
        pass.send(reason);
    }
    pass.events
}

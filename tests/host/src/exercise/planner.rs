// SPDX-License-Identifier: GPL-2.0

//! The planner against a model that looks at one sector after the other.

use super::std::vec::Vec;
use super::Source;
use crate::mpage::plan::{Limits, Place, Planner, Reason, Run, Step, SECTOR_SHIFT};

const SECTOR: u64 = 1 << SECTOR_SHIFT;

/// A file, what is wanted of it, and what a bio can hold.
#[derive(Debug)]
struct Case {
    block_bits: u32,
    size: u64,
    limits: Limits,
    /// The whole file and what follows, gapless.
    runs: Vec<Run>,
    window: core::ops::Range<u64>,
    /// Position and length in bytes of what needs I/O, ascending.
    ranges: Vec<(u64, u64)>,
    /// Whether the mapper gives back no more than it was asked for.
    exact: bool,
}

/// A bio: first sector, sectors, segments, why it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bio {
    sector: u64,
    sectors: u64,
    segments: u32,
    reason: Reason,
}

impl Case {
    fn take(source: &mut Source<'_>) -> Self {
        let block_bits = 9 + source.below(8);
        let block = 1u64 << block_bits;
        let limits = Limits {
            segments: 1 + source.below(20),
            bytes: block * u64::from(1 + source.below(64)),
        };
        let mut runs = Vec::new();
        let (mut first, mut disk) = (0, 8);
        while first < 200 {
            let shape = source.byte();
            let len = u64::from(1 + source.below(if shape & 8 == 0 { 5 } else { 90 }));
            if shape & 3 == 1 {
                disk += u64::from(source.byte());
            }
            let place = match shape & 7 {
                7 => Place::Hole,
                _ => Place::Mapped(disk),
            };
            if place != Place::Hole {
                disk += len;
            }
            let boundary = shape & 0x30 == 0x30;
            runs.push(Run {
                first,
                len,
                place,
                boundary,
            });
            first += len;
        }
        let size = u64::from(source.below(160)) * block + u64::from(source.below(block as u32));
        let start = u64::from(source.below(16)) * block;
        let mut ranges = Vec::new();
        let mut pos = start;
        while ranges.is_empty() || (!source.is_empty() && pos < 180 * block && ranges.len() < 40) {
            let shape = source.byte();
            if shape & 7 == 7 {
                pos += block * u64::from(1 + source.below(6));
            }
            let len = block * u64::from(1 + source.below(if shape & 8 == 0 { 4 } else { 32 }));
            let len = len.min(200 * block - pos);
            ranges.push((pos, len));
            pos += len;
        }
        let window = start..pos;
        let exact = source.byte() & 1 == 1;
        Self {
            block_bits,
            size,
            limits,
            runs,
            window,
            ranges,
            exact,
        }
    }

    fn io_end(&self) -> u64 {
        self.size.div_ceil(1 << self.block_bits) << self.block_bits
    }

    /// The mapper's answer.
    fn map(&self, block: u64, max: u64) -> Run {
        let run = self.runs.iter().find(|run| run.contains(block)).copied();
        let run = run.expect("the runs have no gap");
        if !self.exact {
            return run;
        }
        let skip = block - run.first;
        let len = (run.len - skip).min(max);
        Run {
            first: block,
            len,
            place: match run.place {
                Place::Mapped(disk) => Place::Mapped(disk + skip),
                Place::Hole => Place::Hole,
            },
            boundary: run.boundary && skip + len == run.len,
        }
    }

    /// Where the byte at `pos` lies; `None` if there is no I/O for it.
    fn sector(&self, pos: u64) -> Option<u64> {
        let run = self.map_whole(pos >> self.block_bits);
        match run.place {
            Place::Mapped(disk) if pos < self.io_end() => {
                Some(((disk << self.block_bits) + (pos - (run.first << self.block_bits))) / SECTOR)
            }
            _ => None,
        }
    }

    fn map_whole(&self, block: u64) -> Run {
        let run = self.runs.iter().find(|run| run.contains(block)).copied();
        run.expect("the runs have no gap")
    }
}

/// What the planner did.
#[derive(Default)]
struct Outcome {
    bios: Vec<Bio>,
    /// Position, length and first sector (`None` for zeroes) of every piece.
    pieces: Vec<(u64, u64, Option<u64>)>,
}

fn run_planner(case: &Case) -> Outcome {
    let mut planner = Planner::new(case.block_bits, case.size, case.window.clone(), case.limits);
    let mut outcome = Outcome::default();
    let mut open: Option<Bio> = None;
    let send = |open: &mut Option<Bio>, reason| Bio {
        reason,
        ..open.take().expect("only an open bio is sent")
    };
    for &(pos, len) in &case.ranges {
        planner.range(pos, len);
        // The range's last piece, up to the end of the file, was appended, and sent.
        let (mut last, mut gone) = (false, false);
        for steps in 0.. {
            assert!(steps < 5 * 400, "the planner gets on");
            match planner.step() {
                Step::Done => break,
                Step::Map { block, max } => {
                    assert!(max > 0);
                    assert!(planner.mapped(case.map(block, max)));
                }
                Step::Zero { offset, len } => {
                    assert!(
                        !gone,
                        "a folio is zeroed before the last piece of it is sent"
                    );
                    outcome.pieces.push((pos + offset, len, None));
                }
                Step::Send(reason) => {
                    gone |= last;
                    outcome.bios.push(send(&mut open, reason));
                }
                Step::Append {
                    offset,
                    len,
                    sector,
                    ahead,
                } => {
                    assert!(len > 0 && ahead >= len);
                    last = pos + offset + len >= case.io_end();
                    outcome.pieces.push((pos + offset, len, Some(sector)));
                    let bio = open.get_or_insert(Bio {
                        sector,
                        sectors: 0,
                        segments: 0,
                        reason: Reason::WindowEnd,
                    });
                    assert_eq!(
                        bio.sector + bio.sectors,
                        sector,
                        "a bio is adjacent on disk"
                    );
                    bio.sectors += len / SECTOR;
                    bio.segments += 1;
                    assert!(bio.segments <= case.limits.segments);
                    assert!(bio.sectors * SECTOR <= case.limits.bytes);
                }
            }
        }
    }
    match planner.finish() {
        Some(reason) => outcome.bios.push(send(&mut open, reason)),
        None => assert!(open.is_none(), "what is open is sent"),
    }
    outcome
}

/// The bios that the rules allow, found one sector at a time.
fn expected_bios(case: &Case) -> Vec<(u64, u64)> {
    let mut bios: Vec<(u64, u64)> = Vec::new();
    let mut open = false;
    let mut segments = 0;
    // Range and run of the last sector: a change of either begins a segment.
    let mut last = (usize::MAX, u64::MAX);
    for (range, &(start, len)) in case.ranges.iter().enumerate() {
        for pos in (start..start + len).step_by(SECTOR as usize) {
            let Some(sector) = case.sector(pos) else {
                open = false;
                last.1 = case.map_whole(pos >> case.block_bits).first;
                continue;
            };
            let run = case.map_whole(pos >> case.block_bits);
            let here = (range, run.first);
            let previous = case.runs.iter().find(|run| run.first == last.1);
            let crosses = last.1 != run.first
                && previous
                    .is_some_and(|previous| previous.boundary && previous.end() == run.first)
                && pos == run.first << case.block_bits;
            let adjacent = bios
                .last()
                .is_some_and(|&(first, len)| first + len == sector);
            let full = bios
                .last()
                .is_some_and(|&(_, len)| len * SECTOR >= case.limits.bytes)
                || (here != last && segments >= case.limits.segments);
            if !open || crosses || !adjacent || full {
                bios.push((sector, 0));
                segments = 1;
            } else if here != last {
                segments += 1;
            }
            open = true;
            last = here;
            if let Some(bio) = bios.last_mut() {
                bio.1 += 1;
            }
        }
    }
    bios
}

/// Every byte of every range is in exactly one piece, in order, and lies where the file says.
fn check_pieces(case: &Case, outcome: &Outcome) {
    let mut pieces = outcome.pieces.iter();
    for &(start, len) in &case.ranges {
        let mut pos = start;
        while pos < start + len {
            let &(at, piece, sector) = pieces.next().expect("every byte is in a piece");
            assert_eq!(at, pos);
            assert!(piece > 0 && at + piece <= start + len);
            for sector_pos in (at..at + piece).step_by(SECTOR as usize) {
                let wanted = sector.map(|first| first + (sector_pos - at) / SECTOR);
                assert_eq!(case.sector(sector_pos), wanted);
            }
            pos += piece;
        }
    }
    assert!(pieces.next().is_none());
}

/// The reason of a bio is true.
fn check_reason(case: &Case, bio: Bio, next: Option<Bio>) {
    let full = bio.segments == case.limits.segments || bio.sectors * SECTOR == case.limits.bytes;
    match bio.reason {
        Reason::Full => {
            assert!(full, "a bio that is sent as full is full");
            assert!(next.is_some_and(|next| next.sector == bio.sector + bio.sectors));
        }
        Reason::NotAdjacent | Reason::Gap => {
            assert!(next.is_some_and(|next| next.sector != bio.sector + bio.sectors));
        }
        Reason::Boundary => assert!(case.runs.iter().any(|run| run.boundary)),
        Reason::Hole => assert!(case.runs.iter().any(|run| run.place == Place::Hole)),
        Reason::EndOfFile => assert!(next.is_none() && case.window.end >= case.io_end()),
        Reason::WindowEnd => assert!(next.is_none()),
    }
}

/// The bytes as a file, a window and limits: the bios are those that the rules allow, no more and no fewer.
pub fn planner(data: &[u8]) {
    let case = Case::take(&mut Source(data));
    let outcome = run_planner(&case);
    check_pieces(&case, &outcome);
    let bios: Vec<_> = outcome
        .bios
        .iter()
        .map(|bio| (bio.sector, bio.sectors))
        .collect();
    assert_eq!(bios, expected_bios(&case), "{case:?}");
    for (index, &bio) in outcome.bios.iter().enumerate() {
        check_reason(&case, bio, outcome.bios.get(index + 1).copied());
    }
}

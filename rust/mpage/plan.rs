// SPDX-License-Identifier: GPL-2.0

//! The merge planner: which bytes join which bio, and why a bio is sent.
//!
//! Pure: `core` alone, no kernel. The caller feeds byte ranges of a file in ascending order (a folio, or the part
//! of a folio that needs I/O) and answers the planner's questions about where blocks lie; the planner says what
//! to do, one [`Step`] at a time. The same code drives reads, writes and the tests on the host.
//!
//! A bio is sent when the next byte on disk is not the one after its last, when it is full, when a hole or the end
//! of the file follows, when mapping the next block has to read metadata first (a *boundary*: what we hold goes out
//! before, so that the disk sees its blocks in order), and when the window ends. Nothing else cuts a bio, so their
//! number is the least that these rules allow.
//!
//! Positions in a file are below 2^63, so that none of the sums and differences here wraps; checking each would be a good
//! part of what a step costs.

/// Bytes in a sector, the unit in which the block layer addresses a device.
pub const SECTOR_SHIFT: u32 = 9;

/// Where a run of file blocks lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On disk, from this block of the volume on.
    Mapped(u64),
    /// Nowhere: the blocks read as zeroes.
    Hole,
}

/// A run of consecutive file blocks that lie consecutively on disk, or that are all holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First block of the file, in blocks of the volume.
    pub first: u64,
    /// Length, in blocks. Never zero.
    pub len: u64,
    /// Where the first of them lies.
    pub place: Place,
    /// Whether mapping the block after the run has to read metadata from the disk first. Need not be true if fewer
    /// blocks were asked for.
    pub boundary: bool,
}

impl Run {
    /// The first file block after the run.
    #[inline]
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.len)
    }

    /// Whether `block` lies in the run.
    #[inline]
    pub fn contains(&self, block: u64) -> bool {
        block >= self.first && block < self.end()
    }
}

/// Why a bio was sent. The numbers appear in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The next block is not the one after the last on disk.
    NotAdjacent = 0,
    /// The bio can hold no more.
    Full = 1,
    /// A hole follows.
    Hole = 2,
    /// Metadata has to be read before the next block can be mapped.
    Boundary = 3,
    /// The file ends.
    EndOfFile = 4,
    /// The window (of readahead or of writeback) ends.
    WindowEnd = 5,
    /// The next bytes in the window need no I/O: they are up to date (reading) or clean (writing).
    Gap = 6,
}

/// What a bio can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most segments (contiguous pieces of memory); each [`Step::Append`] takes one.
    pub segments: u32,
    /// Most bytes.
    pub bytes: u64,
}

/// What the caller has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Map `block` and up to `max` blocks from it on, and answer with [`Planner::mapped`].
    Map {
        /// First file block to map.
        block: u64,
        /// How many blocks are of use, in blocks.
        max: u64,
    },
    /// The bytes at `offset` of the range are in a hole or past the end of the file: there is no I/O for them.
    Zero {
        /// Offset in the range given to [`Planner::range`], in bytes.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// Send the open bio.
    Send(Reason),
    /// Append these bytes of the range to the open bio, opening one if there is none.
    Append {
        /// Offset in the range given to [`Planner::range`], in bytes.
        offset: u64,
        /// Length in bytes.
        len: u64,
        /// Where the bytes lie, in 512-byte sectors.
        sector: u64,
        /// How many bytes from here on, in this range and after it, can come into the same bio at most: the next
        /// runs may turn out to be adjacent. A new bio needs room for them.
        ahead: u64,
    },
    /// The range is done: feed the next one or call [`Planner::finish`].
    Done,
}

/// The bio being built, as far as the planner is concerned.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The sector after its last.
    next_sector: u64,
    /// The file position after its last byte.
    next_pos: u64,
    bytes: u64,
    segments: u32,
}

/// The byte range of the file being planned.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    start: u64,
    pos: u64,
    end: u64,
}

/// The run mapped last, as bytes: what each step asks of it is a comparison then.
#[derive(Clone, Copy, Debug)]
struct Here {
    /// Position in the file of its first byte. An empty range stands for no run.
    start: u64,
    /// Position after its last byte.
    end: u64,
    /// Its first byte on disk; `None` for a hole.
    disk: Option<u64>,
    boundary: bool,
}

impl Here {
    const NOWHERE: Self = Self {
        start: 0,
        end: 0,
        disk: None,
        boundary: false,
    };

    fn contains(&self, pos: u64) -> bool {
        pos >= self.start && pos < self.end
    }
}

/// The state of one pass over a window.
#[derive(Debug)]
pub struct Planner {
    block_bits: u32,
    limits: Limits,
    /// Position after the last byte for which there can be I/O, a whole number of blocks.
    io_end: u64,
    /// Position after the window's last byte.
    window_end: u64,
    cursor: Cursor,
    here: Here,
    open: Option<Open>,
}

impl Planner {
    /// Starts a pass over `window` (byte positions in the file, end exclusive) of a file of `size` bytes on a volume
    /// with blocks of `1 << block_bits` bytes.
    pub fn new(block_bits: u32, size: u64, window: core::ops::Range<u64>, limits: Limits) -> Self {
        let mask = (1u64 << (block_bits & 31)) - 1;
        Self {
            block_bits: block_bits & 31,
            limits,
            io_end: size.saturating_add(mask) & !mask,
            window_end: window.end,
            cursor: Cursor {
                start: window.start,
                pos: window.start,
                end: window.start,
            },
            here: Here::NOWHERE,
            open: None,
        }
    }

    /// The block size as a power of two, below 32, as the compiler can see: shifts by it need no check.
    fn bits(&self) -> u32 {
        self.block_bits & 31
    }

    /// Takes note of a new size of the file, in bytes.
    pub fn set_size(&mut self, size: u64) {
        let mask = (1u64 << self.bits()) - 1;
        self.io_end = size.saturating_add(mask) & !mask;
        self.window_end = self.window_end.max(size);
    }

    /// Begins the range of `len` bytes at `pos`, both whole blocks. Ranges come in ascending order and do not
    /// overlap; bytes left out between two of them need no I/O.
    pub fn range(&mut self, pos: u64, len: u64) {
        self.cursor = Cursor {
            start: pos,
            pos,
            end: pos.wrapping_add(len),
        };
    }

    /// Answers [`Step::Map`]. A run that does not contain the block asked for, or is empty, is refused with `false`.
    #[must_use]
    pub fn mapped(&mut self, run: Run) -> bool {
        let fits = run.contains(self.cursor.pos >> self.bits());
        if fits {
            self.here = Here {
                start: run.first << self.bits(),
                end: run.end().saturating_mul(1 << self.bits()),
                disk: match run.place {
                    Place::Mapped(disk) => Some(disk << self.bits()),
                    Place::Hole => None,
                },
                boundary: run.boundary,
            };
        }
        fits
    }

    /// Forgets the run mapped last: it may be void.
    pub fn forget_run(&mut self) {
        self.here = Here::NOWHERE;
    }

    /// Position after the last byte for which there can be I/O: the file's size in whole blocks.
    pub fn io_end(&self) -> u64 {
        self.io_end
    }

    /// Says what to do next in the range.
    ///
    /// Inlined into the loop over the steps, which need not be built in memory then.
    #[inline(always)]
    pub fn step(&mut self) -> Step {
        let Cursor { start, pos, end } = self.cursor;
        if pos >= end {
            return Step::Done;
        }
        if pos >= self.io_end {
            // What is open waits for `finish`: a folio that is one piece and zeroes is its bio's once that is sent.
            return self.zero(end);
        }
        let here = self.here;
        if !here.contains(pos) {
            return self.ask();
        }
        let until = end.min(self.io_end).min(here.end);
        match here.disk {
            None => match self.open.take() {
                Some(_) => Step::Send(Reason::Hole),
                None => self.zero(until),
            },
            Some(disk) => {
                let into = pos.wrapping_sub(here.start);
                self.append(start, until, disk.wrapping_add(into) >> SECTOR_SHIFT)
            }
        }
    }

    /// Ends the window: what is still open is to be sent, for the reason given back.
    pub fn finish(&mut self) -> Option<Reason> {
        let open = self.open.take()?;
        Some(if open.next_pos >= self.io_end {
            Reason::EndOfFile
        } else {
            Reason::WindowEnd
        })
    }

    /// The open bio took no more although the planner thought it would: it has been sent as [`Reason::Full`], and the
    /// piece that did not fit starts a new one.
    pub fn restarted(&mut self, len: u64) {
        if let Some(open) = &mut self.open {
            open.bytes = len;
            open.segments = 1;
        }
    }

    fn ask(&mut self) -> Step {
        let block = self.cursor.pos >> self.bits();
        let boundary = self.here.boundary && self.here.end == self.cursor.pos;
        if boundary && self.open.take().is_some() {
            return Step::Send(Reason::Boundary);
        }
        let last = self
            .window_end
            .min(self.io_end)
            .max(self.cursor.end.min(self.io_end));
        let mask = (1u64 << self.bits()) - 1;
        let max = (last.wrapping_add(mask) >> self.bits()).wrapping_sub(block);
        Step::Map {
            block,
            max: max.max(1),
        }
    }

    fn zero(&mut self, until: u64) -> Step {
        let Cursor { start, pos, .. } = self.cursor;
        self.cursor.pos = until;
        Step::Zero {
            offset: pos.wrapping_sub(start),
            len: until.wrapping_sub(pos),
        }
    }

    #[inline(always)]
    fn append(&mut self, start: u64, until: u64, sector: u64) -> Step {
        let pos = self.cursor.pos;
        if let Some(reason) = self
            .open
            .as_ref()
            .and_then(|open| self.cut(open, pos, sector))
        {
            self.open = None;
            return Step::Send(reason);
        }
        let open = self.open.get_or_insert(Open {
            next_sector: sector,
            next_pos: pos,
            bytes: 0,
            segments: 0,
        });
        let room = self.limits.bytes.wrapping_sub(open.bytes);
        let len = until.wrapping_sub(pos).min(room);
        open.bytes = open.bytes.wrapping_add(len);
        open.segments = open.segments.wrapping_add(1);
        open.next_sector = sector.wrapping_add(len >> SECTOR_SHIFT);
        open.next_pos = pos.wrapping_add(len);
        self.cursor.pos = pos.wrapping_add(len);
        let last = self.window_end.min(self.io_end).max(until);
        Step::Append {
            offset: pos.wrapping_sub(start),
            len,
            sector,
            ahead: last.wrapping_sub(pos),
        }
    }

    /// Whether the open bio has to go before bytes at `pos` and `sector` can be appended.
    #[inline(always)]
    fn cut(&self, open: &Open, pos: u64, sector: u64) -> Option<Reason> {
        if open.next_sector != sector {
            let gap = open.next_pos != pos && self.here.contains(open.next_pos);
            return Some(if gap {
                Reason::Gap
            } else {
                Reason::NotAdjacent
            });
        }
        let full = open.segments >= self.limits.segments || open.bytes >= self.limits.bytes;
        full.then_some(Reason::Full)
    }
}

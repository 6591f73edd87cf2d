// SPDX-License-Identifier: GPL-2.0

//! The format of a mapfs volume, and the only way from its bytes to values that can be believed.
//! Pure: `core` alone, so that the tool on the host shares it.
//!
//! A volume begins with a table of 32-byte records: the header, one for each file, and then the runs,
//! file by file. Everything is little-endian; what is not named is zero.
//!
//! | record | 0‥8 | 8‥16 | 16‥24 | 24‥28 | 28‥32 |
//! | --- | --- | --- | --- | --- | --- |
//! | header | magic number | blocks of the volume | files | runs | block size: 9‥=12, a power of two |
//! | file | name, | padded with NULs | size in bytes | runs | |
//! | run | first block of the file | first block on disk | blocks | 1: a boundary follows | |
//!
//! Blocks of a file that no run covers are holes. The files are sorted by name.

use crate::mpage::plan::{Place, Run};
use core::{fmt, ops::Range};

/// One entry of the table.
pub(crate) type Record = [u8; RECORD_SIZE];
/// Bytes in a record; every block size is a multiple of it.
pub(crate) const RECORD_SIZE: usize = 32;
/// "mapfs" and the version of the format.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"mapfs\0\0\x01");
/// The longest name, in bytes.
pub(crate) const NAME_MAX: usize = 16;
/// The largest file, in bytes.
pub(crate) const SIZE_MAX: u64 = 1 << 60;
/// The most files and the most runs of a volume: its table is kept in memory.
pub(crate) const COUNT_MAX: u64 = 1 << 20;

/// What is wrong with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corruption {
    /// It is no mapfs volume.
    Magic,
    /// The block size is not one of 512, 1024, 2048 and 4096 bytes.
    BlockSize,
    /// The volume is larger than its device, or the table than the volume.
    VolumeSize,
    /// There are more files or runs than the format allows.
    Count,
    /// A file's name is empty, has a slash in it, or does not come after the one before.
    Name,
    /// A file is larger than the format allows.
    FileSize,
    /// A file has more runs than the table.
    RunCount,
    /// A run overlaps the one before it or lies beyond the end of its file.
    RunOrder,
    /// A run lies outside the volume or on its table.
    RunPlace,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "it is no mapfs volume",
            Self::BlockSize => "the block size is not 512, 1024, 2048 or 4096 bytes",
            Self::VolumeSize => {
                "the volume is larger than its device, or the table than the volume"
            }
            Self::Count => "there are more files or runs than the format allows",
            Self::Name => {
                "a file's name is empty, has a slash, or does not come after the one before"
            }
            Self::FileSize => "a file is larger than the format allows",
            Self::RunCount => "a file has more runs than the table",
            Self::RunOrder => "a run overlaps the one before it or lies beyond the end of its file",
            Self::RunPlace => "a run lies outside the volume or on its table",
        })
    }
}

/// The little-endian number in these bytes of a record.
fn number(record: &Record, bytes: Range<usize>) -> u64 {
    let bytes = record.get(bytes).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// Gives `error` unless all is well.
fn ensure(well: bool, error: Corruption) -> Result<(), Corruption> {
    well.then_some(()).ok_or(error)
}

/// The header, checked: the table and the volume fit the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The block size as a power of two.
    pub(crate) block_bits: u32,
    /// Blocks of the volume.
    pub(crate) blocks: u64,
    /// Number of files.
    pub(crate) files: u64,
    /// Number of runs.
    pub(crate) runs: u64,
}

impl Header {
    /// Checks the first record of a device of `device_bytes`.
    pub(crate) fn parse(record: &Record, device_bytes: u64) -> Result<Self, Corruption> {
        ensure(number(record, 0..8) == MAGIC, Corruption::Magic)?;
        let header = Self {
            block_bits: number(record, 28..32) as u32,
            blocks: number(record, 8..16),
            files: number(record, 16..24),
            runs: number(record, 24..28),
        };
        ensure((9..=12).contains(&header.block_bits), Corruption::BlockSize)?;
        ensure(
            header.files.max(header.runs) <= COUNT_MAX,
            Corruption::Count,
        )?;
        let fits = header.blocks <= device_bytes >> header.block_bits;
        ensure(
            fits && header.table_blocks() <= header.blocks,
            Corruption::VolumeSize,
        )?;
        Ok(header)
    }

    /// Bytes in a block.
    pub(crate) fn block_size(&self) -> u32 {
        1 << (self.block_bits & 31)
    }

    /// Blocks that the table takes, at the beginning of the volume.
    pub(crate) fn table_blocks(&self) -> u64 {
        let records = self.files.saturating_add(self.runs).saturating_add(1);
        records
            .saturating_mul(RECORD_SIZE as u64)
            .div_ceil(u64::from(self.block_size()).max(1))
    }

    /// Where in the table the record of a run is.
    pub(crate) fn run_record(&self, run: u64) -> u64 {
        self.files.saturating_add(run).saturating_add(1)
    }
}

/// A file, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct File {
    name: [u8; NAME_MAX],
    /// Size in bytes, at most [`SIZE_MAX`].
    pub(crate) size: u64,
    /// The first of its runs, in the table of runs.
    pub(crate) first_run: u64,
    /// The one after its last.
    pub(crate) end_run: u64,
}

impl File {
    /// Checks a record of a file and its place after the one before it.
    pub(crate) fn parse(
        record: &Record,
        header: &Header,
        before: Option<&Self>,
    ) -> Result<Self, Corruption> {
        let mut name = [0; NAME_MAX];
        name.iter_mut()
            .zip(record)
            .for_each(|(to, from)| *to = *from);
        let first_run = before.map_or(0, |before| before.end_run);
        let end_run = first_run.saturating_add(number(record, 24..28));
        let file = Self {
            name,
            size: number(record, 16..24),
            first_run,
            end_run,
        };
        let shape =
            !file.name().is_empty() && !file.name().iter().any(|byte| b"/\0".contains(byte));
        let special = matches!(file.name(), b"." | b"..");
        let sorted = before.is_none_or(|before| before.name() < file.name());
        ensure(shape && !special && sorted, Corruption::Name)?;
        ensure(file.size <= SIZE_MAX, Corruption::FileSize)?;
        ensure(file.end_run <= header.runs, Corruption::RunCount)?;
        Ok(file)
    }

    /// Its name: not empty, no slash and no NUL in it.
    pub(crate) fn name(&self) -> &[u8] {
        let end = self
            .name
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last.saturating_add(1));
        self.name.get(..end).unwrap_or_default()
    }

    /// Its length in blocks.
    pub(crate) fn blocks(&self, header: &Header) -> u64 {
        self.size.div_ceil(u64::from(header.block_size()).max(1))
    }
}

/// Checks a record of a run: it belongs to `file`, after the run `before`.
pub(crate) fn parse_run(
    record: &Record,
    header: &Header,
    file: &File,
    before: Option<&Run>,
) -> Result<Run, Corruption> {
    let (first, disk, len) = (
        number(record, 0..8),
        number(record, 8..16),
        number(record, 16..24),
    );
    let ends = |start: u64, limit: u64| start.checked_add(len).is_some_and(|end| end <= limit);
    let ordered = len != 0 && before.is_none_or(|before| before.end() <= first);
    ensure(
        ordered && ends(first, file.blocks(header)),
        Corruption::RunOrder,
    )?;
    ensure(
        disk >= header.table_blocks() && ends(disk, header.blocks),
        Corruption::RunPlace,
    )?;
    let boundary = number(record, 24..28) & 1 != 0;
    Ok(Run {
        first,
        len,
        place: Place::Mapped(disk),
        boundary,
    })
}

/// The run that `block` of a file of `blocks` blocks lies in: one of the file's runs, or the hole between two.
pub(crate) fn find_run(runs: &[Run], block: u64, blocks: u64) -> Run {
    let next = runs.partition_point(|run| run.end() <= block);
    let before = next.checked_sub(1).and_then(|last| runs.get(last));
    match runs.get(next) {
        Some(run) if run.contains(block) => *run,
        after => {
            let first = before.map_or(0, Run::end);
            let end = after
                .map_or(blocks, |run| run.first)
                .max(block.saturating_add(1));
            Run {
                first,
                len: end.saturating_sub(first),
                place: Place::Hole,
                boundary: false,
            }
        }
    }
}

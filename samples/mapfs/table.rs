// SPDX-License-Identifier: GPL-2.0

//! The table of a volume, read and checked when it is mounted.

use super::{
    format::{self, Corruption, File, Header, Record, RECORD_SIZE},
    mpage::plan::Run,
    vfs::{errno::EUCLEAN, super_block::NewSuperBlock},
    MapFs, FIRST_INO,
};
use kernel::prelude::*;

/// What is kept for a mounted volume: its table, checked.
pub(crate) struct Volume {
    /// The first record.
    pub(crate) header: Header,
    /// The files, in the order of their names.
    pub(crate) files: KVVec<File>,
    runs: KVVec<Run>,
}

impl Volume {
    /// Reads the volume, and gives the super block its block size.
    pub(crate) fn read(sb: &NewSuperBlock<MapFs>) -> Result<Self> {
        let device_block = sb.min_block_size(RECORD_SIZE as u32)?;
        let header = Header::parse(&read_record(sb, device_block, 0)?, sb.device_bytes())
            .map_err(|error| refuse(sb, error))?;
        let size = header.block_size();
        sb.set_block_size(size).inspect_err(|_| {
            pr_err!(
                "{}: the device cannot do blocks of {} bytes\n",
                sb.id(),
                size
            );
        })?;
        read_table(sb, header)
    }

    /// The file with that inode number.
    pub(crate) fn file(&self, ino: u64) -> Option<&File> {
        let index = usize::try_from(ino.checked_sub(FIRST_INO)?).ok()?;
        self.files.get(index)
    }

    /// The runs of a file, in the file's order.
    pub(crate) fn runs(&self, file: &File) -> &[Run] {
        let range = file.first_run as usize..file.end_run as usize;
        self.runs.get(range).unwrap_or_default()
    }

    /// The space that a file takes, in 512-byte sectors.
    pub(crate) fn sectors(&self, file: &File) -> u64 {
        let add = |sum: u64, run: &Run| sum.saturating_add(run.len);
        let per_block = u64::from(self.header.block_size() >> 9);
        self.runs(file)
            .iter()
            .fold(0, add)
            .saturating_mul(per_block)
    }
}

/// Logs why a volume is not mounted, and gives the errno for it.
fn refuse(sb: &NewSuperBlock<MapFs>, error: Corruption) -> Error {
    if error != Corruption::Magic {
        pr_err!("{}: not mounted: {}\n", sb.id(), format_args!("{error}"));
        return EUCLEAN();
    }
    if !sb.is_silent() {
        pr_err!("{}: not mounted: {}\n", sb.id(), format_args!("{error}"));
    }
    EINVAL
}

/// Reads one record of the table.
fn read_record(sb: &NewSuperBlock<MapFs>, block_size: u32, index: u64) -> Result<Record> {
    let place = index.saturating_mul(RECORD_SIZE as u64);
    let block = place.checked_div(block_size.into()).ok_or(EINVAL)?;
    let offset = place.checked_rem(block_size.into()).ok_or(EINVAL)? as usize;
    let buffer = sb.read(block).inspect_err(|_| {
        pr_err!(
            "{}: not mounted: block {}: cannot read the table\n",
            sb.id(),
            block
        );
    })?;
    let record = buffer
        .bytes()
        .get(offset..)
        .and_then(|bytes| bytes.first_chunk());
    record.copied().ok_or(EIO)
}

/// Reads and checks all files and runs.
fn read_table(sb: &NewSuperBlock<MapFs>, header: Header) -> Result<Volume> {
    let record = |index| read_record(sb, header.block_size(), index);
    let mut files = KVVec::with_capacity(header.files as usize, GFP_KERNEL)?;
    for index in 1..=header.files {
        let file = File::parse(&record(index)?, &header, files.last());
        files.push(file.map_err(|error| refuse(sb, error))?, GFP_KERNEL)?;
    }
    let mut runs = KVVec::with_capacity(header.runs as usize, GFP_KERNEL)?;
    for file in &files {
        let mut before = None;
        for index in file.first_run..file.end_run {
            let run = format::parse_run(
                &record(header.run_record(index))?,
                &header,
                file,
                before.as_ref(),
            );
            let run = run.map_err(|error| refuse(sb, error))?;
            runs.push(run, GFP_KERNEL)?;
            before = Some(run);
        }
    }
    Ok(Volume {
        header,
        files,
        runs,
    })
}

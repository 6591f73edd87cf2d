// SPDX-License-Identifier: GPL-2.0

//! What a mounted volume writes into its superblock.
//!
//! Sizes, features and identity never change while a volume is mounted. State, counters, times and
//! the log of errors do.

use super::{
    fields::*,
    raw::Field,
    superblock::{
        RawSuperblockMut,
        STATE_ERROR,
        STATE_VALID, //
    }, //
};

/// What the log of errors in the superblock can say of one.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRecord<'a> {
    /// Seconds since 1970.
    pub seconds: u64,
    /// Inode, or 0.
    pub ino: u32,
    /// Block, or 0.
    pub block: u64,
    /// Name of the function that found it; the first 32 bytes are kept.
    pub function: &'a str,
    /// Line of the source.
    pub line: u32,
    /// Kind of the error.
    pub code: ErrorCode,
}

/// Kinds of errors in the log (`EXT4_ERR_*` of e2fsprogs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorCode {
    /// Anything else.
    Unknown = 1,
    /// The device failed.
    Io = 2,
    /// No memory.
    NoMemory = 3,
    /// The volume contradicts itself.
    Corrupt = 5,
}

/// The fields that describe one error.
struct ErrorFields {
    time: (Field<SuperblockLayout, u32>, Field<SuperblockLayout, u8>),
    ino: Field<SuperblockLayout, u32>,
    block: Field<SuperblockLayout, u64>,
    function: Field<SuperblockLayout, [u8; 32]>,
    line: Field<SuperblockLayout, u32>,
    code: Field<SuperblockLayout, u8>,
}

const FIRST_ERROR: ErrorFields = ErrorFields {
    time: (S_FIRST_ERROR_TIME, S_FIRST_ERROR_TIME_HI),
    ino: S_FIRST_ERROR_INO,
    block: S_FIRST_ERROR_BLOCK,
    function: S_FIRST_ERROR_FUNC,
    line: S_FIRST_ERROR_LINE,
    code: S_FIRST_ERROR_ERRCODE,
};

const LAST_ERROR: ErrorFields = ErrorFields {
    time: (S_LAST_ERROR_TIME, S_LAST_ERROR_TIME_HI),
    ino: S_LAST_ERROR_INO,
    block: S_LAST_ERROR_BLOCK,
    function: S_LAST_ERROR_FUNC,
    line: S_LAST_ERROR_LINE,
    code: S_LAST_ERROR_ERRCODE,
};

impl RawSuperblockMut<'_> {
    /// Notes the beginning of a mount for writing: until [`Self::end_mount`] the volume counts as
    /// not cleanly unmounted. `now` is in seconds since 1970.
    pub fn begin_mount(&mut self, now: u64) {
        self.resume_mount(now);
        let count = self.get(S_MNT_COUNT).saturating_add(1);
        self.set(S_MNT_COUNT, count);
        self.set_time(S_MTIME, S_MTIME_HI, now);
    }

    /// Notes that a mounted volume becomes writable again after [`Self::end_mount`]: it was frozen.
    pub fn resume_mount(&mut self, now: u64) {
        let state = self.get(S_STATE) & !STATE_VALID;
        self.set(S_STATE, state);
        self.set_time(S_WTIME, S_WTIME_HI, now);
    }

    /// Notes the end of a mount for writing. `state` is what the volume's state was before
    /// [`Self::begin_mount`], so that a volume that was not clean then is not made so; errors noted
    /// since then stay noted.
    pub fn end_mount(&mut self, state: u16, now: u64) {
        let errors = self.get(S_STATE) & STATE_ERROR;
        self.set(S_STATE, state | errors);
        self.set_time(S_WTIME, S_WTIME_HI, now);
    }

    /// Notes the numbers of free blocks and inodes.
    pub fn set_free(&mut self, blocks: u32, inodes: u32, now: u64) {
        self.set(S_FREE_BLOCKS_COUNT, blocks);
        self.set(S_FREE_INODES_COUNT, inodes);
        self.set_time(S_WTIME, S_WTIME_HI, now);
    }

    /// Notes that files of 2 GiB and more exist.
    ///
    /// Gives back `false` for revision 0, which has no features: such files cannot be made there.
    #[must_use]
    pub fn enable_large_file(&mut self) -> bool {
        let dynamic = self.get(S_REV_LEVEL) > 0;
        if dynamic {
            let features = self.get(S_FEATURE_RO_COMPAT);
            self.set(
                S_FEATURE_RO_COMPAT,
                features | super::features::RoCompat::LARGE_FILE.0,
            );
        }
        dynamic
    }

    /// Notes that the volume has an error, and from revision 1 on also which.
    pub fn record_error(&mut self, error: &ErrorRecord<'_>) {
        let state = self.get(S_STATE) | STATE_ERROR;
        self.set(S_STATE, state);
        if self.get(S_REV_LEVEL) == 0 {
            return;
        }
        let count = self.get(S_ERROR_COUNT);
        if count == 0 {
            self.set_error(&FIRST_ERROR, error);
        }
        self.set_error(&LAST_ERROR, error);
        self.set(S_ERROR_COUNT, count.saturating_add(1));
    }

    fn set_error(&mut self, fields: &ErrorFields, error: &ErrorRecord<'_>) {
        let mut function = [0; 32];
        for (to, from) in function.iter_mut().zip(error.function.bytes()) {
            *to = from;
        }
        self.set_time(fields.time.0, fields.time.1, error.seconds);
        self.set(fields.ino, error.ino);
        self.set(fields.block, error.block);
        self.set(fields.function, function);
        self.set(fields.line, error.line);
        self.set(fields.code, error.code as u8);
    }

    /// Writes a time of 40 bits. The upper field has a meaning from revision 1 on.
    fn set_time(
        &mut self,
        low: Field<SuperblockLayout, u32>,
        high: Field<SuperblockLayout, u8>,
        seconds: u64,
    ) {
        self.set(low, seconds as u32);
        if self.get(S_REV_LEVEL) > 0 {
            self.set(high, (seconds >> 32) as u8);
        }
    }
}

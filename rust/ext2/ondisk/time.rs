// SPDX-License-Identifier: GPL-2.0

//! Time stamps of inodes.
//!
//! 32 signed bits of seconds since 1970; where the inode has the extra field, two more bits of
//! seconds, which count periods of 2^32 s, and 30 bits of nanoseconds. Format: "Inode Timestamps"
//! in `Documentation/filesystems/ext4/inodes.rst`.

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999999999.
    pub nanoseconds: u32,
}

/// The earliest time in seconds since 1970: 1901-12-13.
pub const MIN_SECONDS: i64 = i32::MIN as i64;

/// The latest time in seconds since 1970 without the extra field: 2038-01-19.
pub const MAX_SECONDS_SMALL: i64 = i32::MAX as i64;

/// The latest time in seconds since 1970 with the extra field: 2446-05-10.
pub const MAX_SECONDS_LARGE: i64 = MAX_SECONDS_SMALL + (3 << 32);

const NANOSECONDS: u32 = 1_000_000_000;

impl Time {
    /// The time in a field and its extra field.
    ///
    /// Nanoseconds beyond a second are cut to the last one: `e2fsck` does not repair them, so that
    /// refusing them would make the file unreachable for ever.
    pub fn decode(low: u32, extra: Option<u32>) -> Self {
        let extra = extra.unwrap_or(0);
        let epoch = i64::from(extra & 3).wrapping_shl(32);
        Self {
            seconds: i64::from(low as i32).wrapping_add(epoch),
            nanoseconds: (extra >> 2).min(NANOSECONDS.wrapping_sub(1)),
        }
    }

    /// The field. Seconds are cut to what an inode with (`large`) or without the extra field can
    /// hold.
    pub fn low(self, large: bool) -> u32 {
        self.clamp(large) as u32
    }

    /// The extra field.
    pub fn extra(self) -> u32 {
        let seconds = self.clamp(true);
        let epoch = seconds.wrapping_sub(i64::from(seconds as i32)) >> 32;
        let nanoseconds = self.nanoseconds.min(NANOSECONDS.wrapping_sub(1));
        nanoseconds.wrapping_shl(2) | (epoch as u32 & 3)
    }

    fn clamp(self, large: bool) -> i64 {
        let max = if large {
            MAX_SECONDS_LARGE
        } else {
            MAX_SECONDS_SMALL
        };
        self.seconds.max(MIN_SECONDS).min(max)
    }
}

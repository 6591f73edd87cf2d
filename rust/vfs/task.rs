// SPDX-License-Identifier: GPL-2.0

//! The task that makes the call: what it may do, and what time it is.
//!
//! C headers: [`include/linux/cred.h`](srctree/include/linux/cred.h),
//! [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use crate::bindings;
use kernel::prelude::*;

/// Whether the task may go beyond limits (`CAP_SYS_RESOURCE`).
pub(crate) fn may_exceed_limits() -> bool {
    // SAFETY: Asks about the current task alone.
    unsafe { bindings::capable(bindings::CAP_SYS_RESOURCE as c_int) }
}

/// Whether the task may manage volumes (`CAP_SYS_ADMIN`).
pub(crate) fn is_administrator() -> bool {
    // SAFETY: As above.
    unsafe { bindings::capable(bindings::CAP_SYS_ADMIN as c_int) }
}

/// Whether the task accesses files as user `uid` of the initial name space.
pub(crate) fn is_user(uid: u32) -> bool {
    // SAFETY: As above.
    unsafe { bindings::rfs_current_is_user(uid) }
}

/// Whether the task accesses files as a member of group `gid` of the initial name space.
pub(crate) fn is_in_group(gid: u32) -> bool {
    // SAFETY: As above.
    unsafe { bindings::rfs_current_in_group(gid) }
}

/// The time of day, in seconds since 1970; 0 before then.
pub(crate) fn wall_seconds() -> u64 {
    // SAFETY: Reads a clock.
    u64::try_from(unsafe { bindings::ktime_get_real_seconds() }).unwrap_or(0)
}

/// A number that nobody can guess.
pub(crate) fn random() -> u64 {
    // SAFETY: Asks for nothing but the number.
    unsafe { bindings::get_random_u64() }
}

/// A point where the task may be preempted, in a loop that can be long.
pub(crate) fn may_reschedule() {
    // SAFETY: The callers may sleep.
    unsafe { bindings::rfs_cond_resched() };
}

/// Whether the task is about to be killed: a long request of its own can stop.
pub(crate) fn is_dying() -> bool {
    // SAFETY: Asks about the current task alone.
    unsafe { bindings::rfs_fatal_signal_pending() }
}

// SPDX-License-Identifier: GPL-2.0

//! From a volume at rest to one that is written, and back: mount, remount, sync, freeze, unmount.
//!
//! A volume that is written says so in its superblock (`s_state` is not *valid*), so that `e2fsck` looks at it after a
//! crash. It says the opposite only when everything else is durable.

use super::{
    batch, commit,
    ondisk::{
        error::Corruption,
        fields::S_LAST_ORPHAN,
        superblock::{STATE_ERROR, STATE_VALID},
    },
    options::Options,
    orphan,
    volume::Place,
    SuperBlock,
};
use crate::vfs::task;
use kernel::prelude::*;

/// Makes the volume ready to be written. `first` at mount time and when a read-only mount becomes writable; not after
/// a freeze. `EIO` if its superblock cannot be written.
pub(super) fn begin(sb: &SuperBlock, first: bool) -> Result {
    let record = &sb.data().record;
    record.begin(first);
    record
        .write()
        .and_then(|()| sb.flush_device())
        .inspect_err(|_| {
            record.abandon();
            pr_err!("{}: cannot write the superblock\n", sb.id());
        })?;
    if first {
        warn_unchecked(sb);
        count_free(sb);
        reclaim_orphans(sb);
    }
    Ok(())
}

/// Says so if the volume should be checked.
fn warn_unchecked(sb: &SuperBlock) {
    let disk = &sb.data().disk;
    let since = task::wall_seconds().saturating_sub(disk.last_check);
    let due = disk.check_interval != 0 && since >= disk.check_interval.into();
    let often =
        u16::try_from(disk.max_mount_count).is_ok_and(|max| max > 0 && disk.mount_count >= max);
    let why = match disk.state {
        state if state & STATE_ERROR != 0 => "it has errors",
        state if state & STATE_VALID == 0 => "it was not cleanly unmounted",
        _ if often => "it was mounted often since the last time",
        _ if due => "the last time is long ago",
        _ => return,
    };
    pr_warn!("{}: {}: running e2fsck is recommended\n", sb.id(), why);
}

/// After a crash the descriptors say what was free at the last sync. Nothing is promised of blocks that are not: all bitmaps
/// are read. One that cannot be is told of, and met again by who wants blocks there.
fn count_free(sb: &SuperBlock) {
    let disk = &sb.data().disk;
    if disk.state & STATE_VALID != 0 {
        return;
    }
    for group in 0..disk.geometry.group_count() {
        if task::is_dying() {
            return;
        }
        if let Ok(_windows) = sb.data().space.lock(group) {
            let _ = sb.block_bitmap(group);
        }
        task::may_reschedule();
    }
}

/// Deletes the files that were open without a name when the volume was used last.
fn reclaim_orphans(sb: &SuperBlock) {
    let mut next = sb.data().record.last_orphan();
    let (mut steps, mut count) = (0u32, 0u32);
    // A list that is damaged may lead in a circle: then it comes by one of the inodes 1, 2, 4, 8… again.
    let mut seen = 0;
    while next != 0 && next != seen && !task::is_dying() {
        if steps.is_power_of_two() {
            seen = next;
        }
        steps = steps.saturating_add(1);
        if let Some(older) = orphan::older_than_open(sb, next) {
            next = older;
            continue;
        }
        match orphan::reclaim(sb, next) {
            Ok(older) => next = older,
            Err(_) => break,
        }
        count = count.saturating_add(1);
        task::may_reschedule();
    }
    if next != 0 && next == seen {
        sb.damaged(
            Place::inode(next),
            &Corruption::OrphanCircle { ino: next }.into(),
        );
    }
    if count > 0 {
        let newest = sb.data().orphans.newest();
        sb.change_superblock(|raw| raw.set(S_LAST_ORPHAN, newest));
        pr_info!("{}: {} files without a name deleted\n", sb.id(), count);
    }
}

/// Makes everything durable that was done before the call. `EIO`, `ENOSPC`, `ENOMEM`.
pub(super) fn sync(sb: &SuperBlock) -> Result {
    sb.check_live()?;
    let number = sb.data().held.begin_sync();
    let committed = batch::commit_all(sb, commit::Extents::All);
    let released = sb.release_held();
    let stored = sb.store_counts();
    // What could be committed becomes durable even if not all could.
    let settled = sb.settle_all();
    committed.and(released).and(stored).and(settled)?;
    sb.data().held.end_sync(number);
    sb.data().links.forget_synced(number);
    Ok(())
}

/// Brings the volume to rest: its superblock says so when everything else is durable. All files are written, and
/// nobody changes anything meanwhile. Does nothing to a volume that may not be written any more.
pub(super) fn end(sb: &SuperBlock) -> Result {
    let record = &sb.data().record;
    if !record.is_in_use() || sb.check_live().is_err() {
        return Ok(());
    }
    batch::commit_all(sb, commit::Extents::All)?;
    sb.release_held()?;
    // Twice: what the first round frees for good changes bitmaps, which the second round writes.
    sb.quiesce()?;
    sb.store_counts()?;
    sb.settle_all()?;
    record.end();
    record.write()?;
    sb.flush_device()
}

/// Ends the mount.
pub(super) fn put(sb: &SuperBlock) {
    if sb.is_read_only() {
        return;
    }
    if let Err(error) = end(sb) {
        pr_err!(
            "{}: not cleanly unmounted (error {}): run e2fsck\n",
            sb.id(),
            error.to_errno()
        );
    }
}

/// After a freeze: the volume is written again.
pub(super) fn resume(sb: &SuperBlock) -> Result {
    if sb.is_read_only() || sb.check_live().is_err() {
        return Ok(());
    }
    begin(sb, false)
}

/// Changes options, and whether the volume can be written. `EROFS` if it cannot.
pub(super) fn reconfigure(sb: &SuperBlock, options: &Options, read_only: bool) -> Result {
    let volume = sb.data();
    match (sb.is_read_only(), read_only) {
        (false, true) => {
            volume.background.cancel();
            end(sb)?;
        }
        (true, false) => {
            check_writable(sb)?;
            begin(sb, !volume.record.is_in_use())?;
        }
        _ => {}
    }
    // The superblock in use stays the one that was mounted.
    let super_block = volume.options().super_block;
    volume.set_options(&Options {
        super_block,
        ..*options
    });
    Ok(())
}

fn check_writable(sb: &SuperBlock) -> Result {
    sb.check_live()?;
    let blocking = sb.data().disk.features.blocking_write();
    if !blocking.is_empty() {
        pr_err!(
            "{}: stays read-only because of the features {}\n",
            sb.id(),
            format_args!("{blocking}")
        );
        return Err(EROFS);
    }
    if sb.is_device_read_only() {
        pr_err!("{}: stays read-only, as the device is\n", sb.id());
        return Err(EROFS);
    }
    Ok(())
}

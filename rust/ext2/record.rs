// SPDX-License-Identifier: GPL-2.0

//! What a mounted volume writes into its superblock: its state, its counts, its errors.

use super::{
    ondisk::{
        fields::{SuperblockLayout, S_LAST_ORPHAN, S_STATE},
        mount::{ErrorCode, ErrorRecord},
        raw::{Field, Value},
        superblock::{RawSuperblock, RawSuperblockMut, SUPERBLOCK_SIZE},
    },
    volume::Place,
    SuperBlock,
};
use crate::vfs::{buffer::Buffer, task};
use kernel::{
    prelude::*,
    sync::{new_mutex, Mutex},
};

/// The superblock on disk. Its lock is the innermost of all: nothing but the buffer is touched under it.
#[pin_data]
pub(super) struct Record {
    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    buffer: Buffer,
    /// Where the superblock begins in its block, in bytes.
    offset: usize,
    /// What `s_state` was before the volume was mounted for writing; `None` while it is not.
    before: Option<u16>,
}

impl Inner {
    fn change<R>(&self, apply: impl FnOnce(&mut RawSuperblockMut<'_>) -> R) -> Option<R> {
        let range = self.offset..self.offset.saturating_add(SUPERBLOCK_SIZE);
        self.buffer.change_range(range, |bytes| {
            RawSuperblockMut::new(bytes).map(|mut raw| apply(&mut raw))
        })
    }

    fn get<V: Value>(&self, field: Field<SuperblockLayout, V>) -> V {
        let range = self.offset..self.offset.saturating_add(SUPERBLOCK_SIZE);
        RawSuperblock::new(self.buffer.range(range)).map_or(V::ZERO, |raw| raw.get(field))
    }
}

impl Record {
    /// The superblock at byte `offset` of its block.
    pub(super) fn new(buffer: Buffer, offset: usize) -> Result<Pin<KBox<Self>>> {
        let inner = Inner {
            buffer,
            offset,
            before: None,
        };
        KBox::pin_init(
            pin_init!(Self { inner <- new_mutex!(inner, "rext2_superblock") }),
            GFP_KERNEL,
        )
    }

    /// Changes the superblock's (then dirty) buffer.
    pub(super) fn change(&self, apply: impl FnOnce(&mut RawSuperblockMut<'_>)) {
        self.inner.lock().change(apply);
    }

    /// Notes that the volume is in use from now on. `first` if it was mounted, not only made writable again.
    pub(super) fn begin(&self, first: bool) {
        let mut inner = self.inner.lock();
        if inner.before.is_some() {
            return;
        }
        inner.before = Some(inner.get(S_STATE));
        let now = task::wall_seconds();
        inner.change(|raw| {
            if first {
                raw.begin_mount(now)
            } else {
                raw.resume_mount(now)
            }
        });
    }

    /// Notes that the volume is not in use any more. Nothing is dirty but what is still in its buffers.
    pub(super) fn end(&self) {
        let mut inner = self.inner.lock();
        if let Some(before) = inner.before.take() {
            inner.change(|raw| raw.end_mount(before, task::wall_seconds()));
        }
    }

    /// Notes that the volume could not be taken into use.
    pub(super) fn abandon(&self) {
        self.inner.lock().before = None;
    }

    /// Whether the volume is in use for writing.
    pub(super) fn is_in_use(&self) -> bool {
        self.inner.lock().before.is_some()
    }

    /// The first inode of the list of orphans on disk; 0 for none.
    pub(super) fn last_orphan(&self) -> u32 {
        self.inner.lock().get(S_LAST_ORPHAN)
    }

    /// Writes the superblock, and waits. `EIO`.
    pub(super) fn write(&self) -> Result {
        let buffer = self.inner.lock().buffer.clone();
        buffer.write()
    }

    /// Notes damage, and starts writing it, because there may be no later time for that.
    fn add_error(&self, error: &ErrorRecord<'_>) {
        let inner = self.inner.lock();
        if inner.before.is_some() {
            inner.change(|raw| raw.record_error(error));
            inner.buffer.write_start();
        }
    }
}

impl SuperBlock {
    /// Changes the superblock on disk, by way of its (then dirty) buffer. Sleeps.
    pub(super) fn change_superblock(&self, apply: impl FnOnce(&mut RawSuperblockMut<'_>)) {
        self.data().record.change(apply);
    }

    /// Notes damage in the superblock, if the volume is mounted for writing.
    pub(super) fn record_damage(&self, place: Place) {
        self.data().record.add_error(&ErrorRecord {
            seconds: task::wall_seconds(),
            ino: u32::try_from(place.ino).unwrap_or(0),
            block: place.block,
            function: "rext2",
            line: 0,
            code: ErrorCode::Corrupt,
        });
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A reader-writer semaphore that owns what it protects, and a scope without file-system reclaim.

use crate::bindings;
use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
};
use kernel::{prelude::*, sync::LockClassKey, types::Opaque};

/// A sleeping lock with one writer or many readers; C's `struct rw_semaphore`.
///
/// # Invariants
///
/// **Guarded value**: `value` is reached through a guard only, shared while the semaphore is held for reading and
/// exclusively while it is held for writing.
#[pin_data]
pub(crate) struct RwSem<T> {
    #[pin]
    raw: Opaque<bindings::rw_semaphore>,
    value: UnsafeCell<T>,
}

// SAFETY: The value moves between threads with the lock that guards it.
unsafe impl<T: Send> Send for RwSem<T> {}
// SAFETY: By "Guarded value" readers share `&T`, and a writer is alone.
unsafe impl<T: Send + Sync> Sync for RwSem<T> {}

impl<T> RwSem<T> {
    /// Makes a semaphore around `value`; `class` tells lockdep one kind of semaphore from another.
    pub(crate) fn new(value: T, class: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writing, the name is a static string and the class key lives for ever.
            raw <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_rwsem(slot, c"rext2".as_char_ptr(), class.as_ptr())
            }),
            value: UnsafeCell::new(value),
        })
    }

    /// Locks for reading. Sleeps.
    #[must_use = "the semaphore is released when the guard is dropped"]
    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        // SAFETY: `raw` was initialised by `new`.
        unsafe { bindings::down_read(self.raw.get()) };
        ReadGuard(self)
    }

    /// Locks for reading if that does not take waiting for somebody.
    pub(crate) fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        // SAFETY: `raw` was initialised by `new`.
        (unsafe { bindings::down_read_trylock(self.raw.get()) } != 0).then(|| ReadGuard(self))
    }

    /// Locks for writing. Sleeps.
    #[must_use = "the semaphore is released when the guard is dropped"]
    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        // SAFETY: `raw` was initialised by `new`.
        unsafe { bindings::down_write(self.raw.get()) };
        WriteGuard(self)
    }
}

/// Shared access to the value of an [`RwSem`].
pub(crate) struct ReadGuard<'a, T>(&'a RwSem<T>);

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: "Guarded value": the semaphore is held for reading.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This guard holds the semaphore for reading.
        unsafe { bindings::up_read(self.0.raw.get()) };
    }
}

/// Exclusive access to the value of an [`RwSem`].
pub(crate) struct WriteGuard<'a, T>(&'a RwSem<T>);

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: "Guarded value": the semaphore is held for writing.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: "Guarded value": the semaphore is held for writing, and the guard is borrowed exclusively.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This guard holds the semaphore for writing.
        unsafe { bindings::up_write(self.0.raw.get()) };
    }
}

/// Makes an initialiser for an [`RwSem`] with a lock class of its own.
macro_rules! new_rwsem {
    ($value:expr) => {
        $crate::vfs::sync::RwSem::new($value, kernel::static_lock_class!())
    };
}
pub(crate) use new_rwsem;

/// While it exists, memory that this task allocates is not reclaimed through the file system: an allocation made
/// under its locks must not come back for them.
#[must_use = "the scope ends when the guard is dropped"]
pub(crate) struct NoFsScope {
    flags: u32,
    /// The scope belongs to the task that opened it.
    _task: core::marker::PhantomData<*mut ()>,
}

impl NoFsScope {
    /// Begins the scope. Scopes nest.
    pub(crate) fn new() -> Self {
        Self {
            // SAFETY: Changes a flag of the current task, which `drop` puts back.
            flags: unsafe { bindings::rfs_memalloc_nofs_save() },
            _task: core::marker::PhantomData,
        }
    }
}

impl Drop for NoFsScope {
    fn drop(&mut self) {
        // SAFETY: `flags` came from the matching save, in this task.
        unsafe { bindings::rfs_memalloc_nofs_restore(self.flags) };
    }
}

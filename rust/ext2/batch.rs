// SPDX-License-Identifier: GPL-2.0

//! Commits of many files, with one flush for all.

use super::{
    commit::{self, Extents, Prepared},
    inode_write, Inode, SuperBlock,
};
use crate::vfs::sync::NoFsScope;
use core::mem;
use kernel::{prelude::*, sync::aref::ARef};

/// How many seconds contents get to arrive, those of other files too: one flush serves all.
const SOON: u32 = 1;

/// The flusher is writing the inode: has it [kept](commit::keep), and what has arrived by then committed in a moment. A
/// directory may have got names that have moved.
pub(super) fn commit_soon(inode: &Inode) -> Result {
    let chosen = commit::keep(inode)?;
    let sb = inode.sb();
    if chosen || (inode.is_directory() && sb.has_held()) {
        sb.data().background.commit.ask(SOON);
    }
    Ok(())
}

/// What [`commit_soon`] has asked for. What fails is still listed, and its inode dirty: it comes again with the flusher's
/// next round, and whoever syncs is told.
pub(super) fn commit_later(sb: &SuperBlock) {
    if sb.check_live().is_err() || !sb.data().record.is_in_use() {
        return;
    }
    let _scope = NoFsScope::new();
    let committed = commit_all(sb, Extents::Ready);
    let released = sb.release_held();
    let more = !sb.data().uncommitted.lock().is_empty();
    if more && committed.and(released).is_ok() {
        sb.data().background.commit.ask(SOON);
    }
}

/// Commits every file that has to be, with one flush for all. The first error is given when all have been tried.
///
/// Waits for a call that has begun: a file that it has taken off the list is not committed yet.
///
/// `s_umount` is held. While the volume is frozen, or about to be, files without a name stay listed: to delete one has to wait
/// until the volume is thawed, and that must neither be waited for here nor come to us, because we have the last reference.
pub(super) fn commit_all(sb: &SuperBlock, extents: Extents) -> Result {
    let _committing = sb.data().committing.lock();
    let mut listed = mem::replace(&mut *sb.data().uncommitted.lock(), KVVec::new());
    let mut batch = Batch::new(extents);
    let frozen = sb.is_frozen();
    listed.retain(|ino| {
        let ino = u64::from(*ino);
        if frozen && sb.is_nameless(ino) {
            return true;
        }
        if let Some(inode) = sb.find_inode(ino) {
            // From now on a new extent lists the file again.
            inode.data().map.write().listed = false;
            batch.add(inode);
        }
        false
    });
    let kept = list_again(sb, listed);
    batch.commit(sb).and(kept)
}

/// Lists files again that are marked as listed. `ENOMEM`.
fn list_again(sb: &SuperBlock, files: KVVec<u32>) -> Result {
    let mut list = sb.data().uncommitted.lock();
    if list.is_empty() {
        *list = files;
        return Ok(());
    }
    Ok(list.extend_from_slice(&files, GFP_KERNEL)?)
}

/// Files that are committed together, with one flush for all.
pub(super) struct Batch {
    extents: Extents,
    ready: KVVec<(ARef<Inode>, Prepared)>,
    /// The first error so far.
    result: Result,
}

impl Batch {
    /// No files.
    pub(super) fn new(extents: Extents) -> Self {
        Self {
            extents,
            ready: KVVec::new(),
            result: Ok(()),
        }
    }

    /// Prepares a file. What goes wrong is told by [`commit`](Self::commit). Sleeps.
    pub(super) fn add(&mut self, inode: ARef<Inode>) {
        if self.extents == Extents::All {
            commit::wait(&inode);
        }
        match commit::prepare(&inode) {
            Ok(Some(prepared)) => {
                if let Err((inode, prepared, error)) = self.push(inode, prepared) {
                    commit::give_up(&inode, &prepared);
                    self.failed(&inode, error);
                }
            }
            Ok(None) => self.done(&inode, store_settled(&inode)),
            Err(error) if error == EAGAIN => self.add_later(&inode),
            Err(error) => self.failed(&inode, error),
        }
    }

    /// Another commit of the file uses what is set aside for it, and may itself wait for a file that is prepared here.
    fn add_later(&mut self, inode: &Inode) {
        self.finish(inode.sb());
        let linked = commit::link(inode, self.extents);
        let stored = linked.and_then(|_| inode_write::store(inode).map(drop));
        self.done(inode, stored);
    }

    fn done(&mut self, inode: &Inode, result: Result) {
        match result {
            Ok(()) => later(inode),
            Err(error) => self.failed(inode, error),
        }
    }

    fn push(
        &mut self,
        inode: ARef<Inode>,
        prepared: Prepared,
    ) -> Result<(), (ARef<Inode>, Prepared, Error)> {
        match self.ready.reserve(1, GFP_KERNEL) {
            // There is room for it.
            Ok(()) => drop(self.ready.push_within_capacity((inode, prepared))),
            Err(error) => return Err((inode, prepared, error.into())),
        }
        Ok(())
    }

    fn failed(&mut self, inode: &Inode, error: Error) {
        relist(inode);
        self.result = self.result.and(Err(error));
    }

    /// Makes the files reachable that were prepared. Gives the first error when all have been tried. Sleeps; `EIO`,
    /// `ENOSPC`, `ENOMEM`, `EUCLEAN`.
    pub(super) fn commit(mut self, sb: &SuperBlock) -> Result {
        self.finish(sb);
        self.result
    }

    fn finish(&mut self, sb: &SuperBlock) {
        let ready = mem::replace(&mut self.ready, KVVec::new());
        if ready.is_empty() {
            return;
        }
        let flushed = sb.flush_device();
        for (inode, prepared) in ready {
            let done = match flushed {
                Ok(()) => commit::finish(&inode, prepared)
                    .and_then(|done| match done {
                        true => Ok(()),
                        false => commit::link(&inode, self.extents).map(drop),
                    })
                    .and_then(|()| inode_write::store(&inode).map(drop)),
                Err(error) => {
                    commit::give_up(&inode, &prepared);
                    Err(error)
                }
            };
            self.done(&inode, done);
        }
    }
}

/// Puts an inode into its block of the inode table whose pointers somebody else has set, who may not have come so far.
fn store_settled(inode: &Inode) -> Result {
    match inode.is_dirty(false) {
        true => inode_write::store(inode).map(drop),
        false => Ok(()),
    }
}

/// Lists a file again that has more on its way.
fn later(inode: &Inode) {
    if inode.data().map.read().has_chosen() {
        relist(inode);
    }
}

/// Lists a file again that is still to be committed.
fn relist(inode: &Inode) {
    let mut state = inode.data().map.write();
    // Without memory for that, the inode is still dirty, and its own write commits it.
    let _ = commit::list(inode, &mut state);
    inode.mark_dirty();
}

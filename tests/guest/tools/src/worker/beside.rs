// SPDX-License-Identifier: GPL-2.0

//! Threads that sync all the time what another one changes.

use super::journal::Journal;
use crate::{event::Event, random::Random, system};
use std::{
    fs::File,
    io::{Error, Result},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};

/// What the threads are told.
#[derive(Default)]
struct Offer {
    /// They are to end.
    stop: bool,
    /// What the journal's first lines say was done.
    since: u32,
    /// A file with its number.
    file: Option<(u32, Arc<File>)>,
}

/// The threads.
pub(super) struct Beside {
    offer: Arc<Mutex<Offer>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

fn lock(offer: &Mutex<Offer>) -> Result<MutexGuard<'_, Offer>> {
    offer
        .lock()
        .map_err(|_| Error::other("another thread has died"))
}

impl Beside {
    /// Starts `count` threads that sync the volume of directory `dir`, and files.
    pub(super) fn start(dir: &Path, journal: &Arc<Journal>, count: u32) -> Result<Self> {
        let offer = Offer {
            since: journal.lines()?,
            ..Offer::default()
        };
        let offer = Arc::new(Mutex::new(offer));
        let mut threads = Vec::new();
        for number in 0..count {
            let (offer, journal, root) = (offer.clone(), journal.clone(), File::open(dir)?);
            let random = Random::new(number.into());
            threads.push(thread::spawn(move || work(&offer, &journal, &root, random)));
        }
        Ok(Self { offer, threads })
    }

    /// Everything in the journal's first `since` lines has been done, and this is one of the files.
    pub(super) fn offer(&self, since: u32, file: Option<(u32, Arc<File>)>) -> Result<()> {
        let mut offer = lock(&self.offer)?;
        (offer.since, offer.file) = (since, file);
        Ok(())
    }

    /// Ends the threads. Fails if one of them has.
    pub(super) fn finish(self) -> Result<()> {
        lock(&self.offer)?.stop = true;
        for thread in self.threads {
            let result = thread.join();
            result.unwrap_or_else(|_| Err(Error::other("another thread has died")))?;
        }
        Ok(())
    }
}

fn work(offer: &Mutex<Offer>, journal: &Journal, root: &File, mut random: Random) -> Result<()> {
    loop {
        let (since, file) = {
            let offer = lock(offer)?;
            if offer.stop {
                return Ok(());
            }
            (offer.since, offer.file.clone())
        };
        let event = match (file, random.below(3)) {
            (Some((number, file)), 0) => {
                file.sync_all()?;
                Event::SyncSince(number, since)
            }
            (Some((number, file)), 1) => {
                file.sync_data()?;
                Event::SyncSince(number, since)
            }
            _ => {
                system::syncfs(root)?;
                Event::SyncAllSince(since)
            }
        };
        journal.mark(Some(event))?;
    }
}

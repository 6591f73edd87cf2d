// SPDX-License-Identifier: GPL-2.0

//! The journal of a workload, and the marks in the log of its device.

use crate::event::Event;
use std::{
    fs::File,
    io::{Error, Result, Write},
    process::Command,
    sync::{Mutex, MutexGuard},
};

/// What is written down; several threads do.
pub(super) struct Journal {
    state: Mutex<State>,
    device: Option<String>,
}

struct State {
    file: File,
    lines: u32,
    marks: u32,
}

impl State {
    fn write(&mut self, event: &Event) -> Result<()> {
        self.lines += 1;
        writeln!(self.file, "{}", event.line())
    }
}

impl Journal {
    /// An empty one. Marks go into the log of `device`.
    pub(super) fn create(path: &str, device: Option<String>) -> Result<Self> {
        let state = State {
            file: File::create(path)?,
            lines: 0,
            marks: 0,
        };
        Ok(Self {
            state: Mutex::new(state),
            device,
        })
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        self.state
            .lock()
            .map_err(|_| Error::other("another thread has died"))
    }

    /// How many lines it has.
    pub(super) fn lines(&self) -> Result<u32> {
        Ok(self.lock()?.lines)
    }

    /// Another line.
    pub(super) fn write(&self, event: &Event) -> Result<()> {
        self.lock()?.write(event)
    }

    /// Another line, if any, and a mark: what was noted so far as durable is durable behind it. Marks are in the same order
    /// here and there.
    pub(super) fn mark(&self, event: Option<Event>) -> Result<()> {
        let mut state = self.lock()?;
        event.map_or(Ok(()), |event| state.write(&event))?;
        state.marks += 1;
        let number = state.marks;
        state.write(&Event::Mark(number))?;
        let Some(device) = &self.device else {
            return Ok(());
        };
        let status = Command::new("dmsetup")
            .args(["message", device, "0", "mark", &number.to_string()])
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::other("dmsetup message failed")),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Directories that come, move and go.

use super::Worker;
use crate::event::Event;
use std::{
    fs,
    io::{ErrorKind, Result},
};

impl Worker {
    pub(super) fn make_directory(&mut self) -> Result<()> {
        self.next += 1;
        let name = format!("{}/s{}", self.any_directory(), self.next);
        if name.split('/').count() > 4 {
            return Ok(());
        }
        match fs::create_dir(self.dir.join(&name)) {
            Ok(()) => drop(self.directories.insert(name)),
            Err(error) if error.kind() == ErrorKind::StorageFull => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A directory that does not stay, with its name and a slash.
    fn any_moving(&mut self) -> Option<(String, String)> {
        let name = Some(self.any_directory()).filter(|name| name.contains('/'))?;
        let inside = format!("{name}/");
        Some((name, inside))
    }

    pub(super) fn move_directory(&mut self) -> Result<()> {
        let (Some((name, inside)), parent) = (self.any_moving(), self.any_directory()) else {
            return self.make_directory();
        };
        if parent == name || parent.starts_with(&inside) {
            return Ok(());
        }
        self.next += 1;
        let new = format!("{parent}/s{}", self.next);
        let moved = |old: &str| Some(format!("{new}/{}", old.strip_prefix(&inside)?));
        self.note(Event::MoveDirectory(name.clone(), new.clone()))?;
        fs::rename(self.dir.join(&name), self.dir.join(&new))?;
        let below: Vec<String> = self
            .directories
            .iter()
            .filter_map(|old| moved(old))
            .collect();
        self.directories
            .retain(|old| *old != name && !old.starts_with(&inside));
        self.directories.extend(below);
        self.directories.insert(new);
        Ok(())
    }

    pub(super) fn remove_directory(&mut self) -> Result<()> {
        let Some((name, inside)) = self.any_moving() else {
            return self.make_directory();
        };
        if self
            .live()
            .iter()
            .any(|(_, file, _)| file.starts_with(&inside))
            || self
                .directories
                .iter()
                .any(|other| other.starts_with(&inside))
        {
            return Ok(());
        }
        fs::remove_dir(self.dir.join(&name))?;
        self.directories.remove(&name);
        Ok(())
    }
}

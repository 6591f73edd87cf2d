// SPDX-License-Identifier: GPL-2.0

//! Giving out inode numbers.
//!
//! A file goes to the group of its directory, so that reading a directory's files stays in one place. Directories are
//! spread instead, so that each finds room around it: those at the top of the tree over all groups, those below near
//! their parent as long as there is room (Grigoriy Orlov's policy).
//!
//! Locks: see [`space`](super::space).

use super::{
    ondisk::{
        bitmap,
        policy::{self, GroupUse},
        superblock::ROOT_INO,
    },
    space,
    volume::Place,
    Inode, SuperBlock,
};
use crate::vfs::errno::EUCLEAN;
use kernel::{prelude::*, sync::atomic::ordering::Relaxed};

/// How often a search is repeated because others took what it saw, or because what was freed became free.
const RETRIES: u32 = 4;

impl SuperBlock {
    /// Takes an inode number for a new file in `dir`: near the directory, or for a directory where there is room.
    /// Sleeps. `ENOSPC`, `EIO`, `EUCLEAN`.
    pub(super) fn allocate_inode(&self, dir: &Inode, is_dir: bool) -> Result<u32> {
        let available = &self.data().space.available_inodes;
        space::take(available, 1, 1, 0).ok_or(ENOSPC)?;
        let found = self.search_inode_again(dir, is_dir);
        if found.is_err() {
            space::add(available, 1);
        }
        found
    }

    fn search_inode_again(&self, dir: &Inode, is_dir: bool) -> Result<u32> {
        let mut failure = None;
        for _ in 0..RETRIES {
            if let Some(ino) = self.search_inode(dir, is_dir, &mut failure) {
                return Ok(ino);
            }
            // The names of freed inodes may be in blocks that are held back.
            self.release_held()?;
            self.quiesce()?;
        }
        Err(failure.unwrap_or(ENOSPC))
    }

    fn search_inode(&self, dir: &Inode, is_dir: bool, failure: &mut Option<Error>) -> Option<u32> {
        let geometry = &self.data().disk.geometry;
        let number = u32::try_from(dir.ino()).unwrap_or(ROOT_INO);
        let parent = geometry.inode_place(number).map_or(0, |place| place.group);
        let count = geometry.group_count();
        if is_dir {
            let group = if number == ROOT_INO {
                self.top_group()
            } else {
                self.near_group(parent)
            };
            let found = group.and_then(|group| self.try_group(group, is_dir, failure));
            if found.is_some() {
                return found;
            }
        }
        // A file wants blocks too; only if no group has both, an inode will do.
        let order = || policy::file_groups(parent, number, count);
        let mut with_room = order().filter(|&group| self.usage(group).free_blocks > 0);
        with_room
            .find_map(|group| self.try_group(group, is_dir, failure))
            .or_else(|| order().find_map(|group| self.try_group(group, is_dir, failure)))
    }

    fn usage(&self, group: u32) -> GroupUse {
        self.data()
            .space
            .group(group)
            .map(space::Group::usage)
            .unwrap_or_default()
    }

    /// The group for a directory at the top of the tree: among those with room the one with the fewest directories.
    fn top_group(&self) -> Option<u32> {
        let space = &self.data().space;
        let count = self.data().disk.geometry.group_count();
        let average = space.average();
        // Groups that are equal take turns.
        let turn = space.directories.load(Relaxed).unsigned_abs() as u32;
        (0..count)
            .map(|step| turn.wrapping_add(step).checked_rem(count).unwrap_or(0))
            .filter(|&group| policy::suits_top_directory(&self.usage(group), &average))
            .min_by_key(|&group| self.usage(group).directories)
    }

    /// The group for a directory below another one: the first with room, from the parent's on.
    fn near_group(&self, parent: u32) -> Option<u32> {
        let geometry = &self.data().disk.geometry;
        let count = geometry.group_count();
        let average = self.data().space.average();
        let (inodes, blocks) = (geometry.inodes_per_group(), geometry.blocks_per_group());
        (0..count)
            .map(|step| parent.wrapping_add(step).checked_rem(count).unwrap_or(0))
            .find(|&group| policy::suits_directory(&self.usage(group), &average, inodes, blocks))
    }

    /// Takes an inode of a group, if it has one.
    fn try_group(&self, group: u32, is_dir: bool, failure: &mut Option<Error>) -> Option<u32> {
        if self.usage(group).free_inodes == 0 {
            return None;
        }
        self.take_inode(group, is_dir).unwrap_or_else(|error| {
            *failure = Some(error);
            None
        })
    }

    fn take_inode(&self, group: u32, is_dir: bool) -> Result<Option<u32>> {
        let volume = self.data();
        let geometry = &volume.disk.geometry;
        let state = volume.space.group(group)?;
        let _windows = volume.space.lock(group)?;
        let buffer = self.inode_bitmap(group)?;
        let (count, from) = (geometry.inodes_per_group(), state.first_inode());
        let Some(bit) = bitmap::next_clear(buffer.bytes(), count, from) else {
            return Ok(None);
        };
        let ino = geometry.inode_number(group, bit);
        let place = Place {
            ino: ino.into(),
            block: buffer.block(),
        };
        geometry
            .check_file_ino(ino)
            .map_err(|error| self.damaged(place, &error))?;
        let bits = bit..bit.checked_add(1).ok_or_else(EUCLEAN)?;
        buffer
            .change(|bytes| bitmap::take(bytes, bits))
            .map_err(|error| self.damaged(place, &error))?;
        state.take_inode(bit, is_dir);
        space::add(&volume.space.directories, is_dir.into());
        Ok(Some(ino))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Mount options.

use super::ondisk::superblock::OnError;
use crate::vfs::context::ParamValue;
use core::fmt;
use kernel::prelude::*;

/// The options of a mount. `None` leaves a choice to the superblock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// `sb=`: where the superblock to use is, in units of 1024 bytes.
    pub(super) super_block: Option<u32>,
    /// `errors=`: what to do when the volume turns out to be damaged.
    pub(super) on_error: Option<OnError>,
    /// `grpid`: new files take the group of their directory.
    pub(super) group_of_directory: Option<bool>,
    /// `resuid=`: the user who may use the reserved blocks.
    pub(super) reserve_uid: Option<u32>,
    /// `resgid=`: the group that may use the reserved blocks.
    pub(super) reserve_gid: Option<u32>,
    /// `minixdf`: `statfs` counts all blocks, not only those that files can have.
    pub(super) count_all_blocks: bool,
    /// `discard`: tell the device of blocks that become free.
    pub(super) discard: bool,
}

impl Options {
    /// Takes one option. `ENOPARAM` for an unknown one, `EINVAL` for a bad value.
    pub(super) fn parse(&mut self, key: &[u8], value: ParamValue<'_>) -> Result {
        match key {
            b"sb" => self.super_block = Some(u32::try_from(value.number()?)?),
            b"resuid" => self.reserve_uid = Some(u32::try_from(value.number()?)?),
            b"resgid" => self.reserve_gid = Some(u32::try_from(value.number()?)?),
            b"errors" => self.on_error = Some(on_error(value)?),
            b"check" if value != ParamValue::String(b"none") => return Err(EINVAL),
            b"check" => {}
            _ => return self.parse_flag(key, value),
        }
        Ok(())
    }

    fn parse_flag(&mut self, key: &[u8], value: ParamValue<'_>) -> Result {
        match key {
            b"grpid" | b"bsdgroups" => self.group_of_directory = Some(true),
            b"nogrpid" | b"sysvgroups" => self.group_of_directory = Some(false),
            b"minixdf" => self.count_all_blocks = true,
            b"bsddf" => self.count_all_blocks = false,
            b"discard" => self.discard = true,
            b"nodiscard" => self.discard = false,
            // Accepted because /etc/fstab has them; what they asked for is always so, or never was.
            b"nocheck" | b"debug" | b"nouid32" | b"orlov" | b"oldalloc" | b"nobh"
            | b"reservation" | b"noreservation" => {}
            _ => return Err(ENOPARAM),
        }
        value.flag()
    }

    /// Writes what differs from the defaults, as `/proc/mounts` shows it.
    pub(super) fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if let Some(block) = self.super_block {
            write!(out, ",sb={block}")?;
        }
        match self.on_error {
            Some(OnError::Continue) => out.write_str(",errors=continue")?,
            Some(OnError::RemountReadOnly) => out.write_str(",errors=remount-ro")?,
            Some(OnError::Panic) => out.write_str(",errors=panic")?,
            None => {}
        }
        match self.group_of_directory {
            Some(true) => out.write_str(",grpid")?,
            Some(false) => out.write_str(",nogrpid")?,
            None => {}
        }
        if let Some(uid) = self.reserve_uid {
            write!(out, ",resuid={uid}")?;
        }
        if let Some(gid) = self.reserve_gid {
            write!(out, ",resgid={gid}")?;
        }
        if self.count_all_blocks {
            out.write_str(",minixdf")?;
        }
        if self.discard {
            out.write_str(",discard")?;
        }
        Ok(())
    }
}

fn on_error(value: ParamValue<'_>) -> Result<OnError> {
    match value {
        ParamValue::String(b"continue") => Ok(OnError::Continue),
        ParamValue::String(b"remount-ro") => Ok(OnError::RemountReadOnly),
        ParamValue::String(b"panic") => Ok(OnError::Panic),
        _ => Err(EINVAL),
    }
}

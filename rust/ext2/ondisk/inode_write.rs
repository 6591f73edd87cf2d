// SPDX-License-Identifier: GPL-2.0

//! Writing inodes.

use super::{
    error::{
        Corruption,
        Result, //
    },
    fields::*,
    inode::{
        Device,
        Inode,
        Kind,
        MAP_SIZE, //
    },
    raw::{
        Field,
        RawMut,
        Value, //
    },
    superblock::{
        Superblock,
        MIN_INODE_SIZE, //
    },
    time::Time, //
};

/// An inode of a mounted volume, to be changed.
pub type RawInodeMut<'a> = RawMut<'a, InodeLayout>;

/// Greatest size in bytes that does not need the feature large_file.
const MAX_SMALL_FILE: u64 = 0x7fff_ffff;

impl Device {
    /// The device number as it stands in `i_block`: in the old form if it fits that.
    pub fn to_map(self) -> [u8; MAP_SIZE] {
        let mut map = [0; MAP_SIZE];
        let (at, number) = if self.major < 0x100 && self.minor < 0x100 {
            (0, self.major.wrapping_shl(8) | self.minor)
        } else {
            let low = (self.minor & 0xff) | (self.major & 0xfff).wrapping_shl(8);
            (4, low | (self.minor & 0xf_ff00).wrapping_shl(12))
        };
        // Both places are inside the map.
        let _ = number.write(&mut map, at);
        map
    }
}

/// The target of a symlink as it stands in `i_block`; `None` if it is empty or too long for that.
pub fn fast_symlink_map(target: &[u8]) -> Option<[u8; MAP_SIZE]> {
    if target.is_empty() || target.len() >= MAP_SIZE {
        return None;
    }
    let mut map = [0; MAP_SIZE];
    for (to, from) in map.iter_mut().zip(target) {
        *to = *from;
    }
    Some(map)
}

impl Inode {
    /// Whether the volume needs the feature large_file for this inode.
    pub fn needs_large_file(&self) -> bool {
        self.kind == Kind::Regular && self.size > MAX_SMALL_FILE
    }

    /// Writes the inode over all of `bytes`: nothing of an earlier inode stays.
    ///
    /// # Errors
    ///
    /// [`Corruption::Truncated`] if `bytes` are shorter than an inode of the volume.
    pub fn encode_new(&self, bytes: &mut [u8], volume: &Superblock) -> Result {
        own_bytes(bytes, volume)?.fill(0);
        self.encode(bytes, volume)
    }

    /// Writes the inode into `bytes`. Fields that are not known here and extended attributes behind
    /// the extra fields stay as they are.
    ///
    /// An inode without extra fields, as the C driver leaves them on volumes with large inodes, gets
    /// as many as [`Inode::extra_isize`] says. One that has some keeps their number, because
    /// attributes may stand behind them.
    ///
    /// # Errors
    ///
    /// [`Corruption::Truncated`] if `bytes` are shorter than an inode of the volume.
    pub fn encode(&self, bytes: &mut [u8], volume: &Superblock) -> Result {
        let bytes = own_bytes(bytes, volume)?;
        let room = volume.geometry.inode_size().saturating_sub(MIN_INODE_SIZE);
        let extra = extra_fields(bytes, self.extra_isize.min(room) & !3, room);
        let len = bytes.len();
        let record = "inode";
        let mut raw = RawInodeMut::new(bytes).ok_or(Corruption::Truncated { record, len })?;
        self.encode_base(&mut raw, extra);
        self.encode_extra(raw.bytes(), extra);
        Ok(())
    }

    fn encode_base(&self, raw: &mut RawInodeMut<'_>, extra: u16) {
        let large = |field: Field<LargeInodeLayout, u32>| covers(extra, field);
        raw.set(I_MODE, self.mode);
        raw.set(I_UID, self.uid as u16);
        raw.set(I_UID_HIGH, (self.uid >> 16) as u16);
        raw.set(I_GID, self.gid as u16);
        raw.set(I_GID_HIGH, (self.gid >> 16) as u16);
        raw.set(I_SIZE, self.size as u32);
        if self.kind == Kind::Regular {
            raw.set(I_SIZE_HIGH, (self.size >> 32) as u32);
        }
        raw.set(I_LINKS_COUNT, self.links);
        // Volumes with more bits (huge_file) are not written, and `max_file_size` keeps below.
        raw.set(I_BLOCKS, self.sectors.min(u64::from(u32::MAX)) as u32);
        raw.set(I_FLAGS, self.flags);
        raw.set(I_GENERATION, self.generation);
        raw.set(I_FILE_ACL, self.attr_block);
        raw.set(I_ATIME, self.atime.low(large(I_ATIME_EXTRA)));
        raw.set(I_MTIME, self.mtime.low(large(I_MTIME_EXTRA)));
        raw.set(I_CTIME, self.ctime.low(large(I_CTIME_EXTRA)));
        raw.set(I_DTIME, self.dtime);
        raw.set(I_BLOCK, self.map);
    }

    fn encode_extra(&self, bytes: &mut [u8], extra: u16) {
        let mut put = |field: Field<LargeInodeLayout, u32>, value: u32| {
            if covers(extra, field) {
                // The field was just found to be inside the inode.
                let _ = value.write(bytes, field.start());
            }
        };
        put(I_ATIME_EXTRA, self.atime.extra());
        put(I_MTIME_EXTRA, self.mtime.extra());
        put(I_CTIME_EXTRA, self.ctime.extra());
        if let Some(crtime) = self.crtime {
            put(I_CRTIME, crtime.low(covers(extra, I_CRTIME_EXTRA)));
            put(I_CRTIME_EXTRA, crtime.extra());
        }
        put(I_PROJID, self.project);
    }

    /// `time` if the inode has room for a time of creation.
    pub fn creation_time(&self, time: Time) -> Option<Time> {
        covers(self.extra_isize, I_CRTIME).then_some(time)
    }
}

/// Whether an inode with `extra` bytes of extra fields has room for a time of creation.
pub fn has_creation_time(extra: u16) -> bool {
    covers(extra, I_CRTIME)
}

/// Whether an inode with `extra` bytes of extra fields has room for a project.
pub fn has_project(extra: u16) -> bool {
    covers(extra, I_PROJID)
}

/// Whether `extra` bytes of extra fields include the field.
fn covers<T: Value>(extra: u16, field: Field<LargeInodeLayout, T>) -> bool {
    field.end() <= usize::from(MIN_INODE_SIZE).saturating_add(usize::from(extra))
}

/// The bytes of one inode.
fn own_bytes<'a>(bytes: &'a mut [u8], volume: &Superblock) -> Result<&'a mut [u8]> {
    let len = bytes.len();
    let record = "inode";
    bytes
        .get_mut(..usize::from(volume.geometry.inode_size()))
        .ok_or(Corruption::Truncated { record, len }.into())
}

/// How many bytes of extra fields the inode has; gives it `wanted` if it has none.
fn extra_fields(bytes: &mut [u8], wanted: u16, room: u16) -> u16 {
    if room == 0 {
        return 0;
    }
    let at = I_EXTRA_ISIZE.start();
    let present = u16::read(bytes, at).unwrap_or(0).min(room);
    if present != 0 || wanted == 0 {
        return present;
    }
    let end = usize::from(MIN_INODE_SIZE).saturating_add(usize::from(wanted));
    if let Some(fields) = bytes.get_mut(at..end) {
        fields.fill(0);
    }
    // The field is inside the inode: there is room.
    let _ = wanted.write(bytes, at);
    wanted
}

// SPDX-License-Identifier: GPL-2.0

//! The superblock: 1024 bytes at byte 1024 of the device, and copies at the beginning of some
//! groups.
//!
//! Format: `Documentation/filesystems/ext4/super.rst`.

use super::{
    error::{
        Corruption,
        Error,
        Result,
        Unsupported, //
    },
    features::{
        Compat,
        Features,
        Incompat,
        RoCompat, //
    },
    fields::*,
    geometry::Geometry,
    raw::{
        Field,
        Raw,
        RawMut, //
    }, //
};

/// `s_magic`.
pub const MAGIC: u16 = 0xef53;

/// Byte of the device at which the primary superblock begins.
pub const SUPERBLOCK_OFFSET: u64 = 1024;

/// Length of a superblock in bytes.
pub const SUPERBLOCK_SIZE: usize = 1024;

/// `s_state`: cleanly unmounted.
pub const STATE_VALID: u16 = 1;

/// `s_state`: errors were found.
pub const STATE_ERROR: u16 = 2;

/// Number of the root directory's inode.
pub const ROOT_INO: u32 = 2;

/// `s_first_ino` of revision 0, and the least possible one.
pub(super) const REV0_FIRST_INO: u32 = 11;

/// `s_inode_size` of revision 0, and the least possible one.
pub const MIN_INODE_SIZE: u16 = 128;

/// A superblock that nobody has checked.
pub type RawSuperblock<'a> = Raw<'a, SuperblockLayout>;

/// A superblock of a mounted volume, to be changed.
pub type RawSuperblockMut<'a> = RawMut<'a, SuperblockLayout>;

/// What to do when corruption is found (`s_errors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Log and go on.
    Continue,
    /// Allow no more writing.
    RemountReadOnly,
    /// Panic.
    Panic,
}

/// `s_default_mount_opts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultOptions(pub u32);

impl DefaultOptions {
    /// New files take the group of their directory (bit 0x2).
    pub const fn bsd_groups(self) -> bool {
        self.0 & 0x2 != 0
    }

    /// User extended attributes (bit 0x4).
    pub const fn user_xattr(self) -> bool {
        self.0 & 0x4 != 0
    }

    /// POSIX access control lists (bit 0x8).
    pub const fn acl(self) -> bool {
        self.0 & 0x8 != 0
    }
}

/// A superblock that has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Size and shape.
    pub geometry: Geometry,
    /// What the format uses.
    pub features: Features,
    /// 0 or 1.
    pub revision: u32,
    /// Blocks that only the super-user may allocate.
    pub reserved_blocks: u32,
    /// User who may use reserved blocks.
    pub resuid: u16,
    /// Group that may use reserved blocks.
    pub resgid: u16,
    /// Free blocks when the volume was last written; a hint.
    pub free_blocks: u32,
    /// Free inodes when the volume was last written; a hint.
    pub free_inodes: u32,
    /// [`STATE_VALID`] and [`STATE_ERROR`].
    pub state: u16,
    /// What to do about corruption.
    pub on_error: OnError,
    /// Mounts since the last check.
    pub mount_count: u16,
    /// Mounts after which to check; not positive for never.
    pub max_mount_count: i16,
    /// Seconds since 1970 of the last check.
    pub last_check: u64,
    /// Seconds after which to check; 0 for never.
    pub check_interval: u32,
    /// Identity of the volume.
    pub uuid: [u8; 16],
    /// Label, filled up with NULs.
    pub volume_name: [u8; 16],
    /// First inode of the list of orphans; 0 for none.
    pub last_orphan: u32,
    /// Mount options to begin with.
    pub default_options: DefaultOptions,
    /// `i_extra_isize` for new inodes, in bytes; fits the inode.
    pub new_extra_isize: u16,
    /// Blocks in a stripe of the array below; 0 if there is none.
    pub stripe_width: u32,
}

/// Bytes of the extra fields up to `i_projid`, all that are known here.
const KNOWN_EXTRA_ISIZE: u16 = 32;

impl Superblock {
    /// Checks the superblock in `bytes` against the format, itself, and a device of `device_bytes`
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`Error::NotExt2`] without the magic; [`Error::Unsupported`] for what is valid and not
    /// served; [`Error::Corrupt`] with the field that lies.
    pub fn parse(bytes: &[u8], device_bytes: u64) -> Result<Self> {
        let raw = RawSuperblock::new(bytes).ok_or(Corruption::Truncated {
            record: "superblock",
            len: bytes.len(),
        })?;
        let magic = raw.get(S_MAGIC);
        if magic != MAGIC {
            return Err(Error::NotExt2 { magic });
        }
        let revision = raw.get(S_REV_LEVEL);
        if revision > 1 {
            return Err(Unsupported::Revision { level: revision }.into());
        }
        let features = features(&raw, revision)?;
        let geometry = Geometry::parse(&raw, revision, features, device_bytes)?;
        Ok(Self {
            geometry,
            features,
            revision,
            reserved_blocks: at_most(
                &raw,
                "s_r_blocks_count",
                S_R_BLOCKS_COUNT,
                geometry.blocks_count(),
            )?,
            resuid: raw.get(S_DEF_RESUID),
            resgid: raw.get(S_DEF_RESGID),
            free_blocks: at_most(
                &raw,
                "s_free_blocks_count",
                S_FREE_BLOCKS_COUNT,
                geometry.blocks_count(),
            )?,
            free_inodes: at_most(
                &raw,
                "s_free_inodes_count",
                S_FREE_INODES_COUNT,
                geometry.inodes_count(),
            )?,
            state: raw.get(S_STATE),
            on_error: match raw.get(S_ERRORS) {
                2 => OnError::RemountReadOnly,
                3 => OnError::Panic,
                _ => OnError::Continue,
            },
            mount_count: raw.get(S_MNT_COUNT),
            max_mount_count: raw.get(S_MAX_MNT_COUNT) as i16,
            last_check: time(&raw, S_LASTCHECK, S_LASTCHECK_HI),
            check_interval: raw.get(S_CHECKINTERVAL),
            uuid: raw.get(S_UUID),
            volume_name: raw.get(S_VOLUME_NAME),
            last_orphan: at_most(
                &raw,
                "s_last_orphan",
                S_LAST_ORPHAN,
                geometry.inodes_count(),
            )?,
            default_options: DefaultOptions(raw.get(S_DEFAULT_MOUNT_OPTS)),
            new_extra_isize: new_extra_isize(&raw, geometry.inode_size(), features)?,
            stripe_width: raw.get(S_RAID_STRIPE_WIDTH),
        })
    }
}

/// The features, if they can be served at all.
fn features(raw: &RawSuperblock<'_>, revision: u32) -> Result<Features> {
    if revision == 0 {
        return Ok(Features::default());
    }
    let features = Features {
        compat: Compat(raw.get(S_FEATURE_COMPAT)),
        incompat: Incompat(raw.get(S_FEATURE_INCOMPAT)),
        ro_compat: RoCompat(raw.get(S_FEATURE_RO_COMPAT)),
    };
    let unknown = features.incompat.without(Features::INCOMPAT_SERVED);
    if !unknown.is_empty() {
        return Err(Unsupported::Incompat { features: unknown }.into());
    }
    // Clusters change the geometry, so that not even reading the bitmaps makes sense.
    if features.ro_compat.contains(RoCompat::BIGALLOC) {
        return Err(Unsupported::RoCompat {
            features: RoCompat::BIGALLOC,
        }
        .into());
    }
    Ok(features)
}

/// A field's value if it is at most `limit`.
fn at_most(
    raw: &RawSuperblock<'_>,
    field: &'static str,
    place: Field<SuperblockLayout, u32>,
    limit: u32,
) -> Result<u32> {
    in_range(raw, field, place, 0, limit)
}

/// A field's value if it is in `least..=most`.
pub(super) fn in_range(
    raw: &RawSuperblock<'_>,
    field: &'static str,
    place: Field<SuperblockLayout, u32>,
    least: u32,
    most: u32,
) -> Result<u32> {
    let value = raw.get(place);
    if value < least || value > most {
        return Err(bad_field(field, value));
    }
    Ok(value)
}

/// The error for a field with a value that the format does not allow.
pub(super) fn bad_field(field: &'static str, value: u32) -> Error {
    Corruption::SuperField {
        field,
        value: u64::from(value),
    }
    .into()
}

/// A time of 40 bits, in seconds since 1970.
fn time(
    raw: &RawSuperblock<'_>,
    low: Field<SuperblockLayout, u32>,
    high: Field<SuperblockLayout, u8>,
) -> u64 {
    u64::from(raw.get(low)) | u64::from(raw.get(high)).wrapping_shl(32)
}

/// Bytes of extra fields that new inodes get: as many as are known, or as the volume demands.
fn new_extra_isize(raw: &RawSuperblock<'_>, inode_size: u16, features: Features) -> Result<u16> {
    let room = inode_size.saturating_sub(MIN_INODE_SIZE);
    let known = KNOWN_EXTRA_ISIZE.min(room);
    if room == 0 || !features.ro_compat.contains(RoCompat::EXTRA_ISIZE) {
        return Ok(known);
    }
    let wanted = raw.get(S_MIN_EXTRA_ISIZE).max(raw.get(S_WANT_EXTRA_ISIZE));
    if wanted > room || wanted % 4 != 0 {
        return Err(bad_field("s_want_extra_isize", u32::from(wanted)));
    }
    Ok(known.max(wanted))
}

// SPDX-License-Identifier: GPL-2.0

//! The records on disk and their fields.
//!
//! Names are those of `Documentation/filesystems/ext4/` (`super.rst`, `group_descr.rst`,
//! `inodes.rst`) in capitals. Fields that belong to other file systems of the family are left out.

use super::raw::record;

record! {
    /// The superblock on disk.
    pub SuperblockLayout: 1024 bytes {
        /// Inodes on the volume.
        S_INODES_COUNT: u32 = 0x0,
        /// Blocks on the volume.
        S_BLOCKS_COUNT: u32 = 0x4,
        /// Blocks that only the super-user may allocate.
        S_R_BLOCKS_COUNT: u32 = 0x8,
        /// Free blocks; a hint, the truth is in the bitmaps.
        S_FREE_BLOCKS_COUNT: u32 = 0xc,
        /// Free inodes; a hint as well.
        S_FREE_INODES_COUNT: u32 = 0x10,
        /// First block of group 0.
        S_FIRST_DATA_BLOCK: u32 = 0x14,
        /// Block size in bytes is 2 to the power of 10 plus this.
        S_LOG_BLOCK_SIZE: u32 = 0x18,
        /// The same for fragments (clusters with bigalloc).
        S_LOG_CLUSTER_SIZE: u32 = 0x1c,
        /// Blocks in a group.
        S_BLOCKS_PER_GROUP: u32 = 0x20,
        /// Fragments (clusters) in a group.
        S_CLUSTERS_PER_GROUP: u32 = 0x24,
        /// Inodes in a group.
        S_INODES_PER_GROUP: u32 = 0x28,
        /// Time of the last mount, in seconds since 1970; low 32 bits.
        S_MTIME: u32 = 0x2c,
        /// Time of the last write, in seconds since 1970; low 32 bits.
        S_WTIME: u32 = 0x30,
        /// Mounts since the last check.
        S_MNT_COUNT: u16 = 0x34,
        /// Mounts after which to check; negative for never.
        S_MAX_MNT_COUNT: u16 = 0x36,
        /// [`super::superblock::MAGIC`].
        S_MAGIC: u16 = 0x38,
        /// [`super::superblock::STATE_VALID`], [`super::superblock::STATE_ERROR`].
        S_STATE: u16 = 0x3a,
        /// What to do about errors: 1 continue, 2 remount read-only, 3 panic.
        S_ERRORS: u16 = 0x3c,
        /// Time of the last check, in seconds since 1970; low 32 bits.
        S_LASTCHECK: u32 = 0x40,
        /// Seconds after which to check; 0 for never.
        S_CHECKINTERVAL: u32 = 0x44,
        /// Who made the volume: 0 is Linux.
        S_CREATOR_OS: u32 = 0x48,
        /// Revision: 0 or 1. Fields from `S_FIRST_INO` on have a meaning from 1 on.
        S_REV_LEVEL: u32 = 0x4c,
        /// User who may use reserved blocks.
        S_DEF_RESUID: u16 = 0x50,
        /// Group that may use reserved blocks.
        S_DEF_RESGID: u16 = 0x52,
        /// First inode number that is not reserved.
        S_FIRST_INO: u32 = 0x54,
        /// Size of an inode in bytes.
        S_INODE_SIZE: u16 = 0x58,
        /// The group that this copy is in.
        S_BLOCK_GROUP_NR: u16 = 0x5a,
        /// [`super::features::Compat`] features.
        S_FEATURE_COMPAT: u32 = 0x5c,
        /// [`super::features::Incompat`] features.
        S_FEATURE_INCOMPAT: u32 = 0x60,
        /// [`super::features::RoCompat`] features.
        S_FEATURE_RO_COMPAT: u32 = 0x64,
        /// Identity of the volume.
        S_UUID: [u8; 16] = 0x68,
        /// Label, ended by a NUL if shorter.
        S_VOLUME_NAME: [u8; 16] = 0x78,
        /// Descriptor blocks kept free behind the descriptors, for growth.
        S_RESERVED_GDT_BLOCKS: u16 = 0xce,
        /// First inode of the list of orphans, linked through `i_dtime`; 0 for none.
        S_LAST_ORPHAN: u32 = 0xe8,
        /// Mount options to begin with, see [`super::superblock::DefaultOptions`].
        S_DEFAULT_MOUNT_OPTS: u32 = 0x100,
        /// First descriptor block that is placed by meta_bg.
        S_FIRST_META_BG: u32 = 0x104,
        /// Bytes of extra fields that all inodes have.
        S_MIN_EXTRA_ISIZE: u16 = 0x15c,
        /// Bytes of extra fields that new inodes should have.
        S_WANT_EXTRA_ISIZE: u16 = 0x15e,
        /// Blocks written to one disk of an array before moving to the next.
        S_RAID_STRIDE: u16 = 0x164,
        /// Blocks written to all disks of an array before returning to the first.
        S_RAID_STRIPE_WIDTH: u32 = 0x170,
        /// Errors seen since the last check.
        S_ERROR_COUNT: u32 = 0x194,
        /// Seconds since 1970 of the first error; low 32 bits.
        S_FIRST_ERROR_TIME: u32 = 0x198,
        /// Inode of the first error.
        S_FIRST_ERROR_INO: u32 = 0x19c,
        /// Block of the first error.
        S_FIRST_ERROR_BLOCK: u64 = 0x1a0,
        /// Function that found the first error.
        S_FIRST_ERROR_FUNC: [u8; 32] = 0x1a8,
        /// Source line that found the first error.
        S_FIRST_ERROR_LINE: u32 = 0x1c8,
        /// Seconds since 1970 of the last error; low 32 bits.
        S_LAST_ERROR_TIME: u32 = 0x1cc,
        /// Inode of the last error.
        S_LAST_ERROR_INO: u32 = 0x1d0,
        /// Source line that found the last error.
        S_LAST_ERROR_LINE: u32 = 0x1d4,
        /// Block of the last error.
        S_LAST_ERROR_BLOCK: u64 = 0x1d8,
        /// Function that found the last error.
        S_LAST_ERROR_FUNC: [u8; 32] = 0x1e0,
        /// Groups with superblock copies (sparse_super2), first.
        S_BACKUP_BG0: u32 = 0x24c,
        /// Groups with superblock copies (sparse_super2), second.
        S_BACKUP_BG1: u32 = 0x250,
        /// Bits 32‥39 of the time of the last write.
        S_WTIME_HI: u8 = 0x274,
        /// Bits 32‥39 of the time of the last mount.
        S_MTIME_HI: u8 = 0x275,
        /// Bits 32‥39 of the time of the last check.
        S_LASTCHECK_HI: u8 = 0x277,
        /// Bits 32‥39 of the time of the first error.
        S_FIRST_ERROR_TIME_HI: u8 = 0x278,
        /// Bits 32‥39 of the time of the last error.
        S_LAST_ERROR_TIME_HI: u8 = 0x279,
        /// Kind of the first error.
        S_FIRST_ERROR_ERRCODE: u8 = 0x27a,
        /// Kind of the last error.
        S_LAST_ERROR_ERRCODE: u8 = 0x27b,
    }
}

record! {
    /// A group descriptor on disk (without the 64bit feature).
    pub GroupDescLayout: 32 bytes {
        /// Block of the block bitmap.
        BG_BLOCK_BITMAP: u32 = 0x0,
        /// Block of the inode bitmap.
        BG_INODE_BITMAP: u32 = 0x4,
        /// First block of the inode table.
        BG_INODE_TABLE: u32 = 0x8,
        /// Free blocks of the group.
        BG_FREE_BLOCKS_COUNT: u16 = 0xc,
        /// Free inodes of the group.
        BG_FREE_INODES_COUNT: u16 = 0xe,
        /// Directories among the group's inodes.
        BG_USED_DIRS_COUNT: u16 = 0x10,
        /// Flags of uninitialised groups; always 0 on ext2.
        BG_FLAGS: u16 = 0x12,
    }
}

record! {
    /// The part of an inode on disk that all sizes of inodes have.
    pub InodeLayout: 128 bytes {
        /// Type and permissions.
        I_MODE: u16 = 0x0,
        /// Owner, low 16 bits.
        I_UID: u16 = 0x2,
        /// Length in bytes, low 32 bits.
        I_SIZE: u32 = 0x4,
        /// Time of the last access, in seconds since 1970, signed; low 32 bits.
        I_ATIME: u32 = 0x8,
        /// Time of the last change of the inode, likewise.
        I_CTIME: u32 = 0xc,
        /// Time of the last change of the contents, likewise.
        I_MTIME: u32 = 0x10,
        /// Time of deletion in seconds since 1970; the next inode's number on the list of orphans.
        I_DTIME: u32 = 0x14,
        /// Group, low 16 bits.
        I_GID: u16 = 0x18,
        /// Names that lead to the inode.
        I_LINKS_COUNT: u16 = 0x1a,
        /// Blocks in use, metadata included, in units of 512 bytes.
        I_BLOCKS: u32 = 0x1c,
        /// Attributes of `chattr`, and how the contents are represented.
        I_FLAGS: u32 = 0x20,
        /// Block map, target of a fast symlink, or device number.
        I_BLOCK: [u8; 60] = 0x28,
        /// Distinguishes files that had the same inode number, for NFS.
        I_GENERATION: u32 = 0x64,
        /// Block of extended attributes.
        I_FILE_ACL: u32 = 0x68,
        /// Length in bytes of a regular file, high 32 bits; unused (formerly an access list's
        /// block) for others.
        I_SIZE_HIGH: u32 = 0x6c,
        /// Blocks in use, bits 32‥47 (huge_file).
        I_BLOCKS_HIGH: u16 = 0x74,
        /// Owner, high 16 bits.
        I_UID_HIGH: u16 = 0x78,
        /// Group, high 16 bits.
        I_GID_HIGH: u16 = 0x7a,
    }
}

record! {
    /// An inode on disk with all extra fields that are known here.
    ///
    /// Which of them a given inode has is told by its size and `I_EXTRA_ISIZE`.
    pub LargeInodeLayout: 160 bytes {
        /// Bytes of extra fields in use, this one included.
        I_EXTRA_ISIZE: u16 = 0x80,
        /// Two more bits of seconds (bits 0‥1) and nanoseconds (bits 2‥31) of `I_CTIME`.
        I_CTIME_EXTRA: u32 = 0x84,
        /// The same of `I_MTIME`.
        I_MTIME_EXTRA: u32 = 0x88,
        /// The same of `I_ATIME`.
        I_ATIME_EXTRA: u32 = 0x8c,
        /// Time of creation, in seconds since 1970, signed; low 32 bits.
        I_CRTIME: u32 = 0x90,
        /// More of `I_CRTIME`.
        I_CRTIME_EXTRA: u32 = 0x94,
        /// Project.
        I_PROJID: u32 = 0x9c,
    }
}

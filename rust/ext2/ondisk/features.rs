// SPDX-License-Identifier: GPL-2.0

//! The three sets of format features.
//!
//! Bits and names are those of `Documentation/filesystems/ext4/super.rst` and of `mke2fs -O`.

use core::fmt;

macro_rules! feature_set {
    ($(#[$doc:meta])* $set:ident { $($(#[$bit_doc:meta])* $name:ident = $bit:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $set(pub u32);

        impl $set {
            $($(#[$bit_doc])* pub const $name: Self = Self($bit);)*

            const NAMES: &'static [(u32, &'static str)] = &[$(($bit, $text)),*];

            /// Whether all of `other` is in this set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// What is in this set and not in `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// Both sets together.
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Whether no feature is in the set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $set {
            /// The names, separated by spaces; bits without a name as one hexadecimal number.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut rest = self.0;
                let mut separator = "";
                for &(bit, name) in Self::NAMES {
                    if self.0 & bit != 0 {
                        write!(f, "{separator}{name}")?;
                        separator = " ";
                        rest &= !bit;
                    }
                }
                if rest != 0 {
                    write!(f, "{separator}{rest:#x}")?;
                }
                Ok(())
            }
        }
    };
}

feature_set! {
    /// `s_feature_compat`: a driver that does not know them may still read and write.
    Compat {
        /// Blocks are preallocated to directories.
        DIR_PREALLOC = 0x1, "dir_prealloc";
        /// AFS inodes.
        IMAGIC_INODES = 0x2, "imagic_inodes";
        /// There is a journal; clean if `RECOVER` is not set.
        HAS_JOURNAL = 0x4, "has_journal";
        /// Extended attributes may exist.
        EXT_ATTR = 0x8, "ext_attr";
        /// Inode 7 holds blocks reserved for growth of the descriptor table.
        RESIZE_INODE = 0x10, "resize_inode";
        /// Directories may have hash trees, hidden in what reads as ordinary blocks.
        DIR_INDEX = 0x20, "dir_index";
        /// Superblock backups only in the groups of `s_backup_bgs`.
        SPARSE_SUPER2 = 0x200, "sparse_super2";
        /// Fast commits in the journal.
        FAST_COMMIT = 0x400, "fast_commit";
        /// Inode numbers and the uuid never change.
        STABLE_INODES = 0x800, "stable_inodes";
        /// There is an orphan file.
        ORPHAN_FILE = 0x1000, "orphan_file";
    }
}

feature_set! {
    /// `s_feature_incompat`: a driver that does not know one must not mount.
    Incompat {
        /// Compressed files.
        COMPRESSION = 0x1, "compression";
        /// Directory entries have a type.
        FILETYPE = 0x2, "filetype";
        /// The journal has to be replayed.
        RECOVER = 0x4, "needs_recovery";
        /// This device is a journal.
        JOURNAL_DEV = 0x8, "journal_dev";
        /// Descriptor blocks are spread over the volume.
        META_BG = 0x10, "meta_bg";
        /// Files are mapped by extents.
        EXTENTS = 0x40, "extents";
        /// 64-bit block numbers.
        BIT64 = 0x80, "64bit";
        /// Multiple-mount protection.
        MMP = 0x100, "mmp";
        /// A group's metadata may be in another group.
        FLEX_BG = 0x200, "flex_bg";
        /// Attribute values in inodes of their own.
        EA_INODE = 0x400, "ea_inode";
        /// Data in directory entries.
        DIRDATA = 0x1000, "dirdata";
        /// Checksum seed in the superblock.
        CSUM_SEED = 0x2000, "metadata_csum_seed";
        /// Directories above 2 GiB.
        LARGEDIR = 0x4000, "large_dir";
        /// File data in inodes.
        INLINE_DATA = 0x8000, "inline_data";
        /// Encrypted files.
        ENCRYPT = 0x10000, "encrypt";
        /// Case-insensitive directories.
        CASEFOLD = 0x20000, "casefold";
    }
}

feature_set! {
    /// `s_feature_ro_compat`: a driver that does not know one may only read.
    RoCompat {
        /// Superblock backups only in groups 0, 1 and powers of 3, 5 and 7.
        SPARSE_SUPER = 0x1, "sparse_super";
        /// Files of 2 GiB and above.
        LARGE_FILE = 0x2, "large_file";
        /// Never used.
        BTREE_DIR = 0x4, "btree_dir";
        /// Block counts of inodes may be above 2^32 and in units of file-system blocks.
        HUGE_FILE = 0x8, "huge_file";
        /// Group descriptors have checksums, groups may be uninitialised.
        GDT_CSUM = 0x10, "uninit_bg";
        /// Directories may have more than 65000 subdirectories.
        DIR_NLINK = 0x20, "dir_nlink";
        /// Large inodes reserve room for `s_min_extra_isize` bytes.
        EXTRA_ISIZE = 0x40, "extra_isize";
        /// Hidden quota files.
        QUOTA = 0x100, "quota";
        /// Bitmaps count clusters.
        BIGALLOC = 0x200, "bigalloc";
        /// Checksums on metadata.
        METADATA_CSUM = 0x400, "metadata_csum";
        /// Replicas.
        REPLICA = 0x800, "replica";
        /// Never to be written.
        READONLY = 0x1000, "read-only";
        /// Inodes have project ids.
        PROJECT = 0x2000, "project";
        /// Files share blocks.
        SHARED_BLOCKS = 0x4000, "shared_blocks";
        /// Verity files.
        VERITY = 0x8000, "verity";
        /// The orphan file has entries.
        ORPHAN_PRESENT = 0x10000, "orphan_present";
    }
}

/// The features of one volume. Revision 0 has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// May be ignored.
    pub compat: Compat,
    /// Must be known to mount.
    pub incompat: Incompat,
    /// Must be known to write.
    pub ro_compat: RoCompat,
}

impl Features {
    /// Incompatible features that are served.
    pub const INCOMPAT_SERVED: Incompat = Incompat::FILETYPE.union(Incompat::META_BG);

    /// Read-only-compatible features with which a volume may be written.
    pub const RO_COMPAT_SERVED: RoCompat = RoCompat::SPARSE_SUPER
        .union(RoCompat::LARGE_FILE)
        .union(RoCompat::BTREE_DIR)
        .union(RoCompat::EXTRA_ISIZE)
        .union(RoCompat::PROJECT);

    /// Features because of which the volume can be mounted read-only at most; empty if it can be
    /// written.
    pub const fn blocking_write(self) -> RoCompat {
        self.ro_compat.without(Self::RO_COMPAT_SERVED)
    }

    /// Whether directory entries have a type byte.
    pub const fn filetype(self) -> bool {
        self.incompat.contains(Incompat::FILETYPE)
    }

    /// Whether files may be 2 GiB long and longer.
    pub const fn large_file(self) -> bool {
        self.ro_compat.contains(RoCompat::LARGE_FILE)
    }

    /// Whether `i_blocks` may have 48 bits and count file-system blocks.
    pub const fn huge_file(self) -> bool {
        self.ro_compat.contains(RoCompat::HUGE_FILE)
    }
}

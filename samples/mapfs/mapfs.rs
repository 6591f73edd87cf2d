// SPDX-License-Identifier: GPL-2.0

//! mapfs: a read-only file system in one flat directory, whose files are lists of runs. It shows what is left to
//! write once [`vfs`] and [`mpage`] are there: what a volume is, where a file's blocks lie, and names.
//!
//! There is no I/O in this file beyond reading the table at mount. Reading files, through the page cache and past
//! it, mmap, readahead, FIEMAP and SEEK_HOLE come from [`BlockMap::map`] alone.

use kernel::{prelude::*, str::CStr, sync::aref::ARef};

mod format;
mod table;
// A file system rarely needs all that these offer.
#[path = "../../rust/bindings/mod.rs"]
mod bindings;
#[allow(dead_code)]
#[path = "../../rust/mpage/mod.rs"]
mod mpage;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../../rust/vfs/mod.rs"]
mod vfs;

use format::{File, NAME_MAX, SIZE_MAX};
use mpage::{plan::Run, read_only::ReadOnly, BlockMap};
use table::Volume;
use vfs::{
    dir::DirEmitter,
    errno::ESTALE,
    file_ops::FileOperations,
    fs_type::Registration,
    inode::{InodeFields, NewInode},
    inode_ops::{FixedAttributes, InodeOperations},
    iomap::NoMap,
    stat::{StatFs, Usage},
    super_block::{Iget, NewSuperBlock},
    super_ops::SuperOperations,
    FileSystem,
};

module! {
    type: Module,
    name: "mapfs",
    authors: ["The rext2 authors"],
    description: "A read-only file system of runs: the sample and test bench of rext2's page-I/O engine",
    license: "GPL",
    alias: ["fs-mapfs"],
}

/// The module is the registration: loading takes the name, unloading gives it back.
#[pin_data]
struct Module {
    #[pin]
    registration: Registration<MapFs>,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self { registration <- Registration::new(c"mapfs", module) }? Error)
    }
}

/// The file system, as a type.
struct MapFs;

type Inode = vfs::inode::Inode<MapFs>;
type SuperBlock = vfs::super_block::SuperBlock<MapFs>;

/// The root directory's inode. File n of the table has the inode `FIRST_INO` + n.
const ROOT_INO: u64 = 1;
const FIRST_INO: u64 = 2;

/// The heart of the file system: where a file's blocks lie. All reading is built on it.
impl BlockMap for MapFs {
    fn map(inode: &Inode, first: u64, _max: u64) -> Result<Run> {
        let (volume, file) = (inode.sb().data(), inode.data());
        Ok(format::find_run(
            volume.runs(file),
            first,
            file.blocks(&volume.header),
        ))
    }
}

impl FileSystem for MapFs {
    const CACHE_NAME: &'static CStr = c"mapfs_inode";
    type Options = ();
    type Super = Volume;
    type Inode = File;

    fn options(_sb: Option<&SuperBlock>) -> Result {
        Ok(())
    }

    fn fill_super(sb: &NewSuperBlock<Self>, _options: &()) -> Result<KBox<Volume>> {
        let volume = Volume::read(sb)?;
        sb.set_limits(format::MAGIC as u32, SIZE_MAX, 1);
        sb.set_read_only();
        Ok(KBox::new(volume, GFP_KERNEL)?)
    }

    fn root(sb: &SuperBlock) -> Result<ARef<Inode>> {
        Self::inode_by_number(sb, ROOT_INO)
    }

    fn new_inode_data() -> impl PinInit<File> {
        File::default()
    }
}

#[vtable]
impl SuperOperations for MapFs {
    type FS = Self;

    fn statfs(sb: &SuperBlock, stat: &mut StatFs<'_>) -> Result {
        let header = &sb.data().header;
        stat.set(&Usage {
            block_size: header.block_size(),
            blocks: header.blocks,
            inodes: header.files,
            name_len: NAME_MAX as u32,
            ..Usage::default()
        });
        Ok(())
    }

    fn inode_by_number(sb: &SuperBlock, ino: u64) -> Result<ARef<Inode>> {
        let file = sb.data().file(ino);
        if file.is_none() && ino != ROOT_INO {
            return Err(ESTALE());
        }
        match sb.iget(ino)? {
            Iget::Live(inode) => Ok(inode),
            Iget::New(inode) => Ok(fill(inode, file)),
        }
    }
}

/// Makes a new inode a file or, without one, the root directory, and publishes it.
fn fill(mut inode: NewInode<MapFs>, file: Option<&File>) -> ARef<Inode> {
    let (mode, links) = if file.is_some() {
        (0o100444, 1)
    } else {
        (0o040555, 2)
    };
    let volume = inode.sb().data();
    inode.set_fields(&InodeFields {
        mode,
        links,
        size: file.map_or(0, |file| file.size),
        sectors: file.map_or(0, |file| volume.sectors(file)),
        ..InodeFields::default()
    });
    match file {
        Some(file) => {
            *inode.data_mut() = *file;
            inode.set_inode_ops::<ReadOnly<MapFs>>();
            inode.set_file_ops::<ReadOnly<MapFs>>();
            inode.set_aops::<ReadOnly<MapFs>>();
        }
        None => {
            inode.set_inode_ops::<Root>();
            inode.set_file_ops::<Root>();
        }
    }
    inode.live()
}

/// The root directory: the names of all files.
struct Root;

#[vtable]
impl InodeOperations for Root {
    type FS = MapFs;
    type Map = NoMap<MapFs>;
    type Attributes = FixedAttributes<MapFs>;

    fn lookup(dir: &Inode, name: &[u8]) -> Result<Option<ARef<Inode>>> {
        let found = dir
            .sb()
            .data()
            .files
            .binary_search_by(|file| file.name().cmp(name));
        found
            .ok()
            .map(|index| MapFs::inode_by_number(dir.sb(), FIRST_INO.saturating_add(index as u64)))
            .transpose()
    }
}

#[vtable]
impl FileOperations for Root {
    type FS = MapFs;
    type Map = NoMap<MapFs>;
    const HAS_DATA: bool = false;

    /// The position is 0 for `.`, 1 for `..`, and from then on the inode number of a file.
    fn iterate(open: &vfs::file::File<MapFs>, out: &mut DirEmitter<'_>) -> Result {
        const DT_DIR: u8 = 4;
        const DT_REG: u8 = 8;
        loop {
            let position = out.position();
            let taken = match (position, open.inode().sb().data().file(position)) {
                (0, _) => out.emit(b".", ROOT_INO, DT_DIR),
                (1, _) => out.emit(b"..", ROOT_INO, DT_DIR),
                (ino, Some(file)) => out.emit(file.name(), ino, DT_REG),
                (_, None) => return Ok(()),
            };
            if !taken {
                return Ok(());
            }
            out.set_position(position.saturating_add(1));
        }
    }
}

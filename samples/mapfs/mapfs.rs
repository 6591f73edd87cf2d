// SPDX-License-Identifier: GPL-2.0

//! mapfs: a read-only file system in one flat directory, whose files are lists of runs. It shows what is left to
//! write once [`vfs`] and [`mpage`] are there: what a volume is, where a file's blocks lie, and names.
//!
//! There is no I/O in this file beyond reading the table at mount. Reading files, through the page cache and past
//! it, mmap, readahead, FIEMAP and SEEK_HOLE come from [`BlockMap::map`] alone.

use kernel::{prelude::*, str::CStr, sync::aref::ARef};

mod format;
// A file system rarely needs all that these offer.
#[path = "../../rust/bindings/mod.rs"]
mod bindings;
#[allow(dead_code)]
#[path = "../../rust/mpage/mod.rs"]
mod mpage;
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../../rust/vfs/mod.rs"]
mod vfs;

use format::{Corruption, File, Header, Record, NAME_MAX, RECORD_SIZE, SIZE_MAX};
use mpage::{plan::Run, read, BlockMap, ReadMap};
use vfs::{
    aops::AddressSpaceOperations,
    context::ParamValue,
    dir::DirEmitter,
    errno::{ESTALE, EUCLEAN},
    file_ops::FileOperations,
    folio::LockedFolio,
    fs_type::Registration,
    inode::{InodeFields, NewInode, Timestamp},
    inode_ops::InodeOperations,
    iomap::NoMap,
    readahead::Readahead,
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

/// What is kept for a mounted volume: its table, checked.
struct Volume {
    header: Header,
    files: KVVec<File>,
    runs: KVVec<Run>,
}

impl Volume {
    fn file(&self, ino: u64) -> Option<&File> {
        self.files
            .get(usize::try_from(ino.checked_sub(FIRST_INO)?).ok()?)
    }

    fn runs(&self, file: &File) -> &[Run] {
        self.runs
            .get(file.first_run as usize..file.end_run as usize)
            .unwrap_or_default()
    }
}

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

    fn parse_param(_options: &mut (), _key: &[u8], _value: ParamValue<'_>) -> Result {
        Err(ENOPARAM)
    }

    fn fill_super(sb: &NewSuperBlock<Self>, _options: &()) -> Result<KBox<Volume>> {
        let device_block = sb.min_block_size(RECORD_SIZE as u32)?;
        let header = Header::parse(&read_record(sb, device_block, 0)?, sb.device_bytes())
            .map_err(|error| refuse(sb, error))?;
        sb.set_block_size(header.block_size()).inspect_err(|_| {
            pr_err!(
                "{}: the device cannot do blocks of {} bytes\n",
                sb.id(),
                header.block_size()
            );
        })?;
        sb.set_limits(format::MAGIC as u32, SIZE_MAX, 1);
        sb.set_read_only();
        Ok(KBox::new(read_table(sb, header)?, GFP_KERNEL)?)
    }

    fn root(sb: &SuperBlock) -> Result<ARef<Inode>> {
        Self::inode_by_number(sb, ROOT_INO)
    }

    fn reconfigure(_sb: &SuperBlock, _options: &(), read_only: bool) -> Result {
        if read_only {
            Ok(())
        } else {
            Err(EROFS)
        }
    }

    fn new_inode_data() -> impl PinInit<File> {
        File::default()
    }
}

/// Logs why a volume is not mounted, and gives the errno for it.
fn refuse(sb: &NewSuperBlock<MapFs>, error: Corruption) -> Error {
    if error != Corruption::Magic {
        pr_err!("{}: not mounted: {}\n", sb.id(), format_args!("{error}"));
        return EUCLEAN();
    }
    if !sb.is_silent() {
        pr_err!("{}: not mounted: {}\n", sb.id(), format_args!("{error}"));
    }
    EINVAL
}

/// Reads one record of the table.
fn read_record(sb: &NewSuperBlock<MapFs>, block_size: u32, index: u64) -> Result<Record> {
    let place = index.saturating_mul(RECORD_SIZE as u64);
    let block = place.checked_div(block_size.into()).ok_or(EINVAL)?;
    let offset = place.checked_rem(block_size.into()).ok_or(EINVAL)? as usize;
    let buffer = sb.read(block).inspect_err(|_| {
        pr_err!(
            "{}: not mounted: block {}: cannot read the table\n",
            sb.id(),
            block
        );
    })?;
    let record = buffer
        .bytes()
        .get(offset..)
        .and_then(|bytes| bytes.first_chunk());
    record.copied().ok_or(EIO)
}

/// Reads and checks all files and runs.
fn read_table(sb: &NewSuperBlock<MapFs>, header: Header) -> Result<Volume> {
    let record = |index| read_record(sb, header.block_size(), index);
    let mut files = KVVec::with_capacity(header.files as usize, GFP_KERNEL)?;
    for index in 1..=header.files {
        let file = File::parse(&record(index)?, &header, files.last());
        files.push(file.map_err(|error| refuse(sb, error))?, GFP_KERNEL)?;
    }
    let mut runs = KVVec::with_capacity(header.runs as usize, GFP_KERNEL)?;
    for file in &files {
        let mut before = None;
        for index in file.first_run..file.end_run {
            let run = format::parse_run(
                &record(header.run_record(index))?,
                &header,
                file,
                before.as_ref(),
            );
            let run = run.map_err(|error| refuse(sb, error))?;
            runs.push(run, GFP_KERNEL)?;
            before = Some(run);
        }
    }
    Ok(Volume {
        header,
        files,
        runs,
    })
}

#[vtable]
impl SuperOperations for MapFs {
    type FS = Self;

    fn statfs(sb: &SuperBlock, stat: &mut StatFs<'_>) -> Result {
        let Header { blocks, files, .. } = sb.data().header;
        stat.set(&Usage {
            block_size: sb.data().header.block_size(),
            blocks,
            inodes: files,
            name_len: NAME_MAX as u32,
            ..Usage::default()
        });
        Ok(())
    }

    fn show_options(_sb: &SuperBlock, _out: &mut dyn core::fmt::Write) -> core::fmt::Result {
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
    let blocks = file.map_or(0, |file| {
        volume
            .runs(file)
            .iter()
            .fold(0, |sum, run| run.len.saturating_add(sum))
    });
    let sectors = blocks << volume.header.block_bits.saturating_sub(9);
    let (size, time) = (file.map_or(0, |file| file.size), Timestamp::default());
    inode.set_fields(&InodeFields {
        mode,
        uid: 0,
        gid: 0,
        links,
        size,
        sectors,
        generation: 0,
        accessed: time,
        modified: time,
        changed: time,
        vfs_flags: 0,
    });
    match file {
        Some(file) => {
            *inode.data_mut() = *file;
            inode.set_inode_ops::<Regular>();
            inode.set_file_ops::<Regular>();
            inode.set_aops::<Regular>();
        }
        None => {
            inode.set_inode_ops::<Root>();
            inode.set_file_ops::<Root>();
        }
    }
    inode.live()
}

/// A file. What it can do follows from its map.
struct Regular;

#[vtable]
impl InodeOperations for Regular {
    type FS = MapFs;
    type Map = ReadMap<MapFs>;
}

#[vtable]
impl FileOperations for Regular {
    type FS = MapFs;
    type Map = ReadMap<MapFs>;
    const HAS_DATA: bool = true;
}

#[vtable]
impl AddressSpaceOperations for Regular {
    type FS = MapFs;
    type Map = ReadMap<MapFs>;

    fn read_folio(inode: &Inode, folio: LockedFolio<'_>) -> Result {
        read::read_folio(inode, folio)
    }

    fn readahead(window: &mut Readahead<'_, MapFs>) {
        read::readahead(window);
    }
}

/// The root directory: the names of all files.
struct Root;

#[vtable]
impl InodeOperations for Root {
    type FS = MapFs;
    type Map = NoMap<MapFs>;

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

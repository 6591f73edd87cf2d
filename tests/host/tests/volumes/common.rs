// SPDX-License-Identifier: GPL-2.0

//! Volumes made by `mke2fs`, and a small reader on top of the pure files.

use rext2_host::ext2::ondisk::{
    dirent::{DirBlock, DirFormat},
    error::Result,
    group::GroupDesc,
    inode::{Inode, Kind},
    path::{pointer_run, Path, Run},
    superblock::{Superblock, ROOT_INO, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE},
};
use std::{
    fs,
    path::{Path as FsPath, PathBuf},
    process::Command,
};

/// A fresh folder of this name for a test's files.
pub fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("the scratch folder can be made");
    dir
}

/// Runs a program of e2fsprogs, which may not be in `PATH` of ordinary users.
pub fn e2fs(program: &str, args: &[&str]) -> String {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("/usr/bin/env")
        .arg(format!("PATH={path}"))
        .arg("MKE2FS_CONFIG=/dev/null")
        .arg(program)
        .args(args)
        .output()
        .expect("env can be run");
    assert!(
        output.status.success(),
        "{program} {args:?} (is e2fsprogs installed?): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a volume of `size` (as `mke2fs` takes it) in `file`.
pub fn mke2fs(file: &FsPath, size: &str, options: &[&str]) {
    let mut args = vec!["-q", "-F"];
    args.extend(options);
    args.extend([file.to_str().expect("paths of tests are UTF-8"), size]);
    e2fs("mke2fs", &args);
    // mke2fs does not write free blocks at the end of a file.
    let bytes = fs::read(file).expect("the image can be read");
    let word = |at: usize| {
        u64::from_le_bytes([
            bytes[at],
            bytes[at + 1],
            bytes[at + 2],
            bytes[at + 3],
            0,
            0,
            0,
            0,
        ])
    };
    let len = word(1024 + 4) << (10 + word(1024 + 0x18));
    let image = fs::OpenOptions::new().write(true).open(file);
    let result = image.and_then(|image| image.set_len(len.max(bytes.len() as u64)));
    result.expect("the image can be made longer");
}

/// Runs commands of `debugfs` that may write.
pub fn debugfs(file: &FsPath, commands: &[&str]) {
    let script = file.with_extension("debugfs");
    fs::write(&script, commands.join("\n") + "\n").expect("the script can be written");
    let [file, script] =
        [file, &script].map(|path| path.to_str().expect("paths of tests are UTF-8"));
    e2fs("debugfs", &["-w", "-f", script, file]);
}

/// Name, inode number and type of a directory entry.
pub type Listed = (Vec<u8>, u32, Option<Kind>);

/// A volume in memory.
pub struct Volume {
    pub bytes: Vec<u8>,
    pub superblock: Superblock,
    /// Block of the superblock in use.
    super_block: u32,
}

impl Volume {
    /// Reads a volume through its primary superblock.
    pub fn open(file: &FsPath) -> Self {
        let bytes = fs::read(file).expect("the image can be read");
        Self::from_bytes(bytes).expect("the volume is valid")
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let superblock = Self::superblock_at(&bytes, SUPERBLOCK_OFFSET)?;
        let super_block = superblock.geometry.first_data_block();
        Ok(Self {
            bytes,
            superblock,
            super_block,
        })
    }

    /// Reads a volume through the copy of the superblock at the beginning of a group.
    pub fn from_backup(bytes: Vec<u8>, group: u32) -> Result<Self> {
        let geometry = Self::superblock_at(&bytes, SUPERBLOCK_OFFSET)?.geometry;
        let super_block = geometry.group_first_block(group);
        let at = u64::from(super_block) * u64::from(geometry.block_size());
        let superblock = Self::superblock_at(&bytes, at)?;
        Ok(Self {
            bytes,
            superblock,
            super_block,
        })
    }

    fn superblock_at(bytes: &[u8], at: u64) -> Result<Superblock> {
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let record = &rest[..rest.len().min(SUPERBLOCK_SIZE)];
        Superblock::parse(record, bytes.len() as u64)
    }

    pub fn block_size(&self) -> u32 {
        self.superblock.geometry.block_size()
    }

    pub fn block(&self, block: u32) -> &[u8] {
        let size = self.block_size() as usize;
        &self.bytes[block as usize * size..][..size]
    }

    pub fn desc(&self, group: u32) -> Result<GroupDesc> {
        let geometry = &self.superblock.geometry;
        let (desc_block, offset) = geometry.desc_place(group);
        let block = geometry.desc_block(desc_block, self.super_block);
        GroupDesc::parse(&self.block(block)[offset as usize..], group, geometry)
    }

    pub fn inode_bytes(&self, ino: u32) -> Result<&[u8]> {
        let place = self.superblock.geometry.inode_place(ino)?;
        let table = self.desc(place.group)?.inode_table();
        let block = self.block(table + place.table_block);
        Ok(&block[place.offset as usize..][..usize::from(self.superblock.geometry.inode_size())])
    }

    pub fn inode(&self, ino: u32) -> Result<Inode> {
        Inode::parse(self.inode_bytes(ino)?, ino, &self.superblock)
    }

    /// Where file block `first` and up to `max` after it lie; the run is checked to be on the volume.
    pub fn map(&self, inode: &Inode, first: u64, max: u32) -> Result<Run> {
        let geometry = &self.superblock.geometry;
        let bits = geometry.block_bits();
        let Some(path) = Path::to(first, bits) else {
            return Ok(Run::Hole { len: max });
        };
        let mut pointers: &[u8] = &inode.map;
        for level in 0..=path.depth() {
            let index = path.offset(level).expect("the path has this level");
            let last = level == path.depth();
            let max = if last { max.min(path.run_limit()) } else { 1 };
            match pointer_run(pointers, index, max).expect("the pointer is there") {
                Run::Hole { len } if last => return Ok(Run::Hole { len }),
                Run::Hole { .. } => {
                    let len = path.hole_len(first, level, bits).min(u64::from(u32::MAX));
                    return Ok(Run::Hole { len: len as u32 });
                }
                Run::Mapped { block, len } => {
                    geometry.check_data_run(block, len)?;
                    if last {
                        return Ok(Run::Mapped { block, len });
                    }
                    pointers = self.block(block);
                }
            }
        }
        unreachable!("the last level returns")
    }

    /// The contents of a file that is not too long for it.
    pub fn read(&self, inode: &Inode) -> Result<Vec<u8>> {
        let size = self.block_size() as usize;
        let mut contents = Vec::new();
        while (contents.len() as u64) < inode.size {
            let blocks = (inode.size - contents.len() as u64).div_ceil(size as u64);
            match self.map(inode, (contents.len() / size) as u64, blocks as u32)? {
                Run::Hole { len } => {
                    let len = u64::from(len).min(blocks) as usize;
                    contents.resize(contents.len() + len * size, 0);
                }
                Run::Mapped { block, len } => {
                    for block in block..block + len {
                        contents.extend(self.block(block));
                    }
                }
            }
        }
        contents.truncate(inode.size as usize);
        Ok(contents)
    }

    /// The target of a symlink.
    pub fn target(&self, inode: &Inode) -> Result<Vec<u8>> {
        match inode.fast_symlink(self.block_size()) {
            Some(target) => Ok(target.to_vec()),
            None => self.read(inode),
        }
    }

    pub fn dir_format(&self) -> DirFormat {
        DirFormat {
            inodes_count: self.superblock.geometry.inodes_count(),
            filetype: self.superblock.features.filetype(),
        }
    }

    /// Names, inode numbers and types in a directory, "." and ".." left out.
    pub fn list(&self, directory: &Inode) -> Result<Vec<Listed>> {
        let mut list = Vec::new();
        for block in self.read(directory)?.chunks(self.block_size() as usize) {
            for entry in DirBlock::new(block, self.dir_format()).entries(0) {
                let entry = entry?;
                if !entry.is_dot() {
                    list.push((entry.name.to_vec(), entry.ino, entry.kind));
                }
            }
        }
        Ok(list)
    }

    /// The inode at a path from the root, with its number.
    pub fn find(&self, path: &str) -> Result<Option<(u32, Inode)>> {
        let mut ino = ROOT_INO;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let list = self.list(&self.inode(ino)?)?;
            match list.iter().find(|(other, _, _)| other == name.as_bytes()) {
                Some(&(_, next, _)) => ino = next,
                None => return Ok(None),
            }
        }
        Ok(Some((ino, self.inode(ino)?)))
    }

    /// [`Self::find`] for what must be there.
    pub fn get(&self, path: &str) -> Inode {
        let found = self.find(path).expect("the way to the file is sound");
        found.unwrap_or_else(|| panic!("{path} is on the volume")).1
    }
}

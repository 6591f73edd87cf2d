//! Writes the object anew, with its functions as ftrace locations.
//!
//! Every byte of the input stays where it is, except the five bytes at each site and the place of
//! the section table in the header. What has to grow (relocations of code, symbols, names) is
//! written again behind the old end of the file, followed by the new sections and the new section
//! table. So section and symbol indices keep their meaning, and sections of kinds unknown here
//! come through untouched.

use object::elf::{
    self,
    FileHeader64,
    SectionHeader64,
    Sym64,
    SymbolInfo, //
};
use object::pod;
use object::{
    LittleEndian as LE,
    U16,
    U32,
    U64, //
};

use crate::elf::{
    Object,
    Reloc, //
};
use crate::error::{
    refuse,
    Error,
    Result, //
};
use crate::site::{
    place,
    Site,
    CALL,
    FENTRY,
    MCOUNT_LOC, //
};

/// Alignment of tables in the file, in bytes.
const TABLE_ALIGN: usize = 8;
/// Size of one entry of `__mcount_loc`, in bytes.
const ADDRESS: usize = 8;

/// The output under construction.
struct Output<'o, 'd> {
    object: &'o Object<'d>,
    bytes: Vec<u8>,
    headers: Vec<SectionHeader64<LE>>,
    symbol_names: Vec<u8>,
    section_names: Vec<u8>,
    symbols: Vec<Sym64<LE>>,
    fentry: u32,
}

/// The object in `data` with a call of `__fentry__` at each of `sites` (ascending), and with each
/// of them in `__mcount_loc`.
pub fn rewrite(data: &[u8], object: &Object<'_>, sites: &[Site]) -> Result<Vec<u8>> {
    let mut output = Output::new(data, object)?;
    for code in sites.chunk_by(|a, b| a.section == b.section) {
        output.add_calls(code)?;
    }
    output.add_locations(sites)?;
    output.finish()
}

impl<'o, 'd> Output<'o, 'd> {
    fn new(data: &[u8], object: &'o Object<'d>) -> Result<Self> {
        let mut output = Self {
            object,
            bytes: data.to_vec(),
            headers: object
                .sections
                .iter()
                .map(|section| section.header)
                .collect(),
            symbol_names: object.section(object.strtab)?.data.to_vec(),
            section_names: object.section(object.shstrtab)?.data.to_vec(),
            symbols: object.symbols.iter().map(|symbol| symbol.raw).collect(),
            fentry: 0,
        };
        output.fentry = match object.undefined_symbol(FENTRY) {
            Some(index) => index as u32,
            None => output.add_fentry(),
        };
        Ok(output)
    }

    /// Adds the undefined symbol behind all others: it is global, and globals come last.
    fn add_fentry(&mut self) -> u32 {
        let symbol = Sym64 {
            st_name: U32::new(LE, self.add_symbol_name(FENTRY)),
            st_info: SymbolInfo::new(elf::STB_GLOBAL, elf::STT_NOTYPE),
            ..Sym64::default()
        };
        self.symbols.push(symbol);
        self.symbols.len() as u32 - 1
    }

    /// LLVM keeps the names of symbols and of sections in one table.
    fn one_string_table(&self) -> bool {
        self.object.strtab == self.object.shstrtab
    }

    fn add_symbol_name(&mut self, name: &str) -> u32 {
        if self.one_string_table() {
            return self.add_section_name(name);
        }
        add_name(&mut self.symbol_names, name)
    }

    fn add_section_name(&mut self, name: &str) -> u32 {
        add_name(&mut self.section_names, name)
    }

    /// Puts calls at the sites of one section, and the relocations that give them their target.
    fn add_calls(&mut self, sites: &[Site]) -> Result<()> {
        let Some(section) = sites.first().map(|site| site.section) else {
            return Ok(());
        };
        let mut relocations = self.object.relocations(section)?;
        let code = self.object.section(section)?;
        let start = code.header.sh_offset.get(LE);
        for site in sites {
            let occupied = site.offset..site.offset + CALL.len() as u64;
            if relocations
                .iter()
                .any(|reloc| occupied.contains(&reloc.offset))
            {
                refuse!(
                    "{}: a relocation where the nop is",
                    site.describe(self.object)
                );
            }
            let at = (start + site.offset) as usize;
            self.bytes
                .get_mut(at..at + CALL.len())
                .ok_or_else(|| Error::new("malformed ELF: section outside the file"))?
                .copy_from_slice(&CALL);
        }
        relocations.extend(sites.iter().map(|site| call_relocation(site, self.fentry)));
        relocations.sort_by_key(|reloc| reloc.offset);

        let data = relocation_bytes(&relocations);
        match self.object.relocation_section(section) {
            Some(index) => self.replace(index, &data),
            None => {
                let name = format!(".rela{}", code.name);
                self.add_relocations(&name, section, &data)
            }
        }
    }

    /// Adds `__mcount_loc` as gcc's `-mrecord-mcount` writes it (same type and flags, so that the
    /// linker joins them), and the relocations that fill it in.
    fn add_locations(&mut self, sites: &[Site]) -> Result<()> {
        let target = self.headers.len();
        let name = self.add_section_name(MCOUNT_LOC);
        let data = vec![0; sites.len() * ADDRESS];
        let (offset, size) = self.append(&data);
        self.headers.push(SectionHeader64 {
            sh_name: U32::new(LE, name),
            sh_type: U32::new(LE, elf::SHT_PROGBITS),
            sh_flags: U64::new(LE, elf::SHF_ALLOC),
            sh_offset: U64::new(LE, offset),
            sh_size: U64::new(LE, size),
            sh_addralign: U64::new(LE, ADDRESS as u64),
            ..empty_header()
        });
        let relocations = sites
            .iter()
            .enumerate()
            .map(|(index, site)| location_relocation(self.object, index, site))
            .collect::<Result<Vec<_>>>()?;
        let name = format!(".rela{MCOUNT_LOC}");
        self.add_relocations(&name, target, &relocation_bytes(&relocations))
    }

    fn add_relocations(&mut self, name: &str, target: usize, data: &[u8]) -> Result<()> {
        let name = self.add_section_name(name);
        let (offset, size) = self.append(data);
        self.headers.push(SectionHeader64 {
            sh_name: U32::new(LE, name),
            sh_type: U32::new(LE, elf::SHT_RELA),
            sh_flags: U64::new(LE, elf::SHF_INFO_LINK),
            sh_offset: U64::new(LE, offset),
            sh_size: U64::new(LE, size),
            sh_link: U32::new(LE, self.object.symtab as u32),
            sh_info: U32::new(LE, target as u32),
            sh_addralign: U64::new(LE, TABLE_ALIGN as u64),
            sh_entsize: U64::new(LE, size_of::<elf::Rela64<LE>>() as u64),
            ..empty_header()
        });
        Ok(())
    }

    /// Gives section `index` new contents, behind the old end of the file.
    fn replace(&mut self, index: usize, data: &[u8]) -> Result<()> {
        let (offset, size) = self.append(data);
        let header = self
            .headers
            .get_mut(index)
            .ok_or_else(|| Error::new("malformed ELF: section index out of range"))?;
        header.sh_offset = U64::new(LE, offset);
        header.sh_size = U64::new(LE, size);
        Ok(())
    }

    fn append(&mut self, data: &[u8]) -> (u64, u64) {
        let offset = self.bytes.len().next_multiple_of(TABLE_ALIGN);
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(data);
        (offset as u64, data.len() as u64)
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        let symbols = pod::bytes_of_slice(&self.symbols).to_vec();
        self.replace(self.object.symtab, &symbols)?;
        if !self.one_string_table() {
            let names = std::mem::take(&mut self.symbol_names);
            self.replace(self.object.strtab, &names)?;
        }
        let names = std::mem::take(&mut self.section_names);
        self.replace(self.object.shstrtab, &names)?;

        if self.headers.len() >= usize::from(elf::SHN_LORESERVE) {
            refuse!(
                "more than {} sections: not supported",
                elf::SHN_LORESERVE - 1
            );
        }
        let table = pod::bytes_of_slice(&self.headers).to_vec();
        let (offset, _) = self.append(&table);
        let mut header = self.object.header;
        header.e_shoff = U64::new(LE, offset);
        header.e_shnum = U16::new(LE, self.headers.len() as u16);
        self.bytes
            .get_mut(..size_of::<FileHeader64<LE>>())
            .ok_or_else(|| Error::new("malformed ELF: no header"))?
            .copy_from_slice(pod::bytes_of(&header));
        Ok(self.bytes)
    }
}

/// What gcc writes for `call __fentry__`: the displacement counts from the end of its 4 bytes.
fn call_relocation(site: &Site, fentry: u32) -> Reloc {
    Reloc {
        offset: site.offset + 1,
        symbol: fentry,
        kind: elf::R_X86_64_PLT32,
        addend: -4,
    }
}

/// The address of a site, through the symbol that the compiler itself used for the function.
fn location_relocation(object: &Object<'_>, index: usize, site: &Site) -> Result<Reloc> {
    let (symbol, value) = site.base;
    let addend = i64::try_from(site.offset)
        .ok()
        .and_then(|offset| offset.checked_sub(i64::try_from(value).ok()?));
    Ok(Reloc {
        offset: (index * ADDRESS) as u64,
        symbol,
        kind: elf::R_X86_64_64,
        addend: addend.ok_or_else(|| {
            Error::new(format!(
                "{}: too far away",
                place(object, site.section, site.offset, Some(site.symbol))
            ))
        })?,
    })
}

fn relocation_bytes(relocations: &[Reloc]) -> Vec<u8> {
    let raw: Vec<_> = relocations.iter().map(|reloc| reloc.to_raw()).collect();
    pod::bytes_of_slice(&raw).to_vec()
}

fn add_name(table: &mut Vec<u8>, name: &str) -> u32 {
    let offset = table.len() as u32;
    table.extend_from_slice(name.as_bytes());
    table.push(0);
    offset
}

fn empty_header() -> SectionHeader64<LE> {
    SectionHeader64 {
        sh_name: U32::new(LE, 0),
        sh_type: U32::new(LE, elf::SHT_NULL),
        sh_flags: U64::new(LE, elf::SectionFlags(0)),
        sh_addr: U64::new(LE, 0),
        sh_offset: U64::new(LE, 0),
        sh_size: U64::new(LE, 0),
        sh_link: U32::new(LE, 0),
        sh_info: U32::new(LE, 0),
        sh_addralign: U64::new(LE, 0),
        sh_entsize: U64::new(LE, 0),
    }
}

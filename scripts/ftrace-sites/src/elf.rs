//! A relocatable x86-64 object, read once and kept as plain tables.
//!
//! The `object` crate parses; what is kept here is what the other modules ask for by section
//! index, so that an index always means what it means in the file.

use std::borrow::Cow;
use std::collections::HashMap;

use object::elf::{
    self,
    FileHeader64,
    Rela64,
    RelocationType,
    SectionHeader64,
    Sym64, //
};
use object::pod;
use object::read::elf::{
    FileHeader,
    SectionHeader, //
};
use object::{
    FileKind,
    LittleEndian as LE,
    I64,
    U64, //
};

use crate::error::{
    refuse,
    Error,
    Result, //
};

/// A parsed object. All offsets are in bytes.
pub struct Object<'d> {
    /// Size of the file, in bytes.
    pub size: u64,
    /// The ELF header.
    pub header: FileHeader64<LE>,
    /// All sections; the index is the ELF section index, 0 is the null section.
    pub sections: Vec<Section<'d>>,
    /// All symbols; the index is the ELF symbol index, 0 is the null symbol.
    pub symbols: Vec<Symbol<'d>>,
    /// Section index of the symbol table.
    pub symtab: usize,
    /// Section index of the symbol names.
    pub strtab: usize,
    /// Section index of the section names (LLVM uses the same section for both).
    pub shstrtab: usize,
    relocation_sections: HashMap<usize, usize>,
    functions: HashMap<(usize, u64), usize>,
}

/// One section.
pub struct Section<'d> {
    /// Its name.
    pub name: Cow<'d, str>,
    /// Its header as in the file.
    pub header: SectionHeader64<LE>,
    /// Its bytes; none for a section without contents in the file.
    pub data: &'d [u8],
}

/// One symbol.
pub struct Symbol<'d> {
    /// Its name; section symbols have none.
    pub name: Cow<'d, str>,
    /// The entry as in the file.
    pub raw: Sym64<LE>,
    /// The section that defines it, if one does.
    pub section: Option<usize>,
}

/// One relocation with an explicit addend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// Where it applies, in bytes from the start of its section.
    pub offset: u64,
    /// Index of the symbol it refers to.
    pub symbol: u32,
    /// One of the `R_X86_64_*` types.
    pub kind: RelocationType,
    /// Added to the symbol's value.
    pub addend: i64,
}

impl Section<'_> {
    /// Whether the section holds instructions.
    pub fn is_code(&self) -> bool {
        self.header.sh_type.get(LE) == elf::SHT_PROGBITS
            && self.header.sh_flags.get(LE).contains(elf::SHF_EXECINSTR)
    }

    /// `len` bytes at `offset`, or nothing if the section is shorter.
    pub fn bytes(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.data.get(start..start.checked_add(len)?)
    }
}

impl Symbol<'_> {
    /// Offset within its section.
    pub fn value(&self) -> u64 {
        self.raw.st_value.get(LE)
    }

    /// Whether it names a function.
    pub fn is_function(&self) -> bool {
        self.raw.st_type() == elf::STT_FUNC
    }
}

impl<'d> Object<'d> {
    /// Reads `data`; refuses everything but a relocatable x86-64 object with a symbol table.
    pub fn parse(data: &'d [u8]) -> Result<Self> {
        let header = file_header(data)?;
        let table = header.sections(LE, data)?;
        let symbol_table = table.symbols(LE, data, elf::SHT_SYMTAB)?;
        if symbol_table.section().0 == 0 {
            refuse!("no symbol table: pass the object as the compiler wrote it, not stripped");
        }
        if symbol_table.shndx_section().0 != 0 {
            refuse!("more than 65279 sections: not supported");
        }

        let mut sections = Vec::with_capacity(table.len());
        for section in table.iter() {
            sections.push(Section {
                name: String::from_utf8_lossy(table.section_name(LE, section)?),
                header: *section,
                data: section.data(LE, data)?,
            });
        }
        let mut symbols = Vec::with_capacity(symbol_table.len());
        for (index, raw) in symbol_table.enumerate() {
            let section = symbol_table.symbol_section(LE, raw, index)?;
            if section.is_some_and(|section| section.0 >= sections.len()) {
                refuse!("malformed ELF: symbol {index} is in a section that is not there");
            }
            symbols.push(Symbol {
                name: String::from_utf8_lossy(symbol_table.symbol_name(LE, raw)?),
                raw: *raw,
                section: section.map(|section| section.0),
            });
        }

        Ok(Self {
            size: data.len() as u64,
            header: *header,
            symtab: symbol_table.section().0,
            strtab: symbol_table.string_section().0,
            shstrtab: header.section_strings_index(LE, data)?.0,
            relocation_sections: relocation_sections(&sections)?,
            functions: functions(&symbols),
            sections,
            symbols,
        })
    }

    /// The section with this index; an error for an index from a hostile file.
    pub fn section(&self, index: usize) -> Result<&Section<'d>> {
        self.sections
            .get(index)
            .ok_or_else(|| Error::new(format!("malformed ELF: there is no section {index}")))
    }

    /// All sections with this name, with their indices.
    pub fn sections_named<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (usize, &'a Section<'d>)> {
        self.sections
            .iter()
            .enumerate()
            .filter(move |(_, section)| section.name == name)
    }

    /// Index of the section that holds the relocations for section `target`.
    pub fn relocation_section(&self, target: usize) -> Option<usize> {
        self.relocation_sections.get(&target).copied()
    }

    /// The relocations that apply to section `target`, in file order.
    pub fn relocations(&self, target: usize) -> Result<Vec<Reloc>> {
        let Some(index) = self.relocation_section(target) else {
            return Ok(Vec::new());
        };
        let data = self.section(index)?.data;
        match pod::slice_from_all_bytes::<Rela64<LE>>(data) {
            Ok(entries) => Ok(entries.iter().map(Reloc::from_raw).collect()),
            Err(()) => refuse!("malformed ELF: a relocation section of odd size"),
        }
    }

    /// The place a relocation refers to, if it is in this object: section index and offset.
    pub fn target(&self, reloc: &Reloc) -> Option<(usize, u64)> {
        let symbol = self.symbols.get(reloc.symbol as usize)?;
        let offset = symbol.value().checked_add_signed(reloc.addend)?;
        Some((symbol.section?, offset))
    }

    /// Index of the symbol of the function that starts at `offset` in `section`. Of several names
    /// for one function the global one is preferred.
    pub fn function_at(&self, section: usize, offset: u64) -> Option<usize> {
        self.functions.get(&(section, offset)).copied()
    }

    /// Index of the undefined symbol `name`, if the object has one.
    pub fn undefined_symbol(&self, name: &str) -> Option<usize> {
        self.symbols
            .iter()
            .position(|symbol| symbol.name == name && symbol.raw.st_shndx.get(LE) == elf::SHN_UNDEF)
    }
}

impl Reloc {
    fn from_raw(raw: &Rela64<LE>) -> Self {
        Self {
            offset: raw.r_offset.get(LE),
            symbol: raw.r_sym(LE, false),
            kind: raw.r_type(LE, false),
            addend: raw.r_addend.get(LE),
        }
    }

    /// The entry as it stands in a file.
    pub fn to_raw(self) -> Rela64<LE> {
        Rela64 {
            r_offset: U64::new(LE, self.offset),
            r_info: Rela64::r_info(LE, false, self.symbol, self.kind),
            r_addend: I64::new(LE, self.addend),
        }
    }
}

fn file_header(data: &[u8]) -> Result<&FileHeader64<LE>> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => {}
        Ok(FileKind::Elf32) => refuse!("32-bit ELF: only x86-64 objects are supported"),
        _ => refuse!("not an ELF file"),
    }
    let Ok(header) = FileHeader64::<LE>::parse(data) else {
        refuse!("malformed ELF header");
    };
    if header.e_ident.data != elf::ELFDATA2LSB || header.e_machine.get(LE) != elf::EM_X86_64 {
        refuse!("not an x86-64 object");
    }
    if header.e_type.get(LE) != elf::ET_REL {
        refuse!("not relocatable: pass an object (.o), not a linked program or library");
    }
    Ok(header)
}

/// Maps each section to the one with its relocations.
fn relocation_sections(sections: &[Section<'_>]) -> Result<HashMap<usize, usize>> {
    let mut map = HashMap::new();
    for (index, section) in sections.iter().enumerate() {
        match section.header.sh_type.get(LE) {
            elf::SHT_RELA => {}
            elf::SHT_REL => refuse!("{}: relocations without addends", section.name),
            _ => continue,
        }
        let target = section.header.sh_info.get(LE) as usize;
        if map.insert(target, index).is_some() {
            refuse!(
                "{}: a second relocation section for its target",
                section.name
            );
        }
    }
    Ok(map)
}

/// Maps section and offset to the symbol of the function there. Local symbols come first in a
/// symbol table, so that a later, global name replaces a local one.
fn functions(symbols: &[Symbol<'_>]) -> HashMap<(usize, u64), usize> {
    symbols
        .iter()
        .enumerate()
        .filter(|(_, symbol)| symbol.is_function())
        .filter_map(|(index, symbol)| Some(((symbol.section?, symbol.value()), index)))
        .collect()
}

//! Small objects to test with, written by the `object` crate.
#![allow(dead_code, missing_docs)]

use std::collections::HashMap;

use object::elf;
use object::read::{Object as _, ObjectSection as _};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

pub const ENDBR: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
pub const NOP: &[u8] = &[0x0f, 0x1f, 0x44, 0x00, 0x08];
pub const RET: &[u8] = &[0xc3];

/// A function to be: 16 bytes of prefix, then the code. Listed or not.
pub struct Function {
    pub name: &'static str,
    pub section: &'static str,
    pub prefix: [u8; 16],
    pub code: Vec<u8>,
    pub listed: bool,
}

/// A well-formed function.
pub fn function(name: &'static str) -> Function {
    Function {
        name,
        section: ".text",
        prefix: [0x90; 16],
        code: [ENDBR, NOP, RET].concat(),
        listed: true,
    }
}

pub struct Builder {
    pub object: Object<'static>,
    /// The section made last by [`Builder::list_one`].
    pub listed_in: Option<SectionId>,
    entries: Vec<(SectionId, u64)>,
    sections: HashMap<String, SectionId>,
}

impl Builder {
    pub fn new() -> Self {
        Self {
            object: Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little),
            listed_in: None,
            entries: Vec::new(),
            sections: HashMap::new(),
        }
    }

    pub fn section(&mut self, name: &str, kind: SectionKind) -> SectionId {
        if let Some(section) = self.sections.get(name) {
            return *section;
        }
        let id = self
            .object
            .add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        self.sections.insert(name.to_string(), id);
        id
    }

    pub fn add(&mut self, function: &Function) -> SymbolId {
        let section = self.section(function.section, SectionKind::Text);
        let bytes = [&function.prefix[..], &function.code].concat();
        let start = self.object.append_section_data(section, &bytes, 16);
        if function.listed {
            self.entries.push((section, start));
        }
        self.object.add_symbol(Symbol {
            name: function.name.as_bytes().to_vec(),
            value: start + 16,
            size: function.code.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }

    pub fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        symbol: SymbolId,
        kind: elf::RelocationType,
        addend: i64,
    ) {
        let flags = RelocationFlags::Elf { r_type: kind };
        self.object
            .add_relocation(
                section,
                Relocation {
                    offset,
                    symbol,
                    addend,
                    flags,
                },
            )
            .unwrap();
    }

    /// Lists the functions in `__patchable_function_entries`, one section for each as LLVM does.
    pub fn list(&mut self) {
        for (section, offset) in std::mem::take(&mut self.entries) {
            self.list_one(section, offset);
        }
    }

    pub fn list_one(&mut self, section: SectionId, offset: u64) {
        let name = b"__patchable_function_entries".to_vec();
        let entries = self.object.add_section(Vec::new(), name, SectionKind::Data);
        self.object.append_section_data(entries, &[0; 8], 8);
        let symbol = self.object.section_symbol(section);
        self.relocate(entries, 0, symbol, elf::R_X86_64_64, offset as i64);
        self.listed_in = Some(entries);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.list();
        self.object.write().unwrap()
    }
}

/// An object with these functions.
pub fn object(functions: &[Function]) -> Vec<u8> {
    let mut builder = Builder::new();
    for function in functions {
        builder.add(function);
    }
    builder.finish()
}

/// Two functions in `.text`, one in `.init.text`, one in `.noinstr.text`, one without `endbr64`.
pub fn ordinary() -> Vec<u8> {
    let mut functions = ["first", "second", "start", "quiet", "bare"].map(function);
    functions[2].section = ".init.text";
    functions[3].section = ".noinstr.text";
    functions[4].code = [NOP, RET].concat();
    object(&functions)
}

/// An `__mcount_loc` written by hand: `(section, offset)` of each entry.
pub fn add_mcount_loc(builder: &mut Builder, places: &[(SectionId, u64)]) -> SectionId {
    let name = b"__mcount_loc".to_vec();
    let section = builder
        .object
        .add_section(Vec::new(), name, SectionKind::ReadOnlyData);
    builder.object.section_mut(section).flags = SectionFlags::Elf {
        sh_flags: elf::SHF_ALLOC,
        sh_type: elf::SHT_PROGBITS,
    };
    for (index, (target, offset)) in places.iter().enumerate() {
        builder.object.append_section_data(section, &[0; 8], 8);
        let symbol = builder.object.section_symbol(*target);
        let at = index as u64 * 8;
        builder.relocate(section, at, symbol, elf::R_X86_64_64, *offset as i64);
    }
    section
}

/// File offset of `offset` in section `name`.
pub fn file_offset(data: &[u8], name: &str, offset: u64) -> usize {
    let file = object::File::parse(data).unwrap();
    let section = file.section_by_name(name).unwrap();
    (section.file_range().unwrap().0 + offset) as usize
}

/// The error of processing `data`, which must not succeed.
pub fn refusal(data: &[u8]) -> String {
    match ftrace_sites::process(data, &ftrace_sites::Options::default()) {
        Ok(done) => panic!("processed {} functions", done.traced),
        Err(error) => error.to_string(),
    }
}

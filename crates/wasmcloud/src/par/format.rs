//! Whether a file is a library that a host of a target can load: its format, its architecture, and the table of functions that
//! it exports.

use object::read::NameOrOrdinal;
use object::{Architecture, BinaryFormat, File, Object, ObjectKind};

/// The symbol by which a plugin's table is found: see the crate `wasmcloud-provider-sdk`.
const TABLE: &str = "wasmcloud_provider";

/// Refuses what no host of this target can load, with the reason. Of targets of other names, any library is one.
pub(crate) fn check(bytes: &[u8], target: &str) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let file = File::parse(bytes).map_err(|_| "it is no library in a known format (ELF, Mach-O, PE)".to_owned())?;
    let (architecture, system) = target.split_once('-').unwrap_or((target, ""));
    if let Some(expected) = format_of(system)
        && file.format() != expected
    {
        return Err(format!("it has the format {}, and {system} loads {}", name(file.format()), name(expected)));
    }
    if let Some(expected) = architecture_of(architecture)
        && file.architecture() != expected
    {
        return Err(format!("it is for the architecture {:?}", file.architecture()));
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(format!("it is no shared library but of the kind {:?}", file.kind()));
    }
    match exports_table(&file) {
        true => Ok(()),
        false => Err(format!("it does not export `{TABLE}`, by which hosts find its functions")),
    }
}

fn exports_table(file: &File<'_>) -> bool {
    // Names of Mach-O begin with an underscore.
    let is_table = |found: &[u8]| found.strip_prefix(b"_").unwrap_or(found) == TABLE.as_bytes();
    let Ok(mut exports) = file.exports() else { return false };
    exports
        .any(|export| export.is_ok_and(|export| matches!(export.name(), NameOrOrdinal::Name(name) if is_table(name))))
}

fn format_of(system: &str) -> Option<BinaryFormat> {
    match system {
        "android" | "dragonfly" | "freebsd" | "haiku" | "illumos" | "linux" | "netbsd" | "openbsd" => {
            Some(BinaryFormat::Elf)
        }
        "ios" | "macos" => Some(BinaryFormat::MachO),
        "windows" => Some(BinaryFormat::Pe),
        _ => None,
    }
}

fn architecture_of(name: &str) -> Option<Architecture> {
    Some(match name {
        "aarch64" => Architecture::Aarch64,
        "arm" => Architecture::Arm,
        "loongarch64" => Architecture::LoongArch64,
        "m68k" => Architecture::M68k,
        "mips" => Architecture::Mips,
        "mips64" => Architecture::Mips64,
        "powerpc" => Architecture::PowerPc,
        "powerpc64" => Architecture::PowerPc64,
        "riscv32" => Architecture::Riscv32,
        "riscv64" => Architecture::Riscv64,
        "s390x" => Architecture::S390x,
        "sparc" => Architecture::Sparc,
        "sparc64" => Architecture::Sparc64,
        "x86" => Architecture::I386,
        "x86_64" => Architecture::X86_64,
        _ => return None,
    })
}

fn name(format: BinaryFormat) -> &'static str {
    match format {
        BinaryFormat::Elf => "ELF",
        BinaryFormat::MachO => "Mach-O",
        BinaryFormat::Pe => "PE",
        BinaryFormat::Coff => "COFF",
        BinaryFormat::Wasm => "WebAssembly",
        _ => "of something else",
    }
}

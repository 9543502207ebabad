//! Checks whether hosts of a target can load a library: its format, its architecture, and the exported table of functions.

use object::read::NameOrOrdinal;
use object::{Architecture, BinaryFormat, File, Object, ObjectKind};

/// The symbol of a plugin's table: see the crate `wasmcloud-provider-sdk`.
const TABLE: &str = "wasmcloud_provider";

/// Checks that hosts of a target can load a library. The format and architecture are not checked for unknown targets.
///
/// # Errors
/// The reason if they cannot.
pub(crate) fn check(bytes: &[u8], target: &str) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let file = File::parse(bytes).map_err(|_| "it is not a library in a known format (ELF, Mach-O, PE)".to_owned())?;
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
        return Err(format!("it is of the kind {:?}, not a shared library", file.kind()));
    }
    match exports_table(&file) {
        true => Ok(()),
        false => Err(format!("it does not export `{TABLE}`, the table of a provider's functions")),
    }
}

fn exports_table(file: &File<'_>) -> bool {
    // Symbols in Mach-O have an underscore as prefix.
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
        _ => "unknown",
    }
}

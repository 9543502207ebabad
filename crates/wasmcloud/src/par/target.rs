//! Targets: the names by which hosts find their library in an archive. They consist of an architecture and an operating system
//! in the names of `std::env::consts`.

const ARCHITECTURES: [&str; 15] = [
    "aarch64",
    "arm",
    "loongarch64",
    "m68k",
    "mips",
    "mips64",
    "powerpc",
    "powerpc64",
    "riscv32",
    "riscv64",
    "s390x",
    "sparc",
    "sparc64",
    "x86",
    "x86_64",
];

const SYSTEMS: [&str; 11] =
    ["android", "dragonfly", "freebsd", "haiku", "illumos", "ios", "linux", "macos", "netbsd", "openbsd", "windows"];

/// Other names of architectures and systems, with those of targets.
const OTHER_NAMES: [(&str, &str); 14] = [
    ("amd64", "x86_64"),
    ("x64", "x86_64"),
    ("i386", "x86"),
    ("i586", "x86"),
    ("i686", "x86"),
    ("arm64", "aarch64"),
    ("armv6", "arm"),
    ("armv7", "arm"),
    ("armhf", "arm"),
    ("ppc64le", "powerpc64"),
    ("darwin", "macos"),
    ("osx", "macos"),
    ("win32", "windows"),
    ("win64", "windows"),
];

/// Checks that a target is one that hosts look for.
///
/// # Errors
/// A text with the target that may be meant.
pub(super) fn check(target: &str) -> Result<(), String> {
    let (architecture, system) = target.split_once('-').unwrap_or((target, ""));
    if ARCHITECTURES.contains(&architecture) && SYSTEMS.contains(&system) {
        return Ok(());
    }
    let advice = match meant(target) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "a target is an architecture and a system, such as x86_64-linux or aarch64-macos".to_owned(),
    };
    Err(format!("{target:?} is not a target of any host: {advice} (--unchecked accepts any name)"))
}

/// Returns the target that is most similar to a mistyped one, or one in other names.
fn meant(target: &str) -> Option<String> {
    const LEAST_SIMILARITY: f64 = 0.9;
    let target = target.to_ascii_lowercase();
    let ours = |part: &str| {
        OTHER_NAMES.iter().find(|(other, _)| *other == part).map_or(part.to_owned(), |(_, ours)| (*ours).to_owned())
    };
    let asked: String = target.split('-').map(ours).collect::<String>().replace('_', "");
    let targets =
        ARCHITECTURES.iter().flat_map(|architecture| SYSTEMS.map(|system| format!("{architecture}-{system}")));
    targets
        .map(|target| (strsim::jaro_winkler(&target.replace(['-', '_'], ""), &asked), target))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
        .map(|(_, target)| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_that_hosts_look_for() {
        assert_eq!(check(&wasmcloud_claims::ProviderArchive::host_target()), Ok(()));
        for good in ["x86_64-linux", "aarch64-macos", "arm-linux", "x86_64-windows"] {
            assert_eq!(check(good), Ok(()));
        }
        for (wrong, meant) in [
            ("x86_64-linx", "x86_64-linux"),
            ("x86-64-linux", "x86_64-linux"),
            ("X86_64-Linux", "x86_64-linux"),
            ("amd64-linux", "x86_64-linux"),
            ("arm64-darwin", "aarch64-macos"),
            ("aarch64-macosx", "aarch64-macos"),
            ("armv7-linux", "arm-linux"),
            ("x86_64-linux-musl", "x86_64-linux"),
        ] {
            let refused = check(wrong).unwrap_err();
            assert!(refused.contains(&format!("did you mean {meant}?")), "{wrong}: {refused}");
        }
        for wrong in ["", "linux", "-", "\u{1b}[2J-linux"] {
            let refused = check(wrong).unwrap_err();
            assert!(!refused.chars().any(char::is_control), "{refused}");
        }
    }
}

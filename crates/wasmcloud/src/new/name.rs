//! The names of projects. A name becomes that of a package, a folder, a library and a call alias, so it follows the rules of
//! all of these.

use std::fmt;
use std::str::FromStr;

/// The length of the longest name, in characters. Package registries take no longer ones.
const LONGEST: usize = 64;

/// Names that cargo or the compiler refuses, or that clash with crates of the standard library.
const RESERVED: [&str; 58] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "node_modules",
];

/// Names of devices, which cannot be those of files on Windows.
const DEVICES: [&str; 4] = ["aux", "con", "nul", "prn"];

/// The name of a project: lower-case letters, digits, `-` and `_`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectName(String);

impl ProjectName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the library that is built: that of the package, with `_` for each `-`.
    pub(super) fn library(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<ProjectName, String> {
        let is_plain = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '-' | '_');
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.chars().all(is_plain) {
            return Err(
                "a name has lower-case letters, digits, - and _, and begins with a letter, such as hello-world"
                    .to_owned(),
            );
        }
        if text.len() > LONGEST {
            return Err(format!("a name has at most {LONGEST} characters"));
        }
        if is_reserved(&text.replace('-', "_")) {
            return Err(format!(
                "the name is reserved by Rust or by an operating system: choose another one, such as my-{text}"
            ));
        }
        Ok(ProjectName(text.to_owned()))
    }
}

/// Returns whether a name, with `_` for each `-`, is reserved.
fn is_reserved(name: &str) -> bool {
    let is_port = |rest: &str| rest.len() == 1 && rest.chars().all(|digit| digit.is_ascii_digit());
    RESERVED.contains(&name)
        || DEVICES.contains(&name)
        || ["com", "lpt"].iter().any(|device| name.strip_prefix(device).is_some_and(is_port))
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages_folders_and_libraries() {
        for good in ["a", "hello", "hello-world", "a_1", "tests", "com10", "x".repeat(64).as_str()] {
            assert_eq!(good.parse::<ProjectName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "_a",
            "1a",
            "Hello",
            "a b",
            "a/b",
            "..",
            "a.b",
            "é",
            "a\n",
            "a\0",
            "a\u{202e}",
            "x".repeat(65).as_str(),
            "fn",
            "test",
            "std",
            "proc-macro",
            "proc_macro",
            "con",
            "com1",
            "lpt9",
            "true",
            "{{name}}",
            "$(id)",
            "a'b",
            "a\"b",
        ] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad:?}");
        }
        assert_eq!("hello-world".parse::<ProjectName>().unwrap().library(), "hello_world");
    }
}

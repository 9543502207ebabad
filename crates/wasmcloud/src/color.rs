//! Colours in output: on terminals only, unless `--color` or the environment (`NO_COLOR`, `CLICOLOR_FORCE`) asks for another
//! thing. What clap, the log and this program print follows one choice.

use std::ffi::OsString;

use clap::ValueEnum;

/// When output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always, in files and pipes too.
    Always,
    /// Never.
    Never,
}

impl When {
    /// Returns the value of `--color` among arguments that are not parsed yet. Default: `Auto`, for an unknown value too.
    pub(crate) fn among(arguments: &[OsString]) -> When {
        let mut words = arguments.iter().filter_map(|argument| argument.to_str()).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            let value = match word.strip_prefix("--color") {
                Some("") => words.next(),
                Some(value) => value.strip_prefix('='),
                None => None,
            };
            if let Some(value) = value {
                return When::from_str(value, false).unwrap_or(When::Auto);
            }
        }
        When::Auto
    }

    /// Makes the choice for all output of this process.
    pub(crate) fn apply(self) {
        match self {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_found_before_arguments_are_parsed() {
        for (line, expected) in [
            ("wasmcloud --color always --bad", When::Always),
            ("wasmcloud keys --color=never", When::Never),
            ("wasmcloud --color", When::Auto),
            ("wasmcloud --color=purple", When::Auto),
            ("wasmcloud --colorful never", When::Auto),
            ("wasmcloud -- --color never", When::Auto),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(When::among(&arguments), expected, "{line}");
        }
    }
}

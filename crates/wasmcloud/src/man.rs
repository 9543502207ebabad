//! `wasmcloud man`: the manual pages of this program, one for each command, made of the texts of `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::outcome::{CommandError, CommandResult};
use crate::output;

/// Prints the manual page of a command, or writes those of all commands to a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud man | man -l -
  wasmcloud man keys gen | man -l -
  wasmcloud man --output ~/.local/share/man/man1")]
pub(crate) struct Manual {
    /// The command. Default: the page of the program.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// The folder for the pages of all commands. It is created if it is missing. Existing pages are replaced.
    #[arg(long, short, value_name = "FOLDER", conflicts_with = "command")]
    output: Option<PathBuf>,
}

/// Prints or writes pages of the arguments of this program.
pub(crate) fn run(manual: &Manual, arguments: clap::Command) -> CommandResult {
    let mut program = in_full(arguments.disable_help_subcommand(true));
    program.build();
    if let Some(folder) = &manual.output {
        fs::create_dir_all(folder)
            .map_err(|error| CommandError::Failed(format!("cannot create the folder {}: {error}", folder.display())))?;
        let count = write_all(&program, folder)?;
        return Ok(format!("Wrote {count} pages to {}\n", folder.display()).into());
    }
    let mut command = &program;
    for name in &manual.command {
        command = command
            .get_subcommands()
            .find(|inner| inner.get_name() == name || inner.get_all_aliases().any(|alias| alias == name))
            .ok_or_else(|| {
                let outer = command.get_bin_name().unwrap_or_default();
                CommandError::Usage(format!("there is no command {outer} {name}: see {outer} --help"))
            })?;
    }
    Ok(page(command)?.text.into())
}

/// Returns a command and those below it with all options, since pages have those too that `-h` leaves out.
fn in_full(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| argument.hide_short_help(false)).mut_subcommands(in_full)
}

/// A manual page.
struct Page {
    file_name: String,
    text: String,
}

/// Writes the pages of a command and of all commands below it, and returns their number.
fn write_all(command: &clap::Command, folder: &Path) -> CommandResult<usize> {
    let page = page(command)?;
    output::write(&folder.join(page.file_name), page.text.as_bytes())?;
    let inner = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    inner.map(|inner| write_all(inner, folder)).sum::<CommandResult<usize>>().map(|count| count + 1)
}

fn page(command: &clap::Command) -> CommandResult<Page> {
    let man =
        Man::new(command.clone()).source(concat!("wasmcloud ", env!("CARGO_PKG_VERSION"))).manual("wasmCloud host");
    let mut text = Vec::new();
    render(&man, command, &mut text)
        .map_err(io::Error::other)
        .and_then(|()| String::from_utf8(text).map_err(io::Error::other))
        .map(|text| Page { file_name: man.get_filename(), text })
        .map_err(|error| CommandError::Failed(format!("cannot write the manual page {}: {error}", man.get_filename())))
}

fn render(man: &Man, command: &clap::Command, text: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    man.render_options_section(text)?;
    if command.get_subcommands().any(|inner| !inner.is_hide_set()) {
        man.render_subcommands_section(text)?;
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    after.map_or(Ok(()), |after| sections(&after.to_string()).to_writer(text))
}

/// Makes sections of the text that follows the options in `--help`: a line that ends with a colon is the title of the indented
/// lines below it, which keep their form. Text before the first title is the section NOTES.
fn sections(after_help: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_verbatim = false;
    let mut has_title = false;
    let mut lines = after_help.lines().peekable();
    while let Some(line) = lines.next() {
        if is_verbatim != line.starts_with(' ') && !line.is_empty() {
            is_verbatim = !is_verbatim;
            roff.control(if is_verbatim { "nf" } else { "fi" }, []);
        }
        let is_above_lines = lines.peek().is_some_and(|next| next.starts_with(' '));
        if line.is_empty() {
            roff.control("PP", []);
        } else if is_above_lines && line.ends_with(':') && line.len() < LONGEST_TITLE {
            roff.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()]);
            has_title = true;
        } else {
            if !has_title {
                roff.control("SH", ["NOTES"]);
                has_title = true;
            }
            roff.text([roman(line)]);
        }
    }
    if is_verbatim {
        roff.control("fi", []);
    }
    roff
}

/// The length of the longest line that is a title, in bytes. Longer ones are sentences.
const LONGEST_TITLE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_sentences_do_not() {
        let page = sections(
            "Examples:\n  one \\\n      --two\n  .three\n\nA sentence.\nIt goes on, and explains this:\n  four",
        )
        .to_roff();
        let expected = [
            ".SH EXAMPLES",
            ".nf",
            "  one \\\\",
            "      \\-\\-two",
            "  .three",
            ".PP",
            ".fi",
            "A sentence.",
            "It goes on, and explains this:",
            ".nf",
            "  four",
            ".fi",
        ];
        assert_eq!(page.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(), expected);
        let page = sections("A note.\n\nExamples:\n  one").to_roff();
        assert!(page.starts_with(".SH NOTES\nA note.\n.PP\n.SH EXAMPLES\n.nf\n"), "{page}");
    }
}

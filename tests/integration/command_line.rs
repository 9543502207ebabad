//! The conventions of the command line, for every command there is: help with examples, exit codes, colours, completions and
//! manual pages. Commands are found by their help, so that none is left out.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::signing::guest;

const BINARY: &str = env!("CARGO_BIN_EXE_wasmcloud");

/// What a program ended with.
#[derive(Debug)]
struct Ended {
    code: i32,
    output: String,
    errors: String,
}

/// Runs a program, whose environment says nothing of colours.
fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> Ended {
    run_with(Command::new(program).args(arguments), "")
}

fn run_with(command: &mut Command, input: &str) -> Ended {
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        if !command.get_envs().any(|(name, _)| name == variable) {
            command.env_remove(variable);
        }
    }
    command.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary with words separated by blanks.
fn wasmcloud(arguments: &str) -> Ended {
    run(BINARY, &arguments.split_whitespace().collect::<Vec<_>>())
}

fn done(arguments: &str) -> String {
    let ended = wasmcloud(arguments);
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{arguments}: {ended:?}");
    ended.output
}

/// A command, and what its help says.
struct Described {
    /// The words of the command, without the program: `keys gen`.
    path: String,
    help: String,
}

/// All commands, the program itself first.
fn commands() -> Vec<Described> {
    let mut found = vec![Described { path: String::new(), help: done("--help") }];
    let mut next = 0;
    while let Some(Described { path, help }) = found.get(next) {
        let names: Vec<String> = inner(help).map(|name| format!("{path} {name}").trim().to_owned()).collect();
        found.extend(names.into_iter().map(|path| Described { help: done(&format!("{path} --help")), path }));
        next += 1;
    }
    found
}

/// The names of the commands that a help lists, without `help`.
fn inner(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    // Two blanks begin a command; more continue the text of the one before.
    lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !["", "help"].contains(name))
}

/// The commands of a help's examples, each on one line.
fn examples(help: &str) -> Vec<String> {
    let text = help.split("Examples:\n").nth(1).unwrap_or_default();
    let lines: Vec<&str> = text.lines().take_while(|line| line.starts_with(' ')).map(str::trim).collect();
    lines.join("\n").replace(" \\\n", " ").lines().map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_with_examples_of_commands_that_exist() {
    let commands = commands();
    let paths: BTreeSet<&str> = commands.iter().map(|command| command.path.as_str()).collect();
    assert!(paths.len() > 12 && paths.contains("keys gen") && paths.contains("par create"), "{paths:?}");
    for Described { path, help } in &commands {
        let examples = examples(help);
        assert!(examples.iter().any(|example| example.contains(&format!("wasmcloud {path}"))), "{path}: {help}");
        for example in &examples {
            let words =
                example.split("wasmcloud ").nth(1).unwrap_or_else(|| panic!("an example is broken: {example:?}"));
            let is_known = |words: &str| paths.contains(words.split(' ').next().unwrap_or_default());
            assert!(words.starts_with('-') || is_known(words), "{path}: no such command: {example}");
        }
        // Sentences are wrapped by the terminal, but an example must be readable as it stands.
        let example_lines = help.split("Examples:\n").nth(1).unwrap_or_default().lines();
        let widest = example_lines.take_while(|line| line.starts_with(' ')).map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 120), "{path}: the examples are {widest:?} columns wide");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(done("--version"), format!("wasmcloud {}\n", env!("CARGO_PKG_VERSION")));
    assert!(done("").contains("Usage: wasmcloud"), "without a command, the help is shown");
}

#[test]
fn the_help_names_the_exit_codes() {
    let help = done("--help");
    let codes = help.split("Exit codes:\n").nth(1).unwrap();
    for code in 0..=4 {
        assert!(codes.lines().any(|line| line.starts_with(&format!("  {code}  "))), "{code}: {codes}");
    }
}

#[test]
fn exit_codes_tell_a_failure_from_misuse_from_a_refusal_and_from_silence() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    // A port that was free, and that nothing listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unsigned = folder.path().join("unsigned.wasm");
    std::fs::write(&unsigned, guest("echo")).unwrap();
    for (arguments, code) in [
        (String::new(), 0),
        ("--version".to_owned(), 0),
        ("keys inspect /nowhere/account.seed".to_owned(), 1),
        ("keys inspect".to_owned(), 2),
        ("man no-such-command".to_owned(), 2),
        ("sign --issuer-seed-file".to_owned(), 2),
        (format!("inspect {}", unsigned.display()), 3),
        (format!("ctl hosts --control-host 127.0.0.1 --control-port {port} --timeout 300ms"), 4),
        (
            format!(
                "registry resolve localhost:{port}/echo:1.0.0 --insecure localhost:{port} --cache {}",
                cache.display()
            ),
            4,
        ),
    ] {
        let ended = wasmcloud(&arguments);
        assert_eq!(ended.code, code, "{arguments}: {ended:?}");
        let (said, silent) = if code == 0 { (&ended.output, &ended.errors) } else { (&ended.errors, &ended.output) };
        assert!(!said.is_empty() && silent.is_empty(), "errors go to standard error, and nothing else: {ended:?}");
        assert!(code == 0 || said.starts_with("error: "), "{said}");
    }
}

#[test]
fn output_is_coloured_on_terminals_and_on_demand_only() {
    let coloured = |ended: Ended| ended.output.contains('\u{1b}') || ended.errors.contains('\u{1b}');
    let failing = "inspect /nowhere/echo.wasm";
    for arguments in ["--help", failing, "--no-such-flag"] {
        assert!(!coloured(wasmcloud(arguments)), "{arguments}: no terminal, no colour");
        assert!(coloured(wasmcloud(&format!("--color always {arguments}"))), "{arguments}: on demand");
        let with = |variable: &str, value: &str, arguments: &str| {
            // `script` runs a command on a terminal of its own.
            let mut script = Command::new("script");
            script.args(["-qec", &format!("{BINARY} {arguments}"), "/dev/null"]);
            coloured(run_with(script.env(variable, value), ""))
        };
        assert!(with("UNRELATED", "1", arguments), "{arguments}: on a terminal");
        assert!(!with("NO_COLOR", "1", arguments), "{arguments}: NO_COLOR");
        assert!(!with("UNRELATED", "1", &format!("--color=never {arguments}")), "{arguments}: --color never");
        assert!(
            with("NO_COLOR", "1", &format!("--color=always {arguments}")),
            "{arguments}: the flag has the last word"
        );
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let mut expected: Vec<(String, String)> = [
        ("wasmcloud comp", "completions"),
        ("wasmcloud sign --issuer", "--issuer-seed-file"),
        ("wasmcloud keys gen ", "account"),
        ("wasmcloud completions ", "fish"),
    ]
    .map(|(line, word)| (line.to_owned(), word.to_owned()))
    .into();
    for Described { path, .. } in commands().iter().filter(|command| !command.path.is_empty()) {
        expected.push((format!("wasmcloud {path}"), path.rsplit(' ').next().unwrap_or_default().to_owned()));
    }
    let lines: Vec<&str> = expected.iter().map(|(line, _)| line.as_str()).collect();
    for ((line, word), offered) in expected.iter().zip(completed(&lines)) {
        assert!(offered.contains(word), "{line}: {offered:?}");
    }
    assert_eq!(completed(&["wasmcloud keys g"]), [["gen"]]);
}

/// What bash offers at the end of each line.
fn completed(lines: &[&str]) -> Vec<Vec<String>> {
    let mut script = done("completions bash");
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let last = words.len() - 1;
        script += &format!(
            "\nCOMP_WORDS=({quoted}); COMP_CWORD={last}; COMPREPLY=(); _wasmcloud wasmcloud '{}' '{}'\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\" --",
            words[last],
            words[last - 1]
        );
    }
    let ended = run_with(Command::new("bash").args(["--norc", "-s"]), &script);
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    let offers: Vec<_> = ended.output.split("\n--\n").take(lines.len()).collect();
    assert_eq!(offers.len(), lines.len());
    offers.iter().map(|offer| offer.lines().map(str::to_owned).collect()).collect()
}

#[test]
fn zsh_and_fish_read_their_completions() {
    for (shell, arguments) in [("zsh", &["--no-exec"][..]), ("fish", &["--no-execute"][..])] {
        let script = done(&format!("completions {shell}"));
        let ended = run_with(Command::new(shell).args(arguments), &script);
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{shell}");
        for Described { path, .. } in commands() {
            let name = path.rsplit(' ').next().unwrap_or_default();
            assert!(script.contains(name), "{shell} does not know {path}");
        }
    }
    // fish tells what it would offer.
    let asked = format!("{}\ncomplete --do-complete 'wasmcloud keys g'", done("completions fish"));
    assert!(run_with(Command::new("fish").arg("--no-config"), &asked).output.starts_with("gen\t"));
    let refused = wasmcloud("completions powershell");
    assert!(refused.code == 2 && refused.errors.contains("[possible values: bash, zsh, fish]"), "{refused:?}");
}

#[test]
fn each_command_has_a_manual_page_that_groff_reads_without_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share").join("man1");
    let commands = commands();
    let said = done(&format!("man --output {}", pages.display()));
    assert_eq!(said, format!("Wrote {} pages to {}\n", commands.len(), pages.display()));
    assert_eq!(pages.read_dir().unwrap().count(), commands.len());
    for Described { path, help } in &commands {
        let file = pages.join(format!("wasmcloud {path}.1").replace(" .", ".").replace(' ', "-"));
        let page = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(page, done(&format!("man {path}")), "{path}: the page on standard output is the same");
        let shown = formatted(&file);
        for example in examples(help) {
            let words = example.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
            let words = words.trim_end_matches(" \\");
            assert!(shown.contains(words), "{path}: the page lacks the example {words}: {shown}");
        }
        let lines: Vec<&str> = page.lines().collect();
        let bare = lines.windows(2).find(|pair| pair[0].starts_with("\\fB\\-") && pair[1].is_empty());
        assert!(bare.is_none(), "{path}: the page explains no option {bare:?}");
        for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
            assert!(shown.lines().any(|line| line == title), "{path}: the page has no section {title}");
        }
    }
}

/// A manual page as a terminal of 200 columns shows it, without bold and italics.
fn formatted(page: &Path) -> String {
    let page = page.to_str().unwrap();
    let ended = run("groff", &["-man", "-ww", "-Tascii", "-rLL=200n", "-P-cbou", page]);
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{page}");
    ended.output
}

//! The stock binary as a whole: arguments in; files, text and exit codes out.

mod files;
mod libraries;
mod tokens;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nkeys::KeyPair;
use serde_json::Value;
use tempfile::TempDir;
use wasmcloud_host::Actor;

use crate::signing::guest;

/// A folder to work in, and the binary run in it.
struct Shell {
    folder: TempDir,
}

/// What a run ended with.
#[derive(Debug)]
struct Ended {
    code: i32,
    output: String,
    errors: String,
}

impl Shell {
    fn new() -> Shell {
        Shell { folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmcloud"));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in ["WASMCLOUD_ISSUER_SEED", "WASMCLOUD_SUBJECT_SEED"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the binary with words separated by blanks.
    fn run(&self, arguments: &str) -> Ended {
        Ended::of(self.command().args(arguments.split_whitespace()).output().unwrap())
    }

    /// What it prints if all goes well.
    fn done(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{arguments}: {ended:?}");
        ended.output
    }

    /// What it says when it refuses.
    fn refused(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.output.as_str()), (1, ""), "{arguments}: {ended:?}");
        ended.errors
    }

    /// What it says when a rule about signatures, trust or permissions forbids it.
    fn forbidden(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.output.as_str()), (3, ""), "{arguments}: {ended:?}");
        ended.errors
    }

    /// What it says when it does not understand.
    fn misused(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.output.as_str()), (2, ""), "{arguments}: {ended:?}");
        ended.errors
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// A new key in a file, and its public half.
    fn key(&self, kind: &str, file: &str) -> String {
        self.done(&format!("keys gen {kind} --output {file}")).trim().to_owned()
    }

    /// A shell with the keys and files that signing needs.
    fn with_keys() -> (Shell, String, String) {
        let shell = Shell::new();
        let account = shell.key("account", "account.seed");
        let subject = shell.key("module", "module.seed");
        shell.write("echo.wasm", guest("echo"));
        (shell, account, subject)
    }
}

impl Ended {
    fn of(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

const KEYS: &str = "--issuer-seed-file account.seed --subject-seed-file module.seed";

#[test]
fn a_new_key_is_in_a_file_of_its_owner_alone_and_nowhere_else() {
    let shell = Shell::new();
    let kinds = [
        ("account", 'A'),
        ("user", 'U'),
        ("module", 'M'),
        ("service", 'V'),
        ("server", 'N'),
        ("operator", 'O'),
        ("cluster", 'C'),
    ];
    for (kind, letter) in kinds {
        let file = format!("{kind}.seed");
        let public_key = shell.key(kind, &file);
        assert!(public_key.starts_with(letter), "{public_key}");
        let seed = String::from_utf8(shell.read(&file)).unwrap();
        assert_eq!(KeyPair::from_seed(seed.trim()).unwrap().public_key(), public_key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(shell.path(&file).metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        }
        for shown in [shell.done(&format!("keys inspect {file}")), shell.done(&format!("keys inspect {public_key}"))] {
            assert!(shown.contains(&public_key) && shown.contains(kind), "{shown}");
            assert!(!shown.contains(seed.trim()));
        }
    }
    let files = std::fs::read_dir(shell.folder.path()).unwrap().count();
    assert_eq!(files, kinds.len(), "no temporary file is left");
}

#[test]
fn a_seed_is_replaced_only_by_force_and_printed_only_on_demand() {
    let shell = Shell::new();
    let first = shell.key("account", "account.seed");
    let before = shell.read("account.seed");
    let refusal = shell.refused("keys gen account --output account.seed");
    assert!(refusal.contains("account.seed") && refusal.contains("--force"), "{refusal}");
    assert_eq!(shell.read("account.seed"), before);
    let second = shell.done("keys gen account --output account.seed --force");
    assert_ne!(second.trim(), first);
    assert_ne!(shell.read("account.seed"), before);
    assert!(shell.misused("keys gen account").contains("--output"));
    let printed = shell.done("keys gen user --print-seed");
    let (public_key, seed) = printed.trim().split_once('\n').unwrap();
    assert_eq!(KeyPair::from_seed(seed).unwrap().public_key(), public_key);
}

#[cfg(unix)]
#[test]
fn a_seed_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let (shell, _, _) = Shell::with_keys();
    std::fs::set_permissions(shell.path("account.seed"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = shell.run("keys inspect account.seed");
    assert_eq!(ended.code, 0);
    assert!(ended.errors.contains("chmod 600"), "{ended:?}");
}

#[test]
fn a_signed_module_is_an_actor_and_says_what_it_was_signed_with() {
    let (shell, account, subject) = Shell::with_keys();
    let said = shell.done(&format!(
        "sign echo.wasm --output signed.wasm --name Echo -c httpserver -c example:clock --tag first -t second \
         --revision 7 --version 1.2.3 --alias echo --expires-in 30d {KEYS}"
    ));
    assert!(said.contains("signed.wasm") && said.contains(&subject) && said.contains(&account), "{said}");
    let actor = Actor::from_file(shell.path("signed.wasm")).unwrap();
    assert_eq!((actor.public_key(), actor.issuer(), actor.name()), (subject.clone(), account, "Echo".to_owned()));
    assert_eq!(actor.capabilities(), ["wasmcloud:httpserver", "example:clock"]);
    assert_eq!(actor.tags(), ["first", "second"]);
    let claims = actor.claims();
    let days = (claims.expires.unwrap() - claims.issued_at) as f64 / 86_400.0;
    assert!((29.9..=30.1).contains(&days), "{days}");
    let metadata = claims.metadata.unwrap();
    assert_eq!(
        (metadata.rev, metadata.ver.as_deref(), metadata.call_alias.as_deref()),
        (Some(7), Some("1.2.3"), Some("echo"))
    );

    let table = shell.done("inspect signed.wasm");
    for shown in ["actor", "Echo", &subject, "wasmcloud:httpserver", "example:clock", "second", "1.2.3", " UTC"] {
        assert!(table.contains(shown), "{shown}: {table}");
    }
    let json: Value = serde_json::from_str(&shell.done("inspect signed.wasm --json")).unwrap();
    assert_eq!(json["kind"], "actor");
    assert_eq!(json["public_key"], subject.as_str());
    assert_eq!(json["capabilities"], serde_json::json!(["wasmcloud:httpserver", "example:clock"]));
    assert_eq!((&json["revision"], &json["call_alias"]), (&Value::from(7), &Value::from("echo")));
    assert_eq!(json["not_before"], Value::Null);
}

#[test]
fn what_is_signed_is_accepted_by_wascap_and_signing_again_replaces_the_token() {
    let (shell, _, _) = Shell::with_keys();
    shell.done(&format!("sign echo.wasm -o signed.wasm -n First {KEYS}"));
    let first = shell.read("signed.wasm");
    shell.done(&format!("sign signed.wasm -o signed.wasm -n Later {KEYS}"));
    let second = shell.read("signed.wasm");
    assert!(first.len().abs_diff(second.len()) < 8, "one token takes the place of the other");
    assert_eq!(Actor::from_slice(&second).unwrap().name(), "Later");
    for bytes in [first, second] {
        let token = wascap::wasm::extract_claims(&bytes).unwrap().unwrap();
        let validation = wascap::jwt::validate_token::<wascap::jwt::Component>(&token.jwt).unwrap();
        assert!(validation.signature_valid && !validation.expired && !validation.cannot_use_yet);
        assert_eq!(
            token.claims.metadata.unwrap().module_hash,
            Actor::from_slice(&bytes).unwrap().claims().metadata.unwrap().module_hash
        );
    }
    // A token of the older era is replaced as well.
    let mut old = guest("echo");
    let section = wasm_encoder::CustomSection { name: "jwt".into(), data: b"a.b.c".as_slice().into() };
    wasm_encoder::Section::append_to(&section, &mut old);
    shell.write("old.wasm", old);
    shell.done(&format!("sign old.wasm -o new.wasm -n Echo {KEYS}"));
    assert_eq!(Actor::from_file(shell.path("new.wasm")).unwrap().name(), "Echo");
}

#[test]
fn seeds_come_from_the_environment_too_and_the_subject_may_be_a_public_key() {
    let (shell, account, subject) = Shell::with_keys();
    let arguments = format!("sign echo.wasm -o signed.wasm -n Echo --subject {subject}");
    let seed = String::from_utf8(shell.read("account.seed")).unwrap();
    let mut command = shell.command();
    command.args(arguments.split_whitespace()).env("WASMCLOUD_ISSUER_SEED", &seed);
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!format!("{ended:?}").contains(seed.trim()));
    let actor = Actor::from_file(shell.path("signed.wasm")).unwrap();
    assert_eq!((actor.issuer(), actor.public_key()), (account, subject));

    let ended = Ended::of(command.env("WASMCLOUD_ISSUER_SEED", format!("{}x", seed.trim())).output().unwrap());
    assert_eq!(ended.code, 1);
    assert!(ended.errors.contains("WASMCLOUD_ISSUER_SEED") && !ended.errors.contains(&seed[..20]), "{ended:?}");
    assert!(shell.misused(&arguments).contains("--issuer-seed-file"));
}

#[test]
fn a_seed_among_the_arguments_is_refused_and_not_repeated() {
    let (shell, ..) = Shell::with_keys();
    let seed = KeyPair::new_account().seed().unwrap();
    for arguments in [
        format!("sign echo.wasm -o signed.wasm -n Echo --issuer-seed-file {seed}"),
        format!("sign echo.wasm -o signed.wasm -n Echo --issuer-seed={seed}"),
        format!("keys inspect {seed}"),
        format!("--help {seed}"),
    ] {
        let said = shell.misused(&arguments);
        assert!(said.contains("--issuer-seed-file") && said.contains("WASMCLOUD_ISSUER_SEED"), "{said}");
        assert!(!said.contains(&seed), "{said}");
    }
    assert!(!shell.path("signed.wasm").exists());
}

#[test]
fn bad_input_is_refused_with_what_to_do() {
    let (shell, account, _) = Shell::with_keys();
    shell.write("text.txt", "no module, no archive, no seed");
    shell.key("service", "service.seed");
    let sign = |rest: &str| format!("sign {rest}");
    for (arguments, expected) in [
        (sign(&format!("missing.wasm -o x.wasm -n x {KEYS}")), "missing.wasm"),
        (sign(&format!("text.txt -o x.wasm -n x {KEYS}")), "not a WebAssembly module"),
        (sign(&format!("echo.wasm -o nowhere/x.wasm -n x {KEYS}")), "nowhere"),
        (sign("echo.wasm -o x.wasm -n x --issuer-seed-file text.txt --subject-seed-file module.seed"), "text.txt"),
        (sign("echo.wasm -o x.wasm -n x --issuer-seed-file none.seed --subject-seed-file module.seed"), "none.seed"),
        (
            sign("echo.wasm -o x.wasm -n x --issuer-seed-file module.seed --subject-seed-file module.seed"),
            "account key",
        ),
        (
            sign("echo.wasm -o x.wasm -n x --issuer-seed-file account.seed --subject-seed-file service.seed"),
            "actor's public key",
        ),
        ("inspect text.txt".to_owned(), "neither a WebAssembly module nor a provider archive"),
        ("inspect missing.wasm".to_owned(), "missing.wasm"),
        ("inspect registry.example.com/echo:1.0".to_owned(), "wasmcloud registry pull"),
        ("keys inspect text.txt".to_owned(), "text.txt"),
        (format!("keys inspect {}", &account[..55]), "cannot read"),
        ("par verify echo.wasm".to_owned(), "it is a WebAssembly module"),
    ] {
        let said = shell.refused(&arguments);
        assert!(said.starts_with("error: ") && said.contains(expected), "{arguments}: {said}");
    }
    assert!(shell.forbidden("inspect echo.wasm").contains("sign it"));
    for (arguments, expected) in [
        (sign(&format!("echo.wasm -n x {KEYS}")), "--output"),
        (sign(&format!("echo.wasm -o x.wasm -n x -c clock {KEYS}")), "httpserver"),
        (sign(&format!("echo.wasm -o x.wasm -n x --expires-in soon {KEYS}")), "30d"),
        (sign("echo.wasm -o x.wasm -n x --issuer-seed-file account.seed"), "--subject"),
        (sign("echo.wasm -o x.wasm -n x --issuer-seed-file account.seed --subject MABC"), "--subject"),
        ("keys gen curve -o x.seed".to_owned(), "account"),
        ("par create -o x.par -n x --contract keyvalue --vendor x".to_owned(), "--library"),
        ("frobnicate".to_owned(), "frobnicate"),
    ] {
        let said = shell.misused(&arguments);
        assert!(said.contains(expected), "{arguments}: {said}");
    }
    assert!(!shell.path("x.wasm").exists() && !shell.path("x.par").exists() && !shell.path("x.seed").exists());
}

#[test]
fn text_from_a_token_cannot_write_to_the_terminal() {
    let (shell, ..) = Shell::with_keys();
    let mut command = shell.command();
    command.args(["sign", "echo.wasm", "-o", "signed.wasm", "-n", "evil\u{1b}[2J\nIssuer  me"]);
    assert_eq!(Ended::of(command.args(KEYS.split(' ')).output().unwrap()).code, 0);
    let table = shell.done("inspect signed.wasm");
    assert!(!table.contains('\u{1b}') && !table.contains("\nIssuer  me"), "{table}");
}

#[test]
fn whoever_reads_no_further_causes_no_panic() {
    let (shell, ..) = Shell::with_keys();
    let mut child = shell.command().arg("--help").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let errors = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(!errors.contains("panicked"), "{errors}");
}

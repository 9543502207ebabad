//! `wasmcloud dev`: an actor that follows its file.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::signing::guest;
use crate::workplace::{Staying, Workplace, get};

/// The port that the actor is served on.
fn port(dev: &Staying) -> u16 {
    let line = dev.line("Listening on http://127.0.0.1:");
    let port = line.rsplit("127.0.0.1:").next().unwrap();
    port.split(' ').next().unwrap().parse().unwrap()
}

fn actor(dev: &Staying) -> String {
    dev.line("Signed").split(' ').find(|word| word.len() == 56).unwrap().to_owned()
}

fn with_echo() -> Workplace {
    let place = Workplace::new();
    place.write("app.wasm", guest("echo"));
    place
}

#[test]
fn a_module_that_is_not_signed_runs_and_the_start_is_told_in_five_lines() {
    let place = with_echo();
    let dev = place.start("dev app.wasm --port 0");
    dev.line("Watching");
    let (status, body) = get(port(&dev), "/some/path");
    assert!(status == 200 && body.contains("/some/path"), "{status} {body}");
    let said = dev.said();
    let words: Vec<&str> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["Signed", "Started", "Linked", "Listening", "Watching"]);
    let first = actor(&dev);
    dev.stop();

    // The keys are kept, and only their owner can read them.
    for key in [place.home(".local/share/wasmcloud/dev/account.seed"), place.path(".wasmcloud/dev/app.actor.seed")] {
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
        assert!(!said.contains(std::fs::read_to_string(key).unwrap().trim()));
    }
    let again = place.start("dev app.wasm --port 0");
    assert_eq!(actor(&again), first);
    again.stop();
}

#[test]
fn a_saved_file_replaces_the_actor_however_it_is_written() {
    let place = with_echo();
    let dev = place.start("dev app.wasm --port 0");
    dev.line("Watching");
    let port = port(&dev);

    place.write("app.wasm", guest("kvcounter"));
    dev.line("revision 2 answers");
    assert_eq!(get(port, "/count"), (200, "{\"counter\":1}".to_owned()), "it has its store");

    // By renaming, as many editors do.
    place.write("new", guest("echo_large"));
    std::fs::rename(place.path("new"), place.path("app.wasm")).unwrap();
    dev.line("revision 3 answers");
    assert!(get(port, "/count").1.contains("\"path\":\"/count\""));

    // In two pieces: what is half-written is neither run nor reported.
    let module = guest("kvcounter");
    let (first, second) = module.split_at(module.len() / 2);
    let mut file = std::fs::File::create(place.path("app.wasm")).unwrap();
    file.write_all(first).unwrap();
    file.sync_all().unwrap();
    file.write_all(second).unwrap();
    drop(file);
    dev.line("revision 4 answers");
    assert_eq!(get(port, "/count"), (200, "{\"counter\":2}".to_owned()), "the store is the same");
    assert_eq!(dev.errors(), "");
    dev.stop();
}

#[test]
fn a_file_that_is_no_actor_leaves_the_last_one_running_and_says_why() {
    let place = with_echo();
    let dev = place.start("dev app.wasm --port 0");
    dev.line("Watching");
    let port = port(&dev);
    for (bad, reason) in [
        (b"no module at all".to_vec(), "not a WebAssembly module"),
        (wat::parse_str("(module)").unwrap(), "stays"),
        (Vec::new(), "stays"),
    ] {
        let before = dev.errors().lines().count();
        place.write("app.wasm", bad);
        dev.error_after("revision 1 stays", before);
        assert!(dev.errors().lines().last().unwrap().contains(reason), "{}", dev.errors());
        assert_eq!(get(port, "/x").0, 200);
    }
    std::fs::remove_file(place.path("app.wasm")).unwrap();
    place.write("app.wasm", guest("kvcounter"));
    dev.line("revision 2 answers");
    dev.stop();
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let place = with_echo();
    place.write("bad.wasm", "no module at all");
    place.write("empty.wasm", wat::parse_str("(module)").unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (arguments, code, expected) in [
        ("dev nothing.wasm".to_owned(), 1, "nothing.wasm"),
        ("dev bad.wasm".to_owned(), 1, "bad.wasm"),
        ("dev empty.wasm".to_owned(), 1, "empty.wasm"),
        (format!("dev app.wasm --port {port}"), 1, "in use"),
        ("dev app.wasm --port 0 --value keyvalue:FROBNICATE=1".to_owned(), 1, "FROBNICATE"),
        ("dev app.wasm -c example:clock".to_owned(), 1, "clock"),
        ("dev app.wasm --value httpclient:ALLOWED_HOSTS=x".to_owned(), 2, "-c wasmcloud:httpclient"),
        ("dev app.wasm --env keyvalue:URL=NO_SUCH_VARIABLE".to_owned(), 2, "NO_SUCH_VARIABLE"),
        ("dev app.wasm --compiler llvm".to_owned(), 2, "cranelift"),
    ] {
        let (ended, errors) = place.ends(&arguments);
        assert!(ended == code && errors.contains(expected), "{arguments}: {ended} {errors}");
        assert_eq!(place.names(), ["app.wasm", "bad.wasm", "empty.wasm"], "{arguments}");
        assert!(!place.home(".local").exists(), "{arguments}");
    }
}

#[test]
fn another_port_is_taken_if_the_default_one_is_in_use() {
    // If this fails, another process has it, which serves as well.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let place = with_echo();
    let dev = place.start("dev app.wasm");
    assert!(dev.line("Listening on").ends_with("(port 8080 is in use)"));
    assert_eq!(get(port(&dev), "/x").0, 200);
    dev.stop();
}

#[test]
fn links_have_the_values_that_are_given_and_secrets_are_not_told() {
    let place = with_echo();
    let mut command = place.command(
        "dev app.wasm --port 0 -c httpclient --value httpclient:ALLOWED_HOSTS=example.com --env keyvalue:PREFIX=OF_KEYS \
         --name Application --alias app",
    );
    let dev = Staying::start(command.env("OF_KEYS", "hunter2"));
    dev.line("Watching");
    assert!(dev.line("Linked").contains("httpclient"));
    place.write("app.wasm", guest("kvcounter"));
    dev.line("revision 2 answers");
    assert_eq!(get(port(&dev), "/count").1, "{\"counter\":1}");
    assert!(!dev.said().contains("hunter2") && !dev.errors().contains("hunter2"));
    dev.stop();
}

#[test]
fn singlepass_compiles_too_if_the_program_is_built_with_it() {
    let place = with_echo();
    let dev = place.start("dev app.wasm --port 0 --compiler singlepass");
    assert!(dev.line("Started").contains("compiled by Singlepass"));
    place.write("app.wasm", guest("kvcounter"));
    dev.line("revision 2 answers");
    dev.stop();
}

#[test]
fn without_a_file_there_has_to_be_a_project() {
    let place = Workplace::new();
    let (code, errors) = place.ends("dev");
    assert!(code == 2 && errors.contains("wasmcloud new actor NAME"), "{code} {errors}");
    place.write("package.json", "{}");
    let (code, errors) = place.ends("dev");
    assert!(code == 1 && errors.contains("package.json: missing field `name`"), "{code} {errors}");
    place.write("package.json", r#"{"name": "x"}"#);
    let (code, errors) = place.ends("dev");
    assert!(code == 1 && errors.contains("run npm ci first"), "{code} {errors}");
    let with_path = |path: &std::path::Path| {
        let mut dev = Staying::start(place.command("dev").env("PATH", path));
        (dev.code(), dev.errors())
    };
    place.write("Cargo.toml", "nonsense");
    let (code, errors) = with_path(&place.path("nowhere"));
    assert!(code == 1 && errors.contains("cannot run cargo"), "{code} {errors}");
    let cargo = std::path::Path::new(env!("CARGO")).parent().unwrap();
    let (code, errors) = with_path(cargo);
    assert!(code == 1 && errors.contains("cargo cannot read the package"), "{code} {errors}");
    std::fs::create_dir(place.path("src")).unwrap();
    place.write("src/lib.rs", "");
    place.write("Cargo.toml", "[package]\nname = \"x\"\n[workspace]\n");
    let (code, errors) = with_path(cargo);
    assert!(code == 1 && errors.contains("crate-type = [\"cdylib\"]"), "{code} {errors}");
    assert_eq!(place.names(), ["Cargo.toml", "package.json", "src"]);
}

#[test]
fn the_log_is_json_if_that_is_asked_for() {
    let place = with_echo();
    for variable in [None, Some("json")] {
        let arguments =
            if variable.is_some() { "dev app.wasm --port 0" } else { "dev app.wasm --port 0 --log-format json" };
        let mut command = place.command(arguments);
        command.env("RUST_LOG", "info").envs(variable.map(|form| ("WASMCLOUD_LOG_FORMAT", form)));
        let dev = Staying::start(&mut command);
        dev.line("Watching");
        place.write("app.wasm", b"no module");
        dev.error("revision 1 stays");
        let errors = dev.errors();
        for line in errors.lines() {
            let read: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(read["level"].is_string() && read["message"].is_string(), "{line}");
        }
        let served = errors.lines().find(|line| line.contains("is served on")).unwrap();
        assert!(served.contains("\"host\":\"N"), "{served}");
        dev.stop();
        place.write("app.wasm", guest("echo"));
    }
}

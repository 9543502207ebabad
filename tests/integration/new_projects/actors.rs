//! Actors, from an empty folder to an answer.

use super::project::{Project, builds_modules, has};
use crate::conformance::nats_server::NatsServer;
use crate::workplace::{Staying, get};

/// The port that a host in development says it listens on.
fn port(dev: &Staying) -> u16 {
    let line = dev.line("Listening on http://127.0.0.1:");
    dev.line("Watching");
    line.rsplit(':').next().unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Waits until the actor answers with this text: several changes of its code may become several revisions.
fn until_answered(port: u16, expected: &str) {
    let began = std::time::Instant::now();
    while get(port, "/").1 != expected {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "the actor does not answer {expected}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Signs the actor as the README says.
fn sign(project: &mut Project) {
    project.follow("wasmcloud keys gen account");
    project.follow("wasmcloud keys gen module");
    assert!(project.follow("wasmcloud sign").starts_with("Signed "));
}

/// Asks as the README says, but on the port that the actor is served on.
fn curl(project: &mut Project, port: u16) -> String {
    let command = project.readme("curl http://localhost:8080/");
    project.run(&command.replace("curl ", "curl --silent --fail ").replace("8080", &port.to_string()))
}

#[test]
fn an_actor_that_serves_http() {
    if !builds_modules() {
        return;
    }
    let mut project = Project::make("actor hello-world");
    project.run("rustfmt --check --edition 2021 src/lib.rs");
    assert!(project.follow("cargo test").contains("3 passed"));
    project.follow("cargo build");
    let dev = project.start("wasmcloud dev", "--port 0");
    let port = port(&dev);
    assert_eq!(curl(&mut project, port), "Hello from hello-world!\n");
    assert_eq!(project.run(&format!("curl --silent --data hello localhost:{port}/shout")), "HELLO");
    assert_eq!(get(port, "/other").0, 404);

    // Code that is wrong changes nothing. Code that is right replaces the running actor, whichever file it is in.
    project.edit("src/lib.rs", "Hello from", "Good night from");
    project.edit("src/lib.rs", "fn text(", "fn nonsense(");
    dev.error("its messages above say why");
    assert_eq!(get(port, "/"), (200, "Hello from hello-world!\n".to_owned()));
    project.edit("src/lib.rs", "fn nonsense(", "mod more;\nuse more::*;\nfn text(");
    project.add("src/more.rs", "pub fn greeting() -> &'static str {\n    \"one\"\n}\n");
    project.edit("src/lib.rs", "\"Good night from hello-world!\\n\"", "greeting()");
    dev.line("revision 2 answers");
    until_answered(port, "one");
    project.edit("src/more.rs", "one", "two");
    until_answered(port, "two");
    dev.stop();

    sign(&mut project);
    let host = project.start("wasmcloud run", "");
    assert_eq!(host.line(" runs: "), "hello-world.yaml runs: 1 actor(s), 1 provider(s)");
    assert_eq!(get(host.port(), "/").1, "two");
    host.stop();
    project.end();
}

#[test]
fn an_actor_that_counts_in_a_store() {
    if !builds_modules() {
        return;
    }
    let mut project = Project::make("actor counter --template kv");
    project.run("rustfmt --check --edition 2021 src/lib.rs");
    assert!(project.follow("cargo test").contains("3 passed"));
    project.follow("cargo build");
    let dev = project.start("wasmcloud dev", "--port 0");
    let port = port(&dev);
    assert_eq!(curl(&mut project, port), "/ was asked for 1 time(s)\n");
    assert_eq!(curl(&mut project, port), "/ was asked for 2 time(s)\n");
    assert_eq!(get(port, "/tea").1, "/tea was asked for 1 time(s)\n");
    dev.stop();

    sign(&mut project);
    for count in 1..=2 {
        let host = project.start("wasmcloud run", "");
        assert_eq!(host.line(" runs: "), "counter.yaml runs: 1 actor(s), 2 provider(s)");
        assert_eq!(get(host.port(), "/tea").1, format!("/tea was asked for {count} time(s)\n"), "the store is kept");
        host.stop();
    }
    project.end();
}

#[test]
fn an_actor_that_is_called_by_others() {
    if !builds_modules() {
        return;
    }
    let mut project = Project::make("actor greeter --template empty");
    project.run("rustfmt --check --edition 2021 src/lib.rs");
    assert!(project.follow("cargo test").contains("2 passed"));
    project.follow("cargo build");
    let dev = project.start("wasmcloud dev", "--port 0");
    port(&dev);
    dev.stop();
    sign(&mut project);
    let alone = project.start("wasmcloud run greeter.yaml", "");
    assert_eq!(alone.line(" runs: "), "greeter.yaml runs: 1 actor(s), 0 provider(s)");
    alone.stop();

    let store = tempfile::tempdir().unwrap();
    let server = NatsServer::start_with(&format!("jetstream {{ store_dir: {:?} }}\n", store.path()));
    let host = project
        .start("wasmcloud run greeter.yaml --rpc-host", &format!("--rpc-port {} --require-nats 30s", server.port));
    host.line(" runs: ");
    let call = project.readme("printf world | wasmcloud ctl call");
    assert_eq!(
        project.run(&format!("export RPC_PORT={}; {call}", server.port)),
        "{\n  \"$text\": \"Hello, world!\"\n}\n"
    );
    host.stop();
    project.end();
}

#[test]
fn an_actor_in_assemblyscript() {
    if !has("npm") {
        return;
    }
    let mut project = Project::make("actor hello-script --lang assemblyscript");
    let dev = project.shell("wasmcloud dev --port 0").output().unwrap();
    let errors = String::from_utf8_lossy(&dev.stderr).into_owned();
    assert!(dev.status.code() == Some(1) && errors.contains("run npm ci first"), "{errors}");
    project.run("npm ci");
    assert!(project.follow("npm test").contains("# pass 3"));
    let dev = project.start("wasmcloud dev", "--port 0");
    let port = port(&dev);
    assert_eq!(curl(&mut project, port), "Hello from hello-script!\n");
    assert_eq!(project.run(&format!("curl --silent --data 'grüße' localhost:{port}/shout")), "GRÜSSE");
    assert_eq!(get(port, "/other"), (404, String::new()));
    project.edit("assembly/handler.ts", "Hello from", "Good night from");
    dev.line("revision 2 answers");
    assert_eq!(get(port, "/").1, "Good night from hello-script!\n");
    dev.stop();

    project.follow("npm run build");
    sign(&mut project);
    let host = project.start("wasmcloud run", "");
    assert_eq!(get(host.port(), "/").1, "Good night from hello-script!\n");
    host.stop();
    project.end();
}

#[test]
fn tests_of_assemblyscript_fail_where_the_code_is_wrong() {
    if !has("npm") {
        return;
    }
    let project = Project::make("actor wrong-script --lang assemblyscript");
    project.edit("assembly/handler.ts", "404", "200");
    let said = project.run("npm ci --silent && ! npm test");
    assert!(said.contains("the assertion in line") && said.contains("# pass 2") && said.contains("# fail 1"), "{said}");
}

//! Where the settings of a run come from, and what is said about them.

use nkeys::KeyPair;

use crate::workplace::{Staying, Workplace};

/// The row of a setting in the table that a run prints.
fn row(host: &Staying, name: &str) -> String {
    host.error(&format!("  {name} "))
}

#[test]
fn settings_are_printed_with_their_origins_and_without_secrets() {
    let place = Workplace::with_echo();
    place.write("wasmcloud.toml", "call-deadline = '4s'\nmanifest = ['echo.yaml']\n[label]\nzone = 'cellar'\n");
    let mut command = place.command("run --shards 1");
    let password = "hunter2 of the registry";
    command.env("WASMCLOUD_STOP_GRACE", "3s").env("OCI_REGISTRY_USER", "me").env("OCI_REGISTRY_PASSWORD", password);
    let host = Staying::start(&mut command);
    host.line("echo.yaml runs: 1 actor(s), 1 provider(s)");
    for (name, value, origin) in [
        ("shards", "1", "flag"),
        ("stop-grace", "3s", "environment WASMCLOUD_STOP_GRACE"),
        ("oci-registry-password", "(secret)", "environment OCI_REGISTRY_PASSWORD"),
        ("call-deadline", "4s", "file wasmcloud.toml"),
        ("label", "zone=cellar", "file wasmcloud.toml"),
        ("rpc-port", "4222", "default"),
    ] {
        let row = row(&host, name);
        assert!(row.contains(value) && row.ends_with(origin), "{row}");
    }
    assert!(!host.errors().contains("hunter2"));
    host.stop();
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_anything_is_made() {
    let place = Workplace::with_echo();
    let seed = KeyPair::new_account().seed().unwrap();
    place.write("account.seed", format!("{seed}\n"));
    place.write("bad.toml", "rpc_host = 'x'\n");
    for (arguments, variable, expected) in [
        ("run --call-deadline soon", ("X", ""), "--call-deadline"),
        ("run", ("WASMCLOUD_SHARDS", "0"), "WASMCLOUD_SHARDS"),
        ("run --memory-limit 1MB", ("X", ""), "64KiB"),
        ("run --label zone", ("X", ""), "KEY=VALUE"),
        ("run --label hostcore.os=dos", ("X", ""), "hostcore."),
        ("run --compiler llvm", ("X", ""), "cranelift"),
        ("run --trusted-issuer M123", ("X", ""), "--trusted-issuer"),
        ("run --revoked-issuer M123", ("X", ""), "--revoked-issuer"),
        ("run --config bad.toml", ("X", ""), "did you mean rpc-host?"),
        ("run --watch=perhaps", ("X", ""), "true"),
        ("run --rpc-port 4222", ("X", ""), "no effect without a NATS server"),
        ("run", ("CONTROL_PORT", "4222"), "no effect without a NATS server"),
        ("run --rpc-host nats:4222", ("X", ""), "--rpc-host"),
        ("run --rpc-host nats --rpc-port 0", ("X", ""), "--rpc-port"),
        ("run --rpc-host nats --rpc-seed account.seed", ("X", ""), "SU..."),
        ("run --rpc-host nats", ("RPC_SEED", "hunter2"), "RPC_SEED"),
        ("run --rpc-host nats --nsprefix a.b", ("X", ""), "namespace"),
        ("run --rpc-host nats --trusted-host M123", ("X", ""), "trusted_host"),
        ("run --oci-registry-user me", ("X", ""), "--oci-registry-password"),
        ("run --frobnicate", ("X", ""), "--frobnicate"),
    ] {
        let mut staying = Staying::start(place.command(arguments).env(variable.0, variable.1));
        assert_eq!(staying.code(), 2, "{arguments}: {}", staying.errors());
        let errors = staying.errors();
        let error = errors.rsplit("error: ").next().unwrap();
        assert!(error.contains(expected) && !errors.contains("hunter2"), "{arguments}: {errors}");
    }
    let (code, errors) = place.ends("run --rpc-host nats --rpc-creds nothing.creds");
    assert!(code == 1 && errors.contains("nothing.creds"), "{errors}");
    assert_eq!(place.names(), ["account.seed", "bad.toml", "echo.wasm", "echo.yaml"]);
}

#[test]
fn a_setting_without_effect_is_warned_of() {
    let place = Workplace::new();
    let host = place.start("run --nsprefix cellar");
    host.error("warning: --nsprefix has no effect without a NATS server");
    host.line("runs: no manifest is given");
    host.stop();
}

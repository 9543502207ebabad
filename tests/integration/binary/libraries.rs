//! Archives on the command line, and the libraries that go into them.

use serde_json::Value;
use wasmcloud_host::ProviderArchive;

use super::Shell;
use crate::plugins::built;

const KEYS: &str = "--issuer-seed-file account.seed --subject-seed-file provider.seed";

fn with_provider_key() -> Shell {
    let (shell, ..) = Shell::with_keys();
    shell.key("service", "provider.seed");
    shell
}

fn create(output: &str, rest: &str) -> String {
    format!("par create -o {output} --name Clock --contract keyvalue --vendor Example {rest} {KEYS}")
}

#[test]
fn archives_are_created_filled_inspected_and_verified() {
    let (shell, account, _) = Shell::with_keys();
    let provider = shell.key("service", "provider.seed");
    let library = built::tally(&[]);
    shell.write("libclock.so", &library);
    shell.write("libclock.dylib", "another library");
    let host = ProviderArchive::host_target();
    shell.done(
        "par create -o clock.par.gz --gzip --name Clock --contract keyvalue --vendor Example --revision 2 \
         --library libclock.so --issuer-seed-file account.seed --subject-seed-file provider.seed",
    );
    let archive = ProviderArchive::from_file(shell.path("clock.par.gz")).unwrap();
    assert_eq!((archive.claims().issuer, archive.claims().subject), (account, provider.clone()));
    assert_eq!(archive.target_bytes(&host).unwrap(), library.as_slice());

    shell.done(
        "par insert clock.par.gz --unchecked --library mips-plan9=libclock.dylib --issuer-seed-file account.seed",
    );
    assert!(shell.read("clock.par.gz").starts_with(&[0x1f, 0x8b]));
    for command in ["inspect", "par inspect"] {
        let table = shell.done(&format!("{command} clock.par.gz"));
        for shown in ["provider", "Clock", "Example", "wasmcloud:keyvalue", &provider, &host, "mips-plan9"] {
            assert!(table.contains(shown), "{shown}: {table}");
        }
        let json: Value = serde_json::from_str(&shell.done(&format!("{command} clock.par.gz --json"))).unwrap();
        assert_eq!((&json["contract_id"], &json["revision"]), (&Value::from("wasmcloud:keyvalue"), &Value::from(2)));
        assert_eq!(json["targets"].as_array().unwrap().len(), 2);
        assert_eq!(json["target_hashes"]["mips-plan9"].as_str().unwrap().len(), 64);
    }
    let verified = shell.run("par verify clock.par.gz --target mips-plan9");
    assert!(verified.code == 0 && verified.output.contains(&provider), "{verified:?}");
    assert!(verified.errors.contains("warning: no host can load the library for mips-plan9"), "{verified:?}");
    assert!(shell.refused("par verify clock.par.gz --target sparc-solaris").contains("mips-plan9"));

    let mut damaged = shell.read("clock.par.gz");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    shell.write("clock.par.gz", damaged);
    for command in ["verify clock.par.gz", "inspect clock.par.gz", "insert clock.par.gz --library x-y=libclock.so"] {
        let ended = shell.run(&format!("par {command}"));
        // Depending on what the byte was, the archive is broken (1), or it is whole and not what was signed (3).
        assert!([1, 3].contains(&ended.code) && ended.errors.contains("clock.par.gz"), "{command}: {ended:?}");
    }
}

#[test]
fn what_no_host_could_load_is_not_signed() {
    let shell = with_provider_key();
    let library = built::tally(&[]);
    shell.write("good.so", &library);
    shell.write("empty.so", "");
    shell.write("clock.c", "int main() { return 0; }");
    shell.write("stranger.so", built::stranger());
    std::fs::copy(env!("CARGO_BIN_EXE_wasmcloud"), shell.path("program")).unwrap();
    // The machine of an ELF file is a number of two bytes at 18: that of s390x is 22.
    let mut other = library;
    other[18..20].copy_from_slice(&22_u16.to_le_bytes());
    shell.write("other.so", other);
    for (library, expected) in [
        ("empty.so", "empty"),
        ("clock.c", "not a library in a known format"),
        ("other.so", "for the architecture S390x"),
        ("stranger.so", "does not export `wasmcloud_provider`"),
        ("program", "does not export `wasmcloud_provider`"),
        ("x86_64-macos=good.so", "has the format ELF, and macos loads Mach-O"),
        ("aarch64-linux=good.so", "for the architecture X86_64"),
    ] {
        let said = shell.refused(&create("clock.par", &format!("--library {library}")));
        let file = library.rsplit('=').next().unwrap();
        assert!(said.contains(file) && said.contains(expected), "{library}: {said}");
    }
    for (libraries, expected) in [
        ("--library good.so --library good.so", "more than one library for"),
        ("--library x86_64-linux=good.so --library x86_64-linux=clock.c", "more than one library for x86_64-linux"),
        ("--library x86-64_linux=good.so", "did you mean x86_64-linux?"),
        ("--library x86_64-linx=good.so", "did you mean x86_64-linux?"),
    ] {
        let said = shell.misused(&create("clock.par", libraries));
        assert!(said.contains(expected), "{libraries}: {said}");
    }
    assert!(!shell.path("clock.par").exists());
    shell.done(&create("clock.par", "--unchecked --library x-y=clock.c --library empty.so"));
    assert_eq!(ProviderArchive::from_file(shell.path("clock.par")).unwrap().targets().len(), 2);
}

#[test]
fn a_path_may_hold_an_equals_sign() {
    let shell = with_provider_key();
    std::fs::create_dir(shell.path("a=b")).unwrap();
    shell.write("a=b/c=d.so", built::tally(&[]));
    shell.write("c=d.so", built::tally(&[]));
    for library in
        ["a=b/c=d.so".to_owned(), "./c=d.so".to_owned(), format!("{}=c=d.so", ProviderArchive::host_target())]
    {
        // What stands before the first sign is a target if it has no slash, as the help says.
        let library = if library.starts_with("a=b") { format!("./{library}") } else { library };
        shell.done(&create("clock.par", &format!("--library {library}")));
    }
}

#[test]
fn a_name_that_ends_in_gz_is_gzipped() {
    let shell = with_provider_key();
    shell.write("libclock.so", built::tally(&[]));
    for (output, options, gzipped) in
        [("a.par.gz", "", true), ("b.par", "", false), ("c.par", "--gzip", true), ("d.PAR.GZ", "--gzip", true)]
    {
        shell.done(&create(output, &format!("{options} --library libclock.so")));
        assert_eq!(shell.read(output).starts_with(&[0x1f, 0x8b]), gzipped, "{output}");
    }
}

#[test]
fn what_is_no_archive_is_named_and_nothing_of_it_repeated() {
    let shell = with_provider_key();
    let secret = "root:x:0:0:hunter2:/root:/bin/bash\n".repeat(40);
    shell.write("secrets", &secret);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    gzip.extend(secret.as_bytes());
    shell.write("secrets.gz", gzip);
    for command in ["inspect", "par inspect", "par verify"] {
        for file in ["secrets", "secrets.gz"] {
            let said = shell.refused(&format!("{command} {file}"));
            assert!(!said.contains("hunter2") && said.lines().count() == 1, "{command} {file}: {said}");
        }
    }
    assert!(shell.refused("par verify echo.wasm").contains("it is a WebAssembly module"));
    shell.write("libclock.so", built::tally(&[]));
    shell.done(&create("clock.par", "--library libclock.so"));
    assert!(
        shell.refused(&format!("sign clock.par -o x.wasm -n x {}", super::KEYS)).contains("not a WebAssembly module")
    );
}

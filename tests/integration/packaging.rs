//! What is distributed: the archive of a release, installed into an empty prefix and run from there; the systemd unit; and what
//! goes into the image.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use wasmcloud_host::Actor;

use crate::signing::{guest, in_repository};
use crate::workplace::{Staying, Workplace, get, manifest};

/// The steps of a release, each in a folder below one of its own.
struct Release {
    folder: TempDir,
}

impl Release {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs the tested binary, and returns the path of the archive.
    fn pack(&self, output: &str) -> PathBuf {
        let output = self.path(output);
        let arguments = ["--binary", env!("CARGO_BIN_EXE_wasmcloud"), "--output", output.to_str().unwrap()];
        let said = done(Command::new(in_repository("packaging/release")).args(arguments));
        let archive = PathBuf::from(said.lines().next().unwrap());
        assert_eq!(said.lines().nth(1).unwrap(), format!("{}.sha256", archive.display()));
        archive
    }

    /// Unpacks an archive that its checksum belongs to.
    fn unpack(&self, archive: &Path) {
        let folder = archive.parent().unwrap();
        let check = ["--check", "--strict", "--quiet"];
        done(Command::new("sha256sum").args(check).arg(checksum(archive)).current_dir(folder));
        std::fs::create_dir(self.path("unpacked")).unwrap();
        let unpack = ["--extract", "--strip-components=1", "--file", archive.to_str().unwrap()];
        done(Command::new("tar").args(unpack).current_dir(self.path("unpacked")));
    }

    fn install(&self, prefix: &str) -> Output {
        let prefix = self.path(prefix);
        Command::new(self.path("unpacked/install")).arg(prefix).env_remove("DESTDIR").output().unwrap()
    }
}

fn checksum(archive: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sha256", archive.display()))
}

/// What a command prints if all goes well.
fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The files below a folder, by their paths from there, with their modes.
fn files(folder: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().unwrap().map(Result::unwrap) {
            match entry.metadata().unwrap() {
                metadata if metadata.is_dir() => folders.push(entry.path()),
                metadata => {
                    let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, metadata.permissions().mode() & 0o7777);
                }
            }
        }
    }
    found
}

#[test]
fn a_release_is_the_same_each_time_and_runs_from_an_empty_prefix() {
    let release = Release { folder: tempfile::tempdir().unwrap() };
    let archive = release.pack("first");
    let again = release.pack("second");
    assert_eq!(archive.file_name(), again.file_name());
    assert!(std::fs::read(&archive).unwrap() == std::fs::read(&again).unwrap(), "the archives differ");
    release.unpack(&archive);
    for _ in 0..2 {
        let installed = release.install("prefix");
        assert!(installed.status.success(), "{installed:?}");
        assert!(
            String::from_utf8(installed.stdout).unwrap().contains("export PATH="),
            "it says how to find the binary"
        );
    }
    let prefix = release.path("prefix");
    let files = files(&prefix);
    assert_eq!(files["bin/wasmcloud"], 0o755);
    for file in [
        "lib/systemd/system/wasmcloud.service",
        "share/bash-completion/completions/wasmcloud",
        "share/doc/wasmcloud/LICENSE",
        "share/doc/wasmcloud/wasmcloud.toml",
        "share/fish/vendor_completions.d/wasmcloud.fish",
        "share/man/man1/wasmcloud-keys-gen.1",
        "share/man/man1/wasmcloud.1",
        "share/zsh/site-functions/_wasmcloud",
    ] {
        assert_eq!(files.get(file), Some(&0o644), "{file}: {files:?}");
    }
    let work = release.path("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("echo.wasm"), guest("echo")).unwrap();
    std::fs::write(work.join("echo.yaml"), manifest("signed.wasm", "echo", "0")).unwrap();
    let script = "set -e
        wasmcloud keys gen account -o account.seed
        wasmcloud keys gen module -o module.seed
        wasmcloud sign echo.wasm -o signed.wasm -n Echo --alias echo -c httpserver \
            --issuer-seed-file account.seed --subject-seed-file module.seed
        wasmcloud inspect signed.wasm";
    let path = format!("{}/bin:/usr/bin:/bin", prefix.display());
    done(Command::new("bash").args(["-c", script]).current_dir(&work).env_clear().env("PATH", path));
    assert_eq!(Actor::from_file(work.join("signed.wasm")).unwrap().name(), "Echo");

    let mut command = Command::new(prefix.join("bin/wasmcloud"));
    let host = Staying::start(command.args(["run", "echo.yaml"]).current_dir(&work).env_clear().env("HOME", &work));
    assert_eq!(host.line(" runs: "), "echo.yaml runs: 1 actor(s), 1 provider(s)");
    assert_eq!(get(host.port(), "/status/204").0, 204);
    host.stop();

    let unit = std::fs::read_to_string(prefix.join("lib/systemd/system/wasmcloud.service")).unwrap();
    assert!(unit.contains(&format!("\nExecStart={}/bin/wasmcloud run ", prefix.display())), "{unit}");
}

#[test]
fn a_damaged_release_is_not_installed() {
    let release = Release { folder: tempfile::tempdir().unwrap() };
    let unit = "lib/systemd/system/wasmcloud.service";
    for (file, source) in
        [("install", "packaging/install"), (unit, "packaging/wasmcloud.service"), ("share/LICENSE", "LICENSE")]
    {
        let place = release.path("unpacked").join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(in_repository(source), place).unwrap();
    }
    let binary = release.path("unpacked/bin/wasmcloud");
    std::fs::create_dir(binary.parent().unwrap()).unwrap();
    std::fs::write(&binary, "the binary").unwrap();
    let sums = "sha256sum install bin/wasmcloud share/LICENSE lib/systemd/system/wasmcloud.service >SHA256SUMS";
    done(Command::new("bash").args(["-c", sums]).current_dir(release.path("unpacked")));
    let installed = release.install("whole");
    assert!(installed.status.success(), "{installed:?}");

    std::fs::write(&binary, "another binary").unwrap();
    let refused = release.install("prefix");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("is damaged: unpack the archive again"), "{said}");
    assert!(!release.path("prefix").exists(), "nothing was installed");
}

#[test]
fn the_systemd_unit_is_valid_and_hardened() {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(in_repository("packaging/wasmcloud.service")).unwrap();
    let unit = unit.replace("/usr/bin/wasmcloud", env!("CARGO_BIN_EXE_wasmcloud"));
    let path = folder.path().join("wasmcloud.service");
    std::fs::write(&path, unit).unwrap();
    // `verify` ends well in spite of warnings, so that they are looked for.
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    // 0 is the best of 100, and 96 what a service without any hardening has.
    let judge = ["security", "--offline=yes", "--threshold=20", "--no-pager"];
    done(Command::new("systemd-analyze").args(judge).arg(&path));
}

#[test]
fn the_settings_to_begin_with_are_valid_as_they_are_and_without_their_signs() {
    let place = Workplace::with_echo();
    let settings = std::fs::read_to_string(in_repository("packaging/wasmcloud.toml")).unwrap();
    place.write("wasmcloud.toml", &settings);
    let host = place.start("run --config wasmcloud.toml");
    host.line("runs: no manifest is given");
    host.stop();
    let used = settings.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.contains(" = ") => setting,
        _ => line,
    });
    place.write("wasmcloud.toml", used.map(|line| format!("{line}\n")).collect::<String>());
    place.write("host.yaml", "labels: {}");
    // No DNS is asked.
    let host = place.start("run --config wasmcloud.toml --rpc-host 127.0.0.1 --rpc-port 1");
    host.line("host.yaml runs: 0 actor(s), 0 provider(s)");
    for setting in ["manifest", "label", "nsprefix", "trusted-issuer", "control-issuer", "allow-live-updates"] {
        let line = host.error(&format!("  {setting} "));
        assert!(line.contains("wasmcloud.toml"), "the settings say where this one comes from: {line}");
    }
    host.stop();
}

#[test]
fn the_image_has_all_that_its_build_needs() {
    let recipe = std::fs::read_to_string(in_repository("packaging/Containerfile")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copies =
        recipe.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    for line in copies {
        let (sources, place) = line.rsplit_once(' ').unwrap();
        let place = folder.path().join(place);
        let sources: Vec<PathBuf> = sources.split(' ').map(in_repository).collect();
        // The contents of a folder are copied to the place, files into it.
        let is_folder = sources[0].is_dir().then_some("--no-target-directory");
        done(Command::new("cp").arg("--recursive").args(is_folder).args(sources).arg(place));
    }
    let check = ["metadata", "--locked", "--offline", "--format-version=1", "--no-deps"];
    done(Command::new("cargo").args(check).current_dir(folder.path()));
    assert!(recipe.contains("\nUSER 65532:65532\n"), "the image runs as a user without rights");
}

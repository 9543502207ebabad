"""How the projects of guides are built: by the toolchain, or by Debian's where that has no target wasm32."""

import os
import pathlib
import shutil
import subprocess
import sys

# The folder of the templates of `wasmcloud new actor`.
TEMPLATES = pathlib.Path(__file__).resolve().parent.parent / "crates" / "wasmcloud" / "templates" / "actor"

# Stands for cargo: builds modules by Debian's toolchain if that is needed, and projects that guides make in folders of their own.
CARGO = """#!/usr/bin/env bash
case "$PWD" in
    */copy/demo/*) unset CARGO_TARGET_DIR ;;
esac
case "$GUEST_BY_DEBIAN $*" in
    yes*wasm32*) RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc exec /usr/bin/cargo -Z sparse-registry "$@" ;;
    *) exec "$OWN_CARGO" "$@" ;;
esac
"""

# Stands for rustup: Debian's toolchain has its target already.
RUSTUP = """#!/usr/bin/env bash
[ -n "$GUEST_BY_DEBIAN" ] || exec "$OWN_RUSTUP" "$@"
"""


def stand_ins(folder):
    """Makes the programs that stand for others, and answers with the environment in which they are found."""
    folder.mkdir()
    for name, text in (("cargo", CARGO), ("rustup", RUSTUP)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    own = {f"OWN_{name.upper()}": shutil.which(name) or "" for name in ("cargo", "rustup")}
    return {**own, "PATH": f"{folder}:{os.environ['PATH']}"}


def runs_for_wasm32(rustc):
    """Whether a compiler has what it needs to build guests."""
    if shutil.which(rustc) is None:
        return False
    folder = subprocess.run([rustc, "--print", "target-libdir", "--target", "wasm32-unknown-unknown"], capture_output=True, text=True)
    return folder.returncode == 0 and pathlib.Path(folder.stdout.strip()).is_dir()


def prepare_projects(commands, scratch):
    """Downloads what the projects that commands make depend on, and answers with what their builds need to know."""
    variables = {}
    if any("wasmcloud new actor" in command for command in commands):
        variables |= prepare_rust(scratch / "rust")
    if any("npm ci" in command for command in commands):
        variables |= prepare_npm(scratch / "npm")
    return variables


def prepare_rust(scratch):
    """Downloads the crates of all templates in Rust. Where the toolchain has no target wasm32, Debian's takes its place, which
    keeps what it downloads elsewhere."""
    debian = not runs_for_wasm32("rustc")
    if debian and not runs_for_wasm32("/usr/bin/rustc"):
        sys.exit("scripts/readme: no compiler for wasm32: rustup target add wasm32-unknown-unknown, or on Debian "
                 "apt-get install rustc cargo libstd-rust-dev-wasm32 lld")
    # This one depends on all that the others depend on.
    (scratch / "src").mkdir(parents=True)
    (scratch / "src" / "lib.rs").touch()
    for name in ("Cargo.toml", "Cargo.lock"):
        # A name that sorts before all others, as it stands in the template.
        text = (TEMPLATES / "rust" / "kv" / f"{name}.in").read_text().replace("{{name}}", "a")
        (scratch / name).write_text(text)
    if debian:
        older = {"RUSTC": "/usr/bin/rustc", "RUSTC_BOOTSTRAP": "1"}
        run("/usr/bin/cargo", "-Z", "sparse-registry", "fetch", "--quiet", "--locked", folder=scratch, **older)
    # The tests of the projects run on this machine.
    run("cargo", "fetch", "--quiet", "--locked", folder=scratch)
    return {"GUEST_BY_DEBIAN": "yes" if debian else ""}


def prepare_npm(scratch):
    """Downloads the packages of the template in AssemblyScript into npm's cache."""
    scratch.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        text = (TEMPLATES / "assemblyscript" / f"{name}.in").read_text().replace("{{name}}", "a")
        (scratch / name).write_text(text)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", folder=scratch)
    return {"npm_config_offline": "true", "npm_config_audit": "false", "npm_config_update_notifier": "false"}


def run(*command, folder, **variables):
    subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True)

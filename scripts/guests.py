"""How the guests of guides are built: by the toolchain, or by Debian's where that has no target wasm32."""

import os
import pathlib
import shutil
import subprocess
import sys

# How packages beside the project are built: a guest with the lock that was prepared, by the toolchain that there is.
GUEST_BUILD = """
rustup() { [ -n "$GUEST_BY_DEBIAN" ] || command rustup "$@"; }
guest_cargo() {
    [ "$1" != build ] || [ -z "$GUEST_LOCK" ] || cp "$GUEST_LOCK" Cargo.lock
    if [ "$1" = build ] && [ -n "$GUEST_BY_DEBIAN" ]; then
        env -u CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo -Z sparse-registry "$@"
    else
        env -u CARGO_TARGET_DIR cargo "$@"
    fi
}
cargo() {
    case "$PWD $*" in
        */wasmcloud-host*) command cargo "$@" ;;
        *) guest_cargo "$@" ;;
    esac
}
"""


def runs_for_wasm32(rustc):
    """Whether a compiler has what it needs to build guests."""
    if shutil.which(rustc) is None:
        return False
    folder = subprocess.run([rustc, "--print", "target-libdir", "--target", "wasm32-unknown-unknown"], capture_output=True, text=True)
    return folder.returncode == 0 and pathlib.Path(folder.stdout.strip()).is_dir()


def prepare_guest(manifest, scratch):
    """Locks and downloads what a guest is made of, and answers with what its build needs to know.

    Where the toolchain has no target wasm32, Debian's takes its place. It is older, so it gets older releases of what the
    guest's own requirements leave open."""
    debian = not runs_for_wasm32("rustc")
    if debian and not runs_for_wasm32("/usr/bin/rustc"):
        sys.exit("scripts/readme: no compiler for wasm32: rustup target add wasm32-unknown-unknown, or on Debian "
                 "apt-get install rustc cargo libstd-rust-dev-wasm32 lld")
    guest = scratch / "guest"
    (guest / "src").mkdir(parents=True)
    (guest / "src" / "lib.rs").touch()
    (guest / "Cargo.toml").write_text(manifest)
    older = {"RUSTC": "/usr/bin/rustc", "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "fallback"} if debian else {}

    def cargo(*arguments, program="cargo", **variables):
        subprocess.run([program, *arguments], cwd=guest, env={**os.environ, **older, **variables}, check=True)

    cargo("generate-lockfile", "--quiet")
    lock = guest / "Cargo.lock"
    if debian:
        # Later releases say that they need an older Rust than they do.
        for crate in ("serde", "serde_derive", "serde_core"):
            if f'name = "{crate}"\n' in lock.read_text():
                cargo("update", "--quiet", "--package", crate, "--precise", "1.0.228")
        lock.write_text(lock.read_text().replace("\nversion = 4\n", "\nversion = 3\n", 1))
        cargo("-Z", "sparse-registry", "fetch", "--quiet", "--locked", program="/usr/bin/cargo", RUSTC_BOOTSTRAP="1")
    else:
        cargo("fetch", "--quiet", "--locked")
    return {"GUEST_LOCK": str(lock), "GUEST_BY_DEBIAN": "yes" if debian else ""}

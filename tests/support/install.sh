# Installs what a suite needs. To be sourced.

target=${CARGO_TARGET_DIR:-target}
missing=()

# needs COMMAND [PACKAGE]: without that command, its Debian package is to be installed.
needs() {
    command -v "$1" >/dev/null || missing+=("${2:-$1}")
}

# install_missing: installs the Debian packages that are to be installed, as root.
install_missing() {
    ((${#missing[@]})) || return 0
    apt-get -o Acquire::Retries=3 update -q
    DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -qy --no-install-recommends "${missing[@]}"
}

# begin_suite NAME, at the root of the repository: sets `here` and `work`, the directories of the
# suite's scripts and of its files. Then installs what it needs, with the packages of npm and PyPI
# that `here` names.
begin_suite() {
    here=tests/$1
    work=$target/$1
    mkdir -p "$work"
    if [[ -e $here/package.json ]]; then
        needs node nodejs
        needs npm
    fi
    if [[ -e $here/requirements.txt ]]; then
        python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
    fi
    install_missing
    if [[ -e $here/package.json ]]; then install_npm; fi
    if [[ -e $here/requirements.txt ]]; then install_python; fi
}

# install_npm: copies the scripts of the suite and installs their npm packages beside them. node
# looks for node_modules next to the script, and that must not be the source tree.
install_npm() {
    cp "$here"/*.mjs "$here/package.json" "$work"
    if ! cmp -s "$here/package-lock.json" "$work/package-lock.json" || [[ ! -d $work/node_modules ]]; then
        rm -rf "$work/node_modules"
        cp "$here/package-lock.json" "$work"
        npm ci --prefix "$work" --fetch-retries=5 --engine-strict --no-audit --no-fund || { rm -f "$work/package-lock.json"; exit 1; }
    fi
}

# install_python: installs the suite's packages of PyPI.
install_python() {
    if ! cmp -s "$here/requirements.txt" "$work/venv/requirements.txt"; then
        rm -rf "$work/venv"
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
        cp "$here/requirements.txt" "$work/venv"
    fi
}

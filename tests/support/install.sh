# Installs what a suite needs. To be sourced.

# install_debian PACKAGE…: installs Debian packages, as root.
install_debian() {
    (($#)) || return 0
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
}

# install_npm FROM TO: copies the scripts of a suite and installs their npm packages beside them.
# node looks for node_modules next to the script, and that must not be the source tree.
install_npm() {
    cp "$1"/*.mjs "$1/package.json" "$2"
    if ! cmp -s "$1/package-lock.json" "$2/package-lock.json" || [[ ! -d $2/node_modules ]]; then
        rm -rf "$2/node_modules"
        cp "$1/package-lock.json" "$2"
        npm ci --prefix "$2" --engine-strict --no-audit --no-fund || { rm -f "$2/package-lock.json"; exit 1; }
    fi
}

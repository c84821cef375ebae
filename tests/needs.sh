#!/usr/bin/env bash
# Finds what a target of the Makefile needs and is missing, says so, and installs it from the distribution.
#   tests/needs.sh build | demo-prosody | demo-ejabberd | test
# Nothing is installed and no list is fetched where nothing is missing. On a system without apt it says what to install and stops.
set -euo pipefail

python=/usr/bin/python3 # the distribution's: its packages are for this one
packages=()
wishes=()
services=()

have_module() { "$python" -c "import $1" >/dev/null 2>&1; }
need() { # package, service it would start (or -), then the test for its presence
    local package=$1 service=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    packages+=("$package")
    [ "$service" = - ] || services+=("$service")
}
wish() { # as `need` without a service, for what not every distribution has: its tests are skipped there, and say so
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || wishes+=("$package")
}

need_build() {
    need gcc - command -v cc
    need libc6-dev - test -e /usr/include/stdlib.h
}
need_python() {
    need python3 - test -x "$python"
    need python3-slixmpp - have_module slixmpp
    need openssl - command -v openssl
}
need_prosody() { need prosody prosody command -v prosody; }
need_ejabberd() { need ejabberd ejabberd command -v ejabberdctl; }
need_postgres() { need postgresql postgresql compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

case ${1:-} in
build) need_build ;;
demo-prosody) need_build && need_python && need_prosody ;;
demo-ejabberd) need_build && need_python && need_ejabberd ;;
test)
    need_build
    need_python
    need python3-pytest - have_module pytest
    need sqlite3 - command -v sqlite3
    need iproute2 - command -v ip
    need systemd - test -x /lib/systemd/systemd
    need systemd-container - command -v systemd-nspawn
    need libfaketime - compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1'
    need_prosody
    need_ejabberd
    need_postgres
    wish python3-aioxmpp have_module aioxmpp
    wish python3-nbxmpp have_module nbxmpp.client
    wish chromium command -v chromium
    wish chromium-driver command -v chromedriver
    wish python3-selenium have_module selenium
    wish npm command -v npm # brings Converse.js, once
    ;;
*)
    echo "usage: $0 build | demo-prosody | demo-ejabberd | test" >&2
    exit 2
    ;;
esac

# Rust is the one thing not taken from the distribution: its Rust is older than this project's.
if ! command -v cargo >/dev/null; then
    echo "needs: cargo is missing; install Rust 1.88 or newer (https://rustup.rs), then run this again" >&2
    exit 1
fi

missing=("${packages[@]}" "${wishes[@]}")
[ ${#missing[@]} -gt 0 ] || exit 0
echo "needs: missing here: ${missing[*]}"

give_up() { # says why; goes on where only wishes are missing
    echo "needs: $1" >&2
    [ ${#packages[@]} -eq 0 ] || exit 1
    echo "needs: going on without ${wishes[*]}: tests that need them are skipped" >&2
    exit 0
}
command -v apt-get >/dev/null || give_up "this system has no apt; install by its own means: ${missing[*]} (names as in Debian), then run this again"
root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || give_up "not root and no sudo; as root run: apt-get install ${missing[*]}"
    root=(sudo)
fi
had_erlang=$(command -v epmd || true)

echo "needs: installing them from the distribution with apt-get${root[0]:+ (through sudo)}"
apt() { ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
update_and_install() { apt update && { [ ${#packages[@]} -eq 0 ] || apt install -y --no-install-recommends "${packages[@]}"; }; }
if ! update_and_install >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    give_up "apt-get could not install: ${packages[*]} (its last words are above)"
fi
for wish in ${wishes[@]+"${wishes[@]}"}; do
    if ! apt install -y --no-install-recommends "$wish" >"$log" 2>&1; then
        tail -n 3 "$log" >&2
        echo "needs: no $wish from this distribution: tests that need it are skipped" >&2
    fi
done

# Debian starts a server as soon as it is installed. These were installed for throw-away use only, so what came
# up with them is stopped; a server that was here before is not in this list and is left alone.
for service in ${services[@]+"${services[@]}"}; do
    if [ -d /run/systemd/system ]; then
        ${root[@]+"${root[@]}"} systemctl disable --now --quiet "$service" >/dev/null 2>&1 || true
        echo "needs: stopped and disabled the system service $service, started by its installation (undo: systemctl enable --now $service)"
    elif [ -x "/etc/init.d/$service" ] && "/etc/init.d/$service" status >/dev/null 2>&1; then
        ${root[@]+"${root[@]}"} "/etc/init.d/$service" stop >/dev/null 2>&1 || true
        echo "needs: stopped the system service $service, started by its installation (undo: service $service start)"
    fi
done
# Erlang's port mapper outlives ejabberd; it refuses to end while any node is registered.
if [ -z "$had_erlang" ] && command -v epmd >/dev/null; then
    if [ -d /run/systemd/system ]; then
        ${root[@]+"${root[@]}"} systemctl disable --now --quiet epmd.socket epmd.service >/dev/null 2>&1 || true
    fi
    epmd -kill >/dev/null 2>&1 || true
fi
echo "needs: done"

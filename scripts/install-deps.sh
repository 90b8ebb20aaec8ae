#!/usr/bin/env bash
# Install what the machine lacks:  install-deps.sh module | tests PYTHON | lint | fuzz
#
#   module         what building and running the module needs, Asterisk's headers included
#   tests PYTHON   a compiler, and the headers and ensurepip of PYTHON, for the tests' build/venv
#   lint           the C checkers
#   fuzz           clang, with libFuzzer and the sanitizers
#
# Packages come from wherever this machine's package manager is configured to take them. Where the
# distribution's Python packages are too old, a virtual environment at $SYSTEM_VENV takes their place;
# the Makefile uses it by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
# What is put here is for Asterisk's user, whatever root's own files are to be like.
umask 022

# The script's own test has others of both.
readonly SYSTEM_VENV=${CONVAI_SYSTEM_VENV:-/usr/local/lib/app_elevenlabs_convai/venv}
readonly SYSTEM_PYTHON=${CONVAI_SYSTEM_PYTHON:-/usr/bin/python3}
# The oldest that work; setup.py and scripts/check_deps.py name them too.
readonly CYTHON_NEEDED=3.0 WEBSOCKETS_NEEDED=15 ORJSON_NEEDED=3.9

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Run a command that talks much; show what it said only if it fails.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        fail "This failed: $*"
    fi
    rm -f "$log"
}

# --- package managers -------------------------------------------------------------------------------

manager() {
    local each
    for each in apt-get dnf brew; do
        if command -v "$each" >/dev/null; then
            say "$each"
            return
        fi
    done
    fail "No package manager that this script knows (apt-get, dnf, brew). 'make check-deps' says what is needed."
}

need_root() {
    if [ "$(id -u)" != 0 ]; then
        say "Only root can install packages. Run:"
        say "    sudo $*"
        exit 1
    fi
}

apt_update_done=no
apt_update() {
    if [ "$apt_update_done" = no ]; then
        quietly apt-get update -qq
        apt_update_done=yes
    fi
}

apt_install() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    need_root "apt-get install ${missing[*]}"
    say "Installing: ${missing[*]}"
    apt_update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -qqy -o Dpkg::Use-Pty=0 \
        --no-install-recommends "${missing[@]}"
}

# The version that apt would install or has installed, without epoch; empty if there is none.
apt_candidate() {
    apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { sub(/^[0-9]+:/, "", $2); print $2 }'
}

at_least() { # at_least FOUND NEEDED
    [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# --- the module -------------------------------------------------------------------------------------

# An earlier version made it with whatever umask root had.
open_system_venv() {
    if [ -d "$SYSTEM_VENV" ] && [ -w "$SYSTEM_VENV" ]; then
        chmod -R a+rX "$(dirname "$SYSTEM_VENV")"
    fi
}

# For Pythons whose packaged Cython or websockets is too old.
make_system_venv() {
    need_root make install-deps
    say "Making $SYSTEM_VENV: this distribution's packages are missing or too old: $*"
    mkdir -p "$(dirname "$SYSTEM_VENV")"
    "$SYSTEM_PYTHON" -m venv "$SYSTEM_VENV"
    scripts/pip-locked.sh "$SYSTEM_VENV/bin/python" run
}

apt_python_packages() {
    local old=() package needed found
    while read -r package needed; do
        found=$(apt_candidate "$package")
        at_least "$found" "$needed" || old+=("$package ${found:-missing},")
    done <<END
cython3 $CYTHON_NEEDED
python3-websockets $WEBSOCKETS_NEEDED
python3-orjson $ORJSON_NEEDED
END
    if [ ${#old[@]} = 0 ]; then
        apt_install cython3 python3-setuptools python3-websockets python3-orjson
    else
        apt_install python3-venv
        make_system_venv "${old[@]}"
    fi
}

# Headers of an Asterisk that was built from source are there already; Debian's would not match it.
apt_asterisk_headers() {
    if [ -e /usr/include/asterisk.h ] || [ -e /usr/local/include/asterisk.h ]; then
        say "Asterisk's headers are there."
    elif [ -n "$(apt_candidate asterisk-dev)" ]; then
        apt_install asterisk asterisk-dev
    else
        say "This distribution has no package asterisk-dev. Install Asterisk 16.28 or newer from its"
        say "sources (its 'make install' installs the headers), then run 'make' here. 'make test' and"
        say "'make demo' need no Asterisk on this machine: they make a private one."
        return 1
    fi
}

install_module_apt() {
    if [ "$(id -u)" = 0 ]; then
        apt_update
    fi
    apt_install gcc make libc6-dev pkgconf python3 python3-dev ca-certificates
    apt_python_packages
    apt_asterisk_headers
}

# The names for apt are those of Debian 12 and forky, looked up there. Those for dnf and brew come from the
# lists of Fedora and Homebrew and were never tried: each line that asks for them says so.
readonly UNCHECKED="name not checked"

dnf_install() {
    local package
    for package in "$@"; do
        say "Asking dnf for $package ($UNCHECKED)"
    done
    dnf install -y "$@"
}

# Fedora, and RHEL with EPEL enabled.
install_module_dnf() {
    local failed=0
    need_root make install-deps
    dnf_install gcc make glibc-devel pkgconf-pkg-config python3 python3-devel ca-certificates
    if ! "$SYSTEM_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        dnf_install python3.12 python3.12-devel python3.12-pip || true
        say "$SYSTEM_PYTHON is too old. Make a virtual environment and build with it:"
        say "    python3.12 -m venv $SYSTEM_VENV && scripts/pip-locked.sh $SYSTEM_VENV/bin/python run"
        say "    make PYTHON=$SYSTEM_VENV/bin/python"
        return 1
    fi
    dnf_install python3-setuptools python3-Cython python3-websockets python3-orjson || true
    "$SYSTEM_PYTHON" scripts/check_deps.py --quiet core run || make_system_venv "see above"
    dnf_install asterisk asterisk-devel || failed=1
    if [ "$failed" = 1 ]; then
        say "If there is no such package, install Asterisk from its sources, then run 'make' here."
        return 1
    fi
}

# Asterisk itself runs on macOS, the testbed does not.
install_module_brew() {
    local package
    for package in asterisk python pkgconf; do
        say "Asking brew for $package ($UNCHECKED)"
    done
    brew install asterisk python pkgconf
    say "Now make a virtual environment and build with it:"
    say "    python3 -m venv build/venv-module && scripts/pip-locked.sh build/venv-module/bin/python run"
    say "    make PYTHON=$PWD/build/venv-module/bin/python ASTERISK_INCLUDE=$(brew --prefix)/include"
}

# --- tests, lint, fuzz ---------------------------------------------------------------------------------

has_headers() { # has_headers PYTHON
    "$1" -c 'import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())'
}

# Debian splits ensurepip out of python3; nobody else does.
has_ensurepip() { # has_ensurepip PYTHON
    "$1" -c 'import ensurepip' 2>/dev/null
}

install_tests() { # install_tests PYTHON
    if command -v cc >/dev/null && has_headers "$1" && has_ensurepip "$1"; then
        return
    fi
    if [ "$(manager)" = apt-get ]; then
        apt_install gcc libc6-dev python3-dev python3-venv
    fi
    command -v cc >/dev/null || fail "A C compiler is needed: install gcc."
    has_headers "$1" || fail "Python.h of $1 is missing: install that Python's headers, or set HOST_PYTHON."
    has_ensurepip "$1" || fail "$1 cannot make virtual environments: it lacks ensurepip. Set HOST_PYTHON."
}

install_lint() {
    if [ "$(manager)" = apt-get ] && [ "$(id -u)" = 0 ]; then
        apt_install cppcheck flawfinder
    fi
}

install_fuzz() {
    if [ "$(manager)" = apt-get ] && [ "$(id -u)" = 0 ]; then
        apt_install clang libclang-rt-dev
    fi
}

# The distribution's Python, or the environment that this script made for it.
module_complete() {
    local python=$SYSTEM_PYTHON
    if [ -x "$SYSTEM_VENV/bin/python" ]; then
        python=$SYSTEM_VENV/bin/python
    fi
    [ -x "$python" ] && "$python" scripts/check_deps.py --quiet core module run 2>/dev/null
}

install_module() {
    local found
    open_system_venv
    if module_complete; then
        say "Everything is there; 'make check-deps' lists it."
        return
    fi
    found=$(manager) # by itself: a failure within a word would go unnoticed
    "install_module_${found%-get}"
}

case "${1:-}" in
    module) install_module ;;
    tests) install_tests "${2:?which Python?}" ;;
    lint) install_lint ;;
    fuzz) install_fuzz ;;
    *) fail "usage: install-deps.sh module | tests PYTHON | lint | fuzz" ;;
esac

#!/usr/bin/env bash
# Install just what was tried, checked by its hashes:  pip-locked.sh PYTHON NAME [PIP OPTION...]
#
# NAME is a file of requirements/locked, which `make lock` makes from the ranges that packagers have. Only
# wheels: a source would fetch what it is built with, unchecked, and run as the user who installs. With
# LOCKED=0 it is what the ranges allow, unchecked. pip takes its index from the machine's configuration.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$1 name=$2
shift 2
ranges=requirements/$name.txt
case $name in
    run) ranges=requirements.txt ;;
    conformance) ranges=tests/conformance/requirements.txt ;;
esac
locked=requirements/locked/$name.txt
install=("$python" -m pip install --quiet --disable-pip-version-check "$@")

if [ "${LOCKED:-1}" = 0 ]; then
    exec "${install[@]}" --requirement "$ranges"
fi
if ! "${install[@]}" --require-hashes --only-binary :all: --requirement "$locked"; then
    cat >&2 <<END
pip could not install $locked for $("$python" -c 'import platform; print("Python", platform.python_version(), "on", platform.machine())').
It names the versions that were tried, with their hashes, for CPython 3.11 to 3.14 on x86_64 and aarch64.
If your index has not got them, or there is no wheel for your machine: LOCKED=0 takes what $ranges
allows, unchecked. 'make lock' makes the list anew.
END
    exit 1
fi

#!/usr/bin/env bash
# Make or update a virtual environment:  make-venv.sh PYTHON DIRECTORY NAME
#
# NAME is that of a file in requirements/locked.
set -euo pipefail

python=$1 venv=$2 name=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1). Set HOST_PYTHON." >&2
    exit 1
fi
"$(dirname "$0")/install-deps.sh" tests "$python"
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    echo "Making $venv for $("$python" -V)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
echo "Installing what requirements/$name.txt needs into $venv"
"$(dirname "$0")/pip-locked.sh" "$venv/bin/python" "$name"

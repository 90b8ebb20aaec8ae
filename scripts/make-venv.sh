#!/usr/bin/env bash
# Make or update a virtual environment:  make-venv.sh PYTHON DIRECTORY REQUIREMENTS
#
# pip takes its index from the machine's own configuration.
set -euo pipefail

python=$1 venv=$2 requirements=$3

install_venv_package() {
    # Debian splits ensurepip out of python3; nobody else does.
    if ! command -v apt-get >/dev/null; then
        echo "$python cannot make virtual environments: it lacks the module ensurepip." >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "$python cannot make virtual environments; run: sudo apt-get install python3-venv" >&2
        exit 1
    fi
    echo "Installing python3-venv: $python cannot make virtual environments without it."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy -o Dpkg::Use-Pty=0 --no-install-recommends \
        python3-venv
}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1). Set HOST_PYTHON." >&2
    exit 1
fi
"$(dirname "$0")/install-deps.sh" tests "$python"
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_package
    echo "Making $venv for $("$python" -V)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
echo "Installing $requirements into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"

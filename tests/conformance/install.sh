#!/usr/bin/env bash
# Install the official clients:  install.sh [DIRECTORY]     (default: build/conformance)
#
# Packages come from PyPI and npm as this machine is configured to reach them. What cannot be had is
# said, and its tests are skipped; the status is 0 all the same. What is there already is left alone.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
directory=$(realpath -m "${1:-build/conformance}")
python=${PYTHON:-python3}
# Limits of one download, in seconds: a machine without network must not hold up its tests.
readonly CONNECT_LIMIT=15 RETRIES=1

# lacking WHAT WHO FOLDER: say so, as the tests will once more, and leave no half of it there.
lacking() {
    printf 'CONFORMANCE: %s; the tests with %s are skipped\n' "$1" "$2" >&2
    rm -rf "${directory:?}/$3"
}

# What an installation depends on, as one word.
fingerprint() { {
    cat "$1"
    "${@:2}"
} 2>&1 | sha256sum | cut -d' ' -f1; }

# current STAMP FINGERPRINT: whether just that was installed
current() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

install_python() {
    local stamp=$directory/venv/.installed wanted
    wanted=$(fingerprint "$project/requirements/locked/conformance.txt" "$python" -V)
    current "$stamp" "$wanted" && return
    echo "Installing the official Python client into $directory/venv"
    rm -rf "$directory/venv"
    "$python" -m venv "$directory/venv" &&
        "$project/scripts/pip-locked.sh" "$directory/venv/bin/python" conformance \
            --retries "$RETRIES" --timeout "$CONNECT_LIMIT" ||
        return
    echo "$wanted" >"$stamp"
}

install_node() {
    local stamp=$directory/node/.installed wanted
    wanted=$(fingerprint "$here/package-lock.json" node --version)
    current "$stamp" "$wanted" && return
    echo "Installing the official JavaScript clients into $directory/node"
    rm -rf "$directory/node"
    mkdir -p "$directory/node" && cp "$here/package.json" "$here/package-lock.json" "$directory/node/" || return
    # Just what is locked, checked by its hashes, and nothing of it runs while it is installed.
    npm ci --ignore-scripts --prefix "$directory/node" --silent --no-audit --no-fund --no-update-notifier \
        --fetch-retries "$RETRIES" --fetch-retry-maxtimeout 3000 --fetch-retry-mintimeout 1000 \
        --fetch-timeout $((CONNECT_LIMIT * 1000)) || return
    echo "$wanted" >"$stamp"
}

install_python || lacking 'PyPI gave no "elevenlabs"' 'the Python client' venv
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    lacking 'there is no npm (install Node.js 20 or newer)' 'the JavaScript clients' node
elif ! install_node; then
    lacking 'npm gave no "@elevenlabs"' 'the JavaScript clients' node
fi
exit 0

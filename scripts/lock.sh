#!/usr/bin/env bash
# Make requirements/locked and the lock file of the npm packages anew:  lock.sh VENV
#
# The newest that the ranges allow, with the hashes of all files of each release, for every Python and
# machine that is promised. They are the same on every mirror, and no index is named in them: what was
# made here serves everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly UV=$1/bin/uv PIP="$1/bin/python -m pip" LOCKED=requirements/locked
readonly PYTHONS="3.11 3.12 3.13 3.14"
readonly MACHINES="x86_64-manylinux_2_28 aarch64-manylinux_2_28"

# uv does not read pip's configuration.
configured() { $PIP config get "global.$1" 2>/dev/null || true; }
index=$(configured index-url)
certificates=$(configured cert)
if [ -n "$index" ]; then
    export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
fi
if [ -n "$certificates" ]; then
    export SSL_CERT_FILE=${SSL_CERT_FILE:-$certificates}
fi

lock() { # lock NAME RANGES [OPTION...]
    echo "Locking $1"
    "$UV" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --custom-compile-command "make lock" "${@:3}" --output-file "$LOCKED/$1.txt" "$2"
}

# Whoever installs takes wheels alone.
check_wheels() { # check_wheels NAME
    local python machine
    for python in $PYTHONS; do
        for machine in $MACHINES; do
            "$UV" pip install --quiet --dry-run --target build/nowhere --python-version "$python" \
                --python-platform "$machine" --require-hashes --no-build --requirement "$LOCKED/$1.txt" ||
                {
                    echo "No wheels for Python $python, $machine; narrow the range of what lacks one." >&2
                    exit 1
                }
        done
    done
}

# The largest first: what two of them have is of one version.
lock lint requirements/lint.txt
lock test requirements/test.txt --constraint "$LOCKED/lint.txt"
lock run requirements.txt --constraint "$LOCKED/lint.txt"
lock oldest requirements/oldest.txt --no-deps
lock maintain requirements/maintain.txt
lock conformance tests/conformance/requirements.txt
lock browser requirements/browser.txt
for name in lint test run maintain conformance browser; do
    check_wheels "$name"
done

if ! command -v npm >/dev/null; then
    echo "There is no npm: tests/conformance/package-lock.json stays as it is" >&2
    exit
fi
echo "Locking npm's packages"
rm -f tests/conformance/package-lock.json
npm install --prefix tests/conformance --package-lock-only --ignore-scripts --no-audit --no-fund --silent \
    --omit-lockfile-registry-resolved

#!/bin/sh
# Installs the official clients into DIR (default: build/conformance); tests/conformance/ skips
# what is not there. Ends with 0 when something cannot be had, and says so.
set -u
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-build/conformance}
python=${PYTHON:-python3}
mkdir -p "$dir/node" || exit 1

if [ ! -x "$dir/venv/bin/python" ]; then
	"$python" -m venv "$dir/venv" || echo "conformance: no venv: the Python client is not tested" >&2
fi
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
	-r "$here/requirements.txt" ||
	echo "conformance: cannot install from PyPI: the Python client is not tested" >&2

if command -v npm >/dev/null; then
	cp "$here/package.json" "$here"/*.mjs "$dir/node/"
	npm install --prefix "$dir/node" --silent --no-audit --no-fund ||
		echo "conformance: cannot install from npm: the JavaScript clients are not tested" >&2
else
	echo "conformance: npm is not installed: the JavaScript clients are not tested" >&2
fi
exit 0

#!/usr/bin/env bash
# Format the code, or tell what is not formatted:  format.sh [--check] BIN
#
# BIN is the directory of ruff, astyle and shfmt. Python: ruff. C: astyle, after .astylerc; the tables of
# tests/host are left as they are. Shell: shfmt, after .editorconfig. Cython, and the C that astyle leaves
# alone: blanks at the ends of lines.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob

check=no
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi
bin=${1:?the directory of the formatters}

python=(setup.py pyconvai testbed scripts tests app_elevenlabs_convai/*/*.py app_forkstream/*.py)
c=(app_elevenlabs_convai/*.[ch] app_elevenlabs_convai/*/*.[ch] app_forkstream/*.[ch] pyconvai/core/*.[ch] testbed/*.[ch] tests/native/*.[ch] tests/fuzz/*.c asterisk_context_files/host/*.[ch])
shell=(.ci/run scripts/*.sh testbed/*.sh tests/*/*.sh app_elevenlabs_convai/tests/*.sh
    app_elevenlabs_convai/tests/test_{audio,config,integration,websocket})
blanks=(pyconvai/core/*.pyx pyconvai/core/*.pxi pyconvai/core/*.pxd tests/host/*.[ch] tests/host/*/*.[ch])

without_blanks() { sed 's/[[:blank:]]*$//' "$1"; }

# Show how a file is to look, if it looks otherwise.
differs() { # differs FILE COMMAND...
    ! diff -u --label "$1" --label "$1 (formatted)" "$1" <("${@:2}")
}

check_all() {
    local file wrong=0
    "$bin/ruff" format --check --quiet "${python[@]}" || {
        "$bin/ruff" format --diff --quiet "${python[@]}" || true
        wrong=1
    }
    for file in "${c[@]}"; do
        if differs "$file" "$bin/astyle" --options=.astylerc --stdin="$file"; then wrong=1; fi
    done
    for file in "${blanks[@]}"; do
        if differs "$file" without_blanks "$file"; then wrong=1; fi
    done
    "$bin/shfmt" --diff "${shell[@]}" || wrong=1
    if [ "$wrong" = 1 ]; then
        echo "Not formatted: run 'make format'." >&2
        return 1
    fi
}

format_all() {
    "$bin/ruff" format --quiet "${python[@]}"
    "$bin/astyle" --options=.astylerc --suffix=none --quiet "${c[@]}"
    sed -i 's/[[:blank:]]*$//' "${blanks[@]}"
    "$bin/shfmt" --write "${shell[@]}"
}

if [ "$check" = yes ]; then check_all; else format_all; fi

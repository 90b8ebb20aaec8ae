#!/usr/bin/env bash
# Check the C code with cppcheck and flawfinder:  lint-c.sh DIRECTORY...
#
# Root gets them installed; for anyone else a missing one is skipped, loudly.
set -euo pipefail
here=$(dirname "$0")

missing=()
command -v cppcheck >/dev/null || missing+=(cppcheck)
command -v flawfinder >/dev/null || missing+=(flawfinder)
if [ ${#missing[@]} != 0 ]; then
    "$here/install-deps.sh" lint
fi

mapfile -t files < <(find "$@" -name '*.[ch]' | sort)
if [ ${#files[@]} = 0 ]; then
    echo "No C code in: $*"
    exit 0
fi

if command -v cppcheck >/dev/null; then
    # Asterisk's headers are not searched: they may be absent, and cppcheck takes minutes for them.
    # Arguments of printf are the compiler's to check: it knows that a constant 1 fits %u.
    # Our own are, by the folder that they are named from.
    cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability \
        -I app_elevenlabs_convai -I app_forkstream -I pyconvai/core \
        --library="$here/cppcheck-asterisk.cfg" --suppress=invalidPrintfArgType_uint \
        --inline-suppr --error-exitcode=1 "${files[@]}"
else
    echo "SKIPPED cppcheck: it is not installed" >&2
fi
if command -v flawfinder >/dev/null; then
    # Level 4 and above: unbounded copies, shell commands, races. Format strings are the compiler's to
    # check. What is right all the same says so in its line: /* Flawfinder: ignore */
    flawfinder --quiet --dataonly --minlevel=4 --error-level=4 --regex '^(?!If format strings)' \
        "${files[@]}"
else
    echo "SKIPPED flawfinder: it is not installed" >&2
fi

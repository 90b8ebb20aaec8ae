#!/usr/bin/env bash
# Ask the network for known holes in all that is installed:  audit.sh VENV
#
# The status is 1 where there are any, and 2 where nobody could be asked: that is no clean bill.
set -uo pipefail
cd "$(dirname "$0")/.."

readonly AUDIT=$1/bin/pip-audit
# Limit on one look-up, in seconds.
readonly LIMIT=15
status=0

# asked NAME COMMAND...: tell holes from a network that does not answer, by what is said
asked() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        printf '  %-8s %s: no known hole\n' AUDIT "$name"
        return
    fi
    printf '%s\n' "$said" >&2
    if grep -qE 'Found [0-9]+ known vulnerabilit|[0-9]+ (\w+ severity )?vulnerabilit' <<<"$said"; then
        printf '  %-8s %s: HOLES, above\n' AUDIT "$name" >&2
        status=1
    else
        printf '  %-8s %s: NOT CHECKED, nobody could be asked (above)\n' AUDIT "$name" >&2
        [ "$status" != 0 ] || status=2
    fi
}

for list in requirements/locked/*.txt; do
    # Old on purpose, and only in the tests of just that.
    [ "${list##*/}" != oldest.txt ] || continue
    asked "$list" "$AUDIT" --disable-pip --require-hashes --progress-spinner off --timeout "$LIMIT" \
        --requirement "$list"
done
if command -v npm >/dev/null; then
    asked tests/conformance/package-lock.json npm audit --prefix tests/conformance --package-lock-only \
        --fetch-retries 0 --fetch-timeout $((LIMIT * 1000))
else
    printf '  %-8s %s\n' AUDIT "tests/conformance/package-lock.json: NOT CHECKED, there is no npm" >&2
    [ "$status" != 0 ] || status=2
fi
exit "$status"

#!/usr/bin/env bash
# Install what drives the live page in a browser:  install.sh [DIRECTORY]     (default: build/browser)
#
# Chromium and its driver come from Debian where this is root (some 300 MB), Selenium from PyPI, as this machine
# is configured to reach them. What cannot be had is said, and its tests are skipped; the status is 0 all the same.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
directory=$(realpath -m "${1:-$project/build/browser}")
python=${PYTHON:-python3}
# Limits of one download, in seconds, and of Debian's packages.
readonly CONNECT_LIMIT=15 RETRIES=1 PACKAGES_LIMIT=900

lacking() { printf 'BROWSER: %s; the tests in a browser are skipped\n' "$1" >&2; }

install_chromium() {
    command -v chromium >/dev/null && command -v chromedriver >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return
    echo "Installing Chromium and its driver"
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive timeout "$PACKAGES_LIMIT" apt-get install --yes -qq --no-install-recommends \
            chromium chromium-driver fonts-noto-core >/dev/null
}

install_selenium() {
    local stamp=$directory/venv/.installed wanted
    wanted=$({
        cat "$project/requirements/locked/browser.txt"
        "$python" -V
    } 2>&1 | sha256sum | cut -d' ' -f1)
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    echo "Installing Selenium into $directory/venv"
    rm -rf "$directory/venv"
    "$python" -m venv "$directory/venv" &&
        "$project/scripts/pip-locked.sh" "$directory/venv/bin/python" browser \
            --retries "$RETRIES" --timeout "$CONNECT_LIMIT" ||
        return
    echo "$wanted" >"$stamp"
}

install_chromium || lacking 'there is no chromium with chromedriver (Debian: chromium, chromium-driver)'
install_selenium || {
    lacking 'PyPI gave no "selenium"'
    rm -rf "${directory:?}/venv"
}
exit 0

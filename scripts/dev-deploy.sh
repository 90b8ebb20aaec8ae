#!/usr/bin/env bash
# Build, install and bring in what is in this checkout; see --help.
set -euo pipefail
# shellcheck source=scripts/deploy-common.sh
source "$(dirname "$0")/deploy-common.sh"

usage() {
    cat <<END
usage: dev-deploy.sh [option...]

Builds, installs, brings the new engine in with 'module reload' (loads the module if it is not
loaded) and shows what is in service. Calls that are up go on as they are. Stops at the first error;
'make rollback' leads back to the build before.

$COMMON_OPTIONS
END
}

parse() {
    while [ $# -gt 0 ]; do
        take_common_option "$@"
        [ "$taken" -gt 0 ] || usage_error "unknown option $1"
        shift "$taken"
    done
}

look() {
    find_directories
    OLD_MODULE=$(mktemp)
    OLD_TAP=$(mktemp)
    if module_loaded; then LOADED=yes; else LOADED=no; fi
    trusted_files copy "$MODULE_FILE" "$OLD_MODULE" 2>/dev/null || true
    trusted_files copy "$TAP_FILE" "$OLD_TAP" 2>/dev/null || true
}

bring_in() {
    if [ "$REPLACE_MODULE" = yes ]; then
        replace_module
    elif [ "$LOADED" = yes ]; then
        cli "module reload $MODULE"
        tell_of_module "$OLD_MODULE"
    else
        load_module
    fi
    bring_in_tap "$OLD_TAP"
}

on_exit() {
    local status=$?
    set +e
    rm -f "${OLD_MODULE:-}" "${OLD_TAP:-}"
    (stop_draining)
    [ "$status" != 0 ] || exit 0
    say "FAILED: $STEP" >&2
    exit 1
}

main() {
    parse "$@"
    trap on_exit EXIT
    trap 'exit 130' INT TERM HUP
    step "Looking for Asterisk" look
    step "Building" run_make all
    step "Installing" run_make install
    step "Bringing it in" bring_in
    step "Looking at what is in service" wait_in_service "$(linked_build current)"
    cli "elevenlabs show version"
}

main "$@"

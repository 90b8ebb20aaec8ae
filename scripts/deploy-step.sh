#!/usr/bin/env bash
# One step of a deployment, for scripts/dev.py; see --help.
set -euo pipefail
# shellcheck source=scripts/deploy-common.sh
source "$(dirname "$0")/deploy-common.sh"

usage() {
    cat <<END
usage: deploy-step.sh [option...] STEP [ARGUMENT...]

Does what dev-deploy.sh does, one step at a time:

  cli COMMAND           what Asterisk answers to a command
  run_make ARGUMENT...  make where that Asterisk is
  directories           the installed modules, the directory of the engines, the log; a line each
  wait_in_service ID    until that build serves new calls; an error if another does
  sessions              how many conversations there are
  load_module, replace_module, bring_in_tap

$COMMON_OPTIONS
END
}

# The log comes last: there may be none. Asterisk's command line cuts long names of files off.
directories() {
    local folder each
    find_directories
    printf '%s\n' "$MODULE_FILE" "$TAP_FILE" "$ENGINES"
    if [ "$HOST_ASTERISK" = no ]; then
        say "$PROJECT/build/testbed/$NAME/log/full.log"
        return
    fi
    folder=$(cli "core show settings" | sed -nE 's/^ *Log directory: *//p')
    for each in full full.log messages.log messages; do
        if [ -e "$folder/$each" ]; then
            say "$folder/$each"
            return
        fi
    done
}

on_exit() {
    local status=$?
    (stop_draining) || status=1
    exit "$status"
}

main() {
    while [ $# -gt 0 ]; do
        take_common_option "$@"
        [ "$taken" -gt 0 ] || break
        shift "$taken"
    done
    case ${1:-} in
        cli | run_make | directories | wait_in_service | sessions | load_module | replace_module | bring_in_tap) ;;
        *) usage_error "no such step: '${1:-}'" ;;
    esac
    trap on_exit EXIT
    trap 'exit 130' INT TERM HUP
    find_directories
    "$@"
}

main "$@"

#!/usr/bin/env bash
# Put a new build into service, or leave the old one there; see --help.
set -euo pipefail
# shellcheck source=scripts/deploy-common.sh
source "$(dirname "$0")/deploy-common.sh"

usage() {
    cat <<END
usage: prod-deploy.sh [option...]

Builds a release, backs up what is installed, installs, brings the new engine in with
'module reload' and verifies it: the build in service is the one that was installed, and every agent
can be reached. When anything after the backup fails, everything is put back as it was, the old build
is brought into service again, and the exit status is 1. Calls that are up are not touched either way.

The module must be loaded: 'make install' and 'module load $MODULE' begin. $TAP is
installed and put back with it.

  --agent NAME          test this agent; may be given several times (default: all agents)
  --backup-dir DIR      where the backup goes, in a directory of its own
                        (default: /var/backups/$MODULE,
                        for an instance of the testbed build/backups)
$COMMON_OPTIONS
END
}

AGENTS=()
BACKUPS=
BACKUP=
ARMED=no

parse() {
    while [ $# -gt 0 ]; do
        take_common_option "$@"
        if [ "$taken" = 0 ]; then
            take_own_option "$@"
        fi
        shift "$taken"
    done
}

take_own_option() {
    taken=2
    case $1 in
        --agent)
            need_value "$@"
            AGENTS+=("$2")
            ;;
        --backup-dir)
            need_value "$@"
            BACKUPS=$2
            ;;
        *) usage_error "unknown option $1" ;;
    esac
}

# --- before ---

look() {
    find_directories
    module_loaded || fail "the module is not loaded: 'make install', then 'module load $MODULE'"
    OLD_BUILD=$(build_in_service)
    [ -n "$OLD_BUILD" ] || fail "no engine is in service; there would be nothing to go back to"
    [ -f "$MODULE_FILE" ] || fail "there is no $MODULE_FILE; is it another Asterisk that runs?"
    say "    build $OLD_BUILD is in service"
}

# Two deployments at once would each put back what the other has just installed.
be_the_only_one() {
    local doubts before
    if [ -z "$BACKUPS" ]; then
        BACKUPS=/var/backups/$MODULE
        [ "$HOST_ASTERISK" = yes ] || BACKUPS=$PROJECT/build/backups
    fi
    # Root's alone: what is in there is put back into Asterisk, and who can open the lock can hold it.
    before=$(umask)
    umask 077
    mkdir -p "$BACKUPS"
    if [ "$HOST_ASTERISK" = yes ] && ! doubts=$(trusted_files check "$BACKUPS"); then
        fail "others may change the backups: ${doubts//$'\n'/; }. Name another directory: --backup-dir"
    fi
    exec {deploy_lock}>>"$BACKUPS/.lock"
    chmod 600 "$BACKUPS/.lock" # of an earlier version: for all to read
    flock -n "$deploy_lock" ||
        fail "another deployment runs: $(trusted_files holders "$BACKUPS/.lock") holds $BACKUPS/.lock"
    umask "$before"
}

back_up() {
    local file
    BACKUP=$BACKUPS/$(date -u +%Y%m%dT%H%M%SZ)-$OLD_BUILD-$$
    OLD_PREVIOUS=$(linked_build previous)
    mkdir -m 700 "$BACKUP"
    for file in "${FILES[@]}"; do
        if [ -e "$file" ] || [ -L "$file" ]; then
            trusted_files copy "$file" "$BACKUP/${file##*/}"
        fi
    done
    printf '%s\n' "in-service $OLD_BUILD" "current $(linked_build current)" "previous $OLD_PREVIOUS" \
        >"$BACKUP/links"
    say "    $BACKUP"
}

# --- the deployment ---

bring_in() {
    if [ "$REPLACE_MODULE" = yes ]; then
        replace_module
    else
        cli "module reload $MODULE"
    fi
    tell_of_module "$BACKUP/$MODULE.so"
}

# Print the names that `elevenlabs show agents` lists: what is before the last six columns.
listed_agents() {
    cli "elevenlabs show agents" | sed -E '1d; /^[0-9]+ agents?, /d; /^ *$/d; s/( +[^ ]+){6} *$//'
}

verify_agents() {
    local listed
    listed=$(listed_agents)
    [ -n "$listed" ] || fail "'elevenlabs show agents' lists none: nothing would prove the build"
    if [ ${#AGENTS[@]} = 0 ]; then
        mapfile -t AGENTS <<<"$listed"
    fi
}

test_agents() {
    local name word said
    for name in "${AGENTS[@]}"; do
        word=$name
        [[ $name != *" "* ]] || word="\"$name\""
        # Asterisk itself has a word to say behind the verdict.
        said=$(cli "elevenlabs test agent $word" | sed -n '/^Agent .*: [A-Z]*, /p' | tail -n 1)
        say "    $said"
        [[ $said == "Agent $name: OK, "* ]] || fail "${said:-Agent $name: no verdict of the test}"
    done
}

# --- and back ---

restore_files() {
    local file words=(--current "$OLD_BUILD")
    if [ -n "$OLD_PREVIOUS" ]; then
        words+=(--previous "$OLD_PREVIOUS")
    fi
    for file in "${FILES[@]}"; do
        if [ -f "$BACKUP/${file##*/}" ]; then
            words+=(--file "$BACKUP/${file##*/}" "$file")
        else
            words+=(--absent "$file") # the version before had none
        fi
    done
    python3 "$PROJECT/scripts/install_engine.py" restore "${words[@]}" "$ENGINES"
}

# In a shell of its own: the first error ends it, and its caller still has the last word.
roll_back() {
    trap stop_draining EXIT
    restore_files
    if module_loaded; then
        cli "module reload $MODULE"
    fi
    if [ "$UNLOADED" = yes ]; then
        replace_module # with the old engine in service meanwhile, if the new module can run it
    fi
    if [ "$TAP_UNLOADED" = yes ]; then
        replace_tap
    fi
    wait_in_service "$OLD_BUILD"
}

shout() {
    printf '%s\n' "" "**********************************************************************" "$@" \
        "**********************************************************************" >&2
}

on_exit() {
    local status=$? failed=$STEP
    set +e
    trap '' INT TERM HUP # what was begun is put back, whoever is impatient
    (stop_draining)
    if [ "$ARMED" = no ]; then
        [ "$status" != 0 ] || exit 0
        say "FAILED: $failed. Nothing was changed." >&2
        exit 1
    fi
    say "==> Rolling back" >&2
    (
        set -e
        roll_back
    ) >&2
    status=$?
    if [ "$status" = 0 ]; then
        shout "DEPLOYMENT FAILED: $failed; the reason is above." \
            "ROLLED BACK: build $OLD_BUILD is in service again." "The backup: $BACKUP"
    else
        shout "DEPLOYMENT FAILED: $failed; the reason is above." \
            "ROLLBACK FAILED AS WELL. What was installed is in $BACKUP; its file 'links' has the" \
            "names of the engines. Put the files back, 'make rollback', 'module reload $MODULE'."
    fi
    exit 1
}

main() {
    parse "$@"
    trap on_exit EXIT
    trap 'exit 130' INT TERM HUP
    step "Looking at what is installed" look
    be_the_only_one
    step "Building the release" run_make release
    step "Backing up" back_up
    ARMED=yes
    step "Installing" run_make install
    NEW_BUILD=$(linked_build current)
    step "Bringing build $NEW_BUILD in" bring_in
    step "Verifying which build is in service" wait_in_service "$NEW_BUILD"
    step "Verifying that there are agents" verify_agents
    step "Testing the agents" test_agents
    step "Looking at $TAP" bring_in_tap "$BACKUP/$TAP.so"
    ARMED=no
    say "DEPLOYED: build $NEW_BUILD is in service. What was there before: $BACKUP"
}

main "$@"

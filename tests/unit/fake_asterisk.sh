#!/bin/sh
# Stands for `asterisk -C CONF -rx COMMAND` in the tests of the deploy scripts.
#
# Its state is in the folder $FAKE: `loaded` is there while the module is, `service` has the build in
# service, `sessions` has how many conversations are still to be reported before there is none, `agents`
# has the table's lines. An engine whose session.py has the word BROKEN does not start; one with DEAF
# cannot reach agents. What was asked is in `asked`.
#
# `tap` is there while app_forkstream is loaded, and has the text of the file that was; one with the word
# LAME does not load. `streams` has how often it is still refused to unload it.
set -eu
cd "$FAKE"
engines=lib/app_elevenlabs_convai.d
command=$4
printf '%s\n' "$command" >>asked
trap 'echo; echo "Asterisk ending (0)."' EXIT

bring_in() {
    build=$(readlink $engines/current)
    ! grep -q BROKEN "$engines/$build/pyconvai/conversation/session.py" || return 1
    printf '%s\n' "$build" >service
}

test_agent() {
    name=$(printf '%s' "$1" | tr -d '"')
    printf 'Connecting ...\n'
    if grep -q DEAF "$engines/$(cat service)/pyconvai/conversation/session.py"; then
        printf 'Agent %s: FAILED, AUTH: the key was refused\n' "$name"
        printf "Command '%s' failed.\n" "$command"
    else
        printf 'Agent %s: OK, 12 ms\n' "$name"
    fi
}

if [ ! -e loaded ]; then
    case $command in elevenlabs*)
        printf "No such command '%s' (type 'core show help %s' for other possible commands)\n" "$command" "$command"
        exit
        ;;
    esac
fi
case $command in
    "module show like app_forkstream")
        [ ! -e tap ] || printf '%-30s %-40s %-10s %-11s %s\n' app_forkstream.so "Copy a call's audio" 0 Running extended
        ;;
    "module load app_forkstream")
        if grep -q LAME lib/app_forkstream.so; then echo "Unable to load module"; else cp lib/app_forkstream.so tap; fi
        ;;
    "module unload app_forkstream")
        left=$(cat streams)
        if [ "$left" = 0 ]; then rm -f tap; else
            echo $((left - 1)) >streams
            echo "Unable to unload resource app_forkstream"
        fi
        ;;
    "module show like "*)
        # As Asterisk does, one that has declined is listed too.
        state=Running
        [ -e loaded ] || state="Not Running"
        if [ -e loaded ] || [ -e declined ]; then
            printf '%-30s %-40s %-10s %-11s %s\n' app_elevenlabs_convai.so "ElevenLabs voice agents" 0 "$state" extended
            echo "1 modules loaded"
        else
            echo "0 modules loaded"
        fi
        ;;
    "module reload "*)
        if [ -e loaded ]; then bring_in || true; else echo "The module was not properly initialized."; fi
        ;;
    "module load "*)
        rm -f declined
        if bring_in; then touch loaded; else
            touch declined
            echo "Unable to load module"
        fi
        ;;
    "module unload "*) rm -f loaded declined drain ;;
    "elevenlabs show version")
        printf 'Module:    0.1.0, ABI 1\nEngine:    0.1.0, build %s, from %s\n' "$(cat service)" "$engines"
        ;;
    "elevenlabs show agents")
        printf '%-20s %-32s %-32s %-10s %-6s %5s %7s\n' Name "Agent ID" Host Auth Caller Now "In all"
        cat agents
        echo "2 agents, 0 sessions now, 0 in all"
        ;;
    "elevenlabs show sessions")
        left=$(cat sessions)
        [ "$left" = 0 ] || echo $((left - 1)) >sessions
        if [ "$left" = 1 ]; then echo "1 session"; else echo "$left sessions"; fi
        [ ! -e drain ] || echo "Draining: no new calls; these may end by themselves (elevenlabs drain off admits calls again)"
        ;;
    "elevenlabs drain on") touch drain ;;
    "elevenlabs drain off") rm -f drain ;;
    "elevenlabs test agent "*) test_agent "${command#elevenlabs test agent }" ;;
    *) printf "No such command '%s'\n" "$command" ;;
esac

# shellcheck shell=bash
#
# Sourced by the programs beside it: makes build/venv and the core if need be, and runs a program's Python
# text in there, from the checkout.

set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

run() { # run NAME [ARGUMENT...]
    local name=$1 project=$here/../..
    shift
    # Valgrind's own mark: it has taken its LD_PRELOAD back, for it does not follow into what is started here.
    if [ -n "${GLIBCPP_FORCE_NEW:-}" ]; then
        echo "${0##*/}: valgrind does not follow into Asterisk and Python, and so finds nothing here." \
            "'make test-sanitize' runs the module's C code under it." >&2
    fi
    case " $* " in
        *" --help "* | *" -h "*) ;;
        *) make --silent -C "$project" host-core >&2 ;;
    esac
    CALLED_FROM=$PWD
    export CALLED_FROM
    cd "$project"
    # Nothing but the standard library is needed for the help.
    if [ -x build/venv/bin/python ]; then
        exec build/venv/bin/python "$here/$name.py" "$@"
    fi
    exec python3 "$here/$name.py" "$@"
}

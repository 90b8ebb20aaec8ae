# shellcheck shell=bash disable=SC2034
# (SC2034: what is not used here is used by those who source it.)
#
# What dev-deploy.sh and prod-deploy.sh share; they source it.
#
# They talk to one Asterisk: the machine's own (--host-asterisk), or an instance of the testbed. Its
# command line gives no exit status that is of use, so the words of its answers are looked at.

shopt -s inherit_errexit

readonly MODULE=app_elevenlabs_convai
# A module that stands by itself: installed with the other, and never loaded by a deployment where it was not.
readonly TAP=app_forkstream
PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly PROJECT

# A test of an agent may take as long as connect_timeout.
readonly CLI_SECONDS=60
# A reload returns when the engine is in service or refused; this is for one that had to queue up.
readonly IN_SERVICE_SECONDS=1
# From the last conversation's end until its channel has left the application.
readonly UNLOAD_SECONDS=10

HOST_ASTERISK=no
CONF=/etc/asterisk/asterisk.conf
NAME=${TESTBED_NAME:-default}
SOURCE=$PROJECT
REPLACE_MODULE=no
DRAIN_SECONDS=600
DRAINING=no
UNLOADED=no # the module that was there, in favour of another
TAP_UNLOADED=no
STEP=

readonly COMMON_OPTIONS="\
  --name NAME           the instance that 'python3 -m testbed up --name NAME' started
                        (default: \$TESTBED_NAME, or 'default')
  --host-asterisk       the machine's own Asterisk instead
  --conf FILE           its asterisk.conf (default: $CONF)
  --source DIR          deploy the sources in DIR (default: this checkout); for an instance
                        of the testbed they must be inside the checkout
  --replace-module      bring in the C module as well: take no new calls, wait until there is
                        no conversation any more, unload and load; and $TAP, if it is
                        loaded and no stream of it is up. Without it both C modules stay what
                        they are until then, and no call is touched
  --drain-seconds N     how long to wait for the conversations' end (default: $DRAIN_SECONDS)
  --help                show this"

# --- saying things ---

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage_error() {
    printf "%s: %s; see '%s --help'\n" "${0##*/}" "$1" "$0" >&2
    exit 2
}

# step TEXT COMMAND [ARGUMENT...]: the text is also what a failure is named by.
step() {
    STEP=$1
    shift
    say "==> $STEP"
    "$@"
}

# --- options ---

# Take one option, the first of the words; sets `taken` to the number of words, 0 if it is none of these.
take_common_option() {
    taken=1
    case $1 in
        --host-asterisk)
            HOST_ASTERISK=yes
            return
            ;;
        --replace-module)
            REPLACE_MODULE=yes
            return
            ;;
        --help)
            usage
            exit 0
            ;;
        --name | --conf | --source | --drain-seconds) ;;
        *)
            taken=0
            return
            ;;
    esac
    need_value "$@"
    taken=2
    case $1 in
        --name) NAME=$2 ;;
        --conf) CONF=$2 ;;
        --source) SOURCE=$(cd "$2" 2>/dev/null && pwd) || usage_error "--source: there is no directory $2" ;;
        --drain-seconds)
            [[ $2 =~ ^[0-9]+$ ]] || usage_error "--drain-seconds: '$2' is no number of seconds"
            DRAIN_SECONDS=$2
            ;;
    esac
}

need_value() {
    [ $# -ge 2 ] || usage_error "$1 needs a value"
}

# --- the Asterisk ---

# Seconds on a clock that nobody sets; bash's SECONDS jump with the time of day.
uptime_s() {
    local since
    read -r since _ </proc/uptime
    printf '%s\n' "${since%.*}"
}

ask_asterisk() {
    if [ "$HOST_ASTERISK" = yes ]; then
        timeout "$CLI_SECONDS" asterisk -C "$CONF" -rx "$1" 2>&1
    else
        (cd "$PROJECT" && python3 -m testbed cli --name "$NAME" "$1" 2>&1)
    fi
}

# Print what Asterisk answers to a command. It is an error if it cannot be asked or does not know it.
cli() {
    local said
    if ! said=$(ask_asterisk "$1"); then
        [ "$HOST_ASTERISK" = no ] || said+=" (start that Asterisk, or name another: --conf)"
        fail "cannot ask '$1': $said"
    fi
    if [[ $said == *"No such command"* ]]; then
        fail "this Asterisk does not know '$1': is the module loaded, and new enough for it?"
    fi
    # The last line of a remote console, sometimes, and no part of the answer.
    printf '%s\n' "$said" | sed '/^Asterisk ending ([0-9]*)\.$/d'
}

run_make() {
    if [ "$HOST_ASTERISK" = yes ]; then
        make -C "$SOURCE" ASTERISK_CONF="$CONF" "$@"
    else
        (cd "$PROJECT" && python3 -m testbed make --name "$NAME" --directory "$SOURCE" -- "$@")
    fi
}

trusted_files() { python3 "$PROJECT/scripts/trusted_files.py" "$@"; }

# Set where everything is installed, as this shell sees it.
find_directories() {
    local data etc
    if [ "$HOST_ASTERISK" = yes ]; then
        MODULES=$(python3 "$PROJECT/scripts/asterisk_dirs.py" --conf "$CONF" astmoddir)
        data=$(python3 "$PROJECT/scripts/asterisk_dirs.py" --conf "$CONF" astdatadir)
        etc=$(python3 "$PROJECT/scripts/asterisk_dirs.py" --conf "$CONF" astetcdir)
    else
        MODULES=$PROJECT/build/testbed/$NAME/lib
        data=$PROJECT/build/testbed/$NAME/data
        etc=$PROJECT/build/testbed/$NAME/etc
    fi
    MODULE_FILE=$MODULES/$MODULE.so
    ENGINES=$MODULES/$MODULE.d
    TAP_FILE=$MODULES/$TAP.so
    # All that 'make install' replaces, but for the engine.
    FILES=("$MODULE_FILE" "$data/documentation/thirdparty/$MODULE-en_US.xml"
        "$TAP_FILE" "$data/documentation/thirdparty/$TAP-en_US.xml" "$etc/${TAP#app_}.conf.example")
}

# Print the build that a link names; nothing if there is no link.
linked_build() { # linked_build current|previous
    readlink "$ENGINES/$1" || true
}

build_in_service() {
    cli "elevenlabs show version" | sed -nE 's/^Engine: .* build ([0-9a-f]+),.*/\1/p' | head -n 1
}

wait_in_service() { # wait_in_service BUILD
    local found deadline=$(($(uptime_s) + IN_SERVICE_SECONDS))
    while true; do
        found=$(build_in_service)
        if [ "$found" = "$1" ]; then
            say "    build $1 is in service"
            return
        fi
        if [ "$(uptime_s)" -ge "$deadline" ]; then
            fail "build ${found:-none} is in service, not $1; Asterisk's log says why"
        fi
        sleep 0.2
    done
}

# --- the C module ---

module_loaded() { # module_loaded [NAME]
    local shown name=${1:-$MODULE}
    shown=$(cli "module show like $name") || exit 1 # it is called in conditions, where -e sleeps
    # One that was not to be had is listed as well, as not running.
    [[ $shown =~ $name\.so.*[[:space:]][0-9]+[[:space:]]+Running[[:space:]] ]]
}

sessions() {
    cli "elevenlabs show sessions" | sed -nE 's/^([0-9]+) sessions?$/\1/p'
}

# Take no new calls and wait until no conversation is left.
drain() {
    local left deadline=$(($(uptime_s) + DRAIN_SECONDS))
    cli "elevenlabs drain on" >/dev/null
    DRAINING=yes
    while true; do
        left=$(sessions)
        [ "$left" != 0 ] || return 0
        if [ "$(uptime_s)" -ge "$deadline" ]; then
            stop_draining
            fail "conversations that have not ended after $DRAIN_SECONDS s: $left; raise --drain-seconds, or end them: elevenlabs hangup all"
        fi
        sleep 0.5
    done
}

stop_draining() {
    if [ "$DRAINING" = yes ]; then
        DRAINING=no
        cli "elevenlabs drain off" >/dev/null
        say "    new calls are taken again"
    fi
}

# Asterisk refuses while a channel is in the application.
unload_module() {
    local said deadline=$(($(uptime_s) + UNLOAD_SECONDS))
    while true; do
        said=$(cli "module unload $MODULE")
        module_loaded || break
        [ "$(uptime_s)" -lt "$deadline" ] || fail "the module cannot be unloaded: $said"
        sleep 0.2
    done
    DRAINING=no
    UNLOADED=yes
}

load_module() { # load_module [NAME]
    local said name=${1:-$MODULE}
    # Else what it is documented by is what there was at Asterisk's start; old ones do not know it.
    ask_asterisk "xmldoc reload" >/dev/null || true
    said=$(cli "module load $name")
    module_loaded "$name" || fail "$name does not load: $said; Asterisk's log says why"
}

replace_module() {
    if module_loaded; then
        say "    waiting, at most $DRAIN_SECONDS s, for the end of the conversations"
        drain
        unload_module
    fi
    load_module
}

# Say that the C module has changed, if it differs from the one given and is not replaced anyway.
tell_of_module() { # tell_of_module OLD
    if [ "$REPLACE_MODULE" = no ] && ! cmp -s "$1" "$MODULE_FILE"; then
        say "    The C module has changed. It takes effect with 'module unload $MODULE' and"
        say "    'module load $MODULE', or with --replace-module here, which waits for the calls' end."
    fi
}

# --- the tap ---

# Streams of calls that have just ended are gone in a moment; the others are not waited for.
replace_tap() {
    local said deadline=$(($(uptime_s) + (UNLOAD_SECONDS < DRAIN_SECONDS ? UNLOAD_SECONDS : DRAIN_SECONDS)))
    while module_loaded "$TAP"; do
        said=$(cli "module unload $TAP")
        module_loaded "$TAP" || break
        if [ "$(uptime_s)" -ge "$deadline" ]; then
            say "    $TAP cannot be unloaded while streams are up or a look-up waits, and stays what it is:" \
                "${said//$'\n'/ }"
            say_how_to_replace_tap
            return
        fi
        sleep 0.2
    done
    TAP_UNLOADED=yes
    load_module "$TAP"
    say "    $TAP was unloaded and loaded"
}

say_how_to_replace_tap() {
    say "    What was installed takes effect with 'module unload $TAP' and 'module load $TAP'."
}

# Bring in the tap that is installed, or say what does, where it differs from the one given.
bring_in_tap() { # bring_in_tap [OLD]
    if [ ! -f "$TAP_FILE" ]; then
        return
    fi
    if module_loaded "$TAP" && [ "$REPLACE_MODULE" = yes ]; then
        replace_tap # whatever was there: an earlier deployment may have left it to this one
    elif cmp -s "${1:-}" "$TAP_FILE" 2>/dev/null; then
        return
    elif module_loaded "$TAP"; then
        say "    $TAP has changed."
        say_how_to_replace_tap
    else
        say "    $TAP is installed and not loaded: 'module load $TAP', where you want it."
    fi
}

#!/usr/bin/env bash
# Say what a program that loads the core or the module must be started with:  tell-preload.sh CC FLAG...
#
# A sanitizer wants to be there before anything else. Asterisk and Python are not built with it, so its
# library has to be preloaded. With flags that ask for none, nothing is said.
set -euo pipefail

compiler=$1
shift
for flag in "$@"; do
    case $flag in
        -fsanitize=*address*) library=asan ;;
        -fsanitize=*thread*) library=tsan ;;
        *) continue ;;
    esac
    # CC may be several words.
    # shellcheck disable=SC2086
    file=$($compiler -print-file-name=lib$library.so)
    printf '  %-8s %s\n' PRELOAD "start what loads this with LD_PRELOAD=$file (Asterisk, or Python for the tests)"
    exit
done

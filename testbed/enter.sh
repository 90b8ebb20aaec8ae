#!/bin/sh
# Runs one program with the testbed's root folder as its root.
#
#   enter.sh ROOT PROJECT ro|rw PROGRAM [ARGUMENT...]
#
# Started in a mount namespace of its own, so that every mount made here vanishes with the program
# and none can be left behind in ROOT. With ROOT "/" nothing is mounted and nothing changes root.
# The program takes this shell's place (exec all the way): its pid is ours, and the kernel kills it
# when the process that started us dies.
set -eu

root=$1 project=$2 access=$3
shift 3

# 200 calls need some thousands of descriptors; take what the machine allows.
ulimit -n "$(ulimit -Hn)"

if [ "$root" = / ]; then
    exec setpriv --pdeathsig KILL -- "$@"
fi

mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$project" "$root/project"

# Without its own name in /etc/hosts, pjsip spends 5 s a call on looking it up.
printf '127.0.0.1 localhost %s\n::1 localhost\n' "$(uname -n)" >"$root/tmp/.hosts"
mount --bind "$root/tmp/.hosts" "$root/etc/hosts"
if [ -e /etc/resolv.conf ] && [ -e "$root/etc/resolv.conf" ]; then
    mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
fi
if [ "$access" = ro ]; then
    mount -o remount,bind,ro "$root"
fi

exec setpriv --pdeathsig KILL -- chroot "$root" "$@"

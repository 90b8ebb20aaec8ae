"""Make, keep and remove the root folder: Debian's forky with Asterisk, in the user's cache.

`ensure()` returns the folder, made on the first call (about a minute) and found on every later one.
The folder is built under a temporary name and renamed when complete, under a lock, so that an
interrupted build is never used and two runs do not build at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from testbed.errors import TestbedError
from testbed.locks import locked
from testbed.mirror import apt_options, find_mirror
from testbed.paths import cache

SUITE = "forky"
"""The Debian release that has both Asterisk 22 and its headers."""

PACKAGES = (
    *("asterisk", "asterisk-dev", "asterisk-core-sounds-en-wav"),
    *("python3", "python3-dev", "python3-cffi", "python3-orjson", "python3-websockets"),
    *("cython3", "python3-setuptools", "python3-pytest"),
    *("gcc", "g++", "make", "pkgconf", "libc6-dev", "gdb"),
    *("baresip-core", "sip-tester", "espeak-ng", "sox"),
    *("procps", "iproute2", "ca-certificates", "openssl"),
)

# Programs that make a root folder, and those that enter it, with the packages they are in.
MAKING = {"mmdebstrap": "mmdebstrap"}
ENTERING = {"unshare": "util-linux", "setpriv": "util-linux", "mount": "mount"}

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

BUILD_SECONDS = 1800.0
"""Limit on making the folder: some 300 MB over a slow line."""

INSTALL_SECONDS = 600.0
"""Limit on installing the tools with apt-get."""

LOCK_SECONDS = BUILD_SECONDS
"""How long to wait for another run that is making the folder."""

PROGRESS_SECONDS = 5.0
"""How often to say that it is still going on."""

SHOWN_LINES = 20
"""Lines of mmdebstrap's output that go into the error when it fails."""

Say = Callable[[str], None]


def name() -> str:
    """Return the folder's name; it changes with the recipe, never with time."""
    recipe = "\n".join([SUITE, *sorted(PACKAGES)])
    return "root-" + hashlib.sha256(recipe.encode()).hexdigest()[:12]


def ensure(say: Say) -> Path:
    """Return the root folder, making it if it is not there. Raises TestbedError."""
    folder = cache() / name()
    _need_tools(ENTERING, say)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent, say):
        if not folder.is_dir():
            _build(folder, say)
    return folder


def remove(folder: Path) -> None:
    """Delete a root folder, complete or not. Refuses while something is mounted in it.

    A bind mount in there would turn the deletion into one of the machine's own /dev.
    """
    mounted = _mounts_below(folder)
    if mounted:
        raise TestbedError(
            f"{folder}: not removed, {mounted[0]} is a mount point; unmount it first (umount -R)"
        )
    if os.geteuid() == 0:
        shutil.rmtree(folder)
    else:
        command = ["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", "--"]
        subprocess.run([*command, str(folder)], timeout=INSTALL_SECONDS, check=True)


def remove_all(say: Say) -> None:
    """Delete every root folder in the cache, of older recipes too."""
    if not cache().is_dir():
        return
    with _lock(cache(), say):
        for path in sorted(cache().glob("root-*")):
            say(f"removing {path}")
            if path.is_dir():
                remove(path)
            else:
                path.unlink()


def _build(folder: Path, say: Say) -> None:
    _need_rights()
    _need_tools(MAKING, say)
    for stale in folder.parent.glob(f"{folder.name}.building*"):
        remove(stale)
    building = folder.with_name(f"{folder.name}.building")
    log = folder.with_name(f"{folder.name}.log")
    mirror = find_mirror()
    say(f"making a root folder of Debian {SUITE} from {mirror} (log: {log})")
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            _mmdebstrap(building, mirror, say),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = _wait(process, log, started, say)
        finally:
            process.kill()
            process.wait()
    if status != 0:
        raise TestbedError(f"mmdebstrap failed with status {status}:\n{_last(log, SHOWN_LINES)}")
    building.rename(folder)
    say(f"root folder ready after {time.monotonic() - started:.0f} s: {folder}")


def _mmdebstrap(target: Path, mirror: str, say: Say) -> list[str]:
    """Return the command; its namespaces take its mounts and its children with it when it ends."""
    root = os.geteuid() == 0
    contain = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]
    options = ['Acquire::Languages "none"', *apt_options(mirror, say)]
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    return [
        *["setpriv", "--pdeathsig", "KILL", "--"],
        *(contain if root else []),
        *["mmdebstrap", "--variant=apt", f"--mode={'root' if root else 'unshare'}"],
        *[f"--aptopt={option}" for option in options],
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        f"--include={','.join(PACKAGES)}",
        '--customize-hook=mkdir -p "$1/project"',
        # Names to mount the machine's own files over.
        '--customize-hook=touch "$1/etc/hosts" "$1/etc/resolv.conf"',
        *[SUITE, str(target), f"deb {signed}{mirror} {SUITE} main"],
    ]


def _wait(process: subprocess.Popen[bytes], log: Path, started: float, say: Say) -> int:
    while True:
        try:
            return process.wait(PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - started
            say(f"{elapsed:4.0f} s  {_last(log, 1)[:100]}")
            if elapsed > BUILD_SECONDS:
                raise TestbedError(
                    f"no root folder after {BUILD_SECONDS:.0f} s:\n{_last(log, SHOWN_LINES)}"
                ) from None


def _need_rights() -> None:
    if os.geteuid() != 0 and not (shutil.which("newuidmap") and _has_subids()):
        raise TestbedError(
            "a root folder needs root, or package uidmap and a line for this user in /etc/subuid "
            "and /etc/subgid (then unshare works for ordinary users)"
        )


def _need_tools(tools: Mapping[str, str], say: Say) -> None:
    missing = sorted({package for tool, package in tools.items() if not shutil.which(tool)})
    if not missing:
        return
    words = " ".join(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise TestbedError(f"{words}: missing; as root: apt-get install {words}")
    say(f"installing {words}")
    for arguments in (
        ["update", "-q"],
        ["install", "-qy", "--no-install-recommends", *missing],
    ):
        done = subprocess.run(
            ["apt-get", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    if done.returncode != 0 or not all(map(shutil.which, tools)):
        raise TestbedError(f"apt-get could not install {words}:\n{done.stdout}{done.stderr}")


def _has_subids() -> bool:
    user = f"{os.environ.get('USER') or os.geteuid()}:"
    files = [Path("/etc/subuid"), Path("/etc/subgid")]
    return all(f.exists() and f"\n{user}" in f"\n{f.read_text()}" for f in files)


def _mounts_below(folder: Path) -> list[str]:
    prefix = f"{folder.resolve()}/"
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if f"{point}/".startswith(prefix)]


def _lock(parent: Path, say: Say) -> AbstractContextManager[None]:
    """Return the cache's lock, to be held."""
    told = "waiting for another run that makes the root folder"
    return locked(parent / "lock", LOCK_SECONDS, lambda: say(told))


def _last(log: Path, lines: int) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.replace("\r", "\n").strip().splitlines()[-lines:])

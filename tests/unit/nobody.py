"""User nobody, who takes hold of whatever it can."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

# The folder is entered before: those above a test's are root's alone. Then every lock there is, on
# the best descriptor to be had; what cannot be had is said on standard error.
HOLD = """\
import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_PATH)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
file = -1
for flags in (os.O_RDONLY, os.O_RDWR):
    try:
        file = os.open(sys.argv[2], flags, dir_fd=folder)
    except OSError as error:
        print(error, file=sys.stderr)
for take in (
    lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB),
    *(
        lambda kind=kind: fcntl.fcntl(
            file, fcntl.F_OFD_SETLK, struct.pack("@hhqqi", kind, os.SEEK_SET, 0, 0, 0)
        )
        for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK)
    ),
):
    try:
        take()
        print("held", end=" ")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
print("done", flush=True)
sys.stdin.read()
"""


@contextmanager
def holds(file: Path) -> Iterator[tuple[int, int]]:
    """Nobody's locks on a file; the process that has them, and how many it got."""
    command = [sys.executable, "-c", HOLD, str(file.parent), file.name]
    with subprocess.Popen(
        command,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        assert said[-1:] == ["done"]
        yield process.pid, said.count("held")
        process.kill()

"""Tools to look into an Asterisk with, for docs/debugging.md: added to a root folder on request.

They are some 600 MB, most of it Python's debugging information, so `make root` leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable

from testbed.errors import TestbedError
from testbed.mirror import apt_options, find_mirror
from testbed.root import Root

PACKAGES = ("valgrind", "libc6-dbg", "python3-dbg")
"""gdb is there already. python3-dbg has `py-bt` for gdb; valgrind needs libc6-dbg to start."""

INSTALL_SECONDS = 900.0
"""Limit on each of the two steps: some 120 MB over a slow line."""

_OPTIONS = (
    'Acquire::Languages "none"',
    'APT::Install-Recommends "false"',
    # In a user namespace there is no other user to become.
    'APT::Sandbox::User "root"',
)


def install(root: Root, say: Callable[[str], None]) -> None:
    """Add the tools to a root folder. Raises TestbedError; on a machine's own Asterisk as well."""
    words = " ".join(PACKAGES)
    if root.is_machine:
        raise TestbedError(f"install them yourself: apt-get install {words}")
    say(f"installing {words} in {root.folder}")
    options = "".join(
        f"{each.rstrip(';')};\n" for each in (*_OPTIONS, *apt_options(find_mirror(), say))
    )
    script = (
        'printf %s "$1" >/tmp/apt.conf; shift; export APT_CONFIG=/tmp/apt.conf; '
        'export DEBIAN_FRONTEND=noninteractive; exec apt-get -q "$@"'
    )
    for step in (["update"], ["install", "-y", *PACKAGES]):
        command = ["sh", "-c", script, "sh", options, *step]
        root.run(command, writable=True, timeout=INSTALL_SECONDS)

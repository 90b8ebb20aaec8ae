#!/usr/bin/env python3
"""Print one of Asterisk's directories, as Asterisk itself sees it.

Three sources, best first: the Asterisk that runs with this configuration file; the live
``[directories]`` section of the file (``[directories](!)`` is a template that Asterisk ignores, and
that Debian ships); where this machine's Asterisk keeps files that are always there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

COMMAND_LIMIT_S = 10  # an Asterisk that does not answer within this is as good as stopped

# Name of each directory in `core show settings`.
SETTINGS = {
    "astetcdir": "Configuration directory",
    "astmoddir": "Module directory",
    "astdatadir": "Data directory",
}
# A file that marks each directory, and where distributions put it.
MARKS = {
    "astetcdir": ("asterisk.conf", ["/etc/asterisk"]),
    "astmoddir": (
        "app_dial.so",
        ["/usr/lib/*/asterisk/modules", "/usr/lib/asterisk/modules", "/usr/lib64/asterisk/modules"],
    ),
    "astdatadir": (
        "documentation/core-en_US.xml",
        ["/usr/share/asterisk", "/var/lib/asterisk"],
    ),
}


def from_asterisk(conf: Path, name: str) -> str | None:
    """Ask the Asterisk that runs with this file; None if none does."""
    program = shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None or not conf.is_file():
        return None
    try:
        done = subprocess.run(
            [program, "-C", str(conf), "-rx", "core show settings"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = os.fsdecode(done.stdout)
    found = re.search(rf"^\s*{SETTINGS[name]}:\s*(/\S.*?)\s*$", said, re.MULTILINE)
    return found.group(1) if found else None


def from_conf(conf: Path, name: str) -> str | None:
    """Read the section of the file that Asterisk would read."""
    try:
        lines = os.fsdecode(conf.read_bytes()).splitlines()
    except OSError:
        return None
    live = False
    value = None
    for line in (line.split(";", 1)[0].strip() for line in lines):
        if line.startswith("["):
            live = line == "[directories]"
        elif live:
            key, _, text = line.partition("=")
            if key.strip() == name:
                value = text.lstrip("> ").strip() or None
    return value


def from_machine(name: str) -> str | None:
    """Look where distributions and Asterisk's own build put things."""
    mark, patterns = MARKS[name]
    for pattern in patterns:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            if (folder / mark).exists():
                return str(folder)
    return None


def main() -> int:
    """Print the directory; return the exit status."""
    parser = argparse.ArgumentParser(description="Print one of Asterisk's directories.")
    parser.add_argument("--conf", type=Path, default=Path("/etc/asterisk/asterisk.conf"))
    parser.add_argument("name", choices=sorted(SETTINGS))
    arguments = parser.parse_args()
    conf, name = arguments.conf, arguments.name
    found = from_asterisk(conf, name) or from_conf(conf, name) or from_machine(name)
    if found is None:
        print(
            f"Cannot find Asterisk's {name}: no Asterisk runs with {conf}, it has no [directories] "
            "section, and none of the usual places is there; name it: ASTERISK_CONF=...",
            file=sys.stderr,
        )
        return 1
    # As bytes: the name of a folder need not be text.
    sys.stdout.buffer.write(os.fsencode(found) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

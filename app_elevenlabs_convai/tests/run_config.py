"""Check how elevenlabs.conf is read, or check an elevenlabs.conf of yours.

Without FILE: the module's tests of its configuration.  With FILE: the module reads it, through a
stand-in for Asterisk's parser, and says what it says on a reload.  A wrong section, key or value
changes nothing; it is named with what is allowed, and with file and line where it has one.  Lines
that Asterisk skips, or stops at, are in its log: here they are warnings.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import suites

SUITES = ("config", "config_diff", "config_file")
HOST_FOLDER = re.compile(r"\S*/host-\w{6}/")
"""Where the stand-in keeps its copies of the files."""
HOST_MAIN = re.compile(rf"({HOST_FOLDER.pattern})?elevenlabs\.conf")
"""The copy of the file that was given."""


def check(name: str) -> int:
    """Have the module read a file, and print what it says; the exit status."""
    path = suites.given_path(name)
    if not path.is_file():
        print(f"{path}: there is no such file", file=sys.stderr)
        return 2
    make = ["make", "--silent", "-C", "asterisk_context_files", "VARIANT=asan", "run"]
    done = subprocess.run(
        [*make, "TESTS=config_file"],
        cwd=suites.PROJECT,
        env={**os.environ, "CONVAI_CONFIG_FILE": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=suites.LIMIT_SECONDS,
        check=False,
    )
    # What the host has to say of its own test stands behind a #, and after that the log again.
    said = done.stdout.split("\n# ")[0].splitlines()
    found = [line for line in said if line.startswith(("ERROR", "WARNING"))]
    for line in found:
        level, _, text = line.partition(" ")
        if not text.startswith("Not loaded: "):
            print(f"{level}: {_in_place(text, path)}")
    if done.returncode != 0 and not any(line.startswith("ERROR") for line in found):
        print(done.stdout, file=sys.stderr)
    print(f"{path}: {'valid' if done.returncode == 0 else 'would be refused'}")
    return 0 if done.returncode == 0 else 1


def _in_place(text: str, path: Path) -> str:
    """What is said of the copies, said of the file that was given and of those beside it."""
    text = HOST_MAIN.sub(lambda _: str(path), text, count=1)
    return HOST_FOLDER.sub(lambda _: f"{path.parent}/", text)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="test_config",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit status: 0 valid or passed, 1 not, 2 no such file",
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="an elevenlabs.conf")
    arguments = parser.parse_args()
    if arguments.file:
        return check(arguments.file)
    return suites.conclude("test_config", suites.c_suites(*SUITES))


if __name__ == "__main__":
    sys.exit(main())

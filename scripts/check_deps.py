#!/usr/bin/env python3
"""Say which of the things that the project needs are there, and how to get the rest.

``check_deps.py [--quiet] [GROUP ...]`` looks at the groups named, or at all of them: ``core`` is
what compiling pyconvai.core._core takes, ``module`` what the C module takes besides, ``run`` what
the engine imports, ``tests`` and ``lint`` what those targets use.

It is run by the Python that Asterisk will embed, and judges that one.  The exit status is 1 if
anything that is needed is missing; with ``--quiet`` only that is printed.  It imports nothing that
may be missing, and runs on a Python that is too old, in order to say so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON_NEEDED = (3, 11)
CYTHON_NEEDED = (3, 0)
SETUPTOOLS_NEEDED = (65,)
WEBSOCKETS_NEEDED = (15,)
ORJSON_NEEDED = (3, 9)
ASTERISK_NEEDED = (16, 28)
COMMAND_LIMIT_S = 10  # a version query that takes longer hangs

# The distribution's Python and the environment that install-deps makes; it serves no other.
SERVED_PREFIXES = ("/usr", "/usr/local/lib/app_elevenlabs_convai/venv")


class Finding(NamedTuple):
    """What was found of one dependency."""

    name: str
    found: str | None  # version or place; None if it is missing or too old
    remedy: str  # a sentence for when it is missing
    needed: bool = True


def parse(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "22.10.1~dfsg" gives (22, 10, 1)."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(str(part) for part in version)


def output_of(*command: str) -> str | None:
    """Return what a command prints, or None if it is not there or fails."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def first_line(*command: str) -> str | None:
    """Return the first line that a command prints, or None."""
    text = output_of(*command)
    return text.splitlines()[0] if text else None


# --- one dependency each ------------------------------------------------------------------------


def package_remedy() -> str:
    """Return how the running Python gets its packages."""
    if sys.prefix in SERVED_PREFIXES:
        return "run 'make install-deps' as root"
    return (
        f"run 'scripts/pip-locked.sh {sys.executable} run', or run 'make install-deps' as "
        "root and build with 'make PYTHON=/usr/bin/python3'"
    )


def package(name: str, needed: tuple[int, ...]) -> Finding:
    """Look for a Python package of at least the version needed."""
    label = f"{name} >= {dotted(needed)}"
    try:
        version = str(import_module(name).__version__)
    except ImportError:
        return Finding(label, None, f"{sys.executable} has no {name}; {package_remedy()}")
    if parse(version) < needed:
        return Finding(label, None, f"{sys.executable} has {name} {version}; {package_remedy()}")
    return Finding(label, version, "")


def program(name: str, remedy: str, needed: bool = True) -> Finding:
    """Look for a program on the path."""
    return Finding(name, shutil.which(name), remedy, needed)


def python() -> Finding:
    """Look at the running Python's version."""
    label = f"Python >= {dotted(PYTHON_NEEDED)}"
    version = dotted(tuple(sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON_NEEDED:
        remedy = f"{sys.executable} is {version}; name a newer one: make PYTHON=..."
        return Finding(label, None, remedy)
    return Finding(label, f"{version} ({sys.executable})", "")


def python_headers() -> Finding:
    """Look for the running Python's headers."""
    header = Path(sysconfig.get_path("include")) / "Python.h"
    names = "python3-dev (Debian) or python3-devel (Fedora; name not checked)"
    remedy = f"no {header}; install {names}"
    return Finding("Python headers", str(header) if header.exists() else None, remedy)


def libpython() -> Finding:
    """Look for the running Python as a shared library, which Asterisk can load."""
    library = str(sysconfig.get_config_var("INSTSONAME") or "")
    shared = bool(sysconfig.get_config_var("Py_ENABLE_SHARED"))
    remedy = (
        f"{sys.executable} was built without a shared libpython, so Asterisk cannot embed it; use "
        "the distribution's Python, or build one with --enable-shared"
    )
    return Finding("shared libpython", library if shared else None, remedy)


def gil() -> Finding:
    """Make sure that this is not a free-threaded build, which orjson turns back anyway."""
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    remedy = f"{sys.executable} is a free-threaded build; use an ordinary one"
    return Finding("Python with GIL", None if free else "yes", remedy)


def compiler() -> Finding:
    """Look for a C compiler."""
    command = os.environ.get("CC", "cc").split()
    version = first_line(*command, "--version")
    return Finding("C compiler", version, f"'{' '.join(command)}' does not run; install gcc")


def asterisk_headers() -> Finding:
    """Look for Asterisk's headers, at ASTERISK_INCLUDE or where packages and sources put them."""
    named = os.environ.get("ASTERISK_INCLUDE")
    places = [named] if named else ["/usr/include", "/usr/local/include"]
    for place in places:
        if (Path(place) / "asterisk.h").exists():
            return Finding("Asterisk headers", place, "")
    remedy = (
        f"no asterisk.h in {' or '.join(places)}; run 'make install-deps' as root, or set "
        "ASTERISK_INCLUDE. 'make core', 'make test' and 'make demo' need no Asterisk here"
    )
    return Finding("Asterisk headers", None, remedy)


def asterisk() -> Finding:
    """Look for Asterisk itself, which a build machine may lack."""
    label = f"asterisk >= {dotted(ASTERISK_NEEDED)}"
    text = first_line("asterisk", "-V")
    if text is None:
        remedy = "not installed; the module can be built, not loaded"
        return Finding(label, None, remedy, needed=False)
    version = re.sub(r"^Asterisk\s+", "", text)
    if parse(version) and parse(version) < ASTERISK_NEEDED:
        remedy = f"Asterisk {version} is too old; the module needs {dotted(ASTERISK_NEEDED)}"
        return Finding(label, None, remedy)
    return Finding(label, version, "")


def certificates() -> Finding:
    """Look for the certificates that TLS connections are checked against."""
    import ssl

    paths = ssl.get_default_verify_paths()
    place = paths.cafile or paths.capath
    remedy = "install ca-certificates, or set ca_file in elevenlabs.conf"
    return Finding("CA certificates", place, remedy)


def test_asterisk() -> Finding:
    """Look for an Asterisk for the tests: the machine's own, or the means to make a private one."""
    if shutil.which("asterisk") and Path("/usr/include/asterisk.h").exists():
        return Finding("Asterisk for tests", "the machine's own", "")
    maker = shutil.which("mmdebstrap")
    remedy = "the testbed installs mmdebstrap when it runs as root; otherwise install it"
    return Finding("Asterisk for tests", maker, remedy, needed=False)


# --- groups -------------------------------------------------------------------------------------

GROUPS: dict[str, list[Callable[[], Finding]]] = {
    "core": [
        python,
        python_headers,
        compiler,
        lambda: package("setuptools", SETUPTOOLS_NEEDED),
        lambda: package("Cython", CYTHON_NEEDED),
    ],
    "module": [asterisk_headers, libpython, gil, lambda: program("make", "install make"), asterisk],
    "run": [
        lambda: package("websockets", WEBSOCKETS_NEEDED),
        lambda: package("orjson", ORJSON_NEEDED),
        certificates,
    ],
    "tests": [
        lambda: Finding(
            "build/venv",
            "there" if Path("build/venv/bin/python").exists() else None,
            "'make test' makes it",
            needed=False,
        ),
        test_asterisk,
    ],
    "lint": [
        lambda: program("cppcheck", "'make lint' installs it when run as root", needed=False),
        lambda: program("flawfinder", "'make lint' installs it when run as root", needed=False),
    ],
}


def report(group: str, quiet: bool) -> list[Finding]:
    """Print a group's findings, and return those that are needed and missing."""
    findings = [look() for look in GROUPS[group]]
    missing = [each for each in findings if each.found is None and each.needed]
    if not quiet:
        print(group)
        for each in findings:
            mark = "ok " if each.found else ("NO " if each.needed else "-  ")
            print(f"  {mark} {each.name:<20} {each.found or each.remedy}")
    return missing


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quiet", action="store_true", help="print only what is missing")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error("no such group: " + ", ".join(sorted(unknown)))
    missing = []
    for group in arguments.groups or GROUPS:
        missing += report(group, arguments.quiet)
    sys.stdout.flush()
    for each in missing:
        print(f"Missing: {each.name}: {each.remedy}.", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

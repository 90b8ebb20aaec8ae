#!/usr/bin/env python3
"""Install the engine into a directory of its own, then move one link to it.

An engine in use is never written over: every build goes to ``<target>/<build id>/pyconvai``, and
the link ``<target>/current`` is moved last, by rename, so that whoever follows it finds a whole
engine at any time.  The build id is the beginning of the SHA-256 of all names and contents, so that
the same build is installed once, and it is left in ``_build_id.txt`` for the engine to read.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

BUILD_ID_DIGITS = 12  # 48 bits: no two builds of anybody's collide
BUILD_ID_FILE = "_build_id.txt"
LINK = "current"
# Folders that are no part of the engine: the mock agent is for tests, which run from the checkout.
LEFT_OUT = {"__pycache__", "mock"}


def core_name() -> str:
    """Return the file name of the compiled core for the Python that runs this."""
    return "_core" + str(sysconfig.get_config_var("EXT_SUFFIX"))


def engine_files(package: Path) -> list[Path]:
    """Return the paths of what is installed, relative to the package, in a fixed order.

    Python's sources, and the core for the Python that runs this; FileNotFoundError without it.
    """
    core = package / core_name()
    if not core.is_file():
        raise FileNotFoundError(
            f"{core} is missing; build it: {sys.executable} setup.py build_ext --inplace"
        )
    found = [
        path.relative_to(package)
        for path in package.rglob("*.py")
        if path.is_file() and LEFT_OUT.isdisjoint(path.relative_to(package).parts)
    ]
    return sorted([*found, core.relative_to(package)])


def build_id(package: Path, files: list[Path]) -> str:
    """Return the name of this build: the beginning of a hash over all names and contents."""
    digest = hashlib.sha256()
    for path in files:
        content = (package / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:BUILD_ID_DIGITS]


def copy_engine(package: Path, files: list[Path], name: str, target: Path) -> None:
    """Put the files where nobody looks yet, then give the directory its name."""
    staging = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target))
    try:
        for path in files:
            copy = staging / "pyconvai" / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package / path, copy)
            copy.chmod(0o644)
        (staging / "pyconvai" / BUILD_ID_FILE).write_text(name + "\n", encoding="ascii")
        for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        staging.rename(target / name)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def move_link(target: Path, name: str) -> None:
    """Let the link name this build, at once or not at all."""
    staging = target / f".tmp-{LINK}-{os.getpid()}"
    staging.unlink(missing_ok=True)
    staging.symlink_to(name)
    staging.replace(target / LINK)


def install(package: Path, target: Path) -> str:
    """Install a package and return its build id."""
    files = engine_files(package)
    name = build_id(package, files)
    target.mkdir(parents=True, exist_ok=True)
    if not (target / name).is_dir():
        copy_engine(package, files, name, target)
    move_link(target, name)
    return name


def main() -> int:
    """Install the engine; return the exit status."""
    parser = argparse.ArgumentParser(description="Install the engine of app_elevenlabs_convai.")
    parser.add_argument("--package", type=Path, required=True, help="the directory pyconvai")
    parser.add_argument("target", type=Path, help="<astmoddir>/app_elevenlabs_convai.d")
    arguments = parser.parse_args()
    os.umask(0o022)
    try:
        name = install(arguments.package, arguments.target)
    except OSError as error:
        print(f"The engine is not installed: {error}", file=sys.stderr)
        return 1
    print(f"  {'ENGINE':<8} {arguments.target / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

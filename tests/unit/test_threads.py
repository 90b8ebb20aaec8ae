"""The core's C under the compiler's sanitizers: its shared structures under real threads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.timing import SECOND

ROOT = Path(__file__).parents[2]
FLAGS = ["-D_GNU_SOURCE", "-std=gnu11", "-O1", "-g"]
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
]
INCLUDE = ["-Ipyconvai/core", "-Iapp_elevenlabs_convai"]
CORE = ["pyconvai/core/engine.c", "pyconvai/core/session.c"]


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_rings_and_engine(sanitizer: str, tmp_path: Path) -> None:
    """No byte lost or out of place, no data race, no leak, no undefined behaviour."""
    assert "5 passed, 0 failed" in run_native("threads", sanitizer, tmp_path, *CORE)


def test_conversion_of_rates(tmp_path: Path) -> None:
    """The same bytes however the stream is cut; nothing overflows at the loudest there can be."""
    assert "4 passed, 0 failed" in run_native("resample", "address,undefined", tmp_path)


def run_native(name: str, sanitizer: str, folder: Path, *parts: str) -> str:
    """What a program of tests/native prints, with these files of the core's; it ends with 0."""
    program = folder / name
    sanitize = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    sources = [f"tests/native/{name}.c", *parts]
    flags = [*FLAGS, *WARNINGS, *sanitize, *INCLUDE]
    build = ["gcc", *flags, *sources, "-o", str(program), "-lpthread", "-lm"]
    subprocess.run(build, cwd=ROOT, check=True, timeout=60 * SECOND)
    # The thread sanitizer of gcc 12 can't map its shadow where the kernel randomizes more bits.
    run = [str(program)]
    if setarch := shutil.which("setarch"):
        run = [setarch, "-R", *run]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60 * SECOND, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

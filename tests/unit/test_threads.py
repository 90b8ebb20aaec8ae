"""The core's C under the compiler's sanitizers: its shared structures under real threads."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.timing import SECOND
from tests.unit.kept import program

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
def test_rings_and_engine(sanitizer: str) -> None:
    """No byte lost or out of place, no data race, no leak, no undefined behaviour."""
    assert "5 passed, 0 failed" in run_native("threads", sanitizer, *CORE)


def test_conversion_of_rates() -> None:
    """The same bytes however the stream is cut; nothing overflows at the loudest there can be."""
    assert "4 passed, 0 failed" in run_native("resample", "address,undefined")


def run_native(name: str, sanitizer: str, *parts: str) -> str:
    """What a program of tests/native prints, with these files of the core's; it ends with 0."""
    sanitize = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    sources = [f"tests/native/{name}.c", *parts]
    flags = [*FLAGS, *WARNINGS, *sanitize, *INCLUDE]
    built = program(f"{name}-{sanitizer}", "gcc", *flags, *sources, "-lpthread", "-lm")
    # The thread sanitizer of gcc 12 can't map its shadow where the kernel randomizes more bits.
    run = [str(built)]
    if setarch := shutil.which("setarch"):
        run = [setarch, "-R", *run]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60 * SECOND, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""The core's C under the compiler's sanitizers: its shared structures under real threads."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.timing import PROGRAM
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
CORE = [
    f"pyconvai/core/{name}.c"
    for name in (
        *("engine", "information", "inquiry", "job", "news", "said", "session", "step", "timed"),
    )
]


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_rings_and_engine(sanitizer: str) -> None:
    """No byte lost or out of place, no data race, no leak, no undefined behaviour."""
    assert "8 passed, 0 failed" in run_native("threads", sanitizer, *CORE)


def test_conversion_of_rates() -> None:
    """The same bytes however the stream is cut; nothing overflows at the loudest there can be."""
    assert "4 passed, 0 failed" in run_native("resample", "address,undefined")


def test_words_of_any_bytes() -> None:
    """K2, K10: no byte beside them is touched, and what has passed passes again."""
    assert "40000 passed, 0 failed" in run_native("words", "address,undefined")


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
    done = subprocess.run(run, capture_output=True, text=True, timeout=PROGRAM, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

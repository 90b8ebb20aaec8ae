"""The core's shared structures under real threads and the compiler's sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.timing import SECOND

ROOT = Path(__file__).parents[2]
FLAGS = ["-D_GNU_SOURCE", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
INCLUDE = ["-Ipyconvai", "-Iapp_elevenlabs_convai"]


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_rings_and_engine(sanitizer: str, tmp_path: Path) -> None:
    """No byte lost or out of place, no data race, no leak, no undefined behaviour."""
    program = tmp_path / "threads"
    sanitize = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    source = "tests/native/threads.c"
    build = ["gcc", *FLAGS, *sanitize, *INCLUDE, source, "-o", str(program), "-lpthread"]
    subprocess.run(build, cwd=ROOT, check=True, timeout=60 * SECOND)
    # The thread sanitizer of gcc 12 can't map its shadow where the kernel randomizes more bits.
    run = [str(program)]
    if setarch := shutil.which("setarch"):
        run = [setarch, "-R", *run]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60 * SECOND, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 passed, 0 failed" in done.stdout

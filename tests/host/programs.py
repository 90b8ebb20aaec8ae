"""Building and running the programs of tests/host, for pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from testbed.building import AT_ONCE, LESS_URGENT, one_build_at_a_time
from tests.timing import PROGRAM, SCALE, SECOND

ROOT = Path(__file__).parents[2]
SUITES = sorted(path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.c"))
FORKSTREAM = "forkstream-tests"
FORKSTREAM_SUITES = sorted(
    path.stem.removeprefix("test_")
    for path in (Path(__file__).parent / "forkstream").glob("test_*.c")
)
"""Of the other module, in a program of its own."""

WITH_THREADS = [
    suite
    for suite in SUITES
    if "pthread_create" in (Path(__file__).parent / f"test_{suite}.c").read_text()
]
"""Those of this module; of the other one any suite may have threads."""

# All of one variant take 25 s of a processor, less urgently than whatever else the machine does.
BUILD_LIMIT = PROGRAM
# All suites together take some 3 s natively, and 30 s under a sanitizer; valgrind takes 100 s.
RUN_LIMIT = 110 * SECOND
# One C test, in whole seconds. The slowest takes 1 s natively.
TEST_LIMIT = 30 * SCALE


def build(compiler: str, variant: str, target: str = "all", *settings: str) -> None:
    """Build one variant; what has not changed is not built again."""
    command = [*LESS_URGENT, "make", AT_ONCE, "-C", "asterisk_context_files"]
    command += [f"CC={compiler}", f"VARIANT={variant}", "WERROR=1", *settings]
    with one_build_at_a_time():
        done = subprocess.run(
            [*command, target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr


def build_shared(folder: Path) -> Path:
    """The module as Asterisk would load it, built against the mock headers, without Python."""
    build("gcc", "plain", "shared")
    return Path(shutil.copy(program("gcc", "plain", "app_elevenlabs_convai.so"), folder))


def program(compiler: str, variant: str, name: str = "host-tests") -> Path:
    """Where a variant is built."""
    return ROOT / "build" / "host" / f"{compiler}-{variant}" / name


def run_suite(
    compiler: str,
    variant: str,
    *suites: str,
    under: list[str] | None = None,
    slower: int = 1,
    name: str = "host-tests",
    late_ms: int = 0,
) -> str:
    """Run suites, all of them if none is named, and fail with what they print.

    With ``late_ms`` their threads are held up at random, up to so many ms at a time.
    """
    command = [*(under or []), str(program(compiler, variant, name)), *suites]
    # The thread sanitizer of gcc 12 can't map its shadow where the kernel randomizes more bits.
    if variant == "tsan" and (setarch := shutil.which("setarch")):
        command = [setarch, "-R", *command]
    environment = os.environ | {
        "HOST_TEST_LIMIT": str(int(TEST_LIMIT * slower)),
        "ASAN_OPTIONS": "detect_stack_use_after_return=1",
        "HOST_JITTER": str(late_ms),
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": f"halt_on_error=1:suppressions={ROOT}/tests/host/tsan.supp",
    }
    if variant == "tsan":
        # The sanitizer has a thread and pipes of its own.
        environment["HOST_IS_WATCHED"] = "1"
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=RUN_LIMIT * slower,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""The module's tests under everything that finds what a plain run does not.

Part of `make test-sanitize` and `make test-full`; a plain `make test` runs them under the address
and undefined-behaviour sanitizers alone, see test_host.py. All suites run in one program each.
"""

from __future__ import annotations

import shutil

import pytest

from tests.host.programs import FORKSTREAM, WITH_THREADS, build, run_suite
from tests.timing import SECOND, only_in_full

pytestmark = only_in_full("takes a minute: make test-sanitize, or")

LATE_MS = 20
"""Longer than a tick of the module's, and than a wait takes to look again."""

PROGRAMS = pytest.mark.parametrize("name", ["host-tests", FORKSTREAM])


def need(tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed: apt-get install {tool}")


@PROGRAMS
def test_threads(name: str) -> None:
    """No data race."""
    build("gcc", "tsan")
    run_suite("gcc", "tsan", name=name)


@pytest.mark.parametrize(("name", "suites"), [("host-tests", WITH_THREADS), (FORKSTREAM, [])])
def test_late_threads(name: str, suites: list[str]) -> None:
    """No test takes one effect of a thread for the next, or is in a hurry."""
    build("gcc", "asan")
    run_suite("gcc", "asan", *suites, name=name, late_ms=LATE_MS)


@PROGRAMS
@pytest.mark.limit(600 * SECOND)
def test_valgrind(name: str) -> None:
    """No use of memory that was never set, and no leak, in code no sanitizer has touched."""
    need("valgrind")
    build("gcc", "plain")
    valgrind = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full"]
    output = run_suite("gcc", "plain", under=valgrind, slower=4, name=name)
    assert " passed, 0 failed" in output


@PROGRAMS
@pytest.mark.parametrize("variant", ["asan", "tsan"])
def test_clang(variant: str, name: str) -> None:
    """A second compiler, with its own warnings and sanitizers."""
    need("clang")
    build("clang", variant)
    run_suite("clang", variant, name=name)

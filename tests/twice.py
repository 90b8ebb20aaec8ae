"""Run tests, and those that failed once more by themselves: python3 -m tests.twice [OPTIONS].

Thousands of tests take times, threads and calls, on a machine that others may keep busy. One of
them that fails beside others and passes by itself says something about that test, and must not
hide what the others say. It is not forgotten either: both reports are printed, its name is in
build/unsteady.txt and in the last lines of ``make test``, and it has to be mended.

What is never tried again: more failures than ``MOST``, a fixture that failed, a crash of any
process and what a sanitizer reports. Exit status: pytest's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MOST = 3
"""Tests that are tried again in a run of all. More have a cause in common."""

CRASHES = ("Sanitizer", "valgrind", "SIGSEGV", "SIGABRT", "core dumped")
"""Words of a report that no second try excuses."""

KEPT = Path("build/unsteady.txt")
"""Seen from where the tests are run: the names of those that needed a second try."""


class Failures:
    """What failed, of this process and of those of pytest-xdist."""

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}
        self.final = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.tests[report.nodeid] = None
            crash = any(word in report.longreprtext for word in CRASHES)
            self.final |= report.when != "call" or crash


def main(arguments: list[str]) -> int:
    failures = Failures()
    code = int(pytest.main(arguments, plugins=[failures]))
    tests = list(failures.tests)
    if code != pytest.ExitCode.TESTS_FAILED or failures.final or len(tests) > MOST:
        return code
    names = "\n".join(f"    {name}" for name in tests)
    print(f"\n==> failed beside others; once more, by themselves:\n{names}", flush=True)
    again = subprocess.run([sys.executable, "-m", "pytest", *tests], check=False)
    if again.returncode == 0:
        with KEPT.open("a", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in tests))
        print(f"==> UNSTEADY: failed beside others, passed alone ({KEPT}):\n{names}", flush=True)
    return again.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

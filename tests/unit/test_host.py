"""The module without Asterisk: its own tests, in the scripted host of asterisk_context_files.

Here they run under the address and undefined-behaviour sanitizers, one suite a test; under the
thread sanitizer, valgrind and a second compiler they run in `make test-sanitize` and `make
test-full`, see test_host_sanitizers.py.
"""

from __future__ import annotations

import pytest

from tests.host.programs import FORKSTREAM, FORKSTREAM_SUITES, SUITES, build, run_suite


@pytest.fixture(scope="module", autouse=True)
def _program() -> None:
    build("gcc", "asan")


@pytest.mark.parametrize("suite", SUITES)
def test_suite(suite: str) -> None:
    """Every test of the suite passes, and leaves nothing behind."""
    run_suite("gcc", "asan", suite)


@pytest.mark.slow
@pytest.mark.parametrize("suite", FORKSTREAM_SUITES)
def test_forkstream_suite(suite: str) -> None:
    """The same of ForkStream's."""
    run_suite("gcc", "asan", suite, name=FORKSTREAM)

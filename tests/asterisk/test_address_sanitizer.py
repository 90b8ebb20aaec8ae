"""Module and engine under the address sanitizer in a real Asterisk: what is unmapped is not used.

Only in `make test-full`: everything is built twice, once with the sanitizer and once back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.variants import install_variant
from tests.asterisk.phone import DIALPLAN, section, wait_result, wait_talking
from tests.asterisk.test_unload import CALLS, closes, unload_by_force, wait_closes
from tests.timing import SECOND, only_in_full

pytestmark = [
    only_in_full("takes minutes"),
    pytest.mark.limit(900),
]

FLAGS = "-fsanitize=address -fno-omit-frame-pointer"
FORCED = 50
GENERATIONS = 10
MODULE = "app_elevenlabs_convai"


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(root: Root, mock: MockAgent) -> Iterator[Instance]:
    library = root.run(["gcc", "-print-file-name=libasan.so"]).stdout.strip()
    pbx = Instance(
        root,
        "asan",
        dialplan=DIALPLAN,
        elevenlabs=section("default", mock.url),
        debug=0,
        env={
            "LD_PRELOAD": library,
            # Asterisk and Python free nothing at the end; and a module that goes is no leak.
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:halt_on_error=1:"
            f"log_path={root.path(Path(__file__).parents[2] / 'build/testbed/asan/log')}/asan",
        },
    )
    pbx.prepare()
    pbx.build_and_install(f"CONVAI_CFLAGS={FLAGS}", f"CONVAI_LDFLAGS={FLAGS}")
    try:
        pbx.start()
        yield pbx
    finally:
        pbx.stop()
        assert list((pbx.folder / "log").glob("asan.*")) == []


def test_forced_unloads(pbx: Instance, mock: MockAgent) -> None:
    for _ in range(FORCED):
        unload_by_force(pbx, mock, rate=50.0)


def test_generations(pbx: Instance, mock: MockAgent) -> None:
    seen = len(mock.events())
    with Callers(pbx, CALLS, "default", rate=50.0) as calls:
        calls.wait_up()
        wait_talking(pbx, CALLS)
        for number in range(GENERATIONS):
            append = {"__init__.py": f'\n__version__ = "asan{number}"\n'}
            build = install_variant(pbx, f"asan{number}", append=append)
            pbx.cli(f"module reload {MODULE}")
            assert pbx.engine_build() == build
            start = len(pbx.log())
            place_call(pbx, "default", hangup_after=0.2)
            assert wait_result(pbx, start).status == "HANGUP"
        calls.hangup_all()
        calls.wait()
    wait_closes(mock, seen, CALLS + GENERATIONS)
    assert set(closes(mock, seen)) == {(1000, "client")}


def test_the_end_with_calls_up(pbx: Instance, mock: MockAgent) -> None:
    """The last test: `core stop now`."""
    seen = len(mock.events())
    with Callers(pbx, CALLS, "default", rate=50.0) as calls:
        calls.wait_up()
        wait_talking(pbx, CALLS)
        assert pbx.stop() == 0
    assert wait_closes(mock, seen, CALLS, limit=10 * SECOND) == [(1000, "client")] * CALLS

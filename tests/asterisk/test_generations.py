"""One engine follows the other under live calls: every sample, every new call, and what is left.

`make test` takes a few generations, `make test-full` twenty, and a hundred configurations.
"""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.variants import ENGINES, install_package, make_variant
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import (
    DIALPLAN,
    configure,
    results,
    section,
    settled,
    talk,
    wait_result,
)
from tests.asterisk.samples import check_samples, noise_agent_names, noise_agents, noise_callers
from tests.timing import EVENT, FULL, PROMPT

CALLS = 20
GENERATIONS = 20 if FULL else 3
RELOADS = 100 if FULL else 15
TALK_SECONDS = 400.0 if FULL else 120.0
"""Longer than all of this takes: who has still something to say then is hung up."""

GENERATION_KB_MAX = 6000
"""What one generation may leave behind: its core, which is never unmapped, with all that the
interpreter keeps of it. 1.5 MB were measured; under load the allocator takes some more."""

MODULE = "app_elevenlabs_convai"


pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=0, debug=0)


@pytest.fixture(scope="module")
def packages(pbx: Instance) -> list[Path]:
    """Engines, each really different: it says its own version."""
    return [
        make_variant(pbx, version(n), append={"__init__.py": f'\n__version__ = "{version(n)}"\n'})
        for n in range(GENERATIONS)
    ]


def version(number: int) -> str:
    return f"0.1.0+g{number}"


@dataclass(frozen=True)
class Lateness:
    """What the calls that are up have counted of frames that were written late."""

    frames: int
    latest_ms: float


def lateness(pbx: Instance) -> Lateness:
    channels = re.findall(r"^(PJSIP/\S+)", pbx.cli("elevenlabs show sessions"), re.MULTILINE)
    found = [
        re.search(
            r"late: +(\d+) by more than a frame, the latest by ([\d.]+) ms",
            pbx.cli(f"elevenlabs show session {channel}"),
        )
        for channel in channels
    ]
    assert len(found) == CALLS
    assert all(found)
    pairs = [(int(each[1]), float(each[2])) for each in found if each]
    return Lateness(sum(late for late, _ in pairs), max(latest for _, latest in pairs))


def wait_one_generation(pbx: Instance) -> str:
    """Wait until those before the newest have ended; what `show version` says then."""
    deadline = time.monotonic() + EVENT
    while "1 generation alive" not in (shown := pbx.cli("elevenlabs show version")):
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return shown


@dataclass
class Reloads:
    """Reloads one after the other while calls are up, and what they did."""

    pbx: Instance
    conf: str
    configurations: int = 0
    slowest_ms: float = 0.0

    def configure(self, count: int) -> None:
        """Take over so many configurations, each different from the one before."""
        for _ in range(count):
            self.configurations += 1
            text = f"[general]\nmax_duration = {1000 + self.configurations}\n{self.conf}"
            assert "reloaded successfully" in configure(self.pbx, text)

    def bring_in(self, package: Path) -> None:
        """Install an engine, reload, and see that it serves."""
        build = install_package(self.pbx, package)
        began = time.monotonic()
        assert "reloaded successfully" in self.pbx.cli(f"module reload {MODULE}")
        self.slowest_ms = max(self.slowest_ms, 1000 * (time.monotonic() - began))
        assert self.pbx.engine_build() == build


@pytest.mark.limit(300)
def test_generations_under_live_calls(pbx: Instance, root: Root, packages: list[Path]) -> None:
    with MockAgent(root, noise_agents(CALLS, TALK_SECONDS), record=True) as mock:
        names = noise_agent_names(CALLS)
        conf = "".join(section(name, mock.url) for name in [*names, "fresh"])
        configure(pbx, conf)
        with Callers(pbx, CALLS, names.__getitem__, hangup_after=1.0) as warm:
            warm.wait()
        pbx.wait_no_channels()
        before = pbx.counters()
        start = len(pbx.log())
        with noise_callers(pbx, names, TALK_SECONDS) as calls:
            calls.wait_up()
            reloads = Reloads(pbx, conf)
            for package in packages:
                reloads.configure(RELOADS // GENERATIONS)
                reloads.bring_in(package)
                talk(pbx, "fresh")
            shown = pbx.cli("elevenlabs show version")
            late = lateness(pbx)
            calls.hangup_all()
            calls.wait()
        ended = wait_one_generation(pbx)
        pbx.cli(f"module reload {MODULE}")  # lets go of engines that have ended
        grown = settled(pbx, before)
        after = pbx.counters()
    assert f"{CALLS:6}" in shown  # on the first generation, which is still there for them
    assert "2 generations alive" in shown
    assert f" {version(GENERATIONS - 1)} " in ended
    versions = [
        session["init"]["source_info"]["version"]
        for session in mock.report["sessions"]
        if session["agent_id"] == "fresh"
    ]
    assert versions == [f"{MODULE} {version(n)}" for n in range(GENERATIONS)]
    mine = [result.status for result in results(pbx, start)]
    assert mine == ["HANGUP"] * (CALLS + GENERATIONS)
    check_samples(mock, calls, None)
    assert grown == {}
    per_generation = (after.rss_kb - before.rss_kb) / GENERATIONS
    tell(reloads, late, per_generation)
    assert per_generation < GENERATION_KB_MAX
    # A reload that held the channels' threads up would do so with each of them, every time. What a
    # busy machine does to one thread or another is no fault of ours.
    assert late.frames < CALLS, late
    calls.delete_files()


def tell(reloads: Reloads, late: Lateness, per_generation: float) -> None:
    """Print the figures, and leave them in build/generations.json."""
    figures = {
        "calls": CALLS,
        "generations": GENERATIONS,
        "configurations": reloads.configurations,
        "slowest_reload_ms": round(reloads.slowest_ms),
        "kb_per_generation": round(per_generation),
        "late_frames": late.frames,
        "latest_frame_ms": late.latest_ms,
    }
    (BUILD / "generations.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"\ngenerations under live calls: {figures}")


# ---- What is refused ----

BROKEN = {
    "import": ({"conversation/protocol.py": "\nimport no_such_module\n"}, "ModuleNotFoundError"),
    "contract": ({"runtime.py": "\n_core.contract = lambda: (99, 8)\n"}, "version 99 of the contr"),
    "self-test": (
        {"conversation/protocol.py": "\ndef pong(event_id):\n    return '{}'\n"},
        "self-test: ",
    ),
    "hangs in import": (
        {"conversation/session.py": "\nimport time\ntime.sleep(3600)\n"},
        "takes too long",
    ),
}
MORE_THAT_HANGS = {
    "spins in import": ({"conversation/session.py": "\nwhile True:\n    pass\n"}, "takes too long"),
    "hangs in the loop": (
        {"runtime.py": "\nimport time\n_core.send_waiting_audio = lambda _: time.sleep(30)\n"},
        r"too long|self-test: not done within|not passed its self-test within",
    ),
}
"""Five seconds each: in `make test-full`."""

if FULL:
    BROKEN |= MORE_THAT_HANGS
HOLDS_THE_GIL = {"conversation/session.py": "\nimport ctypes\nctypes.PyDLL(None).usleep(6500000)\n"}
RELOAD_SECONDS = 5.0
"""generation.c: START_LIMIT_MS."""


def refused(pbx: Instance, append: dict[str, str], spoil: str = "") -> tuple[str, float]:
    """Install a broken engine and reload: the line in the log, and how long that took.

    spoil: text behind a file after its installation, which compiles and would refuse it.
    """
    start = len(pbx.log())
    build = install_package(pbx, make_variant(pbx, "broken", append=append))
    if spoil:
        file = pbx.module_folder / ENGINES / build / "pyconvai" / "conversation" / "session.py"
        file.write_text(file.read_text(encoding="utf-8") + spoil, encoding="utf-8")
    began = time.monotonic()
    answer = pbx.cli(f"module reload {MODULE}")
    seconds = time.monotonic() - began
    assert "reloaded successfully" not in answer
    lines = [line for line in pbx.log()[start:].splitlines() if " ERROR" in line]
    assert len(lines) == 1, lines
    assert (
        f"The engine stays as it was: the engine in {pbx.root.path(pbx.module_folder)}" in lines[0]
    )
    assert f"{build} is refused: " in lines[0]
    return lines[0], seconds


@pytest.mark.limit(200)
def test_what_is_broken_is_refused_under_a_live_call(pbx: Instance, root: Root) -> None:
    """Of every kind. The call hears nothing of it, and new calls are served as before."""
    with MockAgent(root, noise_agents(1, TALK_SECONDS), record=True) as mock:
        configure(pbx, section("agent0", mock.url) + section("fresh", mock.url))
        serving = pbx.engine_build()
        with noise_callers(pbx, ["agent0"], TALK_SECONDS) as calls:
            calls.wait_up()
            line, _ = refused(
                pbx, {"conversation/session.py": "\n# spoilt\n"}, spoil="\nno Python\n"
            )
            assert re.search(r"SyntaxError: .*session\.py", line)
            check_serving(pbx, serving)
            for kind, (append, words) in BROKEN.items():
                line, seconds = refused(pbx, append)
                assert re.search(words, line), (kind, line)
                assert seconds < RELOAD_SECONDS + PROMPT, kind
                check_serving(pbx, serving)
            assert calls[0].ended_at is None
            calls.hangup_all()
            calls.wait()
    check_samples(mock, calls, None)


def check_serving(pbx: Instance, build: str) -> None:
    """Whether this engine is in service, alone, and has a new call."""
    shown = pbx.cli("elevenlabs show version")
    assert f"build {build}, " in shown
    assert "1 generation alive" in shown
    start = len(pbx.log())
    place_call(pbx, "fresh", hangup_after=0.3)
    assert wait_result(pbx, start).status == "HANGUP"


def test_who_holds_the_gil_hangs_neither_reload_nor_commands_nor_calls(
    pbx: Instance, root: Root
) -> None:
    """Native code that never lets go: nothing in Python runs, and all else does."""
    with MockAgent(root, "default") as mock:
        configure(pbx, section("agent0", mock.url) + section("fresh", mock.url))
        serving = pbx.engine_build()
        with Callers(pbx, 1, "agent0") as calls:
            calls.wait_up()
            with ThreadPoolExecutor(1) as other:
                reload = other.submit(refused, pbx, HOLDS_THE_GIL)
                while not reload.done():
                    began = time.monotonic()
                    assert "1 session" in pbx.cli("elevenlabs show sessions")
                    assert time.monotonic() - began < RELOAD_SECONDS
                line, seconds = reload.result()
            assert "Python does not answer within 5000 ms" in line
            assert seconds < RELOAD_SECONDS + PROMPT
            time.sleep(2.5)  # until the native code lets go; nothing tells
            assert "talking" in pbx.cli("elevenlabs show sessions")
        pbx.wait_no_channels()
        check_serving(pbx, serving)


def test_the_next_good_engine_is_taken(pbx: Instance, root: Root) -> None:
    """After all that was refused."""
    package = make_variant(pbx, "good", append={"__init__.py": '\n__version__ = "good"\n'})
    build = install_package(pbx, package)
    assert "reloaded successfully" in pbx.cli(f"module reload {MODULE}")
    wait_one_generation(pbx)
    with MockAgent(root, "default") as mock:
        configure(pbx, section("fresh", mock.url))
        check_serving(pbx, build)

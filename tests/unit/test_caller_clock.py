"""The caller's clock on lines that do anything, by hypothesis.

The C code is compiled as it is and called through cffi, by a loop that waits and reads as the
channel's thread does: at a frame, at the clock's wish, and every 20 ms in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import cffi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frame_reader import examples

ROOT = Path(__file__).parents[2]

CALLS = """
struct caller_clock { int64_t behind_us; int64_t ahead_us; int64_t late_us; uint64_t inserted_ms;
	...; };
void caller_clock_start(struct caller_clock *clock, int64_t now_us);
int caller_clock_frame(struct caller_clock *clock, int64_t now_us, int64_t length_us,
	int64_t stamp_us, unsigned int *missing_ms);
unsigned int caller_clock_mute_ms(struct caller_clock *clock, int64_t now_us, int64_t length_us);
unsigned int caller_clock_gap_ms(struct caller_clock *clock, int64_t now_us);
int caller_clock_wait_ms(const struct caller_clock *clock, int64_t now_us);
"""

MS = 1000
WAKE = 20 * MS
"""The playout's deadlines wake the thread this often at least."""
PROMISED = 60 * MS
LATE_WAKE = 2 * MS
"""A wait is rounded up to whole milliseconds, and silence down to them."""


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The compiled clock: (ffi, lib)."""
    folder = tmp_path_factory.mktemp("clock")
    builder = cffi.FFI()
    builder.cdef(CALLS)
    module_dir = ROOT / "app_elevenlabs_convai"
    builder.set_source(
        "caller_clock",
        '#include "call/caller_clock.h"\n',
        sources=[str(module_dir / "call" / "caller_clock.c")],
        include_dirs=[str(module_dir)],
        extra_compile_args=["-Wall", "-Wextra", "-Werror"],
    )
    spec = spec_from_file_location("caller_clock", builder.compile(str(folder)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ffi, module.lib


NO_STAMP = -(2**63)


@dataclass(frozen=True)
class Frame:
    """One frame: when it comes, its stamp, and whether it is to be heard. Times in microseconds."""

    came: int
    stamp: int
    is_heard: bool


@dataclass
class Line:
    """What a caller sends, in the order in which it comes."""

    length: int
    has_stamps: bool
    frames: list[Frame] = field(default_factory=list)
    now: int = 0
    jumped: int = 0
    """How far the stamps are from the caller's time."""

    def send(self, count: int, late: int = 0, heard: bool = True) -> None:
        """So many frames, each so late; one that is late makes those behind it wait."""
        for _ in range(count):
            stamp = self.now + self.jumped if self.has_stamps else NO_STAMP
            self.now += self.length
            came = max(self.now + late, self.frames[-1].came if self.frames else 0)
            self.frames.append(Frame(came, stamp, heard))

    def stall(self, us: int) -> None:
        """Nothing comes for so long, then all at once."""
        end = self.now + us
        while self.now < end:
            self.send(1, late=max(0, end - self.now - self.length))

    def repeat(self) -> None:
        """The last frame comes again."""
        self.frames.extend(self.frames[-1:])

    def swap(self) -> None:
        """The last two frames come in the wrong order."""
        if len(self.frames) > 1:
            one, other = self.frames[-2:]
            self.frames[-2:] = replace(other, came=one.came), replace(one, came=other.came)


def _still(line: Line, ms: int) -> None:
    """A pause in which the stamps stand still."""
    line.now += ms * MS
    line.jumped -= ms * MS


KINDS: dict[str, Callable[[Line, int], None]] = {
    "talk": lambda line, n: line.send(1 + n % 40),
    "jitter": lambda line, n: line.send(1, late=n % 120 * MS),
    "lose": lambda line, n: setattr(line, "now", line.now + (1 + n % 5) * line.length),
    # As the telephone likes, not by whole frames.
    "pause": lambda line, n: setattr(line, "now", line.now + n * 617),
    "still": _still,
    "stall": lambda line, n: line.stall(n * MS),
    "mute": lambda line, n: line.send(1 + n % 10, heard=False),
    "jump": lambda line, n: setattr(line, "jumped", line.jumped + (n - 500) * 4003),
    "repeat": lambda line, _: line.repeat(),
    "swap": lambda line, _: line.swap(),
}
"""What a line may do next, each by a number up to 1000."""


@st.composite
def lines(draw: st.DrawFn) -> Line:
    line = Line(draw(st.sampled_from([10, 20, 30, 40, 60])) * MS, draw(st.booleans()))
    events = st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 1000))
    for kind, number in draw(st.lists(events, min_size=1, max_size=25)):
        KINDS[kind](line, number)
    return line


class Agent:
    """What comes of a line: lengths in microseconds, at each moment."""

    def __init__(self, c: Any, line: Line) -> None:
        self._ffi, self._lib = c
        self.clock = self._ffi.new("struct caller_clock *")
        self._missing = self._ffi.new("unsigned int *")
        self._frames = list(line.frames)
        self._length = line.length
        self._has_frame = False
        self.heard = 0
        self.began = 0
        self.worst_behind = 0
        self.worst_ahead = 0

    def run(self, until: int, now: int = 0) -> None:
        """Begin the account at this time, and read what comes until that one."""
        lib, clock = self._lib, self.clock
        lib.caller_clock_start(clock, now)
        playout = now + WAKE
        while now < until:
            wish = now + lib.caller_clock_wait_ms(clock, now) * MS
            deadline = min(playout, wish)
            if self._frames and self._frames[0].came <= deadline:
                now = max(now, self._frames[0].came)
                self._take(now, self._frames.pop(0))
            else:
                now = deadline
                self.heard += lib.caller_clock_gap_ms(clock, now) * MS
            while playout <= now:
                playout += WAKE
            self._look(now)

    def _take(self, now: int, frame: Frame) -> None:
        if not self._has_frame:
            # It may have begun before the account did, or while silence was given.
            self.began = min(self.began, now - self._length - self.heard)
            self._has_frame = True
        if frame.is_heard:
            is_in_time = self._lib.caller_clock_frame(
                self.clock, now, self._length, frame.stamp, self._missing
            )
            self.heard += self._missing[0] * MS + is_in_time * self._length
        else:
            self.heard += self._lib.caller_clock_mute_ms(self.clock, now, self._length) * MS

    def _look(self, now: int) -> None:
        behind = now - self.began - self.heard
        self.worst_behind = max(self.worst_behind, behind)
        self.worst_ahead = max(self.worst_ahead, -behind)


@examples(300, 3_000)
@given(line=lines())
def test_whatever_the_line_does_the_agent_hears_it_at_real_time(c: Any, line: Line) -> None:
    """L5, L6, L7: never more than 60 ms behind or ahead, at any moment.

    Between two frames the one that is to come is not missing yet.
    """
    agent = Agent(c, line)
    agent.run(line.now + 2000 * MS)
    # Each 10 s what looks like drift may move the account.
    drift = line.now // (10_000 * MS) * 5 * MS
    assert agent.worst_behind <= line.length + PROMISED + LATE_WAKE + drift
    assert agent.worst_ahead <= PROMISED + drift
    assert agent.clock.behind_us <= PROMISED + LATE_WAKE
    assert agent.clock.ahead_us <= PROMISED


@examples(100, 1_000)
@given(
    length=st.sampled_from([10, 20, 30, 40, 60]),
    late=st.lists(st.integers(0, 60), min_size=200, max_size=400),
    has_stamps=st.booleans(),
)
def test_ordinary_jitter_drops_nothing(
    c: Any, length: int, late: list[int], has_stamps: bool
) -> None:
    """Frames of up to 60 ms of jitter: all of them are heard."""
    line = Line(length * MS, has_stamps)
    for each in late:
        line.send(1, late=each * MS)
    agent = Agent(c, line)
    agent.run(line.now + 20 * MS, now=line.frames[0].came)
    assert agent.clock.late_us == 0
    assert agent.clock.inserted_ms <= 60 + length

"""The engine driven as the C module drives it: through the table of functions, by cffi.

Every call into the table releases the GIL, as a channel thread would never have had it. One engine
per process is enough: ``Engine`` starts it and stops it again.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cffi

from pyconvai import runtime
from pyconvai.conversation.effects import Event
from pyconvai.service.endings import Status
from pyconvai.service.settings import PairKind
from tests.timing import EVENT, MS

CONTRACT = Path(__file__).parents[2] / "app_elevenlabs_convai" / "convai_ops.h"
CONNECTING, TALKING, ENDED, QUEUED = range(4)
TRANSCRIPT, SUMMARY, HEARD = range(3)
IN_ORDER = (CONNECTING, QUEUED, TALKING, ENDED)
START_SECONDS = EVENT
TIMINGS = ("tick", "uplink", "downlink", "interruption", "gap", "turn")


def _definitions() -> str:
    """The contract's C definitions, without the preprocessor's lines, which cffi does not read."""
    text = CONTRACT.read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


ffi = cffi.FFI()
ffi.cdef(_definitions())


def string(pointer: Any) -> str:
    """A C string as text."""
    return bytes(ffi.string(pointer)).decode()  # type: ignore[arg-type]


def macro(name: str) -> str:
    """The text of a #define of the contract."""
    found = re.search(rf"^#define {name}\s+(.+)$", CONTRACT.read_text(), re.MULTILINE)
    assert found, f"no #define {name} in {CONTRACT.name}"
    return found.group(1).strip('"')


def thread_names() -> list[str]:
    """Of all threads of this process."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            found.append((task / "comm").read_text().strip())
    return found


class Engine:
    """A running engine and the log lines that it has written."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str, str]] = []
        self._log = ffi.callback("void(uint32_t, const char *, const char *)", self._on_log)
        self.host = cast(Any, ffi.new("struct convai_host *"))
        self.host.abi_version = int(macro("CONVAI_ABI_VERSION"))
        self.host.size = ffi.sizeof("struct convai_host")
        self.host.log = self._log
        self.begin_job: Callable[[Any, Any], int] = self.knows_no_tool
        self._begin_job = ffi.callback(
            "uint32_t(struct convai_session *, const struct convai_job *)",
            self._on_job,
        )
        self.host.begin_job = self._begin_job
        self.away: list[tuple[str, int]] = []
        """Agents, and for how many ms they were said to be away."""
        self._away = ffi.callback("void(const char *, uint32_t)", self._on_away)
        self.host.away = self._away
        self.ops: Any = ffi.cast("struct convai_ops *", runtime.start(START_SECONDS))
        assert self.ops.attach(self.host) == 0

    def _on_log(self, level: int, channel: Any, text: Any) -> None:
        self.lines.append((level, string(channel), string(text)))

    def _on_job(self, session: Any, job: Any) -> int:
        return self.begin_job(session, job)

    def knows_no_tool(self, _session: Any, job: Any) -> int:
        """What the host makes of a job, unless a test puts something else in ``begin_job``."""
        self.ops.end_job(job, 0, b"")
        return 0

    def _on_away(self, agent: Any, ms: int) -> None:
        self.away.append((string(agent), ms))

    def call(self, **what: Any) -> Call:
        """Open a session; see Call."""
        return Call(self, **what)

    def stop(self, seconds: float = EVENT) -> int:
        """Stop the engine: 0 when it has ended in time."""
        return int(self.ops.stop(int(seconds * 1000)))

    def timings(self, agent: str = "") -> dict[str, dict[int, int]]:
        """For each histogram, by its name: how often each upper bound, in us, was counted.

        Of all sessions, or of one agent's.
        """
        timings: Any = ffi.new("struct convai_timings *")
        if not agent:
            self.ops.timings(timings)
        elif self.ops.agent_timings(agent.encode(), timings):
            raise KeyError(agent)
        counts = {name: list(timings.timings[kind].counts) for kind, name in enumerate(TIMINGS)}
        return {
            name: {timings.upper_us[i]: count for i, count in enumerate(row) if count}
            for name, row in counts.items()
        }

    def text(self) -> str:
        """Everything logged so far."""
        return "\n".join(text for _, _, text in self.lines)


@dataclass
class Call:
    """One session, from the channel thread's side."""

    engine: Engine
    settings: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    json: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    """Of its record, if it is to have one."""
    channel: str = "PJSIP/caller-00000001"
    agent: str = "sales_agent"

    def __post_init__(self) -> None:
        defaults = {"agent_id": "agent_x", "api_key": "key", "connect_attempts": "1"}
        groups = (
            (PairKind.SETTING, defaults | self.settings),
            (PairKind.VARIABLE, self.variables),
            (PairKind.JSON, self.json),
            (PairKind.OVERRIDE, self.overrides),
            (PairKind.FACT, self.facts),
        )
        triples = [(k, n, v) for k, group in groups for n, v in group.items()]
        keep: list[Any] = [ffi.new("char[]", t.encode()) for tr in triples for t in tr[1:]]
        pairs = ffi.new("struct convai_pair[]", len(triples))
        for i, (kind, _, _) in enumerate(triples):
            pairs[i].kind, pairs[i].name, pairs[i].value = kind, keep[2 * i], keep[2 * i + 1]
        channel, agent = (ffi.new("char[]", t.encode()) for t in (self.channel, self.agent))
        request = ffi.new("struct convai_request *", (channel, agent, pairs, len(triples)))
        self.session = self.engine.ops.open(request)
        if self.session == ffi.NULL:
            raise OSError(ffi.errno, "open")
        self._progress = ffi.new("struct convai_progress *")

    def poll(self) -> Any:
        """Where the session stands."""
        self.engine.ops.poll(self.session, self._progress)
        return self._progress

    def wait(self, state: int, seconds: float = EVENT) -> Any:
        """Wait on the event descriptor until the session has come to this state or further."""
        until = time.monotonic() + seconds
        wanted = IN_ORDER.index(state)
        while IN_ORDER.index((progress := self.poll()).state) < wanted:
            left = until - time.monotonic()
            assert left > 0, f"state {progress.state} after {seconds} s; log:\n{self.engine.text()}"
            select.select([self.engine.ops.event_fd(self.session)], [], [], left)
        return progress

    def ending(self, seconds: float = EVENT) -> tuple[str, str]:
        """Wait for the end: (status, reason). ``detail`` is told besides."""
        progress = self.wait(ENDED, seconds)
        return Status(progress.status).name, string(progress.reason)

    def detail(self) -> str:
        """Words from outside that go with the reason, once it has ended."""
        return string(self.poll().detail)

    def push(self, audio: bytes, now_us: int = 0) -> int:
        return int(self.engine.ops.push(self.session, audio, len(audio), now_us))

    def say(self, audio: bytes) -> None:
        """Push it in frames of 160 bytes, all of which must be taken."""
        for at in range(0, len(audio), 160):
            assert self.push(audio[at : at + 160]) == 160

    def push_silence(self, ms: int) -> int:
        return int(self.engine.ops.push_silence(self.session, ms))

    def pop(self, size: int, now_us: int = 0) -> tuple[bytes, int]:
        """(size bytes, how many of them were agent audio)."""
        out = ffi.new("uint8_t[]", size)
        taken = self.engine.ops.pop(self.session, out, size, now_us)
        return bytes(ffi.buffer(out)), int(taken)

    @property
    def queued(self) -> int:
        return int(self.engine.ops.queued(self.session))

    def hear(self, size: int, seconds: float = EVENT) -> bytes:
        """Pop until this many bytes of agent audio have come."""
        heard = b""
        until = time.monotonic() + seconds
        while len(heard) < size:
            out, taken = self.pop(min(160, size - len(heard)))
            heard += out[:taken]
            if not taken:
                assert time.monotonic() < until, f"heard {len(heard)} of {size} bytes"
                time.sleep(0.001)
        return heard

    def events(self) -> list[dict[str, str]]:
        """What programs are to be told and were not yet: the fields of each, and its kind."""
        found = list[dict[str, str]]()
        while (event := self.engine.ops.take_event(self.session)) != ffi.NULL:
            fields = (event.fields[i] for i in range(event.field_count))
            told = {string(each.name): string(each.value) for each in fields}
            found.append({"kind": Event(event.kind).name} | told)
            assert abs(event.at_ms / 1000 - time.time()) < 60
        return found

    def wait_events(self, count: int, seconds: float = EVENT) -> list[dict[str, str]]:
        """The next events, of which there must be so many."""
        found, until = self.events(), time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < until, found
            time.sleep(MS)
            found += self.events()
        assert len(found) == count, found
        return found

    def counters(self) -> Any:
        counters = ffi.new("struct convai_counters *")
        self.engine.ops.counters(self.session, counters)
        return counters

    def turns(self) -> tuple[int, int, int]:
        """(how many were timed, their median, the worst), in us."""
        times: Any = ffi.new("struct convai_turn_times *")
        self.engine.ops.turns(self.session, times)
        return times.count, times.median_us, times.worst_us

    def levels(self, most: int = 36000) -> tuple[int, list[tuple[int, int]]]:
        """(how many there are, the newest: the caller's and the agent's each)."""
        levels: Any = ffi.new("struct convai_level[]", most)
        count = self.engine.ops.levels(self.session, levels, most)
        return count, [(levels[i].caller, levels[i].agent) for i in range(min(count, most))]

    def turn_list(self, most: int = 512) -> tuple[int, list[tuple[int, int]]]:
        """(how many were timed, the newest: ms since the conversation began, us each)."""
        turns: Any = ffi.new("struct convai_turn[]", most)
        count = self.engine.ops.turn_list(self.session, turns, most)
        return count, [(turns[i].at_ms, turns[i].us) for i in range(min(count, most))]

    def words(self, which: int, size: int = 16384) -> str:
        """TRANSCRIPT, SUMMARY or HEARD, in so much room."""
        text = ffi.new("char[]", size)
        self.engine.ops.words(self.session, which, text, size)
        return string(text)

    def send(self, kind: int, text: str) -> int:
        """0, or the errno."""
        return int(ffi.errno) if self.engine.ops.send(self.session, kind, text.encode()) else 0

    def set_debug(self, debug: int) -> None:
        self.engine.ops.set_session_debug(self.session, debug)

    def hangup(self) -> None:
        self.engine.ops.hangup(self.session)

    def release(self) -> None:
        if self.session is not None:
            self.engine.ops.release(self.session)
            self.session = None

"""A worker as the engine sees it: what it can do, and which calls it has. Loop thread only.

It is loading, then it serves; retired, it gets no new calls and ends with its last one; then it is
over. ``workshop.py`` decides which worker gets what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import limits
from ..tools.frames import Frame
from .process import Process


@dataclass(frozen=True, slots=True)
class Known:
    """A tool of a directory, as its worker tells of it."""

    name: str
    file: str
    line: int
    about: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """A file, or a function in it, that is not used."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call."""

    text: str
    is_error: bool
    fault: str = ""
    """For the log."""


@dataclass(eq=False)
class Job:
    """One call of a tool, from when it is asked for until it is answered."""

    name: str
    arguments: Mapping[str, Any]
    call: Mapping[str, str]
    answer: asyncio.Future[Answer]
    timer: asyncio.TimerHandle | None = None
    number: int = 0
    """In its worker; 0: it has none yet."""
    has_begun: bool = False

    @property
    def is_open(self) -> bool:
        """Nobody has answered it."""
        return not self.answer.done()

    def end(self, answer: Answer) -> None:
        """Answer it, unless that has been done."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(eq=False)
class Worker:
    """One of a directory's."""

    directory: str
    skip: Mapping[str, str]
    ready: Callable[[Worker], None]
    """It has loaded all files."""
    over: Callable[[Worker, str], None]
    """It has ended, by itself or not; why."""
    retired: Callable[[Worker], None]
    """It gets no new calls, for it does not do well."""
    tools: dict[str, Known] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    jobs: dict[int, Job] = field(default_factory=dict)
    """Calls that it has not ended, those that nobody waits for any more among them."""
    loading: str = ""
    """The file that it loads."""
    is_retired: bool = False

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self._numbers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered = 0
        """Pings since it has last said something. Not a time: that runs while we do not."""
        self._watch(limits.WORKER_START_SECONDS + limits.WORKER_LOAD_SECONDS, self._says_nothing)
        self._process = Process(self._received, self._ended)
        self._process.send({"is": "load", "directory": self.directory, "skip": dict(self.skip)})

    @property
    def pid(self) -> int:
        """Its process, or 0."""
        return self._process.pid

    # ---- What it is told ----

    def take(self, job: Job) -> bool:
        """Have it done. False: it takes no more."""
        self._numbers += 1
        frame = {"is": "call", "id": self._numbers, "tool": job.name}
        if not self._process.send({**frame, "arguments": job.arguments, "call": job.call}):
            return False
        job.number, job.has_begun = self._numbers, False
        if not self.jobs:
            self._unanswered = 0
            self._watch(limits.WORKER_PING_SECONDS, self._ping)
        self.jobs[self._numbers] = job
        return True

    def give_up(self, job: Job) -> None:
        """Nobody waits for this one any more."""
        self._process.send({"is": "cancel", "id": job.number})
        self._loop.call_later(limits.WORKER_GRACE_SECONDS, self._still_there, job.number)
        self._end_if_idle()

    def retire(self) -> None:
        """No new calls; it ends with the last that somebody waits for."""
        self.is_retired = True
        self._end_if_idle()

    def end(self, why: str) -> None:
        """End it at once."""
        self._process.end(why)

    def _end_if_idle(self) -> None:
        """Calls that it has not read yet may have another worker; who listens has read them."""
        waited_for = [job for job in self.jobs.values() if job.is_open]
        if self.is_deaf:
            waited_for = [job for job in waited_for if job.has_begun]
        if self.is_retired and not waited_for:
            self.end("it does not listen" if self.is_deaf else "it is not needed any more")

    # ---- Whether it still listens ----

    @property
    def is_deaf(self) -> bool:
        """It is asked every second while it has calls."""
        silent = self._unanswered * limits.WORKER_PING_SECONDS
        return bool(self.jobs) and silent > limits.WORKER_DEAF_SECONDS

    def _give_up_on(self) -> None:
        if not self.is_retired:
            self.is_retired = True
            self.retired(self)
        self._end_if_idle()

    def _watch(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then)

    def _still_there(self, number: int) -> None:
        if number in self.jobs:
            self._give_up_on()  # nothing ends a thread that hangs
            if self.is_deaf:
                self.end("it does not listen")  # others have waited long enough

    def _ping(self) -> None:
        self._timer = None
        if not self.jobs:
            return
        self._watch(limits.WORKER_PING_SECONDS, self._ping)
        self._process.send({"is": "ping", "number": 0})
        self._unanswered += 1
        if self.is_deaf:
            self._give_up_on()

    def _says_nothing(self) -> None:
        self.end("it has not begun to load in time")

    def _load_takes_too_long(self) -> None:
        self.end(f"it takes longer than {limits.WORKER_LOAD_SECONDS:g} s to load")

    # ---- What it says ----

    def _received(self, frame: Frame) -> None:
        """KeyError, TypeError: what no worker says."""
        self._unanswered = 0
        match frame["is"]:
            case "loading":
                self.loading = str(frame["file"])
                self._watch(limits.WORKER_LOAD_SECONDS, self._load_takes_too_long)
            case "tool":
                names = ("name", "file", "line", "about", "schema")
                known = Known(**{name: frame[name] for name in names})
                self.tools[known.name] = known
            case "broken" if len(self.broken) < limits.WORKER_TOOLS:
                self.broken.append(Broken(frame["file"], frame["line"], frame["why"]))
            case "ready":
                self.loading = ""
                if self._timer is not None:
                    self._timer.cancel()
                self.ready(self)
            case "begun":
                if job := self.jobs.get(frame["id"]):
                    job.has_begun = True
            case "done":
                self._done(frame)
            case "pong" | "broken":
                pass
            case other:
                raise ValueError(other)

    def _done(self, frame: Frame) -> None:
        answer = Answer(str(frame["text"]), bool(frame["error"]), str(frame["fault"]))
        if job := self.jobs.pop(frame["id"], None):
            job.end(answer)
        self._end_if_idle()

    def _ended(self, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.over(self, why)

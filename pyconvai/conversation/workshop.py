"""Tools in Python: the directories, their workers, and who gets which call. Loop thread only.

A directory has one worker that serves, perhaps one that is coming and will take its place, and
those that are retired and end their last calls. Whatever becomes of a worker, each call is answered
once, and in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from .. import limits, log
from .worker import Answer, Broken, Job, Known, Worker


class Workshop:
    """The tools of one directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.tools: dict[str, Known] | None = None
        """As the last worker that has loaded them told; None: none has yet."""
        self.broken: list[Broken] = []
        self._loop = asyncio.get_running_loop()
        self._serving: Worker | None = None
        self._coming: Worker | None = None
        self._retired: list[Worker] = []
        self._waiting: list[Job] = []
        """Calls that no worker has yet."""
        self._open = 0
        self._skip: dict[str, str] = {}
        self._deaths = 0
        self._pause: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._changed: asyncio.Future[None] = self._loop.create_future()
        """Done when a worker is there, or could not be had."""

    # ---- Asked for ----

    def wake(self) -> None:
        """Somebody may need a worker soon."""
        if self._serving is None and self._coming is None and self._pause is None:
            self._bring()

    async def known(self, seconds: float) -> Mapping[str, Known]:
        """The tools, once they are known; nothing, if that takes longer or fails."""
        self.wake()
        if self.tools is None and self._coming is not None:
            await asyncio.wait({self._changed}, timeout=seconds)
        return self.tools or {}

    async def latest(self, seconds: float) -> Mapping[str, Known]:
        """The same for commands, which want what a reload has just begun to load."""
        self.wake()
        if self._coming is not None:
            await asyncio.wait({self._changed}, timeout=seconds)
        return self.tools or {}

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        call: Mapping[str, str],
        seconds: float,
        waited: float = 0.0,
    ) -> asyncio.Future[Answer]:
        """Have a tool run. It is answered within this time, also where nobody waits any more.

        ``waited``: how much of the time is over.
        """
        job = Job(name, arguments, call, self._loop.create_future())
        if self._open >= limits.WORKER_CALLS:
            text = f"Too many tools at once: {limits.WORKER_CALLS} have not ended yet."
            job.end(Answer(f"{text} Try again later.", is_error=True))
            return job.answer
        if self._is_closed:
            job.end(_gone(job))
            return job.answer
        self._open += 1
        job.answer.add_done_callback(self._answered)
        job.timer = self._loop.call_later(seconds - waited, self._too_long, job, seconds)
        self._waiting.append(job)
        self._hand_out()
        return job.answer

    def renew(self) -> None:
        """Load all files anew. Until that is done the worker before serves."""
        self._skip.clear()
        self._deaths = 0
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.end("the files are loaded anew")
        self._bring()

    def leave(self) -> None:
        """No agent has it any more: calls under way end where they are, and there are no others."""
        self._is_closed, self.tools = True, {}
        if self._pause is not None:
            self._pause.cancel()
        if self._coming is not None:
            self._coming.end("it is not needed any more")
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            job.end(_gone(job))
        serving, self._serving = self._serving, None
        if serving is not None:
            self._retired.append(serving)
            serving.retire()

    def close(self) -> None:
        """End all workers; nothing is started any more."""
        self._is_closed = True
        if self._pause is not None:
            self._pause.cancel()
        for worker in (self._serving, self._coming, *self._retired):
            if worker is not None:
                worker.end("the engine ends")
        for job in list(self._waiting):
            job.end(_broken_off(job))
        self._waiting.clear()

    @property
    def workers(self) -> list[tuple[str, Worker]]:
        """Those that are there, and what they do."""
        named = [("serving", self._serving), ("loading", self._coming)]
        named += [("ending its last calls", each) for each in self._retired]
        return [(what, worker) for what, worker in named if worker is not None]

    # ---- Calls ----

    def _hand_out(self) -> None:
        """Give the worker what waits. What it does not take waits for the next one."""
        if self._serving is None:
            self.wake()
            return
        for job in list(self._waiting):
            if job.is_open and job.name not in (self.tools or {}):
                job.end(_gone(job))
            if job.is_open and not self._serving.take(job):
                text = f"{job.name} could not be begun: its parameters are too long, or too many"
                job.end(Answer(f"{text} tools are called.", is_error=True))
        self._waiting.clear()

    def _answered(self, _answer: object) -> None:
        self._open -= 1

    def _too_long(self, job: Job, seconds: float) -> None:
        text = f"{job.name} took too long and was given up."
        job.end(Answer(text, is_error=True, fault=f"{job.name} takes longer than {seconds:g} s"))
        if job in self._waiting:
            self._waiting.remove(job)
        for _, worker in self.workers:
            if worker.jobs.get(job.number) is job:
                worker.give_up(job)

    # ---- Workers ----

    def _bring(self) -> None:
        if self._is_closed or self._coming is not None:
            return
        self._coming = Worker(
            self.directory, dict(self._skip), self._ready, self._over, self._give_up_on
        )

    def _ready(self, worker: Worker) -> None:
        """Its tools are those that count now; the one before gets no new calls."""
        before, self._serving, self._coming = self._serving, worker, None
        if (worker.tools, worker.broken) != (self.tools, self.broken):
            self.tools, self.broken = dict(worker.tools), list(worker.broken)
            self._tell()
        self._wake_waiting()
        self._hand_out()
        if before is not None:
            self._retired.append(before)
            before.retire()
        self._end_oldest()

    def _give_up_on(self, worker: Worker) -> None:
        """It listens no more, or a call in it does not end: others get another worker."""
        if worker is self._serving:
            self._serving = None
            self._retired.append(worker)
            what = "does not listen" if worker.is_deaf else "has a call that does not end"
            log.host(log.WARNING, f"{self._worker_of} {what}: another one takes its place")
            self._end_oldest()
            self.wake()

    @property
    def _worker_of(self) -> str:
        return f"the worker of the tools in {self.directory}"

    def _end_oldest(self) -> None:
        if len(self._retired) > limits.WORKERS_RETIRED:
            self._retired[0].end("too many have followed it")

    def _tell(self) -> None:
        tools = self.tools or {}
        log.host(log.NOTICE, f"tools in {self.directory}: {', '.join(tools) or 'none'}")
        for each in self.broken:
            log.host(log.ERROR, f"{place_of(self.directory, each)}: {each.why}")

    def _wake_waiting(self) -> None:
        self._changed.set_result(None)
        self._changed = self._loop.create_future()

    def _over(self, worker: Worker, why: str) -> None:
        """Whatever it had is answered, or goes to the next one if it has not begun."""
        was_serving, was_coming = worker is self._serving, worker is self._coming
        jobs = [job for job in worker.jobs.values() if job.is_open]
        worker.jobs.clear()
        if was_serving:
            self._serving = None
        elif was_coming:
            self._coming = None
        elif worker in self._retired:
            self._retired.remove(worker)
        if self._is_closed:
            for job in jobs:
                job.end(_broken_off(job))
            return
        begun = [job for job in jobs if job.has_begun]
        for job in begun:
            job.end(_broken_off(job))
        self._waiting += [job for job in jobs if not job.has_begun]
        if was_coming or was_serving or begun:
            self._tell_death(worker, why, begun)
        if was_coming or was_serving:
            self._replace(worker, was_coming=was_coming)
        elif self._waiting:
            self._hand_out()

    def _tell_death(self, worker: Worker, why: str, begun: list[Job]) -> None:
        if worker.loading:
            self._skip[worker.loading] = f"a worker that loaded it: {why}"
        what = f" while it loaded {worker.loading}" if worker.loading else ""
        if begun:
            what = f" while it ran {', '.join(sorted({job.name for job in begun}))}"
        log.host(log.ERROR, f"{self._worker_of}: {why}{what}")

    def _replace(self, worker: Worker, *, was_coming: bool) -> None:
        """Start another one, not at once if that repeats."""
        lived = self._loop.time() - worker.since > limits.WORKER_LIVED_SECONDS
        self._deaths = 0 if lived or worker.loading else self._deaths + 1
        if was_coming and not worker.loading:
            self._wake_waiting()  # there is no process to be had
        pause = limits.WORKER_PAUSES[min(self._deaths, len(limits.WORKER_PAUSES)) - 1]
        self._pause = self._loop.call_later(pause if self._deaths else 0, self._go_on)

    def _go_on(self) -> None:
        """After a pause. What dies again and again is started when somebody needs it."""
        self._pause = None
        if self._waiting or self._deaths <= 1:
            self._bring()


def place_of(directory: str, broken: Broken) -> str:
    """Where something is broken: file, and line if there is one."""
    place = f"{directory}/{broken.file}" if broken.file else directory
    return f"{place}:{broken.line}" if broken.line else place


def _gone(job: Job) -> Answer:
    return Answer(f"The phone system has no tool named {job.name} any more.", is_error=True)


def _broken_off(job: Job) -> Answer:
    text = f"{job.name} was broken off; the phone system's log tells why."
    return Answer(text, is_error=True)


class Workshops:
    """All directories of an engine."""

    def __init__(self) -> None:
        self._all: dict[str, Workshop] = {}
        self._left: list[Workshop] = []
        """Those of directories that no agent has any more, while calls are under way in them."""

    def of(self, directory: str) -> Workshop | None:
        """Those of a directory, or None where there is none, or too many are in use."""
        if not directory:
            return None
        if (found := self._all.get(directory)) is not None:
            return found
        if len(self._all) >= limits.WORKSHOPS:
            most = limits.WORKSHOPS
            log.host(log.ERROR, f"{directory} is not used: {most} tools_directory are the most")
            return None
        self._all[directory] = Workshop(directory)
        return self._all[directory]

    def renew(self, directories: Iterable[str]) -> None:
        """After a reload: load the files of these anew; all others end with their last calls."""
        for directory in set(self._all).difference(directories):
            workshop = self._all.pop(directory)
            workshop.leave()
            self._left.append(workshop)
        self._left = [each for each in self._left if each.workers]
        for workshop in self._all.values():
            workshop.renew()

    def close(self) -> None:
        """End all workers."""
        for workshop in (*self._all.values(), *self._left):
            workshop.close()

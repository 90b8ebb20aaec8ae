"""The worker: loads tools and runs them. A process of its own, ``main.py``.

The engine says                         the worker says
    load    directory, skip                 loading  file; answered by what is in it
    call    id, tool, arguments, call       tool     name, file, line, about, schema
    cancel  id                              broken   file, line, why
    ping    number                          ready
                                            begun    id
                                            done     id, text, error, fault
                                            pong     number

``skip``: files that have ended a worker before, and how. Each call is answered by ``begun``, before
anything of it runs, and by one ``done``, when the function has really ended. Who waits for it, and
how long, is the engine's business alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import socket
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from .. import limits
from . import Call, ToolFailed
from .files import Broken, Tool, admit_imports, doubts, load, names_in, reason, tools_of, unnamed
from .frames import Frame, Frames, packed
from .hints import Wrong


@dataclass(slots=True)
class _Running:
    """A call under way."""

    tool: Tool
    task: asyncio.Task[None] | None = None
    has_begun: bool = False
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a function: a text for the agent, or what is to be waited for first."""

    text: str = ""
    is_error: bool = False
    fault: str = ""
    """For the log."""
    later: Any = None


@dataclass
class Worker:
    """All of it; the loop's thread, but for the functions that are not async."""

    connection: socket.socket
    tools: dict[str, Tool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._frames = Frames()
        self._running: dict[int, _Running] = {}
        self._threads = ThreadPoolExecutor(limits.WORKER_CALLS, "tool")
        self._process = os.getpid()
        self._over = asyncio.Event()

    def say(self, **frame: Any) -> None:
        """Tell the engine. OSError: nobody is there any more."""
        self.connection.sendall(packed(frame))

    # ---- Loading ----

    def first(self) -> Frame:
        """Wait for the first frame."""
        while True:
            for frame in self._frames.complete():
                return frame
            data = self.connection.recv(limits.READ_BYTES)
            if not data:
                raise EOFError
            self._frames.feed(data)

    def load(self, directory: Path, skip: Mapping[str, str]) -> None:
        """Run the files of the directory; what is broken is told, and leaves the others working."""
        try:
            if text := doubts(directory):
                raise PermissionError(text)
            names = names_in(directory)
        except OSError as error:
            self.say(**{"is": "broken"}, file="", line=0, why=reason(error))
            return
        admit_imports(directory)
        for name in names:
            try:
                if why := skip.get(name) or unnamed(name):
                    raise Broken(name, 0, why)
                self.say(**{"is": "loading"}, file=name)
                self._take(name, load(directory / name))
            except Broken as broken:
                self._tell_broken(broken)

    def _take(self, file: str, module: Any) -> None:
        for each in tools_of(module, file):
            if isinstance(each, Broken):
                self._tell_broken(each)
            elif before := self.tools.get(each.name):
                why = f"{each.name} is in {before.file} already"
                self._tell_broken(Broken(file, each.line, why))
            elif len(self.tools) >= limits.WORKER_TOOLS:
                why = f"{each.name} is left out: there are {limits.WORKER_TOOLS} tools already"
                self._tell_broken(Broken(file, each.line, why))
            else:
                self._add(each)

    def _add(self, tool: Tool) -> None:
        told = {"is": "tool", "name": tool.name, "file": tool.file, "line": tool.line}
        try:
            self.say(**told, about=tool.about, schema=tool.signature.schema)
        except (ValueError, TypeError) as fault:  # an Enum of what JSON has not
            why = f"{tool.name} is no tool: its parameters cannot be told: {reason(fault)}"
            self._tell_broken(Broken(tool.file, tool.line, why))
        else:
            self.tools[tool.name] = tool

    def _tell_broken(self, broken: Broken) -> None:
        self.say(**{"is": "broken"}, file=broken.file, line=broken.line, why=str(broken))

    # ---- Serving ----

    async def serve(self) -> None:
        """Until the engine closes its end."""
        loop = asyncio.get_running_loop()
        self.say(**{"is": "ready"})
        loop.add_reader(self.connection, self._readable)
        self._readable()
        await self._over.wait()

    def _readable(self) -> None:
        try:
            data = self.connection.recv(limits.READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == b"":
            self._over.set()
            return
        self._frames.feed(data or b"")
        for frame in self._frames.complete():
            self._carry_out(frame)

    def _carry_out(self, frame: Frame) -> None:
        match frame["is"]:
            case "ping":
                self.say(**{"is": "pong"}, number=frame["number"])
            case "call":
                self.say(**{"is": "begun"}, id=frame["id"])
                running = self._running[frame["id"]] = _Running(self.tools[frame["tool"]])
                task = self._run(frame["id"], running, frame["arguments"], frame["call"])
                running.task = asyncio.get_running_loop().create_task(task)
            case "cancel" if frame["id"] in self._running:
                self._cancel(self._running[frame["id"]])

    def _cancel(self, running: _Running) -> None:
        """Nothing ends a function that runs in a thread."""
        running.is_cancelled = True
        if running.tool.is_async and running.task is not None:
            running.task.cancel()

    async def _run(
        self, number: int, running: _Running, given: Frame, call: Mapping[str, str]
    ) -> None:
        """Answer one call, whatever the tool does."""
        tool = running.tool
        try:
            arguments = tool.signature.arguments(given, Call(**call))
        except Wrong as wrong:
            outcome = _Outcome(str(wrong), is_error=True)
        else:
            outcome = await self._outcome(running, arguments)
        if os.getpid() != self._process:
            os._exit(0)  # the tool has forked: the child is not to go on as a worker
        self._running.pop(number, None)
        self.say(
            **{"is": "done"},
            id=number,
            text=outcome.text,
            error=outcome.is_error,
            fault=outcome.fault,
        )

    async def _outcome(self, running: _Running, arguments: dict[str, Any]) -> _Outcome:
        tool = running.tool
        try:
            if tool.is_async:
                return outcome_of(tool.name, await tool.function(**arguments))
            loop = asyncio.get_running_loop()
            outcome = await loop.run_in_executor(self._threads, self._in_thread, running, arguments)
            if outcome.later is not None:
                return outcome_of(tool.name, await outcome.later)
            return outcome
        except BaseException as fault:  # SystemExit too: it would end the loop
            return failed(tool.name, fault)

    def _in_thread(self, running: _Running, arguments: dict[str, Any]) -> _Outcome:
        """A function that is not async. Any exception that it raises is an outcome."""
        tool = running.tool
        if running.is_cancelled:
            return _Outcome(f"{tool.name} was given up.", is_error=True)
        try:
            result = tool.function(**arguments)
            if inspect.isawaitable(result):
                return _Outcome(later=result)
            return outcome_of(tool.name, result)
        except BaseException as fault:
            return failed(tool.name, fault)
        finally:
            if os.getpid() != self._process:
                os._exit(0)


def outcome_of(name: str, result: Any) -> _Outcome:
    """What the agent is told: text as it is, all else as JSON."""
    if result is None:
        return _Outcome("Done.")
    text = result
    if not isinstance(result, str):
        try:
            text = json.dumps(result, ensure_ascii=False, default=_for_json)
        except (TypeError, ValueError, RecursionError) as error:
            told = f"{name} failed; the phone system's log tells why."
            return _Outcome(told, is_error=True, fault=f"what it has returned: {error}")
    size, most = len(text.encode(errors="replace")), limits.TOOL_RESULT_BYTES
    if size <= most:
        return _Outcome(text)
    told = f"The result of {name} is too long: {size} bytes; {most} are the most"
    return _Outcome(f"{told}.", is_error=True, fault=told)


_TEXTS = (date, time, Decimal, PurePath, UUID)
"""What JSON does not have, and has a plain form as text; a datetime is a date."""


def _for_json(value: Any) -> Any:
    """Of a value that JSON does not have: the nearest one that it has."""
    if isinstance(value, _TEXTS):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    kind = type(value).__qualname__
    raise TypeError(f"a {kind}, which JSON does not have; return text, numbers, lists")


def failed(name: str, fault: BaseException) -> _Outcome:
    """What the agent is told of an exception, and what the log is."""
    with contextlib.suppress(Exception):  # its text may be a fault of its own
        if isinstance(fault, ToolFailed):
            text = str(fault)[: limits.TOOL_ABOUT_CHARACTERS]
            return _Outcome(text or f"{name} could not be done.", is_error=True)
    text = f"{name} failed; the phone system's log tells why."
    return _Outcome(text, is_error=True, fault=trace(fault))


def trace(fault: BaseException) -> str:
    """A traceback of what is the operator's, of limited length."""
    here = str(Path(__file__).parent)
    try:
        told = traceback.TracebackException.from_exception(fault)
        frames = [each for each in told.stack if not each.filename.startswith(here)]
        told.stack[:] = frames
        text = "".join(told.format())
    except Exception:  # memory is short, or its text cannot be made
        return type(fault).__name__
    most = limits.TOOL_TRACE_CHARACTERS
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def serve(connection: socket.socket) -> None:
    """All that the process ever does."""
    threading.stack_size(limits.WORKER_STACK_BYTES)
    worker = Worker(connection)
    # Who forks has this end as well, and would keep it open when the worker dies.
    os.register_at_fork(after_in_child=connection.close)
    try:
        frame = worker.first()
        worker.load(Path(frame["directory"]), frame["skip"])
        asyncio.run(worker.serve())
    except (OSError, EOFError):
        pass  # the engine has gone

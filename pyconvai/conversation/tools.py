"""The tools that the agent can call during a conversation. Loop thread only.

A tool is one async function, and its row in ``TOOLS``. The function's signature says which
parameters the tool has. It may await, but never block, because all calls share the loop.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from .. import limits
from ..core._core import SessionHandle
from ..log import ChannelLog, trace
from ..service.endings import Ending, PlayOut, Status, one_line
from ..words import line
from .effects import CallTool, Id


class ToolFailed(Exception):
    """The tool could not do it; the text is a sentence for the agent."""


@dataclass
class ToolContext:
    """What a tool sees of its conversation, and what it can do with it."""

    channel: str
    ending: str = ""
    """A tool sets the reason to end the conversation, once the caller has heard the agent out."""


Function = Callable[..., Awaitable[str]]
"""Gets the ToolContext, and the parameters by name; returns the text for the agent."""


async def end_call(context: ToolContext, *, reason: str = "") -> str:
    """End the conversation after the agent's last word."""
    context.ending = "the agent ended the conversation with its tool end_call"
    context.detail = reason
    return "The call ends when you have finished speaking."


TOOLS: dict[str, Function] = {
    "end_call": end_call,
}
"""By the name that the agent has for it. ``tools`` in elevenlabs.conf says who may call which."""


def allowed(names: str) -> dict[str, Function]:
    """The tools that ``tools`` in elevenlabs.conf admits: names, separated by commas, or none."""
    return {name: TOOLS[name] for name in names.split(",") if name in TOOLS}


# ---- Parameters ----

_KINDS: Mapping[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}
"""By a parameter's annotation: the types of values that it takes, and words for them."""


def arguments(tool: Function, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters of a call; null counts as absent. ToolFailed tells what is wrong."""
    kinds = get_type_hints(tool)
    known = list(inspect.signature(tool).parameters.values())[1:]
    names = [each.name for each in known]
    given = {name: value for name, value in parameters.items() if value is not None}
    if others := sorted(set(given) - set(names)):
        there_are = f"it has: {', '.join(names)}" if names else "it has none"
        raise ToolFailed(one_line(f"There is no parameter {', '.join(others)}; {there_are}."))
    for each in known:
        types, words = _KINDS[kinds[each.name]]
        if each.name not in given:
            if each.default is each.empty:
                raise ToolFailed(f"The parameter {each.name} is missing; it is {words}.")
        elif type(given[each.name]) not in types:
            raise ToolFailed(f"The parameter {each.name} must be {words}.")
    return given


# ---- Calls ----


def _is_given_up() -> bool:
    """Whether somebody cancelled the running task; a tool may raise CancelledError by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Toolbox:
    """The tools of one conversation. Each call is answered once, whatever becomes of it."""

    def __init__(
        self,
        handle: SessionHandle,
        log: ChannelLog,
        *,
        tools: Mapping[str, Function],
        answer: Callable[[Id, str, bool], None],
        end: Callable[[Ending], None],
    ) -> None:
        """answer: send a result (id, text, whether it is an error). end: end the conversation."""
        self._handle, self._log = handle, log
        self._tools, self._answer, self._end = tools, answer, end
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls = 0
        self._known: deque[Id] = deque(maxlen=limits.TOOL_CALLS_REMEMBERED)

    def call(self, call: CallTool) -> None:
        """Run the tool in a task of its own; answer at once what cannot be carried out."""
        if not call.call_id:
            self._log.warning(one_line(f"tool {call.name} called without an id: not carried out"))
        elif call.call_id in self._known:
            self._log.debug(one_line(f"tool {call.name}: call {call.call_id} again, ignored"))
        else:
            self._known.append(call.call_id)
            self._start(call)

    def _start(self, call: CallTool) -> None:
        tool = self._tools.get(call.name)
        if tool is None:
            self._log.notice(one_line(f"tool {call.name} is not among this agent's tools: refused"))
            there_are = ", ".join(self._tools) or "none"
            text = f"The phone system has no tool named {call.name}; there are: {there_are}."
            self._tell(call, one_line(text), is_error=True)
        elif call.fault:
            self._tell(call, call.fault, is_error=True)
        elif self._calls >= limits.TOOLS_AT_ONCE:
            text = f"Too many tools at once: {limits.TOOLS_AT_ONCE} have not ended yet."
            self._tell(call, f"{text} Try again later.", is_error=True)
        else:
            self._calls += 1
            self._spawn(self._carry_out(call, tool))

    def close(self) -> None:
        """Cancel all calls: the conversation is over, and nobody waits for an answer."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, what: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry_out(self, call: CallTool, tool: Function) -> None:
        context = ToolContext(self._handle.channel)
        work = self._spawn(self._run(call, tool, context))
    async def _limited(
        self,
        call: CallTool,
        what: Work,
        seconds: float,
        *,
        cancel: bool = True,
    ) -> tuple[str, bool]:
        """What comes of it, or that it took too long: the one limit of all tools but steps."""
        work = self._spawn(self._guarded(call, what))
        # A tool that ignores its cancellation counts until it ends; nobody waits for it.
        work.add_done_callback(self._done)
        await asyncio.wait({work}, timeout=limits.TOOL_SECONDS)
        if work.done():
            text, is_error = work.result()
        else:
            work.cancel()
            self._log.warning(f"tool {call.name} takes longer than {limits.TOOL_SECONDS:g} s")
            text, is_error = f"{call.name} took too long and was given up.", True
        self._tell(call, text, is_error=is_error)
        if context.ending and not is_error:
            await self._end_when_heard(context.ending)

    def _done(self, _work: asyncio.Task[Any]) -> None:
        self._calls -= 1

    async def _run(self, call: CallTool, tool: Function, context: ToolContext) -> tuple[str, bool]:
        """What the agent is told, and whether that is an error."""
        try:
            return str(await tool(context, **arguments(tool, call.parameters))), False
        except ToolFailed as failed:
            return str(failed), True
        except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as fault:
            # The last two would end the loop, and with it all other calls.
            if isinstance(fault, asyncio.CancelledError) and _is_given_up():
                raise
            self._log.error(f"tool {call.name} failed: {trace(fault)}")
            return f"{call.name} failed; the phone system's log tells why.", True

    def _tell(self, call: CallTool, text: str, *, is_error: bool) -> None:
        outcome = "failed" if is_error else "done"
        text = text.encode(errors="replace").decode()  # the name of a file may be no Unicode
        self._log.debug(one_line(f"tool {call.name} {outcome}: {text}"))
        self._answer(call.call_id, text, is_error)

    async def _end_when_heard(self, reason: str) -> None:
        """End the conversation once the caller has heard the last words: they may still come."""
        try:
            async with asyncio.timeout(limits.FAREWELL_SECONDS):
                await self._heard()
        except TimeoutError:
            self._log.debug("the agent goes on speaking: the call ends all the same")
        heard = PlayOut.ALL
        self._end(Ending(Status.AGENT_ENDED, context.ending, heard, detail=context.detail))

    async def _heard(self) -> None:
        """Wait until all agent audio that has come was played, and no more has come since."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limits.REPLY_SECONDS
        queued, waiting = self._handle.playout()
        at_first = queued
        while True:
            before = queued
            await asyncio.sleep(waiting / 1000 + limits.SETTLE_SECONDS)
            queued, waiting = self._handle.playout()
            has_replied = queued != at_first or loop.time() >= until
            if not waiting and queued == before and has_replied:
                return

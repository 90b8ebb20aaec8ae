"""The tools that the agent can call during a conversation. Loop thread only.

A tool is one async function, and its row in ``TOOLS``. The function's signature says which
parameters the tool has. It may await, but never block, because all calls share the loop.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, get_type_hints

from .. import limits
from ..core._core import SessionHandle
from ..log import ChannelLog, trace
from ..service.endings import Ending, PlayOut, Status
from ..service.settings import Settings
from ..words import line
from .channel_tools import CHANNEL_TOOLS, ChannelTool, Refused
from .effects import CallTool, Id
from .jobs import Jobs, Kind, NotBegun
from .patience import Patience
from .steps import TOOL_NAME, Outcome, Steps
from .steps import arguments as channel_variables
from .worker import Answer
from .workshop import Workshop


class ToolFailed(Exception):
    """The tool could not do it; the text is a sentence for the agent."""


@dataclass
class ToolContext:
    """What a tool sees of its conversation, and what it can do with it."""

    channel: str
    ending: str = ""
    """A tool sets the reason to end the conversation, once the caller has heard the agent out: a
    sentence of ours."""
    detail: str = ""
    """What the agent has said of it."""
    states: str = "none"
    """``get_state_allow`` in elevenlabs.conf."""
    state_of: Callable[[str], Awaitable[str]] | None = None
    """What the phone system says of an extension, a device or a queue, or ToolFailed."""


Function = Callable[..., Awaitable[str]]
"""Gets the ToolContext, and the parameters by name; returns the text for the agent."""


async def end_call(context: ToolContext, *, reason: str = "") -> str:
    """End the conversation after the agent's last word."""
    context.ending = "the agent ended the conversation with its tool end_call"
    context.detail = reason
    return "The call ends when you have finished speaking."


_STATE_NAME = re.compile(rf"[A-Za-z0-9_.@/:+*#-]{{1,{limits.STATE_NAME_CHARACTERS}}}", re.A)
"""What a function of the dialplan takes for one argument, and nothing else."""


async def get_state(context: ToolContext, *, name: str) -> str:
    """Whether an extension, a device or the people of a queue are free."""
    if not _STATE_NAME.fullmatch(name) or not admits(context.states, name):
        ask_for = f"You may ask for: {context.states}."
        raise ToolFailed(line(f"{name} is not among what agents may ask the state of. {ask_for}"))
    assert context.state_of is not None
    return await context.state_of(name)


TOOLS: dict[str, Function] = {
    "end_call": end_call,
    "get_state": get_state,
}
"""By the name that the agent has for it. ``tools`` in elevenlabs.conf says who may call which."""


def admits(names: str, name: str) -> bool:
    """Whether ``tools`` in elevenlabs.conf admits it: names with ``*``, separated by commas."""
    return names != "none" and any(fnmatchcase(name, each) for each in names.split(","))


def switched_off(settings: Settings) -> dict[str, str]:
    """The tools of ours that the operator has not switched on: by name, what says so.

    Such a name is looked for in Python and in the dialplan, as any other.
    """
    is_on = {
        "get_state": settings.get_state_allow != "none",
        "transfer_call": settings.transfer_allow != "none",
        "send_dtmf": "send_dtmf" in settings.tools.split(","),
        "set_variable": settings.set_variable_allow != "none",
    }
    switches = {name: tool.switch for name, tool in CHANNEL_TOOLS.items()}
    switches["get_state"] = "get_state_allow is none"
    return {name: switch for name, switch in switches.items() if not is_on[name]}


def allowed(settings: Settings) -> dict[str, Function]:
    """The tools of ours that run in the loop, where ``tools`` admits them and they are on."""
    off = switched_off(settings)
    return {
        name: tool
        for name, tool in TOOLS.items()
        if admits(settings.tools, name) and name not in off
    }


def on_channel(settings: Settings) -> dict[str, ChannelTool]:
    """Those that the channel carries out, likewise."""
    off = switched_off(settings)
    return {
        name: tool
        for name, tool in CHANNEL_TOOLS.items()
        if admits(settings.tools, name) and name not in off
    }


# ---- Parameters ----

KINDS: Mapping[type, tuple[tuple[type, ...], str]] = {
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
        raise ToolFailed(line(f"There is no parameter {', '.join(others)}; {there_are}."))
    for each in known:
        types, words = KINDS[kinds[each.name]]
        if each.name not in given:
            if each.default is each.empty:
                raise ToolFailed(f"The parameter {each.name} is missing; it is {words}.")
        elif type(given[each.name]) not in types:
            raise ToolFailed(f"The parameter {each.name} must be {words}.")
    return given


# ---- Calls ----


Work = Callable[[], Awaitable[tuple[str, bool]]]
"""What a tool does: what the agent is told, and whether that is an error; ToolFailed is one."""


def _is_given_up() -> bool:
    """Whether somebody cancelled the running task; a tool may raise CancelledError by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _failed(call: CallTool) -> str:
    return f"{call.name} failed; the phone system's log tells why."


REFUSED = "tools that were refused"
"""What lines of the log are about, of which there may be many."""


@dataclass(frozen=True, slots=True)
class PythonTools:
    """Those of the agent's ``tools_directory``."""

    workshop: Workshop
    facts: Callable[[], Mapping[str, str]]
    """What a tool may know of the call: the fields of ``pyconvai.tools.Call``."""
    seconds: int
    """``tool_timeout``."""

    def has(self, name: str) -> bool | None:
        """None: no worker has told yet."""
        return None if self.workshop.tools is None else name in self.workshop.tools

    async def run(self, call: CallTool) -> Answer | None:
        """What has come of it; None: there is no such tool. A caller who leaves ends none."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if call.name not in await self.workshop.known(self.seconds):
            return None
        waited, given = loop.time() - began, call.parameters
        answer = self.workshop.call(call.name, given, self.facts(), self.seconds, waited)
        return await asyncio.shield(answer)


class Toolbox:
    """The tools of one conversation. Each call is answered once, whatever becomes of it.

    A name is looked for among those built in, then in Python, then in the dialplan: as a step on
    the caller's channel, and then as a tool beside the call. What the channel carries out for us
    rides along with the steps.
    """

    def __init__(
        self,
        handle: SessionHandle,
        log: ChannelLog,
        python: PythonTools | None,
        jobs: Jobs,
        *,
        settings: Settings,
        answer: Callable[[Id, str, bool], None],
        called: Callable[[CallTool], None],
        end: Callable[[Ending], None],
        changed: Callable[[], None],
        late: Callable[[str], None],
    ) -> None:
        """``settings``: of the agent. ``answer``: send a result (id, text, whether it is an error).

        ``called``: each call that is answered comes by here first. ``end``: end the conversation.
        ``changed``, ``late``: see Steps.
        """
        self._handle, self._log, self._settings, self._jobs = handle, log, settings, jobs
        self._python, self._late = python, late
        self._tools, self._answer, self._end = allowed(settings), answer, end
        self._on_channel = on_channel(settings)
        self._called = called
        self.steps = Steps(
            handle,
            log,
            settings.steps_max,
            tell=lambda call, text, is_error: self._tell(call, text, is_error=is_error),
            unknown=self._unknown,
            refused=self._not_allowed,
            changed=changed,
            late=late,
        )
        self._patience = Patience(handle, settings.filler_after_ms)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls = 0
        self._closed = False
        self._known: deque[Id] = deque(maxlen=limits.TOOL_CALLS_REMEMBERED)
        self._open: dict[Id, tuple[CallTool, float]] = {}
        """Calls that have not been answered, and when they came, by the loop."""

    def call(self, call: CallTool) -> None:
        """Run the tool in a task of its own; answer at once what cannot be carried out."""
        if self._closed:
            self._log.debug(f"tool {call.name}: the conversation is over")
        elif not call.call_id:
            told = f"tool {call.name} called without an id: not carried out"
            self._log.warning(told, "tools called without an id")
        elif call.call_id in self._known or call.call_id in self._open:
            self._log.debug(f"tool {call.name}: call {call.call_id} again, ignored")
        else:
            self._known.append(call.call_id)
            self._open[call.call_id] = call, asyncio.get_running_loop().time()
            self._called(call)
            self._start(call)

    def _start(self, call: CallTool) -> None:
        tool = self._tools.get(call.name)
        if tool is None and not self._may_be_step(call.name):
            told = f"tool {call.name} is not among this agent's tools: refused"
            self._log.notice(told, REFUSED)
            self._refuse(call)
        elif call.fault:
            self._tell(call, call.fault, is_error=True)
        elif tool is None and self._is_channels(call.name):
            self.steps.ask(call, self._on_channel.get(call.name))
        elif not self._has_room(call):
            pass
        elif tool is None:
            self._spawn(self._in_python(call)).add_done_callback(self._done)
        else:
            self._spawn(self._carry_out(call, tool))

    def _has_room(self, call: CallTool) -> bool:
        """Count a call that is to begin, or answer that too many are under way."""
        if self._calls >= limits.TOOLS_AT_ONCE:
            text = f"Too many tools at once: {limits.TOOLS_AT_ONCE} have not ended yet."
            self._tell(call, f"{text} Try again later.", is_error=True)
            return False
        self._calls += 1
        return True

    def _may_be_step(self, name: str) -> bool:
        return TOOL_NAME.fullmatch(name) is not None and admits(self._settings.tools, name)

    def _is_channels(self, name: str) -> bool:
        """Whether the channel is to do it: built in, or dialplan."""
        return name in self._on_channel or self._python is None or self._python.has(name) is False

    def _unknown(self, call: CallTool) -> None:
        """It is no step: no such extension, or the call has had all its steps."""
        if self._has_room(call):
            self._spawn(self.take_time(call, lambda: self._beside(call)))

    def _not_allowed(self, call: CallTool, text: str) -> None:
        """It asks for what elevenlabs.conf does not allow."""
        self._log.notice(f"tool {call.name} is refused: {text}", REFUSED)
        self._tell(call, text, is_error=True)

    def _refuse(self, call: CallTool) -> None:
        self._tell(call, self._no_such(call), is_error=True)

    def _no_such(self, call: CallTool) -> str:
        python = (self._python and self._python.workshop.tools) or {}
        others = (name for name in python if admits(self._settings.tools, name))
        there_are = ", ".join(dict.fromkeys([*self._tools, *self._on_channel, *others])) or "none"
        return line(f"The phone system has no tool named {call.name}; there are: {there_are}.")

    def close(self) -> None:
        """Cancel all calls: the conversation is over.

        Those that are open are answered all the same, for its record.
        """
        self._closed = True
        self.steps.close()
        self._patience.close()
        for task in self._tasks:
            task.cancel()
        for call, _ in list(self._open.values()):
            self._tell(call, "The conversation is over.", is_error=True)

    def _spawn(self, what: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry_out(self, call: CallTool, tool: Function) -> None:
        context = ToolContext(
            self._handle.channel, states=self._settings.get_state_allow, state_of=self._state_of
        )

        async def work() -> tuple[str, bool]:
            return str(await tool(context, **arguments(tool, call.parameters))), False

        text, is_error = await self._limited(call, work, limits.TOOL_SECONDS)
        self._tell(call, text, is_error=is_error)
        if context.ending and not is_error:
            await self._end_when_heard(context)

    async def _in_python(self, call: CallTool) -> None:
        """In a process of its own: see workshop.py."""
        assert self._python is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        with self._patience.tool():
            try:
                answer = await self._python.run(call)
            except Exception as error:  # of ours
                answer = Answer(_failed(call), is_error=True, fault=trace(error))
        if answer is None:
            self.steps.ask(call)
            return
        if answer.fault:
            fault = " | ".join(answer.fault.split("\n"))
            self._log.error(f"tool {call.name} failed: {fault}", "tools that failed")
        self._tell(call, answer.text, is_error=answer.is_error)
        if loop.time() - began > limits.RESULT_SECONDS:
            self._late(f"{call.name} has ended after {loop.time() - began:.0f} s: {answer.text}")

    async def take_time(self, call: CallTool, work: Work) -> None:
        """Answer a call with what comes of work that is done elsewhere, within ``tool_timeout``.

        ``_has_room`` comes before it. The caller may hear the filler meanwhile. Work that is given
        up is not cancelled: whatever does it cannot be stopped, and counts until it ends.
        """
        seconds = self._settings.tool_timeout
        _, asked = self._open[call.call_id]
        with self._patience.tool():
            text, is_error = await self._limited(call, work, seconds, cancel=False)
        self._tell(call, text, is_error=is_error)
        waited = asyncio.get_running_loop().time() - asked
        if waited > limits.RESULT_SECONDS:
            self._late(f"{call.name} has ended after {waited:.0f} s: {text}")

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
        await asyncio.wait({work}, timeout=seconds)
        if work.done():
            text, is_error = work.result()
            return text, is_error
        if cancel:
            work.cancel()
        told = f"tool {call.name} takes longer than {seconds:g} s"
        self._log.warning(told, "tools that take too long")
        return f"{call.name} took too long and was given up.", True

    async def _beside(self, call: CallTool) -> tuple[str, bool]:
        """Run it in the dialplan on a channel of its own."""
        seconds = self._settings.tool_timeout
        try:
            given = channel_variables(call.parameters)
            outcome, text = await self._jobs.run(self._handle, Kind.TOOL, call.name, given, seconds)
        except (Refused, NotBegun) as refused:
            return str(refused), True
        if outcome is not Outcome.UNKNOWN:
            return text, outcome is Outcome.FAILED
        if self.steps.used_up:
            return self.steps.used_up_words(call), True
        off = switched_off(self._settings).get(call.name)
        why = f", and {off}" if off else ""
        python = "is not in tools_directory, and " if self._python else ""
        told = f"tool {call.name} {python}is no extension of steps_context or tools_context{why}"
        told += ": refused"
        self._log.notice(told, REFUSED)
        return self._no_such(call), True

    async def _state_of(self, name: str) -> str:
        try:
            outcome, text = await self._jobs.run(
                self._handle, Kind.STATE, name, [], round(limits.TOOL_SECONDS)
            )
        except NotBegun as refused:
            raise ToolFailed(str(refused)) from refused
        if outcome is not Outcome.DONE:
            raise ToolFailed(text)
        return text

    def _done(self, _work: asyncio.Task[Any]) -> None:
        self._calls -= 1

    async def _guarded(self, call: CallTool, work: Work) -> tuple[str, bool]:
        """What comes of it; a fault of its own ends neither the loop nor the call."""
        try:
            return await work()
        except ToolFailed as failed:
            return str(failed), True
        except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as fault:
            # The last two would end the loop, and with it all other calls.
            if isinstance(fault, asyncio.CancelledError) and _is_given_up():
                raise
            self._log.error(f"tool {call.name} failed: {trace(fault)}", "tools that failed")
            return _failed(call), True

    def _tell(self, call: CallTool, text: str, *, is_error: bool) -> None:
        """The one place where a call is answered: it is open until then."""
        if self._open.pop(call.call_id, None) is None:
            return
        outcome = "failed" if is_error else "done"
        text = text.encode(errors="replace").decode()  # the name of a file may be no Unicode
        self._log.debug(f"tool {call.name} {outcome}: {text}")
        self._handle.count_tool(is_error)
        self._answer(call.call_id, text, is_error)

    async def _end_when_heard(self, context: ToolContext) -> None:
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

"""One conversation: from the request of a channel to the close of the WebSocket. Loop thread only.

``run`` is the session's task. It ends in one of three ways: the agent or the network ends the
conversation, the channel hangs up, or the engine is told to end it. All go through ``_finish``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from .. import limits
from ..core._core import SessionHandle
from ..log import ChannelLog, trace
from ..service.connecting import Connector, SharedState
from ..service.endings import (
    NO_AGENT_CODES,
    Ending,
    PlayOut,
    RateLimit,
    SetupFailed,
    Status,
    from_close,
    no_agent,
)
from ..service.endpoint import place_of
from ..service.metadata import Metadata
from ..service.settings import Call, Settings
from ..service.websocket import Closed, WebSocket
from ..words import token
from . import prospects, sent, wire
from .account import Account
from .activity import Activity
from .admission import Place
from .effects import (
    Admitted,
    AskFirst,
    CallTool,
    Corrected,
    CountPong,
    CountStale,
    CountUnknown,
    Effect,
    Flush,
    Id,
    Level,
    Log,
    Play,
    PlayHold,
    Queued,
    QueueTimedOut,
    Said,
    Send,
    ToolNews,
    ToolState,
)
from .events import Events
from .jobs import Jobs
from .protocol import (
    ENCODING_SLIN,
    FORMATS,
    QUEUE_TIMED_OUT,
    AudioFormat,
    Conversation,
)
from .said import Words
from .sent import Say
from .spoken import Spoken
from .tools import PythonTools, Toolbox
from .workshop import Workshops


class Queue(IntEnum):
    """``enum convai_queue``: how the queue of the service ends for a caller without an agent."""

    TIMED_OUT = 3
    REFUSED = 4


class Session:
    """The engine's side of one call: the receiver of its WebSocket's messages."""

    def __init__(
        self, handle: SessionHandle, shared: SharedState, workshops: Workshops, jobs: Jobs
    ) -> None:
        self.handle = handle
        self._workshops, self._jobs = workshops, jobs
        self._connector, self._back_off = Connector(shared, handle), shared.back_off
        self._looks = shared.looks
        self._conversation = Conversation()
        self._words = Words(handle, tells=False)
        self.account = Account()
        self.ending: Ending | None = None
        """How it has ended, once it has."""
        self._log = ChannelLog(handle, debug=False)
        self._settings: Settings | None = None
        self._websocket: WebSocket | None = None
        self._up: asyncio.Future[Metadata] | None = None
        self._closed: asyncio.Future[Closed] | None = None
        self._over: asyncio.Future[Ending] | None = None
        """Time or patience is at an end, ours or the service's."""
        self._timer: asyncio.TimerHandle | None = None
        self._forced: Ending | None = None
        self._finishing = False
        self._task: asyncio.Task[None] | None = None
        self._tools: Toolbox | None = None
        self._activity = Activity(lambda: self._send(sent.utterance(Say.ACTIVITY, "", 0)))
        self._talking = self._quiet = False
        self._kept: list[str] = []
        """Messages of others that the agent is told when the step is over."""
        self._after_step: Ending | None = None
        self._events = Events(handle, self._log, with_words=False)
        self._spoken = Spoken(handle, self._events, self.account, self._looks)

    # ---- Asked from outside ----

    def start(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
        """Begin. The returned task ends when nothing of the session is left."""
        self._task = loop.create_task(self.run())
        return self._task

    def end(self, ending: Ending) -> None:
        """End the conversation with code 1000, for this reason. Only the first call counts."""
        if self._finishing:
            self._spoken.release()
        if self._forced is not None or self._task is None:
            return
        self._forced = ending
        self._tell_end(ending)
        if not self._finishing:
            self._task.cancel()

    def _tell_end(self, ending: Ending) -> None:
        self.ending = self.ending or ending
        self.handle.end(ending.status, ending.reason, ending.detail, ending.play_out)

    def send_outbox(self) -> bool:
        """Send what others want to be said; False while the network does not take it.

        What it does not take stays where it is, for that has a limit of its own.
        """
        websocket = self._websocket
        if websocket is None or self._finishing:
            return True
        if self._conversation.admission.place is Place.QUEUE or not websocket.has_room:
            return False  # whoever is queued is not heard
        for kind, text in self.handle.outbox():
            if kind == Say.ACTIVITY:
                self._activity.tell()
            elif kind == Say.MESSAGE and self._in_step:
                self._keep(text)
            else:
                self._send(sent.utterance(Say(kind), text, self._conversation.last_response))
        return True

    def hold_changed(self) -> None:
        """Keep the agent quiet while the caller holds or a step runs; go on with its next audio.

        A conversation that is not up yet looks again when it is.
        """
        if not self._talking or self._finishing:
            return
        quiet = self.handle.on_hold or self._in_step
        why_away = "step" if self._in_step else "hold" if quiet else ""
        self.account.away(why_away, self._tools.steps.name if self._tools else "")
        if quiet == self._quiet:
            return
        self._quiet = quiet
        why = "a step runs" if self._in_step else "the caller holds"
        self._flush(why if quiet else "the caller is back", interruption=False)
        if quiet:
            self._activity.hold()
        else:
            self._activity.release()

    def step_changed(self) -> None:
        """The channel has begun a step, or has ended one."""
        if self._tools is None or self._finishing:
            return
        self._tools.steps.look()
        if self._in_step:
            return
        for text in self._kept:
            self._send(sent.utterance(Say.MESSAGE, text, 0))
        self._kept.clear()
        if self._after_step is not None:
            self._end_soon(self._after_step)

    @property
    def _in_step(self) -> bool:
        return self._tools is not None and self._tools.steps.running

    def _keep(self, text: str) -> None:
        if len(self._kept) < limits.MESSAGES_KEPT:
            self._kept.append(text)
        else:
            said = "a message to the agent is left out: too many wait for the step"
            self._log.warning(said, "messages that were left out")

    def look(self) -> None:
        """Bring the account up to date, as long as the core has the session."""
        self.account.look(self.handle)

    # ---- The task ----

    async def run(self) -> None:
        """Hold the conversation; never raises."""
        try:
            ending = await self._converse()
        except SetupFailed as failed:
            ending = failed.ending
        except asyncio.CancelledError:
            ending = self._forced or Ending(Status.UNLOADED, "the engine has been stopped")
        except Exception as fault:
            ending = self._fault(fault)
        await self._finish(ending)

    async def _finish(self, ending: Ending) -> None:
        """Tell the channel first, for it may have a caller waiting; then close the socket."""
        if self._tools is not None:
            self._tools.close()
        self._finishing = True
        self.account.end()
        self._activity.release()
        self._limit(0)
        self.handle.detach()
        self._tell_end(ending)
        self._log.debug(f"ended: {ending.status.name}: {ending}")
        last_words = asyncio.create_task(self._spoken.last_words())
        if ending.play_out is PlayOut.NONE:
            self._spoken.release()
        if self._websocket is not None:
            try:
                await self._websocket.close()
            except asyncio.CancelledError:
                self._websocket.abort()
        await self._connector.close()
        await last_words
        self._log.close()

    async def _converse(self) -> Ending:
        call = Call.from_pairs(self.handle.pairs)
        settings = self._settings = call.settings
        self._log = ChannelLog(self.handle, settings.debug)
        self._events = Events(self.handle, self._log, with_words=settings.tells_words)
        self._spoken = Spoken(self.handle, self._events, self.account, self._looks, self._ask_first)
        failure = await self._connect(call, settings)
        if failure is not None:
            prospects.failed(self.handle.agent, settings, self._back_off, failure)
            return failure
        assert self._closed is not None
        assert self._over is not None
        last: set[asyncio.Future[Any]] = {self._over, self._closed}
        await asyncio.wait(last, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            return self._over.result()
        return self._ended(
            self._closed.result(), talking=self._conversation.admission.place is Place.TALK
        )

    # ---- Set-up ----

    async def _connect(self, call: Call, settings: Settings) -> Ending | None:
        """Come to a conversation, or say why it has not come to one."""
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await self._connector.connect(
                    settings, lambda websocket: self._open_conversation(websocket, call)
                )
        except TimeoutError:
            where = " or ".join(place_of(host.base_url) for host in settings.hosts)
            limit = f"connect_timeout ({settings.connect_timeout:d} s)"
            return Ending(Status.TIMEOUT, f"no conversation with {where} within {limit}")
        except SetupFailed as failed:
            return failed.ending
        return None

    async def _open_conversation(self, websocket: WebSocket, call: Call) -> Metadata:
        """Say who calls and wait for the metadata; anything may come before it."""
        loop = asyncio.get_running_loop()
        self._up, self._closed = loop.create_future(), loop.create_future()
        self._over = loop.create_future()
        self._websocket = websocket
        self._conversation = Conversation()  # what an attempt before this one has said is void
        self._words = Words(self.handle, tells=call.settings.tells_words)
        tools = self._tools = self._new_tools(call)
        try:
            websocket.receive(self)
            self._send(sent.opening(call))
            first: set[asyncio.Future[Any]] = {self._up, self._closed}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if self._up.done():
                return self._up.result()
            raise self._refused(self._closed.result())
        except BaseException:
            tools.close()  # what this attempt has begun is not to end the next one
            websocket.mute()
            raise

    def _refused(self, closed: Closed) -> SetupFailed:
        """A close in place of the metadata."""
        ending = self._ended(closed, talking=False)
        return SetupFailed(ending, RateLimit() if ending.busy else None)

    def _agree(self, metadata: Metadata) -> None:
        """Take on the agent's formats, before the next message is read."""
        assert self._websocket is not None
        assert self._settings is not None
        agent = _known_format(metadata.agent_format, "agent_output_audio_format")
        caller = _known_format(metadata.caller_format, "user_input_audio_format")
        self.handle.agree(caller, agent, metadata.conversation_id, self._settings.chunk_ms)
        encoding, rate = caller
        second = rate * (2 if encoding == ENCODING_SLIN else 1) * 4 // 3  # as base64
        unsent = second * limits.UNSENT_MS // 1000
        self._websocket.carry_audio(self.handle, self._settings.debug, unsent)
        self.account.begin(metadata.conversation_id, keeps_words=self._settings.records_words)
        self._log.debug(
            f"{metadata.conversation_id}: agent speaks {metadata.agent_format},"
            f" hears {metadata.caller_format}"
        )

    def _began(self, metadata: Metadata) -> None:
        """The service has taken the call. A second metadata changes nothing."""
        assert self._up is not None
        assert self._websocket is not None
        if self._up.done():
            return
        try:
            self._agree(metadata)
        except (SetupFailed, MemoryError) as failed:
            self._websocket.mute()
            self._up.set_exception(failed)
        else:
            prospects.reached(self.handle.agent)  # now: the caller may hang up before the task runs
            self._up.set_result(metadata)
            self._limit(limits.QUEUE_DECISION_SECONDS, self._decide)

    # ---- Until an agent is there, and how long it stays ----

    def _limit(self, seconds: float, then: Callable[[], None] | None = None) -> None:
        """Let the stage that begins last so long; 0: without limit."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds and then is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _decide(self) -> None:
        """Nothing has said that the caller is to wait."""
        for effect in self._conversation.admission.admit():
            self._carry_out(effect)

    def _time_is_up(self, ending: Ending) -> None:
        """The dialplan is not interrupted: the call ends when the step does."""
        if self._in_step:
            self._after_step = ending
        else:
            self._end_soon(ending)

    def _end_soon(self, ending: Ending) -> None:
        assert self._over is not None
        if not self._over.done():
            self._over.set_result(ending)

    def _admitted(self) -> None:
        """An agent is there: the conversation begins, and its time."""
        assert self._settings is not None
        assert self._up is not None
        if self._up.exception() is not None:
            return  # the call ends: its formats are not known here
        self.handle.talk()
        self.account.talk()
        self._talking = True
        self.hold_changed()
        seconds = self._settings.max_duration
        ending = Ending(Status.TIMEOUT, f"max_duration ({seconds:d} s) reached")
        self._limit(seconds, lambda: self._time_is_up(ending))

    def _queued(self) -> None:
        """The service lets the caller wait, if we do."""
        assert self._settings is not None
        seconds = self._settings.queue_seconds
        if self._settings.queue == "refuse":
            busy = "no agent is free, and callers are not to wait for one (queue = refuse)"
            self._leave_queue(Queue.REFUSED, busy)
            return
        self._talking = self._quiet = False  # also where an agent's silence had been taken for one
        self._activity.release()
        self.handle.queue()
        over = f"no agent was free within {seconds:d} s (queue = {seconds:d})"
        self._limit(seconds, lambda: self._leave_queue(Queue.TIMED_OUT, over))

    def _leave_queue(self, how: Queue, why: str, *, remedy: bool = False) -> None:
        """Without an agent. To close the connection is to leave the queue."""
        assert self._websocket is not None
        self._limit(0)
        self._websocket.mute()  # what comes now, an agent included, comes too late
        self.handle.leave_queue(how)
        self._end_soon(no_agent(why, remedy=remedy))

    # ---- What the WebSocket tells ----

    def message(self, data: bytes) -> None:
        """One message of the service that is not taken as audio below."""
        self.handle.count_message()
        if self._log.debugging:
            self._log.debug(f"<- {wire.for_log(data)}")
        for effect in self._conversation.receive(data):
            self._carry_out(effect)

    def skipped(self) -> None:
        """A message that nobody can be meant to read."""
        self.handle.count_message()
        self.handle.count_unknown()
        if self._conversation.once("too long"):
            most = limits.MAX_MESSAGE_BYTES
            self._log.warning(f"a message of the service left out: more than {most} bytes")

    def closed(self, closed: Closed) -> None:
        """Nothing comes any more."""
        assert self._closed is not None
        if closed.code not in NO_AGENT_CODES:
            self._decide()
        if not self._closed.done():
            self._closed.set_result(closed)

    def failed(self, fault: Exception) -> None:
        """A fault of the engine's own, in the middle of a message: this call is over."""
        self.end(self._fault(fault))

    def _fault(self, fault: Exception) -> Ending:
        """Its text is for the log alone. What the agent has said until then is heard."""
        self._log.error(f"fault in the engine: {trace(fault)}")
        reason = f"fault in the engine: {token(type(fault).__name__)}; see the log"
        talking = self._conversation.admission.place is Place.TALK
        heard = PlayOut.BRIEFLY if talking else PlayOut.NONE
        return Ending(Status.ERROR, reason, play_out=heard)

    # ---- Conversation ----

    def _send(self, message: str) -> None:
        if self._websocket is None or self._finishing:
            return
        if self._log.debugging:
            self._log.debug(f"-> {wire.sent_for_log(message)}")
        self._websocket.send(message)

    def _carry_out(self, effect: Effect) -> None:
        """Do what the conversation wants done. Play first: most messages are agent audio."""
        match effect:
            case Play():
                self._play(effect)
            case AskFirst() | Flush():
                self._stop_audio(effect)
            case Send(text):
                self._send(text)
            case CallTool():
                assert self._tools is not None
                self._words.tool(effect.parameters)
                self.account.called(effect)
                self._tools.call(effect)
            case Said() | Corrected() | ToolNews():
                self._tell_others(effect)
            case Log():
                self._tell(effect)
            case Metadata():
                self._began(effect)
            case Queued() | PlayHold() | QueueTimedOut() | Admitted():
                self._move_on(effect)
            case CountStale() | CountPong() | CountUnknown():
                self._count(effect)

    def _tell_others(self, effect: Said | Corrected | ToolNews) -> None:
        """Something was said or done: let the dialplan read it, and tell programs."""
        match effect:
            case Said():
                self.account.said(effect)
                self._words.said(effect)
                self._events.said(effect)
                self._spoken.said(effect)
            case Corrected(text, event_id):
                self.account.corrected(text, event_id)
                self._words.corrected(text, event_id)
            case ToolNews():
                self._tell_tool(effect)

    def _move_on(self, effect: Queued | PlayHold | QueueTimedOut | Admitted) -> None:
        """Where the caller stands with the service changes, or its hold audio comes."""
        match effect:
            case PlayHold(audio_base64):
                self._play_hold(audio_base64)
            case Queued():
                self._queued()
            case QueueTimedOut():
                self._leave_queue(Queue.TIMED_OUT, QUEUE_TIMED_OUT, remedy=True)
            case Admitted():
                self._admitted()

    def _count(self, effect: CountStale | CountPong | CountUnknown) -> None:
        match effect:
            case CountStale(characters):
                self.handle.count_stale(characters)
            case CountPong():
                self.handle.count_pong()
            case CountUnknown():
                self.handle.count_unknown()

    def _tell_tool(self, news: ToolNews) -> None:
        """Tell programs of a tool that the service itself runs."""
        if news.state is ToolState.CALLED:
            self._events.tool_called(news.name, news.call_id, "service")
            return
        is_error = news.state is ToolState.FAILED
        self._events.tool_answered(news.call_id, is_error=is_error, where="service", name=news.name)

    def _ask_first(self) -> None:
        if self._websocket is not None:
            self._websocket.expect(None)

    def _stop_audio(self, effect: AskFirst | Flush) -> None:
        assert self._websocket is not None
        match effect:
            case AskFirst():
                self._websocket.expect(None)
            case Flush():
                self._flush()

    def _tell(self, line: Log) -> None:
        """A line for whoever reads it: to clean what nobody reads would hold other calls up."""
        if line.level > Level.DEBUG or self._log.debugging:
            self._log.write(line.level, line.text, line.kind)

    def _play(self, play: Play) -> None:
        assert self._websocket is not None
        if self._quiet:
            self.handle.count_stale(len(play.audio_base64))
            return
        if not self._talking:
            return  # the formats of the metadata are not known here: the call ends
        if play.new_response:
            self.handle.align()
        at_ms = self.handle.playout()[0]
        if play.new_response:
            self._conversation.response_began(play.event_id, at_ms)
            self._words.begin(play.event_id)
            self.account.speaks(play.event_id, at_ms)
        self._spoken.audio(play.event_id, play.new_response, at_ms)
        taken = self._queue_audio(play.audio_base64, play.characters)
        if not taken and play.audio_base64:
            waiting_ms = self.handle.playout()[1]
            if warning := self._conversation.overflowed(waiting_ms):
                self._log.warning(warning)
        # More of the same response needs nobody's decision.
        self._websocket.expect(play.event_id)

    def _queue_audio(self, audio_base64: str, characters: int = 0) -> bool:
        """Queue a piece, also of nearly standard base64. False: the queue is full."""
        try:
            return self.handle.play(audio_base64, characters) > 0
        except ValueError as error:
            fault = str(error)
        mended = wire.mended_base64(audio_base64)
        try:
            taken = self.handle.play(mended, characters) > 0 or not mended
        except ValueError:
            if self._conversation.once("bad base64"):
                self._log.warning(f"agent audio left out: {fault}")
            return True
        if self._conversation.once("mended base64"):
            self._log.warning(f"agent audio is not padded standard base64, but taken: {fault}")
        return taken

    def _play_hold(self, audio_base64: str) -> None:
        """What has no room is left out: it is there to pass the time."""
        self._queue_audio(audio_base64)

    def _flush(self, why: str = "interrupted", *, interruption: bool = True) -> None:
        assert self._websocket is not None
        self._websocket.expect(None)
        queued_ms, waiting_ms = self.handle.playout()
        self._spoken.cut(queued_ms, waiting_ms, interruption=interruption)
        self._words.cut()
        stale_ms = self.handle.flush(interruption)
        self._log.debug(self._conversation.flushed(queued_ms, waiting_ms, stale_ms, why))

    def _new_tools(self, call: Call) -> Toolbox:
        """The agent's tools, for as long as this connection lasts."""

        def answer(call_id: Id, text: str, is_error: bool) -> None:
            self.account.answered(call_id, text, is_error=is_error)
            self._send(sent.tool_result(call_id, text, is_error=is_error))
            self._events.tool_answered(str(call_id), is_error=is_error)

        def called(call: CallTool) -> None:
            self._events.tool_called(call.name, str(call.call_id))

        def late(text: str) -> None:
            self._send(sent.utterance(Say.CONTEXT, text, 0))

        settings = call.settings
        return Toolbox(
            self.handle,
            self._log,
            self._python_tools(call),
            self._jobs,
            settings=settings,
            answer=answer,
            called=called,
            end=self.end,
            changed=self.hold_changed,
            late=late,
        )

    def _python_tools(self, call: Call) -> PythonTools | None:
        workshop = self._workshops.of(call.settings.tools_directory)
        if workshop is None:
            return None
        workshop.wake()

        def facts() -> dict[str, str]:
            up = self._up is not None and self._up.done() and self._up.exception() is None
            return {
                "channel": self.handle.channel,
                "unique_id": str(call.dynamic_variables.get("unique_id", "")),
                "agent": self.handle.agent,
                "conversation_id": self._up.result().conversation_id if self._up and up else "",
            }

        return PythonTools(workshop, facts, call.settings.tool_timeout)

    def _ended(self, closed: Closed, *, talking: bool) -> Ending:
        """Why the WebSocket was closed, by the frame that the service sent, if it sent one."""
        error = self._conversation.last_error
        return from_close(
            closed.code,
            closed.reason,
            talking=talking,
            error=error.kind if error else "",
            said=error.message if error else "",
            tool=self._conversation.ending_tool,
        )


_FORMAT = re.compile(r"[a-z0-9]{1,8}(?:_[0-9]{1,6}){1,2}")
"""As the service names formats, those as well that are not known here."""


def _known_format(name: str, key: str) -> AudioFormat:
    if name in FORMATS:
        return FORMATS[name]
    shown = name if _FORMAT.fullmatch(name) else "?"  # any words: they are in the detail
    reason = f"the agent's {key} is {token(shown)}; set it to one of {', '.join(FORMATS)}"
    raise SetupFailed(Ending(Status.REJECTED, reason, detail=name))

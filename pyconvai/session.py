"""One conversation: from the request of a channel to the close of the WebSocket. Loop thread only.

``run`` is the session's task. It ends in one of three ways: the agent or the network ends the
conversation, the channel hangs up, or the engine is told to end it. All go through ``_finish``.
"""

from __future__ import annotations

import asyncio
import traceback

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from . import protocol
from ._core import Link
from .connecting import Connector, Shared
from .endings import Busy, Ending, SetupFailed, Status, from_close, one_line
from .log import ChannelLog
from .net import Endpoint
from .protocol import (
    FORMATS,
    AgentSaid,
    AgentSays,
    Audio,
    AudioFormat,
    CallerSaid,
    Conversation,
    Event,
    Interruption,
    Metadata,
    Ping,
    ServiceError,
    ToolCall,
    Unknown,
)
from .settings import Call, Settings

SERVICE_QUIET_SECONDS = 60.0
"""Without any message of the service's, not even a ping, in a conversation. It pings every few
seconds, and the network is watched by the connector; what is quiet for this long hangs. The service
bears a quiet caller for as long."""


class Session:
    """The engine's side of one call."""

    def __init__(self, link: Link, shared: Shared) -> None:
        self.link = link
        self._connector = Connector(shared, link.channel, link.agent)
        self._conversation = Conversation()
        self._log = ChannelLog(link.channel, debug=False)
        self._connection: ClientConnection | None = None
        self._forced: Ending | None = None
        self._finishing = False
        self._task: asyncio.Task[None] | None = None
        self._service_error = ""
        self._audio_event_id: int | None = None

    # ---- Asked from outside ----

    def start(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
        """Begin. The returned task ends when nothing of the session is left."""
        self._task = loop.create_task(self.run())
        return self._task

    def end(self, ending: Ending) -> None:
        """End the conversation with code 1000, for this reason. Only the first call counts."""
        if self._forced is not None or self._task is None:
            return
        self._forced = ending
        self.link.end(ending.status, ending.reason)
        if not self._finishing:
            self._task.cancel()

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
            self._log.error(f"fault in the engine: {_trace(fault)}")
            ending = Ending(Status.ERROR, one_line(f"fault in the engine: {fault!r}"))
        await self._finish(ending)

    async def _finish(self, ending: Ending) -> None:
        """Tell the channel first, for it may have a caller waiting; then close the socket."""
        self._finishing = True
        self.link.detach()
        self.link.end(ending.status, ending.reason, ending.play_out)
        self._log.debug(f"ended: {ending.status.name}: {ending.reason}")
        if self._connection is not None:
            try:
                await self._connection.close(1000)
            except (OSError, ConnectionClosed, asyncio.CancelledError) as error:
                self._log.debug(f"the close was not clean: {error!r}")
                self._connection.transport.abort()
        await self._connector.close()

    async def _converse(self) -> Ending:
        call = Call.from_pairs(self.link.pairs)
        settings = call.settings
        self._log = ChannelLog(self.link.channel, settings.debug)
        try:
            async with asyncio.timeout(settings.connect_timeout):
                metadata = await self._connector.connect(
                    settings, lambda connection: self._open_conversation(connection, call)
                )
        except TimeoutError:
            where = " or ".join(str(Endpoint.of(host.base_url)) for host in settings.hosts)
            limit = f"connect_timeout ({settings.connect_timeout} s)"
            return Ending(Status.TIMEOUT, one_line(f"no conversation with {where} within {limit}"))
        self._talk(metadata, settings)
        try:
            async with asyncio.timeout(settings.max_duration or None):
                return await self._listen()
        except TimeoutError:
            return Ending(Status.TIMEOUT, f"max_duration ({settings.max_duration} s) reached")

    # ---- Set-up ----

    async def _open_conversation(self, connection: ClientConnection, call: Call) -> Metadata:
        """Say who calls and wait for the metadata; anything may come before it."""
        self._connection = connection
        try:
            await self._say(connection, protocol.opening(call))
            while True:
                event = await self._next_event(connection)
                if isinstance(event, Metadata):
                    return event
                await self._handle(connection, event)
        except ConnectionClosed as closed:
            raise self._refused(closed) from None

    def _refused(self, closed: ConnectionClosed) -> SetupFailed:
        """A close in place of the metadata. A limit that is no quota is one that passes."""
        ending = self._closed(closed, talking=False)
        words = f"{closed.rcvd.reason if closed.rcvd else ''} {self._service_error}".lower()
        busy = ending.status is Status.LIMIT and "quota" not in words
        return SetupFailed(ending, Busy() if busy else None)

    def _talk(self, metadata: Metadata, settings: Settings) -> None:
        """Obey the agent's formats and let audio flow."""
        assert self._connection is not None
        agent = _known_format(metadata.agent_format, "agent_output_audio_format")
        caller = _known_format(metadata.caller_format, "user_input_audio_format")
        self.link.talk(caller, agent, metadata.conversation_id, settings.chunk_ms)
        self.link.attach(self._connection.transport, self._connection.protocol, State.OPEN)
        self._log.debug(
            f"{metadata.conversation_id}: agent speaks {metadata.agent_format},"
            f" hears {metadata.caller_format}"
        )

    # ---- Conversation ----

    async def _listen(self) -> Ending:
        connection = self._connection
        assert connection is not None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SERVICE_QUIET_SECONDS) as quiet:
                while True:
                    event = await self._next_event(connection)
                    quiet.reschedule(loop.time() + SERVICE_QUIET_SECONDS)
                    await self._handle(connection, event)
        except ConnectionClosed as closed:
            return self._closed(closed, talking=True)
        except TimeoutError:
            reason = f"nothing came from the service for {SERVICE_QUIET_SECONDS:.0f} s, not a ping"
            return Ending(Status.ERROR, reason)

    async def _next_event(self, connection: ClientConnection) -> Event:
        message = await connection.recv(decode=False)
        self.link.count_message()
        if self._log.debugging:
            self._log.debug(f"<- {protocol.for_log(message)}")
        return self._conversation.receive(message)

    async def _say(self, connection: ClientConnection, message: str) -> None:
        if self._log.debugging:
            self._log.debug(f"-> {protocol.for_log(message)}")
        await connection.send(message)

    async def _handle(self, connection: ClientConnection, event: Event) -> None:
        """Give each event its one effect. Audio first: there is the most of it."""
        if isinstance(event, Audio):
            self._play(event)
        elif isinstance(event, Ping):
            await self._say(connection, protocol.pong(event.event_id))
            self.link.count_pong()
        elif isinstance(event, Interruption):
            stale_ms = self.link.flush()
            self._log.debug(f"interrupted: {stale_ms} ms of agent audio thrown away")
        elif isinstance(event, ToolCall):
            await self._refuse_tool(connection, event)
        elif isinstance(event, ServiceError):
            self._service_error = event.message
            self._log.warning(f"the service reports: {one_line(event.message)}")
        elif isinstance(event, Unknown):
            self.link.count_unknown()
            self._log.debug(f"ignored: {one_line(event.kind)}")
        elif isinstance(event, AgentSays | AgentSaid | CallerSaid):
            self._log_speech(event)

    def _log_speech(self, event: AgentSays | AgentSaid | CallerSaid) -> None:
        speaker = {AgentSays: "agent", AgentSaid: "agent, cut short", CallerSaid: "caller"}
        self._log.debug(f"{speaker[type(event)]}: {one_line(event.text)}")

    def _play(self, audio: Audio) -> None:
        if audio.stale:
            self.link.count_stale(len(audio.audio_base64))
            return
        try:
            if audio.event_id != self._audio_event_id:
                self._audio_event_id = audio.event_id
                self.link.align()
            self.link.play(audio.audio_base64)
        except ValueError as error:
            self._log.warning(f"agent audio left out: {error}")

    async def _refuse_tool(self, connection: ClientConnection, call: ToolCall) -> None:
        """No tool exists here; the agent must hear that, or it waits for a result."""
        result = f"The phone system has no tool named {call.name}."
        await self._say(connection, protocol.tool_result(call.call_id, result, is_error=True))

    def _closed(self, closed: ConnectionClosed, *, talking: bool) -> Ending:
        """Why the WebSocket was closed, by the frame that the service sent, if it sent one."""
        code, words = None, self._service_error
        if closed.rcvd is not None:
            code = closed.rcvd.code
            words = "; ".join(part for part in (closed.rcvd.reason, words) if part)
        elif closed.sent is not None:
            words = closed.sent.reason or words
        return from_close(code, words, talking=talking)


def _known_format(name: str, key: str) -> AudioFormat:
    if name in FORMATS:
        return FORMATS[name]
    reason = f"the agent's {key} is {name}; set it to one of {', '.join(FORMATS)}"
    raise SetupFailed(Ending(Status.REJECTED, one_line(reason)))


def _trace(fault: BaseException) -> str:
    """A traceback as one long line: whoever reads it wants all of it."""
    return " | ".join("".join(traceback.format_exception(fault)).split("\n"))

"""One conversation: from the request of a channel to the close of the WebSocket. Loop thread only.

``run`` is the session's task. It ends in one of three ways: the agent or the network ends the
conversation, the channel hangs up, or the engine is told to end it. All go through ``_finish``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from .. import limits
from ..core._core import SessionHandle
from ..log import ChannelLog, trace
from ..service.connecting import Connector, SharedState
from ..service.endings import Ending, RateLimit, SetupFailed, Status, from_close, one_line
from ..service.metadata import Metadata
from ..service.net import Endpoint
from ..service.settings import Call, Settings
from . import protocol
from .effects import (
    CallTool,
    CountPong,
    CountStale,
    CountUnknown,
    Effect,
    Effects,
    Flush,
    Log,
    Play,
    Send,
)
from .protocol import FORMATS, AudioFormat, Conversation, Say
from .tools import Toolbox, allowed


class Session:
    """The engine's side of one call."""

    def __init__(self, handle: SessionHandle, shared: SharedState) -> None:
        self.handle = handle
        self._connector = Connector(shared, handle)
        self._conversation = Conversation()
        self._log = ChannelLog(handle, debug=False)
        self._connection: ClientConnection | None = None
        self._forced: Ending | None = None
        self._finishing = False
        self._task: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._tools: Toolbox | None = None

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
        self.handle.end(ending.status, ending.reason, ending.play_out)
        if not self._finishing:
            self._task.cancel()

    def send_outbox(self) -> None:
        """Send the texts of the outbox, unless a task does so already, which looks for more."""
        if self._connection is None or self._finishing or self._sender is not None:
            return
        self._sender = asyncio.get_running_loop().create_task(self._send_outbox(self._connection))

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
            self._log.error(f"fault in the engine: {trace(fault)}")
            ending = Ending(Status.ERROR, one_line(f"fault in the engine: {fault!r}"))
        await self._finish(ending)

    async def _finish(self, ending: Ending) -> None:
        """Tell the channel first, for it may have a caller waiting; then close the socket."""
        self._finishing = True
        if self._sender is not None:
            self._sender.cancel()
        if self._tools is not None:
            self._tools.close()
        self.handle.detach()
        self.handle.end(ending.status, ending.reason, ending.play_out)
        self._log.debug(f"ended: {ending.status.name}: {ending.reason}")
        if self._connection is not None:
            try:
                await self._connection.close(1000)
            except (OSError, ConnectionClosed, asyncio.CancelledError) as error:
                self._log.debug(f"the close was not clean: {error!r}")
                self._connection.transport.abort()
        await self._connector.close()

    async def _converse(self) -> Ending:
        call = Call.from_pairs(self.handle.pairs)
        settings = call.settings
        self._log = ChannelLog(self.handle, settings.debug)
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
        """Send the opening and wait for the metadata; other messages may come before it."""
        self._connection = connection
        self._conversation = Conversation()  # what an attempt before this one has said is void
        tools = self._tools = self._new_tools(connection, call.settings)
        try:
            await self._say(connection, protocol.opening(call))
            while True:
                for effect in await self._receive(connection):
                    if isinstance(effect, Metadata):
                        return effect
                    await self._carry_out(connection, effect)
        except BaseException as failed:
            tools.close()  # a tool that this attempt has started must not end the next one
            if isinstance(failed, ConnectionClosed):
                raise self._refused(failed) from None
            raise

    def _refused(self, closed: ConnectionClosed) -> SetupFailed:
        """The service has closed the connection instead of sending the metadata.

        A limit other than a quota soon passes: until then the back-off leaves the service alone.
        """
        ending = self._closed(closed, talking=False)
        words = f"{closed.rcvd.reason if closed.rcvd else ''} {self._conversation.last_error}"
        busy = ending.status is Status.LIMIT and "quota" not in words.lower()
        return SetupFailed(ending, RateLimit() if busy else None)

    def _talk(self, metadata: Metadata, settings: Settings) -> None:
        """Take on the agent's formats and let audio flow."""
        assert self._connection is not None
        agent = _known_format(metadata.agent_format, "agent_output_audio_format")
        caller = _known_format(metadata.caller_format, "user_input_audio_format")
        self.handle.talk(caller, agent, metadata.conversation_id, settings.chunk_ms)
        self.handle.attach(self._connection.transport, self._connection.protocol, State.OPEN)
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
            async with asyncio.timeout(limits.SERVICE_QUIET_SECONDS) as quiet:
                while True:
                    effects = await self._receive(connection)
                    quiet.reschedule(loop.time() + limits.SERVICE_QUIET_SECONDS)
                    for effect in effects:
                        await self._carry_out(connection, effect)
        except ConnectionClosed as closed:
            return self._closed(closed, talking=True)
        except TimeoutError:
            seconds = f"{limits.SERVICE_QUIET_SECONDS:.0f} s"
            reason = f"nothing came from the service for {seconds}, not a ping"
            return Ending(Status.ERROR, reason)

    async def _receive(self, connection: ClientConnection) -> Effects:
        message = await connection.recv(decode=False)
        self.handle.count_message()
        if self._log.debugging:
            self._log.debug(f"<- {protocol.for_log(message)}")
        return self._conversation.receive(message)

    async def _say(self, connection: ClientConnection, message: str) -> None:
        if self._log.debugging:
            self._log.debug(f"-> {protocol.for_log(message)}")
        await connection.send(message)

    async def _send_outbox(self, connection: ClientConnection) -> None:
        """Only one task at a time does this: so texts stay in order when the network is slow."""
        try:
            while outbox := self.handle.outbox():
                for kind, text in outbox:
                    response = self._conversation.last_response
                    await self._say(connection, protocol.utterance(Say(kind), text, response))
        except ConnectionClosed as closed:
            self._log.debug(f"not said any more: {closed!r}")
        finally:
            self._sender = None

    async def _carry_out(self, connection: ClientConnection, effect: Effect) -> None:
        """Do what the conversation wants done. Play first: most messages are agent audio."""
        match effect:
            case Play():
                self._play(effect)
            case CountStale(characters):
                self.handle.count_stale(characters)
            case Flush():
                self._flush()
            case Send(text):
                await self._say(connection, text)
            case CountPong():
                self.handle.count_pong()
            case CallTool():
                assert self._tools is not None
                await self._tools.call(effect)
            case Log(level, text):
                self._log.write(level, text)
            case CountUnknown():
                self.handle.count_unknown()

    def _play(self, play: Play) -> None:
        try:
            if play.new_response:
                self.handle.align()
                self._conversation.response_began(play.event_id, self.handle.playout()[0])
            if not self.handle.play(play.audio_base64) and play.audio_base64:
                waiting_ms = self.handle.playout()[1]
                if warning := self._conversation.overflowed(waiting_ms):
                    self._log.warning(warning)
        except ValueError as error:
            self._log.warning(f"agent audio left out: {error}")

    def _flush(self) -> None:
        queued_ms, waiting_ms = self.handle.playout()
        stale_ms = self.handle.flush()
        self._log.debug(self._conversation.flushed(queued_ms, waiting_ms, stale_ms))

    def _new_tools(self, connection: ClientConnection, settings: Settings) -> Toolbox:
        """The agent's tools, for as long as this connection lasts."""

        async def answer(call_id: str, text: str, is_error: bool) -> None:
            with suppress(ConnectionClosed):
                await self._say(connection, protocol.tool_result(call_id, text, is_error=is_error))

        tools = allowed(settings.tools)
        return Toolbox(self.handle, self._log, tools=tools, answer=answer, end=self.end)

    def _closed(self, closed: ConnectionClosed, *, talking: bool) -> Ending:
        """Why the WebSocket was closed, by the frame that the service sent, if it sent one."""
        error = self._conversation.last_error
        code, words = None, error.message if error else ""
        if closed.rcvd is not None:
            code = closed.rcvd.code
            words = "; ".join(part for part in (closed.rcvd.reason, words) if part)
        elif closed.sent is not None:
            words = closed.sent.reason or words
        kind = error.kind if error else ""
        tool = self._conversation.ending_tool
        return from_close(code, words, talking=talking, error=kind, tool=tool)


def _known_format(name: str, key: str) -> AudioFormat:
    if name in FORMATS:
        return FORMATS[name]
    reason = f"the agent's {key} is {name}; set it to one of {', '.join(FORMATS)}"
    raise SetupFailed(Ending(Status.REJECTED, one_line(reason)))

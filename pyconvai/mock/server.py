"""The mock's server: HTTP and WebSocket on one port, and its in-process interface for tests.

async with MockAgent(scenario="demo") as mock:
    ... connect to mock.url ...
    session = await mock.session(0).ended()
    assert not session.checks.violations
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from . import rest, settings
from .faults import Fault
from .link import DirectConnection, reset_connection
from .messages import dump
from .record import LogSink, Record
from .report import report
from .scenario import Agent, Scenario, load
from .session import Session
from .voice import Voice

T = TypeVar("T")

# Messages of the client are small; a limit far above them still finds a runaway.
_MAX_MESSAGE_BYTES = 16 << 20

# A silent handshake (a fault) holds its connection this long at most.
_HANDSHAKE_LIMIT_S = 3600.0

# The server's own close handshake with a client that does not answer.
_CLOSE_LIMIT_S = 2.0

# What a test waits for a session, unless it says otherwise: a busy machine may be late by seconds.
_WAIT_S = 30.0

_UNKNOWN_AGENT = (3000, "The AI agent you are trying to reach does not exist.")
_UNAUTHORIZED = (3000, "Could not authorize the conversation.")


class SessionHandle:
    """The n-th session of a mock, which may not have begun yet."""

    def __init__(self, mock: MockAgent, number: int):
        self._mock = mock
        self._number = number

    async def started(self, limit_s: float = _WAIT_S) -> Record:
        """The session's record as soon as its socket is open. Raises TimeoutError."""
        return await self._mock.wait_for(self._find, limit_s)

    async def ended(self, limit_s: float = _WAIT_S) -> Record:
        """The complete record, when the session is over. Raises TimeoutError."""
        return await self._mock.wait_for(lambda: self._find(ended=True), limit_s)

    def _find(self, ended: bool = False) -> Record | None:
        if self._number >= len(self._mock.sessions):
            return None
        record = self._mock.sessions[self._number]
        return record if record.complete or not ended else None


class MockAgent:
    """An agent server. ``scenario``: a file, a shipped name, a table or a Scenario."""

    def __init__(
        self,
        scenario: str | Path | dict[str, Any] | Scenario | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        record_dir: Path | None = None,
        keep_audio: bool = False,
        speech_cache: Path | None = None,
        log: LogSink | None = None,
    ):
        self.scenario = load(scenario)
        self.voice = Voice(speech_cache)
        self.sessions: list[Record] = []
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self._address = (host, port)
        self._tls = tls
        self._record_dir = record_dir
        self._keep_audio = keep_audio or record_dir is not None
        self._log: LogSink = log or (lambda entry: None)
        self._tickets = rest.Tickets()
        self._active: dict[str, int] = {}
        self._fault_uses: dict[int, int] = {}
        self._changed = asyncio.Condition()
        self._writing = asyncio.Lock()
        self._written: set[asyncio.Task[None]] = set()  # recordings under way
        self._live: set[Session] = set()
        self._held: set[ServerConnection] = set()  # silent handshakes, see _hold
        self._server: SocketServer | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Prepares the speech and listens; ``url`` is set afterwards.

        Raises OSError when the port is taken and VoiceError for an unusable sound.
        """
        await asyncio.to_thread(self._prepare)
        host, port = self._address
        self._server = await serve(
            self._converse,
            host,
            port,
            ssl=self._tls,
            process_request=self._request,
            create_connection=DirectConnection,
            select_subprotocol=_select_subprotocol,
            compression="deflate" if self.scenario.server.deflate else None,
            max_size=_MAX_MESSAGE_BYTES,
            open_timeout=_HANDSHAKE_LIMIT_S,
            close_timeout=_CLOSE_LIMIT_S,
            ping_interval=None,
            server_header=None,
        )
        bound = next(iter(self._server.sockets)).getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if self._tls else 'http'}://{shown}:{bound}"

    async def stop(self) -> None:
        """Closes every session with 1001 and stops listening."""
        if self._server is not None:
            self._server.close()
            for session in self._live:
                session.reading.set()
            for connection in list(self._held):
                connection.transport.abort()
            await self._server.wait_closed()
        await asyncio.gather(*self._written)

    def session(self, number: int) -> SessionHandle:
        """A handle on the n-th session (0 is the first), begun or not."""
        return SessionHandle(self, number)

    def report(self) -> dict[str, Any]:
        """The JSON report so far; see report.py."""
        return report(self.scenario, self.sessions, self.requests)

    async def wait_for(self, find: Callable[[], T | None], limit_s: float = _WAIT_S) -> T:
        """Waits until ``find()`` gives something other than None. Raises TimeoutError."""
        async with asyncio.timeout(limit_s), self._changed:
            while (found := find()) is None:
                await self._changed.wait()
            return found

    # --- for sessions ------------------------------------------------------------------------

    async def admit(self, agent: Agent, limit_ms: float) -> bool:
        """Takes a place of the agent, waiting for one at most ``limit_ms``."""
        try:
            async with asyncio.timeout(limit_ms / 1000 if limit_ms > 0 else None), self._changed:
                while self._full(agent):
                    if limit_ms <= 0:
                        return False
                    await self._changed.wait()
                self._active[agent.name] = self._active.get(agent.name, 0) + 1
                return True
        except TimeoutError:
            return False

    def befalls(self, fault: Fault) -> bool:
        """Counts the uses of a fault that is limited by ``times``."""
        used = self._fault_uses.get(id(fault), 0)
        self._fault_uses[id(fault)] = used + 1
        return not fault.times or used < fault.times

    def _full(self, agent: Agent) -> bool:
        total = self.scenario.server.concurrency
        if total and sum(self._active.values()) >= total:
            return True
        return bool(agent.concurrency) and self._active.get(agent.name, 0) >= agent.concurrency

    # --- connections -------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Renders everything the scenario says, so that no call waits for synthesis."""
        for agent in self.scenario.agents.values():
            for said in agent.utterances():
                if "{{" not in said.text:
                    self.voice.render(said.text, said.sound, agent.voice, agent.output_format)

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Every HTTP request, the WebSocket's included; None goes on with the handshake."""
        path, query = rest.query_of(request.path)
        agent_id = query.get("agent_id", "")
        response: Response | None
        if path in rest.SIGNED_URL_PATHS:
            response = await self._stage(connection, "signed_url", agent_id)
            scheme = "wss" if self._tls else "ws"
            response = response or rest.signed_url(request, self.scenario, self._tickets, scheme)
        elif path == rest.SOCKET_PATH and "upgrade" in request.headers:
            response = await self._stage(connection, "handshake", agent_id)
        elif path.startswith(settings.AGENTS_PATH):
            agent_id = path.removeprefix(settings.AGENTS_PATH)
            response = await self._stage(connection, "settings", agent_id)
            response = response or settings.agent_response(request, self.scenario)
        elif path.startswith(settings.TOOLS_PATH):
            response = settings.tool_response(request, self.scenario)
        elif path == rest.REPORT_PATH:
            return rest.respond(200, dump(self.report()))
        else:
            response = rest.named(404, "plain")
        self._note(path, agent_id, response, request)
        return response

    def _note(self, path: str, agent_id: str, response: Response | None, request: Request) -> None:
        query = rest.query_of(request.path)[1]
        entry = {
            "path": path,
            "agent_id": agent_id,
            # Which of the agent's branches and versions; the signature is nobody's business.
            **{key: query[key] for key in rest.WHICH if key in query},
            "status": response.status_code if response else 101,
            "api_key": "xi-api-key" in request.headers,
            "user_agent": ", ".join(request.headers.get_all("User-Agent")),
        }
        self.requests.append(entry)
        self._log({"event": "request", **entry})

    async def _stage(
        self, connection: ServerConnection, stage: str, agent_id: str
    ) -> Response | None:
        """Acts out the faults of an HTTP stage."""
        agent = self.scenario.agent(agent_id)
        for fault in agent.faults if agent else ():
            if fault.stage != stage or not self.befalls(fault):
                continue
            if fault.after_ms or fault.name == "delay":
                await asyncio.sleep((fault.after_ms + fault.integer("ms", 0)) / 1000)
            if fault.name == "reset":
                reset_connection(connection)
            if fault.name in ("silence", "reset"):
                await self._hold(connection)
            if fault.name == "http_status":
                return rest.fault_response(fault, agent_id)
        return None

    async def _hold(self, connection: ServerConnection) -> None:
        """Waits until the client gives up; stop() must not wait for that."""
        self._held.add(connection)
        try:
            await connection.wait_closed()
        finally:
            self._held.discard(connection)

    async def _converse(self, connection: ServerConnection) -> None:
        """Handler of one WebSocket."""
        assert connection.request is not None
        assert isinstance(connection, DirectConnection)
        path, query = rest.query_of(connection.request.path)
        agent_id = query.get("agent_id", "")
        agent = self.scenario.agent(agent_id)
        refusal, conversation_id = self._authorize(agent, agent_id, query)
        agent = agent or Agent("(unknown)")
        record = Record(
            len(self.sessions),
            agent_id,
            _without_secrets(path, query),
            self.scenario.limits,
            self._log,
            self._keep_audio,
        )
        session = Session(connection, agent, record, self, refusal, conversation_id)
        self.sessions.append(record)
        self._live.add(session)
        await self._notify()
        try:
            await session.run()
        finally:
            self._live.discard(session)
            if session.admitted:
                self._active[agent.name] -= 1
            # By itself: the socket is closed behind this, and nobody is to wait for a disk.
            writing = asyncio.create_task(self._complete(record, agent))
            self._written.add(writing)
            writing.add_done_callback(self._written.discard)

    async def _complete(self, record: Record, agent: Agent) -> None:
        """The session is over: write it down, one at a time, for many would make others late."""
        if self._record_dir is not None:
            async with self._writing:
                await asyncio.to_thread(record.write_audio, self._record_dir, agent)
        record.complete = True
        await self._notify()

    def _authorize(
        self, agent: Agent | None, agent_id: str, query: dict[str, str]
    ) -> tuple[tuple[int, str] | None, str | None]:
        """(refusal as close code and reason or None, conversation id of the signed URL or None)."""
        if agent is None:
            return _UNKNOWN_AGENT, None
        signature = query.get("conversation_signature")
        if signature is None:
            return (_UNAUTHORIZED if agent.auth == "signed_url" else None), None
        ticket = self._tickets.redeem(signature, agent_id)
        return (None, ticket.conversation_id) if ticket else (_UNAUTHORIZED, None)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _select_subprotocol(
    connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """``convai`` iff offered: browsers fail on an offer that is not taken up."""
    return Subprotocol("convai") if "convai" in offered else None


def _without_secrets(path: str, query: dict[str, str]) -> str:
    shown = {k: "…" if k == "conversation_signature" else v for k, v in query.items()}
    return f"{path}?{urllib.parse.urlencode(shown, safe='…')}"

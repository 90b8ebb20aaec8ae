"""The loop thread: where every session of this engine lives.

``start`` is called by the C module on the thread that loads it, with the GIL. All else happens on
the loop thread, which is started from Python with every signal blocked, because Asterisk owns them.
"""

from __future__ import annotations

import _thread
import asyncio
import logging
import signal
import threading
import traceback
from pathlib import Path
from typing import Any

from . import __version__, _core, log
from .endings import Ending, Status
from .net import Network, shrink_read_buffers
from .session import Session

TICK_SECONDS = 0.005
"""How often caller audio is looked for while any call is up: a quarter of a frame, so that it adds
at most 5 ms to a frame's way."""

START_SECONDS = 5.0
"""For the loop to come up. It takes milliseconds; a module load must not hang."""

CLOSE_ALL_SECONDS = 1.5
"""For all closing handshakes together when the engine is stopped; Asterisk gives us 2 s."""


class Runtime:
    """One event loop and its sessions."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._network = Network()
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._links: list[_core.Link] = []
        self._next_tick: float | None = None
        self._stopping: asyncio.Task[None] | None = None

    def run(self, ready: threading.Event) -> None:
        """Serve sessions until told to stop."""
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(_core.wake_fd(), self._woken)
        self._loop.call_soon(ready.set)
        try:
            self._loop.run_forever()
        finally:
            self._end_what_is_left()
            self._network.close()
            self._loop.close()

    def _end_what_is_left(self) -> None:
        """Let nobody wait for a loop that has ended. Only after a fault is anything left."""
        self._end_all(Ending(Status.ERROR, "the engine's loop has failed"))
        if self._sessions:
            closing = asyncio.wait(self._sessions, timeout=CLOSE_ALL_SECONDS)
            self._loop.run_until_complete(closing)

    # ---- What other threads want ----

    def _woken(self) -> None:
        hung_up = _core.woken()
        stop, status, reason = _core.requests()
        for link in _core.new_sessions():
            self._admit(link)
        if hung_up:
            self._end_hung_up()
        if status:
            self._end_all(Ending(Status(status), reason))
        if stop and self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())

    def _admit(self, link: _core.Link) -> None:
        session = Session(link, self._network)
        task = session.start(self._loop)
        self._sessions[task] = session
        self._links.append(link)
        task.add_done_callback(self._gone)
        if self._next_tick is None:
            self._next_tick = self._loop.time()
            self._tick()

    def _gone(self, task: asyncio.Task[None]) -> None:
        session = self._sessions.pop(task)
        self._links.remove(session.link)
        session.link.release()

    def _end_hung_up(self) -> None:
        for session in list(self._sessions.values()):
            if session.link.hung_up:
                session.end(Ending(Status.HANGUP, "the caller hung up"))

    def _end_all(self, ending: Ending) -> None:
        for session in list(self._sessions.values()):
            session.end(ending)

    async def _stop(self) -> None:
        """Close every conversation, then end the loop."""
        self._end_all(Ending(Status.UNLOADED, "the module is being unloaded"))
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=CLOSE_ALL_SECONDS)
        self._loop.stop()

    # ---- Caller audio ----

    def _tick(self) -> None:
        """Send what callers have said. Runs while any call is up; idle, the loop sleeps."""
        if not self._links or self._next_tick is None:
            self._next_tick = None
            return
        _core.send_waiting_audio(self._links)
        self._next_tick = max(self._next_tick + TICK_SECONDS, self._loop.time())
        self._loop.call_at(self._next_tick, self._tick)


def build_id() -> str:
    """The id that ``make install`` gave to these files, or ``dev`` in a checkout."""
    path = Path(__file__).with_name("_build_id.txt")
    return path.read_text(encoding="ascii").strip() if path.exists() else "dev"


def start(host: Any) -> Any:
    """Start the engine and return the capsule of its ``struct convai_ops``.

    ``host`` is the capsule of the module's ``struct convai_host``. Raises RuntimeError when the
    loop does not come up.
    """
    log.install(logging.getLogger(__package__))
    log.install(logging.getLogger("websockets"))
    log.install(logging.getLogger("asyncio"))
    shrink_read_buffers()
    _core.open_engine(host)
    ready = threading.Event()
    # The new thread inherits the mask: signals go to Asterisk's own threads.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        _thread.start_new_thread(_loop_thread, (ready,))
    except BaseException:
        _core.close_engine()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if not ready.wait(START_SECONDS):
        _core.stop_engine(0)  # should it come up later, it ends at once
        raise RuntimeError(f"the engine's loop did not start within {START_SECONDS:.0f} s")
    return _core.ops_capsule(build_id(), __version__)


def _loop_thread(ready: threading.Event) -> None:
    """All that the loop thread ever runs. Whatever happens, whoever waits for its end is told."""
    try:
        Runtime().run(ready)
    except BaseException:
        _core.log(log.ERROR, "", f"the engine's loop has failed: {traceback.format_exc()}")
    finally:
        _core.close_engine()

"""The loop thread: where every session of this engine lives.

``start`` is called by the module's loader, on a thread of the loader's. All else happens on the
loop thread, which has every signal blocked, because Asterisk owns them. There is one loop a
generation of the engine, and nothing here knows of the others.
"""

from __future__ import annotations

import _thread
import asyncio
import signal
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from . import __version__, limits, log, selftest, ticks
from .checking.agent import AgentCheck
from .conversation.asked import AboutTools
from .conversation.jobs import Jobs
from .conversation.session import Session
from .conversation.workshop import Workshops
from .core import _core
from .inquiries import Inquiries
from .loop import Loop, Selector
from .records.keeper import Records
from .report.desk import Desk
from .service.backoff import BackOff
from .service.connecting import SharedState
from .service.endings import Ending, Status
from .service.net import Network
from .service.signed_urls import SignedUrls


class Runtime:
    """One event loop and its sessions."""

    def __init__(self) -> None:
        self.network: Network = Network()
        self._loop = Loop(Selector(self.network.ticker))
        self._urls, self._back_off, self._jobs = SignedUrls(), BackOff(), Jobs()
        self._workshops, self._looks = Workshops(), ticks.Looks()
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._handles: list[_core.SessionHandle] = []
        self._records = Records(self.network)
        check, tools = AgentCheck(self.network, self._workshops), AboutTools(self._workshops)
        self._desk = desk = Desk(self._records)
        self._inquiries = Inquiries(
            {
                "call names": desk.names,
                "report": desk.report,
                "report page": desk.page,
                "bundle": desk.bundle,
                "agent tools": check.tools,
                "check agent": check.check,
                "show tools": tools.show,
                "test tool": tools.test,
                "renew tools": tools.renew,
                "webhooks": self._records.told,
            }
        )
        self._recorded: dict[asyncio.Task[None], str] = {}
        """Ids of records, by the sessions that they are of."""
        self.unsent: set[asyncio.Task[None]] = set()
        """Sessions whose outbox the network did not take."""
        self._wish = _core.WISH_NONE
        self._stopping: asyncio.Task[None] | None = None
        self._testing: asyncio.Task[None] | None = None
        self.network.ticker.serve_calls(self._handles, self, self._looks)

    def run(self, start: Start) -> None:
        """Pass the self-test, then serve sessions until told to end."""
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(_core.wake_fd(), self.woken)
        try:
            self._testing = self._loop.create_task(selftest.converse(self))
            self._loop.run_until_complete(self._testing)
            start.over.set()
            # A stop request during the self-test may already have stopped the loop.
            if self._stopping is None:
                self._loop.run_forever()
        finally:
            self._end_what_is_left()
            self.network.close()
            self._loop.close()

    @property
    def idle(self) -> bool:
        """Whether no session is left, not even one that is only closing its socket."""
        return not self._sessions

    def _end_what_is_left(self) -> None:
        """End every session and task, so that nobody waits for a loop that has ended.

        Sessions are left only after a fault. Tasks may be fetching signed URLs for next calls.
        """
        _core.refuse()
        self._wish = _core.WISH_NONE  # the last session is not to stop the loop under what follows
        self._loop.remove_reader(_core.wake_fd())
        self._loop.end_ticks()
        self._end_all(Ending(Status.ERROR, "the engine's loop has failed"))
        self._workshops.close()
        others = asyncio.all_tasks(self._loop) - self._records.tasks
        for task in others.difference(self._sessions):
            task.cancel()
        if others:
            self._loop.run_until_complete(asyncio.wait(others, timeout=limits.CLOSE_ALL_SECONDS))
        self._desk.close()
        self._loop.run_until_complete(self._records.close())
        # Transports that were aborted close in the next rounds, what is below TLS one later. The
        # loop does not run until a future is complete: a session that ends may stop it before that.
        for _ in range(limits.LAST_ROUNDS):
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    # ---- What other threads want ----

    def woken(self) -> None:
        """Another thread wants something."""
        hung_up = _core.woken()
        self._wish, status, host_reason = _core.requests()
        # End sessions before admitting new ones: whoever asked for the end did not mean those.
        if status:
            self._end_all(Ending(Status(status), host_reason))
        new = _core.new_sessions()
        self._records.look()  # what was told before they were opened, and has come by now
        for handle in new:
            self._admit(handle)
        if hung_up:
            self._end_hung_up()
        if _core.outbox_filled():
            self.unsent = set(self._sessions)
            self._send_outboxes()
        if _core.holds_changed():
            self._each(Session.hold_changed)
        self._jobs.collect()
        if _core.steps_changed():
            self._each(Session.step_changed)
        self._inquiries.look()
        self._records.look()  # what was told before they were asked, and has come since
        if self._wish == _core.WISH_STOP and self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())
        self._end_if_finished()

    def _each(self, look: Callable[[Session], None]) -> None:
        """Have every session look: a fault of one ends it, and the others look as well."""
        for session in list(self._sessions.values()):
            try:
                look(session)
            except Exception as fault:
                session.failed(fault)

    def _end_if_finished(self) -> None:
        """Asked to finish: the last session ends the loop."""
        if self._wish == _core.WISH_FINISH and self.idle:
            self._loop.stop()

    def _admit(self, handle: _core.SessionHandle) -> None:
        shared = SharedState(self.network, self._urls, self._back_off, self._looks)
        session = Session(handle, shared, self._workshops, self._jobs)
        task = session.start(self._loop)
        self._sessions[task] = session
        if record := self._records.begin(handle.facts, session):
            self._recorded[task] = record
        self._handles.append(handle)
        task.add_done_callback(self._gone)
        ticker = self.network.ticker
        ticker.seconds = ticks.length(len(self._handles))
        ticker.begin()

    def _gone(self, task: asyncio.Task[None]) -> None:
        session = self._sessions.pop(task)
        self.unsent.discard(task)
        self._handles.remove(session.handle)
        self.network.ticker.seconds = ticks.length(len(self._handles))
        if record := self._recorded.pop(task, ""):
            session.look()
            self._records.end(record, session)
        session.handle.release()
        self._end_if_finished()

    def _end_hung_up(self) -> None:
        for session in list(self._sessions.values()):
            if session.handle.hung_up:
                session.end(Ending(Status.HANGUP, "the caller hung up"))

    def _end_all(self, ending: Ending) -> None:
        for session in list(self._sessions.values()):
            session.end(ending)

    async def _stop(self) -> None:
        """Close every conversation, then end the loop."""
        self._end_all(Ending(Status.UNLOADED, "the module is being unloaded"))
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=limits.CLOSE_ALL_SECONDS)
        if self._testing is not None and not self._testing.done():
            self._testing.cancel()  # cancelling the self-test ends `run`, and with it the loop
        else:
            self._loop.stop()

    def _send_outboxes(self) -> None:
        self.unsent = {task for task in self.unsent if not self._sessions[task].send_outbox()}

    # ---- The tick ----

    def ticked(self, began: float) -> None:
        """Something was unsent at a tick, or a look is due."""
        self._send_outboxes()
        self._look(began)

    def tick_failed(self) -> None:
        """An exception was raised in a tick."""
        log.host(log.ERROR, f"a fault in the tick: {traceback.format_exc()}")

    def _look(self, now: float) -> None:
        for look in self._looks.due(now):
            try:
                look()
            except Exception:
                log.host(log.ERROR, f"a fault in a look: {traceback.format_exc()}")


def build_id() -> str:
    """The id that ``make install`` gave to these files, or ``dev`` in a checkout."""
    path = Path(__file__).with_name("_build_id.txt")
    return path.read_text(encoding="ascii").strip() if path.exists() else "dev"


class Start:
    """What the loop's thread tells the thread that starts it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.fault: BaseException | None = None
        """Set before ``over``; None: the loop runs, and has passed its self-test."""


_loop_threads: dict[int, int] = {}
"""Identity of the loop's thread, by the number of its start (``_core.starts``)."""


def start(seconds: float) -> int:
    """Start the engine and return the address of its ``struct convai_ops``.

    By then the loop has passed its self-test. Waits at most ``seconds`` for that; raises
    TimeoutError, or whatever the loop has raised. That loop then ends, as soon as it runs again.
    """
    _core.open_engine()
    outcome = Start()
    # The new thread inherits the mask: signals go to Asterisk's own threads.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread = _thread.start_new_thread(_loop_thread, (outcome,))
    except BaseException:
        _core.close_engine()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _loop_threads.clear()
    _loop_threads[_core.starts()] = thread
    if not outcome.over.wait(seconds):
        _core.stop_engine(0)
        raise TimeoutError(f"the loop has not passed its self-test within {seconds:.1f} s")
    if outcome.fault is not None:
        raise outcome.fault
    return _core.ops_address(build_id(), __version__)


def starts() -> int:
    """How often the engine has been started: the number of the last start."""
    return _core.starts()


def abandon(start: int) -> None:
    """Ask the loop of that start to end; nothing if another start has followed."""
    _core.stop_start(start)


def interruptible(start: int) -> list[int]:
    """Id of that start's loop thread in a list; empty if it does not run."""
    running = _core.engine_running() and _core.starts() == start
    return [thread for number, thread in _loop_threads.items() if running and number == start]


def _loop_thread(start: Start) -> None:
    """All that the loop thread ever runs. Whatever happens, it wakes whoever waits in ``start``."""
    _core.name_thread(f"convai-loop-{build_id()}")
    with log.libraries():
        try:
            Runtime().run(start)
        except BaseException as fault:
            start.fault = fault
            log.host(log.ERROR, f"the engine's loop has failed: {traceback.format_exc()}")
        finally:
            _core.close_engine()
            start.over.set()

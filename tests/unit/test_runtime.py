"""The loop thread: how it starts, how it ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pyconvai import runtime, selftest
from pyconvai.core import _core
from tests.timing import EVENT
from tests.unit.engine import TALKING, Engine
from tests.unit.service import Conversation, Service


async def talk_until_closed(agent: Conversation) -> None:
    await agent.next()
    await agent.metadata()
    await agent.closed()


def count_threads(at_most: int) -> int:
    """How many threads there are, once those that are just ending have ended.

    stop() returns when nothing of the engine's can call out any more; its threads then only return.
    """
    until = time.monotonic() + EVENT
    while (count := len(list(Path("/proc/self/task").iterdir()))) > at_most:
        if time.monotonic() > until:
            break
        time.sleep(0.001)
    return count


def test_the_engine_starts_again_after_a_stop() -> None:
    """As often as the module is unloaded and loaded, with nothing left over."""
    before = len(list(Path("/proc/self/task").iterdir()))
    descriptors = []
    for _ in range(4):
        engine = Engine()
        with Service(talk_until_closed) as service:
            call = engine.call(settings=service.settings())
            call.wait(TALKING)
            assert engine.stop() == 0
            assert call.ending()[0] == "UNLOADED"
            call.release()
            service.outcome()
        gc.collect()
        assert count_threads(before) <= before
        descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
    assert max(descriptors[2:]) <= descriptors[1]


def test_the_loop_thread_gets_no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals are Asterisk's: none may be delivered to a thread of ours."""
    masks: list[set[int]] = []
    run = runtime.Runtime.run

    def watched(self: runtime.Runtime, start: runtime.Start) -> None:
        masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        run(self, start)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(runtime.Runtime, "run", watched)
    engine = Engine()
    assert engine.stop() == 0
    unblockable = {signal.SIGKILL, signal.SIGSTOP}
    assert masks[0] >= set(signal.Signals) - unblockable - {signal.SIGRTMIN, signal.SIGRTMAX}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_loop_that_fails_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)

        def fail(_links: Any) -> None:
            raise SystemExit("a fault that nothing catches")

        monkeypatch.setattr(_core, "send_waiting_audio", fail)
        assert call.ending() == ("ERROR", "the engine's loop has failed")
        assert engine.stop() == 0
        assert "a fault that nothing catches" in engine.text()
        with pytest.raises(OSError, match="open"):
            engine.call(settings=service.settings())
        call.release()


def test_a_loop_that_does_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And if it comes up after all, it ends."""
    held, over = threading.Event(), threading.Event()
    thread = runtime._loop_thread

    def late(start: runtime.Start) -> None:
        held.wait(EVENT)
        thread(start)
        over.set()

    monkeypatch.setattr(runtime, "_loop_thread", late)
    with pytest.raises(TimeoutError, match=r"self-test within 0\.1 s"):
        runtime.start(0.1)
    number = runtime.starts()
    assert runtime.interruptible(number)
    assert runtime.interruptible(number - 1) == []
    held.set()
    assert over.wait(EVENT)
    assert runtime.interruptible(number) == []


def test_an_end_that_is_wished_for_as_the_self_test_passes_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its loop would go on for ever: a second wish is no other than the first."""
    converse = selftest.converse

    async def then_stopped(loop: selftest.Loop) -> None:
        await converse(loop)
        _core.stop_engine(0)
        loop.woken()  # type: ignore[attr-defined]

    monkeypatch.setattr(selftest, "converse", then_stopped)
    runtime.start(EVENT)
    assert _core.stop_engine(int(1000 * EVENT))


def test_another_start_is_not_abandoned(engine: Engine) -> None:
    """Whoever gives a start up may come late."""
    runtime.abandon(runtime.starts() - 1)
    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        call.release()
        service.outcome()


def test_who_comes_after_an_end_of_all_is_not_meant(engine: Engine) -> None:
    """The loop may look at both in one go."""
    hold, held = threading.Event(), threading.Event()

    def busy() -> None:
        held.set()
        hold.wait(EVENT)

    with Service(talk_until_closed) as service:
        first = engine.call(settings=service.settings())
        first.wait(TALKING)
        loop = next(iter(_loops()))
        loop.call_soon_threadsafe(busy)
        assert held.wait(EVENT)
        engine.ops.end_all(11, b"unloaded")
        second = engine.call(settings=service.settings())
        hold.set()
        assert first.ending()[0] == "UNLOADED"
        second.wait(TALKING)
        first.release()
        second.release()
        service.outcome()


def _loops() -> list[asyncio.AbstractEventLoop]:
    """The engine's loop: the one that runs. Those of earlier engines may still be there."""
    # Not isinstance(): among all objects there are proxies of dead ones.
    found = [each._loop for each in gc.get_objects() if type(each) is runtime.Runtime]
    return [loop for loop in found if loop.is_running()]


def test_a_second_loop_is_refused(engine: Engine) -> None:
    """A build starts once: a second loop would take the sessions of the first."""
    with pytest.raises(OSError, match="still runs"):
        runtime.start(EVENT)
    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        call.release()
        service.outcome()


def test_a_host_of_another_contract_is_refused(engine: Engine) -> None:
    engine.host.abi_version += 1
    assert engine.ops.attach(engine.host) == -1
    engine.host.abi_version -= 1
    engine.host.size -= 1
    assert engine.ops.attach(engine.host) == -1


def test_without_a_host_nothing_is_logged() -> None:
    engine = Engine()
    assert engine.stop() == 0
    before = engine.text()
    _core.log(0, "", "nobody hears this")
    assert engine.text() == before


# ---- Finishing: another generation is in service ----


def wait_ended(engine: Engine) -> None:
    until = time.monotonic() + EVENT
    while engine.ops.running():
        assert time.monotonic() < until, "the loop has not ended"
        time.sleep(0.001)


def test_finish_without_sessions_ends_the_loop() -> None:
    engine = Engine()
    engine.ops.finish()
    wait_ended(engine)
    assert engine.ops.stop(0) == 0


def test_finish_waits_for_the_last_session() -> None:
    """The conversation goes on: the loop has seen the wish when the answer has come."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.hear(160)
        await agent.speak(b"\x11" * 160)
        await agent.closed()

    engine = Engine()
    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        engine.ops.finish()
        with pytest.raises(OSError, match="open"):
            engine.call(settings=service.settings())
        assert call.push(bytes(160)) == 160
        assert call.hear(160) == b"\x11" * 160
        assert engine.ops.running()
        call.release()
        service.outcome()
    wait_ended(engine)
    assert engine.stop() == 0


def test_stop_overrules_finish() -> None:
    engine = Engine()
    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        engine.ops.finish()
        engine.ops.stop(0)  # it may have ended by the time that this looks
        assert call.ending()[0] == "UNLOADED"
        call.release()
        service.outcome()
    wait_ended(engine)
    engine.ops.finish()
    assert engine.stop() == 0


def test_stop_without_a_limit_keeps_the_host_until_the_end() -> None:
    """Whoever is only asked to stop may still have something to say."""
    engine = Engine()
    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings() | {"debug": "yes"})
        call.wait(TALKING)
        lines = len(engine.lines)
        engine.ops.stop(0)
        call.ending()
        call.release()
        service.outcome()
    wait_ended(engine)
    assert len(engine.lines) > lines
    assert engine.ops.stop(0) == 0


def test_stop_gives_up_on_a_loop_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung engine hangs nobody: stop returns at its limit and says so."""
    engine = Engine()
    hang, free = threading.Event(), threading.Event()

    def stuck(_links: Any) -> None:
        hang.set()
        free.wait(EVENT)

    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        monkeypatch.setattr(_core, "send_waiting_audio", stuck)
        assert hang.wait(EVENT)
        assert engine.stop(0.2) == -1
        monkeypatch.undo()
        free.set()
        assert engine.stop() == 0
        call.release()

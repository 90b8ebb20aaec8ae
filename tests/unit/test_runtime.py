"""The loop thread: how it starts, how it ends, and what it leaves behind."""

from __future__ import annotations

import gc
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from pyconvai import _core, runtime
from tests.timing import SECOND
from tests.unit.engine import TALKING, Engine
from tests.unit.service import Conversation, Service


async def talk_until_closed(agent: Conversation) -> None:
    await agent.next()
    await agent.metadata()
    await agent.closed()


def test_the_engine_starts_again_after_a_stop() -> None:
    """As often as the module is unloaded and loaded, with nothing left over."""
    threads, descriptors = [], []
    for _ in range(5):
        engine = Engine()
        with Service(talk_until_closed) as service:
            call = engine.call(settings=service.settings())
            call.wait(TALKING)
            assert engine.stop() == 0
            assert call.ending()[0] == "UNLOADED"
            call.release()
            service.outcome()
        gc.collect()
        threads.append(threading.active_count())
        descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
    assert len(set(threads[1:])) == 1
    assert len(set(descriptors[1:])) == 1


def test_the_loop_thread_gets_no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals are Asterisk's: none may be delivered to a thread of ours."""
    masks: list[set[int]] = []
    run = runtime.Runtime.run

    def watched(self: runtime.Runtime, ready: threading.Event) -> None:
        masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        run(self, ready)

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

    def late(ready: threading.Event) -> None:
        held.wait(10 * SECOND)
        thread(ready)
        over.set()

    monkeypatch.setattr(runtime, "_loop_thread", late)
    monkeypatch.setattr(runtime, "START_SECONDS", 0.1)
    with pytest.raises(RuntimeError, match="did not start"):
        Engine()
    held.set()
    assert over.wait(10 * SECOND)


def test_a_module_of_another_contract_is_refused() -> None:
    engine = Engine()
    assert engine.stop() == 0
    engine.host.abi_version += 1
    capsule = engine.host_capsule()
    with pytest.raises(RuntimeError, match="contract version"):
        runtime.start(capsule)


def test_stop_gives_up_on_a_loop_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung engine hangs nobody: stop returns at its limit and says so."""
    engine = Engine()
    hang, free = threading.Event(), threading.Event()

    def stuck(_links: Any) -> None:
        hang.set()
        free.wait(20 * SECOND)

    with Service(talk_until_closed) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        monkeypatch.setattr(_core, "send_waiting_audio", stuck)
        assert hang.wait(5 * SECOND)
        assert engine.stop(0.2) == -1
        monkeypatch.undo()
        free.set()
        assert engine.stop() == 0
        call.release()

"""Tools beside the call: what the engine does with jobs, and how each call is answered once."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyconvai import limits
from tests.timing import EVENT, MS
from tests.unit.engine import Engine, string
from tests.unit.service import Conversation
from tests.unit.test_hold import passed
from tests.unit.test_steps import DONE, FAILED, UNKNOWN, Scene, Script, calls, play
from tests.unit.test_tools import ask

TAKEN, NO_ROOM, REFUSED = range(3)
TOOL, STATE = range(2)
NOT, YET, LONG = range(3)


class Host:
    """The module's side of jobs: takes all, and ends none by itself."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.jobs, self.verdict = engine, list[Any](), TAKEN
        monkeypatch.setattr(engine, "begin_job", self._begin)

    def _begin(self, _session: Any, job: Any) -> int:
        if self.verdict == TAKEN:
            self.jobs.append(job)
        return self.verdict

    def wait(self, count: int) -> None:
        until = time.monotonic() + EVENT
        while len(self.jobs) < count:
            assert time.monotonic() < until, self.engine.text()
            time.sleep(0.001)

    def asked(self, number: int = 0) -> tuple[int, str, dict[str, str], int]:
        """Of a job: kind, tool, arguments, and its limit in ms."""
        self.wait(number + 1)
        job = self.jobs[number]
        given = [job.what.arguments[i] for i in range(job.what.argument_count)]
        arguments = {string(each.name): string(each.value) for each in given}
        return job.kind, string(job.what.tool), arguments, job.limit_ms

    def end(self, number: int, result: str, outcome: int = DONE) -> None:
        """From another thread than the loop's."""
        self.wait(number + 1)
        self.engine.ops.end_job(self.jobs[number], outcome, result.encode())

    def end_all(self) -> None:
        for number in range(len(self.jobs)):
            self.end(number, "late")


@pytest.fixture
def host(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(engine, monkeypatch)


def no_steps(scene: Scene, count: int) -> None:
    """The channel has no such extension, so often."""
    for _ in range(count):
        scene.channel.take()
        scene.channel.end("", UNKNOWN)


def with_channel(part: Callable[[Scene], None], count: int = 1) -> Callable[[Scene], None]:
    def whole(scene: Scene) -> None:
        no_steps(scene, count)
        part(scene)

    return whole


def test_a_tool_and_its_result(engine: Engine, host: Host) -> None:
    """The agent hears nothing of it: what it says is played meanwhile."""

    def part(scene: Scene) -> None:
        assert host.asked() == (TOOL, "look", {"order": "17", "text": "a b"}, 15_000)
        assert scene.call.poll().working == YET
        scene.call.hear(1600)
        host.end(0, '{"état": "ok"}')
        assert scene.answered("c1") == {"c1": ('{"état": "ok"}', False)}
        scene.wait(lambda: scene.call.poll().working == NOT, "not working")

    async def script(agent: Conversation) -> None:
        await ask(agent, "look", "c1", parameters={"order": 17, "text": "a;b"})
        await agent.speak(b"\x01" * 1600, 1)

    told = play(engine, script, with_channel(part))
    assert told.results() == {"c1": ('{"état": "ok"}', False)}, "told again at the end"


def test_outcomes(engine: Engine, host: Host) -> None:
    def part(scene: Scene) -> None:
        host.end(0, "broken", FAILED)
        host.end(1, "", UNKNOWN)
        found = scene.answered("c1", "c2")
        assert found["c1"] == ("broken", True)
        assert found["c2"][1]
        assert found["c2"][0].startswith("The phone system has no tool named fly")
        assert "no extension of steps_context or tools_context" in engine.text()

    play(engine, calls("look", "fly"), with_channel(part, 2))


@pytest.mark.parametrize(
    ("verdict", "told"),
    [(NO_ROOM, "too many tools under way"), (REFUSED, "could not be begun")],
)
def test_what_is_not_taken(engine: Engine, host: Host, verdict: int, told: str) -> None:
    host.verdict = verdict

    def part(scene: Scene) -> None:
        text, is_error = scene.answered("c1")["c1"]
        assert is_error
        assert told in text

    play(engine, calls("look"), with_channel(part))


def test_too_late(engine: Engine, host: Host) -> None:
    """Answered at the limit, once; the call counts until it has ended."""

    def part(scene: Scene) -> None:
        text = "look took too long and was given up."
        assert scene.answered("c1") == {"c1": (text, True)}
        scene.service.tell(answered)
        no_steps(scene, 1)
        host.wait(2)
        host.end(0, "17")
        host.end(1, "18")
        assert scene.answered("c1", "c2")["c2"] == ("18", False)
        assert "17" not in str(scene.told.messages)

    answered = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await ask(agent, "look", "c1")
        await passed(answered)
        await ask(agent, "look", "c2")

    play(engine, script, with_channel(part), tool_timeout="3")


def test_so_many_at_once(engine: Engine, host: Host) -> None:
    """Of one conversation, those that were given up among them."""
    most = limits.TOOLS_AT_ONCE

    def part(scene: Scene) -> None:
        found = scene.answered(*(f"c{i}" for i in range(1, most + 1)))
        assert {text for text, _ in found.values()} == {"look took too long and was given up."}
        no_steps(scene, 1)
        text, _ = scene.answered(f"c{most + 1}")[f"c{most + 1}"]
        assert text.startswith("Too many tools at once: 8 have not ended yet.")
        host.end_all()

    async def script(agent: Conversation) -> None:
        for number in range(1, most + 1):
            await ask(agent, "look", f"c{number}")
        await asyncio.to_thread(host.wait, most)
        # What becomes of it the channel says when all have been given up.
        await ask(agent, "one_more", f"c{most + 1}")

    play(engine, script, with_channel(part, most), tool_timeout="1")


def test_200_at_once(engine: Engine, host: Host) -> None:
    """Each is answered once, by its result or by what is too much."""

    def part(scene: Scene) -> None:
        stop = threading.Event()

        def end() -> None:
            ended = 0
            while not stop.is_set():
                for number in range(ended, len(host.jobs)):
                    host.end(number, "found")
                    ended = number + 1
                if scene.channel.ops.take_step(scene.call.session):
                    scene.channel.end("", UNKNOWN)
                time.sleep(0.001)

        thread = threading.Thread(target=end)
        thread.start()
        try:
            found = scene.answered(*(f"c{i}" for i in range(1, 201)))
        finally:
            stop.set()
            thread.join()
        assert len(found) == 200
        assert ("found", False) in found.values()

    play(engine, calls(*["look"] * 200), part)


def test_the_end_of_the_conversation(engine: Engine, host: Host) -> None:
    """What is open is answered before the close; what comes later is dropped."""

    def part(scene: Scene) -> None:
        host.wait(1)
        scene.call.hangup()
        assert scene.answered("c1") == {"c1": ("The conversation is over.", True)}

    told = play(engine, calls("look"), with_channel(part))
    host.end(0, "17")
    assert "17" not in str(told.messages)


def test_a_job_that_ends_after_its_engine(host: Host, engine: Engine) -> None:
    """Nobody waits for it, and nothing of it is left (the sanitizers see to that)."""

    def part(scene: Scene) -> None:
        host.wait(1)
        scene.call.hangup()

    play(engine, calls("look"), with_channel(part))
    assert engine.stop() == 0
    host.end(0, "17")


def test_when_steps_are_used_up(engine: Engine, host: Host) -> None:
    """Look-ups go on; what is no look-up is told so."""

    def part(scene: Scene) -> None:
        host.end(0, "found")
        host.end(1, "", UNKNOWN)
        found = scene.answered("c1", "c2")
        assert found["c1"] == ("found", False)
        assert found["c2"][0] == "pay is refused: this call has had 0 steps, which is the most."

    play(engine, calls("look", "pay"), part, steps_max="0")


def test_what_is_built_in_when_steps_are_used_up(engine: Engine, host: Host) -> None:
    """The channel's tools are steps, too: nobody looks for one elsewhere."""

    def part(scene: Scene) -> None:
        text = "transfer_call is refused: this call has had 0 steps, which is the most."
        assert scene.answered("c1") == {"c1": (text, True)}
        assert not host.jobs

    script = calls("transfer_call", parameters={"destination": "100"})
    play(engine, script, part, steps_max="0", transfer_allow="100")


def test_a_result_that_is_late_is_told_again(
    engine: Engine, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESULT_SECONDS", 0.01)

    def part(scene: Scene) -> None:
        host.wait(1)
        time.sleep(20 * MS)
        host.end(0, "17")
        scene.answered("c1")
        scene.wait(scene.told.contexts, "context")
        (context,) = scene.told.contexts()
        assert re.fullmatch(r"look has ended after \d+ s: 17", context)

    play(engine, calls("look"), with_channel(part))


def test_what_the_channel_is_told(engine: Engine, host: Host) -> None:
    """While a tool is under way, and when it has taken long; of the longest, if there are two."""

    def part(scene: Scene) -> None:
        host.wait(2)
        scene.wait(lambda: scene.call.poll().working == LONG, "working for long")
        host.end(0, "1")
        scene.answered("c1")
        scene.wait(lambda: scene.call.poll().working == LONG, "the other for long as well")
        host.end(1, "2")
        scene.wait(lambda: scene.call.poll().working == NOT, "not working")

    play(engine, calls("look", "look"), with_channel(part, 2), filler_after_ms="50")


# ---- get_state ----


def states(name: Any) -> Script:
    return calls("get_state", parameters={"name": name})


def test_a_state(engine: Engine, host: Host) -> None:
    def part(scene: Scene) -> None:
        assert host.asked()[:2] == (STATE, "100@hints")
        host.end(0, "INUSE")
        assert scene.answered("c1") == {"c1": ("INUSE", False)}

    play(engine, states("100@hints"), part, get_state_allow="sales,1*@hints")


def test_a_state_that_cannot_be_told(engine: Engine, host: Host) -> None:
    def part(scene: Scene) -> None:
        host.end(0, "The phone system has no queue sales.", FAILED)
        assert scene.answered("c1") == {"c1": ("The phone system has no queue sales.", True)}

    play(engine, states("sales"), part, get_state_allow="*")


@pytest.mark.parametrize("name", ["100@hints", "sales)", "a,b", "${X}", "x" * 81, "", "a b"])
def test_a_state_that_is_not_to_be_asked_for(engine: Engine, host: Host, name: str) -> None:
    """Whatever the key admits, nothing gets into a function's argument that it would act upon."""

    def part(scene: Scene) -> None:
        text, is_error = scene.answered("c1")["c1"]
        assert is_error
        assert "is not among what agents may ask the state of." in text
        assert not host.jobs

    play(engine, states(name), part, get_state_allow="sales" if "@" in name else "*")

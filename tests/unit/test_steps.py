"""Steps: what the engine does while the dialplan has the channel, and how each call is answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from pyconvai import limits
from pyconvai.conversation import steps
from pyconvai.conversation.effects import CallTool
from pyconvai.conversation.sent import Say
from pyconvai.conversation.tools import admits
from tests.timing import EVENT, MS, SECOND
from tests.unit.engine import ENDED, TALKING, Call, Engine, ffi, string
from tests.unit.service import Conversation, Service
from tests.unit.test_tools import ask

UNKNOWN, DONE, FAILED = range(3)
Script = Callable[[Conversation], Any]


class Channel:
    """The channel thread's side of a call's steps."""

    def __init__(self, call: Call) -> None:
        self.call, self.ops = call, call.engine.ops

    def take(self, seconds: float = EVENT) -> tuple[str, dict[str, str]]:
        """Wait for a step that the agent wants: (tool, arguments)."""
        until = time.monotonic() + seconds
        while (step := self.ops.take_step(self.call.session)) == ffi.NULL:
            assert time.monotonic() < until, self.call.engine.text()
            time.sleep(0.001)
        given = [step.arguments[i] for i in range(step.argument_count)]
        return string(step.tool), {string(each.name): string(each.value) for each in given}

    def begin(self) -> int:
        return int(self.ops.begin_step(self.call.session))

    def end(self, result: str = "", outcome: int = DONE) -> None:
        self.ops.end_step(self.call.session, outcome, result.encode())


class Agent:
    """What an agent was sent, by type; audio as bytes."""

    def __init__(self) -> None:
        self.audio = bytearray()
        self.messages: list[dict[str, Any]] = []

    async def listen(self, agent: Conversation) -> None:
        """Take all that comes."""
        self.audio = agent.audio
        while True:
            self.messages.append(await agent.next())

    def results(self) -> dict[str, tuple[str, bool]]:
        """By id: what was answered; fails where one was answered twice."""
        told = [each for each in self.messages if each["type"] == "client_tool_result"]
        answers = {each["tool_call_id"]: (each["result"], each["is_error"]) for each in told}
        assert len(answers) == len(told), told
        return answers

    def contexts(self) -> list[str]:
        """What it was told besides."""
        return [each["text"] for each in self.messages if each["type"] == "contextual_update"]


class Scene:
    """A conversation whose agent does what ``tell`` says, and its channel."""

    def __init__(self, engine: Engine, service: Service, told: Agent, **settings: str) -> None:
        self.service, self.told = service, told
        self.call = engine.call(
            settings=service.settings(**{"tools": "*", "debug": "yes"} | settings)
        )
        self.call.wait(TALKING)
        self.channel = Channel(self.call)

    def wait(self, reached: Callable[[], Any], what: str) -> None:
        until = time.monotonic() + EVENT
        while not reached():
            assert time.monotonic() < until, f"{what}: {self.told.messages}"
            time.sleep(0.002)

    def answered(self, *ids: str) -> dict[str, tuple[str, bool]]:
        """Wait until these calls have been answered; all answers."""
        self.wait(lambda: set(ids) <= set(self.told.results()), f"answers to {ids}")
        return self.told.results()


def play(engine: Engine, script: Script, part: Callable[[Scene], None], **settings: str) -> Agent:
    """A conversation: the agent's part is the script, the channel's is ``part``."""
    told = Agent()

    async def whole(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        listening = asyncio.get_running_loop().create_task(told.listen(agent))
        try:
            await script(agent)
            with suppress(ConnectionClosed):  # all that was sent has been read by then
                await listening
        finally:
            listening.cancel()

    with Service(whole) as service:
        scene = Scene(engine, service, told, **settings)
        try:
            part(scene)
        finally:
            scene.call.release()
    return told


def calls(*names: str, **more: Any) -> Script:
    async def script(agent: Conversation) -> None:
        for number, name in enumerate(names, 1):
            await ask(agent, name, f"c{number}", **more)

    return script


def test_a_step_and_its_result(engine: Engine) -> None:
    """It is answered with what the dialplan says, once."""

    def part(scene: Scene) -> None:
        assert scene.channel.take() == ("pay", {"amount": "12.5", "who": "Anna B", "all": "true"})
        assert scene.channel.begin() == 0
        scene.channel.end('{"paid": true}')
        assert scene.answered("c1") == {"c1": ('{"paid": true}', False)}

    parameters = {"amount": 12.5, "who": 'Anna\n"B")', "all": True, "none": None}
    play(engine, calls("pay", parameters=parameters), part)


def test_deaf_and_mute(engine: Engine) -> None:
    """The agent hears silence at real time, and nothing of its own is played or kept."""
    spoken = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await agent.speak(b"\x01" * 1600, 1)
        await ask(agent, "pay", "c1")
        await spoken.wait()
        await agent.speak(b"\x02" * 1600, 1)
        await agent.speak(b"\x03" * 1600, 2)

    def part(scene: Scene) -> None:
        call, channel = scene.call, scene.channel
        channel.take()
        assert call.hear(1600)
        call.say(b"\x55" * 800)
        scene.wait(lambda: len(scene.told.audio) == 800, "the caller before")
        before = time.monotonic()
        channel.begin()
        scene.wait(lambda: len(scene.told.audio) > 800, "silence")
        began = time.monotonic()
        scene.service.tell(spoken)
        scene.wait(lambda: call.counters().stale_dropped_bytes >= 3200, "the agent's audio")
        # Not all at once in the end.
        scene.wait(lambda: len(scene.told.audio) - 800 >= 4000, "half a second of silence")
        assert call.queued == 0
        least = time.monotonic() - began
        channel.end("done")
        scene.answered("c1")
        most = time.monotonic() - before
        call.say(b"\x66" * 800)
        scene.wait(lambda: scene.told.audio.endswith(b"\x66" * 800), "the caller after")
        silence = scene.told.audio[800:-800]
        assert set(silence) == {0xFF}
        assert least - 100 * MS < len(silence) / 8000 < most + 100 * MS
        assert call.queued == 0

    play(engine, script, part)


def test_the_agent_is_kept_quiet(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in hold; and a message of somebody else's waits for the end of the step."""
    monkeypatch.setattr(limits, "ACTIVITY_SECONDS", 0.05)

    def part(scene: Scene) -> None:
        def told(kind: str) -> int:
            return [each["type"] for each in scene.told.messages].count(kind)

        scene.channel.take()
        scene.channel.begin()
        scene.wait(lambda: told("user_activity") >= 3, "activity")
        scene.call.send(Say.MESSAGE, "Are you there?")
        scene.call.send(Say.CONTEXT, "It rings.")
        scene.wait(lambda: told("contextual_update"), "context")
        assert not told("user_message")
        scene.channel.end("done")
        scene.wait(lambda: told("user_message"), "message")
        types = [each["type"] for each in scene.told.messages]
        assert types.index("client_tool_result") < types.index("user_message")

    play(engine, calls("pay"), part)


def test_one_after_the_other(engine: Engine) -> None:
    """Several calls at once, and each is answered once."""

    def part(scene: Scene) -> None:
        for number in range(1, 4):
            assert scene.channel.take()[0] == f"x{number}"
            assert scene.channel.begin() == 0
            assert scene.call.engine.ops.take_step(scene.call.session) == ffi.NULL
            scene.channel.end(f"r{number}")
        answers = scene.answered("c1", "c2", "c3")
        assert answers == {f"c{number}": (f"r{number}", False) for number in range(1, 4)}

    play(engine, calls("x1", "x2", "x3"), part)


def test_so_many_at_once(engine: Engine) -> None:
    """One runs and so many wait; more are refused at once, and each is answered once."""
    most = limits.TOOLS_AT_ONCE
    names = [f"x{number}" for number in range(1, most + 3)]

    def part(scene: Scene) -> None:
        text, is_error = scene.answered(f"c{most + 2}")[f"c{most + 2}"]
        assert is_error
        assert text == f"Too many tools at once: {most} wait already. Try again later."
        for name in names[:-1]:
            assert scene.channel.take()[0] == name
            scene.channel.begin()
            scene.channel.end(name)
        scene.answered(*(f"c{number}" for number in range(1, most + 3)))

    play(engine, calls(*names), part)


def test_a_tool_that_the_dialplan_has_not(engine: Engine) -> None:
    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.end("", UNKNOWN)
        text, is_error = scene.answered("c1")["c1"]
        assert is_error
        assert text == "The phone system has no tool named fly; there are: end_call."
        assert (
            "tool fly is no extension of steps_context or tools_context" in scene.call.engine.text()
        )

    play(engine, calls("fly"), part)


def test_a_step_that_failed(engine: Engine) -> None:
    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.begin()
        scene.channel.end("It could not be run.", FAILED)
        assert scene.answered("c1") == {"c1": ("It could not be run.", True)}

    play(engine, calls("pay"), part)


@pytest.mark.parametrize(
    "name",
    ["_X", "a b", "a,b", "a(b", "x" * 65, "-a", "${x}", "", "h", "s", "T", "911", "0043-1", "../a"],
)
def test_a_name_that_is_no_extension(engine: Engine, name: str) -> None:
    """It never reaches the channel: nor do Asterisk's own extensions, and numbers."""

    def part(scene: Scene) -> None:
        assert scene.answered("c1")["c1"][1]
        assert scene.call.engine.ops.take_step(scene.call.session) == ffi.NULL

    play(engine, calls(name), part)


@pytest.mark.parametrize("name", ["x", "ss", "pay-2_b", "x" * 64])
def test_a_name_that_may_be_an_extension(name: str) -> None:
    assert steps.TOOL_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "parameters",
    [
        {"a-b": 1},
        {"a b": 1},
        {"": 1},
        {"ä": 1},
        {"x" * 65: 1},
        {f"a{n}": 1 for n in range(33)},
        {"deep": json.loads("[" * 300 + "]" * 300)},
    ],
)
def test_parameters_that_cannot_be_variables(engine: Engine, parameters: Any) -> None:
    def part(scene: Scene) -> None:
        text, is_error = scene.answered("c1")["c1"]
        assert is_error
        assert "parameter" in text

    play(engine, calls("pay", parameters=parameters), part)


@pytest.mark.parametrize(
    "value",
    ["a\r\nb", "${SHELL(x)}", 'a",b', "a)b(c", "$[1+1]", "a;b|c&d", "x" * 5000, {"a": ["$", 1]}],
)
def test_a_value_is_harmless(value: Any) -> None:
    ((_, text),) = steps.arguments({"a": value})
    assert len(text) <= 1000
    assert not set(text) & set("\r\n\t$\"'(){}[],;|&<>\\`")


def test_so_many_in_a_call(engine: Engine) -> None:
    """The last is refused, in words that an agent understands; others go on."""

    def part(scene: Scene) -> None:
        for _ in range(2):
            scene.channel.take()
            scene.channel.begin()
            scene.channel.end("done")
        text, is_error = scene.answered("c1", "c2", "c3")["c3"]
        assert is_error
        assert text == "pay is refused: this call has had 2 steps, which is the most."

    play(engine, calls("pay", "pay", "pay"), part, steps_max="2")


def test_a_channel_that_does_not_take_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent gets its answer, and what it was told is not done later."""
    monkeypatch.setattr(limits, "STEP_BEGIN_SECONDS", 1 * SECOND)  # in which a step is taken

    def part(scene: Scene) -> None:
        given_up = ("x1 could not be begun and was given up.", True)
        assert scene.answered("c1")["c1"] == given_up
        assert scene.channel.take()[0] == "x2"
        assert scene.answered("c2")["c2"][1]
        assert scene.channel.begin() == -1
        assert scene.answered("c3")["c3"][1]  # the channel has not let go of the one before
        scene.channel.end("late", FAILED)
        assert scene.answered("c1", "c2", "c3")["c1"] == given_up

    play(engine, calls("x1", "x2", "x3"), part)


def test_a_fault_in_one_call_is_not_the_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that has it ends; who looks behind it gets its result."""
    look, broken = steps.Steps.look, list[steps.Steps]()

    def fails(self: steps.Steps) -> None:
        if not broken:
            broken.append(self)
        if self in broken:
            raise RuntimeError("planted")
        look(self)

    def part(scene: Scene) -> None:
        def beside(other: Scene) -> None:
            other.channel.take()
            assert other.channel.begin() == 0
            monkeypatch.setattr(steps.Steps, "look", fails)
            other.channel.end("paid")
            assert other.answered("c1") == {"c1": ("paid", False)}

        scene.channel.take()
        play(engine, calls("pay"), beside)
        assert scene.call.ending()[1].startswith("fault in the engine: RuntimeError")

    play(engine, calls("pay"), part)


def test_a_step_that_cannot_be_offered() -> None:
    """There is no memory for it: the agent is told so, and not left to wait."""

    class Full:
        """A handle without memory."""

        step_free = True

        def offer_step(self, *_: object) -> bool:
            return False

    told: list[tuple[str, bool]] = []
    ours = steps.Steps(
        Full(),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        20,
        tell=lambda call, text, is_error: told.append((text, is_error)),
        unknown=lambda call: None,
        refused=lambda call, text: None,
        changed=lambda: None,
        late=lambda text: None,
    )

    async def scene() -> None:
        ours.ask(CallTool("pay", "c1", {}))

    asyncio.run(scene())
    assert told == [("pay could not be begun.", True)]


def test_a_result_that_comes_late(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service has gone on without it: it is told as context as well."""
    monkeypatch.setattr(limits, "RESULT_SECONDS", 0.1 * SECOND)

    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.begin()
        time.sleep(0.2 * SECOND)
        scene.channel.end("DIALSTATUS=BUSY")
        scene.answered("c1")
        scene.wait(scene.told.contexts, "context")
        (context,) = scene.told.contexts()
        assert re.fullmatch(r"call has ended after \d+ s: DIALSTATUS=BUSY", context)

    play(engine, calls("call"), part)


def test_the_call_ends_in_a_step(engine: Engine) -> None:
    """The caller hangs up: what was asked for is answered, running or waiting."""

    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.begin()
        scene.wait(lambda: "step x1 begins" in scene.call.engine.text(), "the step")
        scene.wait(lambda: '"x2"' in scene.call.engine.text(), "the other call")
        scene.call.hangup()
        assert scene.call.ending()[0] == "HANGUP"
        assert scene.answered("c1", "c2") == {
            "c1": ("The conversation is over.", False),
            "c2": ("The conversation is over.", True),
        }
        scene.channel.end("late")

    play(engine, calls("x1", "x2"), part)


def test_the_conversation_ends_before_the_step_begins(engine: Engine) -> None:
    """The agent was told that it is not done, so it is not done later."""
    over = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await ask(agent, "pay", "c1")
        await over.wait()
        await agent.connection.close(1000)

    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.service.tell(over)
        assert scene.call.wait(ENDED)
        assert scene.channel.begin() == -1
        scene.channel.end("", FAILED)

    play(engine, script, part)


def test_a_tool_of_an_attempt_that_failed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt does not do what was asked before the first was refused."""
    monkeypatch.setattr(limits, "HOST_DELAY_SECONDS", EVENT)
    attempts = itertools.count()

    async def script(agent: Conversation) -> None:
        await agent.next()
        if not next(attempts):
            await ask(agent, "pay", "c1")
            await agent.connection.close(1011, "try another")
            return
        await agent.metadata()
        await agent.connection.wait_closed()

    with Service(script) as service:
        settings = service.settings(tools="*", base_url=f"{service.url},{service.url}/b")
        call = engine.call(settings=settings)
        call.wait(TALKING)
        time.sleep(0.2 * SECOND)
        assert call.engine.ops.take_step(call.session) == ffi.NULL
        call.release()
    assert next(attempts) == 2


def test_max_duration_waits_for_the_step(engine: Engine) -> None:
    """The time goes on, and the call ends when the step does, with its answer."""

    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.begin()
        scene.wait(lambda: "step pay begins" in scene.call.engine.text(), "the step")
        time.sleep(2.2)
        assert scene.call.poll().state == TALKING
        scene.channel.end("done")
        assert scene.call.ending() == ("TIMEOUT", "max_duration (2 s) reached")
        assert scene.answered("c1") == {"c1": ("done", False)}

    play(engine, calls("pay"), part, max_duration="2")


def test_the_service_ends_in_a_step(engine: Engine) -> None:
    begun = asyncio.Event()

    async def script(agent: Conversation) -> None:
        await ask(agent, "pay", "c1")
        await begun.wait()
        await agent.connection.close(1000)

    def part(scene: Scene) -> None:
        scene.channel.take()
        assert scene.channel.begin() == 0
        scene.service.tell(begun)
        assert scene.call.wait(ENDED)
        scene.channel.end("late")

    play(engine, script, part)


@pytest.mark.parametrize(
    ("names", "name", "is_admitted"),
    [
        ("end_call", "end_call", True),
        ("end_call", "pay", False),
        ("none", "none", False),
        ("*", "pay", True),
        ("pay_*,end_call", "pay_card", True),
        ("pay_*,end_call", "pay", False),
        ("*_card", "pay_card", True),
    ],
)
def test_who_may_call_what(names: str, name: str, is_admitted: bool) -> None:
    assert admits(names, name) == is_admitted

"""Transfers, digits and variables: what the engine makes of a call, and what it goes on with."""

from __future__ import annotations

from typing import Any

import pytest

from pyconvai import limits
from pyconvai.conversation import channel_tools
from pyconvai.conversation.channel_tools import CHANNEL_TOOLS, Kind, Refused
from pyconvai.conversation.tools import on_channel
from pyconvai.service.settings import Settings
from tests.timing import SECOND
from tests.unit.engine import Engine, ffi
from tests.unit.test_steps import DONE, FAILED, Scene, calls, play
from tests.unit.test_tools import ask

REFUSED = 3
ODD = "The parameter destination must have 1 to 120"
UNKNOWN = "There is a parameter that it does not have"
ALL = {"transfer_allow": "100", "set_variable_allow": "a", "tools": "*,send_dtmf"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ""),
        ({"tools": "*"}, ""),
        ({"tools": "transfer_call,set_variable"}, ""),
        ({"transfer_allow": "100", "set_variable_allow": "a"}, ""),
        (
            {"tools": "transfer_*", "transfer_allow": "100", "set_variable_allow": "a"},
            "transfer_call",
        ),
        ({"tools": "send_dtmf"}, "send_dtmf"),
        ({"tools": "send_*"}, ""),
        ({"tools": "none", "transfer_allow": "100"}, ""),
        (ALL, "transfer_call,send_dtmf,set_variable"),
    ],
)
def test_what_is_switched_on(settings: dict[str, str], names: str) -> None:
    """None of them at first, and tones only by their name."""
    assert ",".join(on_channel(Settings("a", **settings))) == names  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "parameters", "given"),
    [
        (
            "transfer_call",
            {"destination": " internal,2001,1 "},
            [("destination", "internal,2001,1")],
        ),
        ("transfer_call", {"destination": 2001, "reason": None}, [("destination", "2001")]),
        (
            "transfer_call",
            {"summary": "a\n${b}", "reason": "x" * 2000, "destination": "100"},
            [("destination", "100"), ("reason", "x" * 997 + "..."), ("summary", "a b")],
        ),
        ("send_dtmf", {"digits": "12w#"}, [("digits", "12w#")]),
        ("set_variable", {"name": "a", "value": "b;c\r\n"}, [("name", "a"), ("value", "b c")]),
        ("set_variable", {"name": "a", "value": ""}, [("name", "a"), ("value", "")]),
    ],
)
def test_parameters(name: str, parameters: dict[str, Any], given: list[tuple[str, str]]) -> None:
    assert channel_tools.arguments(CHANNEL_TOOLS[name], parameters) == given


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("transfer_call", {}, "The parameter destination is missing; it is text."),
        ("transfer_call", {"destination": ["100"]}, "The parameter destination must be text."),
        ("transfer_call", {"destination": True}, "The parameter destination must be text."),
        ("transfer_call", {"destination": "1", "to": "2"}, UNKNOWN),
        ("transfer_call", {"destination": ""}, ODD),
        ("transfer_call", {"destination": "100\nx"}, ODD),
        ("transfer_call", {"destination": "100\0"}, ODD),
        ("transfer_call", {"destination": "1" * 121}, ODD),
        ("transfer_call", {"destination": "ä"}, ODD),
        ("send_dtmf", {"digits": None}, "The parameter digits is missing; it is text."),
        ("set_variable", {"name": "a"}, "The parameter value is missing; it is text."),
        ("set_variable", {"name": "a", "value": 1.5}, "The parameter value must be text."),
    ],
)
def test_parameters_that_are_wrong(name: str, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        channel_tools.arguments(CHANNEL_TOOLS[name], parameters)
    assert str(refused.value).startswith(told)


def test_the_conversation_goes_on_beside_it(engine: Engine) -> None:
    """K1: the caller is heard, and what the agent says is kept."""

    async def script(agent: Any) -> None:
        await calls("transfer_call", parameters={"destination": "100", "reason": "x"})(agent)
        await agent.speak(b"\x01" * 1600, 1)

    def part(scene: Scene) -> None:
        assert scene.channel.take() == ("transfer_call", {"destination": "100", "reason": "x"})
        assert scene.channel.begin() == 0
        scene.call.push(b"\x05" * 320)
        scene.wait(lambda: b"\x05" * 320 in scene.told.audio, "the caller's audio")
        scene.wait(lambda: scene.call.engine.ops.queued(scene.call.session) == 1600, "the agent's")
        scene.channel.end("The transfer was refused (603).", FAILED)
        assert scene.answered("c1")["c1"] == ("The transfer was refused (603).", True)
        assert scene.call.engine.ops.queued(scene.call.session) == 1600

    told = play(engine, script, part, **ALL)
    assert bytes(told.audio).replace(b"\x05", b"") == b""  # no silence in place of the caller


def test_what_is_not_allowed(engine: Engine) -> None:
    """K2: the agent is told, the log says which key, and it counts for nothing."""

    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.end("Not to 100 (transfer_allow).", REFUSED)
        scene.channel.take()
        scene.channel.begin()
        scene.channel.end("It is set.", DONE)
        assert scene.answered("c1", "c2") == {
            "c1": ("Not to 100 (transfer_allow).", True),
            "c2": ("It is set.", False),
        }
        assert (
            "tool transfer_call is refused: Not to 100 (transfer_allow)."
            in scene.call.engine.text()
        )

    async def script(agent: Any) -> None:
        await calls("transfer_call", parameters={"destination": "100"})(agent)
        await ask(agent, "set_variable", "c2", parameters={"name": "a", "value": "b"})

    play(engine, script, part, **(ALL | {"steps_max": "1"}))


def test_the_answer_to_a_transfer_goes_before_the_end(engine: Engine) -> None:
    """The channel leaves at once: what it has said of the tool is not lost over it."""

    def part(scene: Scene) -> None:
        scene.channel.take()
        scene.channel.begin()
        scene.channel.end("The caller has been transferred.", DONE)
        scene.call.hangup()
        assert scene.answered("c1")["c1"] == ("The caller has been transferred.", False)

    play(engine, calls("transfer_call", parameters={"destination": "100"}), part, **ALL)


def test_one_that_is_off_is_looked_for_in_the_dialplan(engine: Engine) -> None:
    def part(scene: Scene) -> None:
        assert scene.channel.take() == ("send_dtmf", {"anything": "1"})
        scene.channel.end("", 0)
        text, is_error = scene.answered("c1")["c1"]
        assert is_error
        assert text.startswith("The phone system has no tool named send_dtmf")
        why = "no extension of steps_context or tools_context, and tools does not name it"
        assert why in scene.call.engine.text()

    play(engine, calls("send_dtmf", parameters={"anything": 1}), part)


def test_a_channel_that_does_not_begin_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STEP_BEGIN_SECONDS", 0.2 * SECOND)

    def part(scene: Scene) -> None:
        assert scene.answered("c1")["c1"][1]

    play(engine, calls("send_dtmf", parameters={"digits": "1"}), part, **ALL)


def test_the_kinds_are_the_contract_s() -> None:
    theirs = ffi.typeof("enum convai_step_kind").elements
    assert theirs == {kind.value: f"CONVAI_STEP_{kind.name}" for kind in Kind}
    assert {tool.kind for tool in CHANNEL_TOOLS.values()} == set(Kind) - {Kind.DIALPLAN}

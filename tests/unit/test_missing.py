"""A dynamic variable that a conversation lacks: the reason names what to set."""

from __future__ import annotations

import pytest

from pyconvai import limits
from pyconvai.service import missing
from pyconvai.service.endings import Status, from_close

FIRST = "Missing required dynamic variables in first message: "


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (FIRST + "{'name'}", "set the channel variable ELEVENLABS_VAR_name"),
        (
            "Missing required dynamic variables in tools: {'a', 'b_2'}",
            "set the channel variables ELEVENLABS_VAR_a, ELEVENLABS_VAR_b_2",
        ),
        (FIRST + '{"name"}', "set the channel variable ELEVENLABS_VAR_name"),
        (FIRST + "['name']", "set the channel variable ELEVENLABS_VAR_name"),
        (
            "missing required dynamic variable: {'name'}",
            "set the channel variable ELEVENLABS_VAR_name",
        ),
        (f"odd; {FIRST}{{'a', 'a'}}", "set the channel variable ELEVENLABS_VAR_a"),
        (FIRST + "{'a', '$(id)'}", "set the channel variables ELEVENLABS_VAR_a and 1 more"),
        (
            FIRST + "{'" + "', '".join(f"variable_{n}" for n in range(9)) + "'}",
            "set the channel variables ELEVENLABS_VAR_variable_0, ELEVENLABS_VAR_variable_1,"
            " ELEVENLABS_VAR_variable_2 and 6 more",
        ),
    ],
)
def test_the_reason_names_the_channel_variable(words: str, told: str) -> None:
    """S20."""
    for talking in (False, True):
        ending = from_close(1008, words, talking=talking)
        assert ending.status is Status.REJECTED
        assert ending.reason.endswith(f"; {told}"), ending.reason
        assert len(ending.reason) <= limits.MAX_REASON_BYTES


@pytest.mark.parametrize(
    "names",
    ["'$(x)'; System(id)'", "'${SHELL(id)}'", "'a\nb'", "'" + "x" * 10_000 + "'", "", "'é'", "'"],
)
def test_names_that_no_channel_variable_can_have(names: str) -> None:
    """S20: harmless and bounded."""
    ending = from_close(1008, f"{FIRST}{{{names}}}", talking=False)
    assert ending.reason.endswith("ELEVENLABS_VAR_<name> for each dynamic variable it names")
    assert len(ending.reason) <= limits.MAX_REASON_BYTES
    assert ending.reason.isprintable()


@pytest.mark.parametrize(
    "words",
    [
        "Missing required dynamic variable: name",
        "A tool is missing dynamic variables name, other",
        FIRST + "[name]",
    ],
)
def test_names_that_stand_in_the_open(words: str) -> None:
    """S20: they are read by people alone, who are told what to set all the same."""
    ending = from_close(1008, words, talking=False)
    assert ending.reason.endswith("ELEVENLABS_VAR_<name> for each dynamic variable it names")


@pytest.mark.parametrize("error", sorted(missing.ERRORS))
def test_the_type_of_an_error_tells_it_as_well(error: str) -> None:
    """S20."""
    ending = from_close(1008, "no words for it", talking=True, error=error)
    assert (ending.status, "ELEVENLABS_VAR_<name>" in ending.reason) == (Status.REJECTED, True)


def test_other_refusals_keep_their_remedy() -> None:
    ending = from_close(1008, "Override for field 'x' is not allowed by config", talking=False)
    assert "which overrides the agent allows" in ending.reason
    assert missing.remedy("Override for field 'x' is not allowed by config") == ""

"""What the agent is told when a call begins, from the dialplan and from elevenlabs.conf."""

from __future__ import annotations

import re

import pytest

from testbed.callers import place_call
from testbed.instance import Instance
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import configure, section

DIALPLAN = """\
[callers]
exten => sales_agent,1,Set(ELEVENLABS_VAR_postcode=01234)
 same => n,Set(_ELEVENLABS_JSON_items=[1, true, "a"])
 same => n,Set(ELEVENLABS_VAR_shop=from the dialplan)
 same => n,Set(ELEVENLABS_OVERRIDE_first_message=Grüß Gott!)
 same => n,Set(ELEVENLABS_OVERRIDE_speed=1.1)
 same => n,ElevenLabsConvAI(sales_agent)
"""
LONG = """\
[callers]
exten => sales_agent,1,Set(ELEVENLABS_VAR_file=${FILE(@)})
 same => n,Set(ELEVENLABS_VAR_pieces=${FILE(@,0,4000)}${FILE(@,4000,4000)})
 same => n,Set(ELEVENLABS_VAR_all=${FILE(@,0,4000)}${FILE(@,4000,4000)}${FILE(@,8000,4000)})
 same => n,Set(ELEVENLABS_VAR_short=${FILE(@,0,4094)})
 same => n,ElevenLabsConvAI(sales_agent)
"""
"""With the file at @, which holds LONG_TEXT."""
LONG_TEXT = "\u00e4" * 6000
AGENT = """\
title = "agent"
[agents.default]
format = "ulaw_8000"
first_message = "Good morning."
overrides = ["agent.first_message", "agent.language", "tts.speed"]
turns = []
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


def test_variables_and_overrides(pbx: Instance, agent: StartAgent) -> None:
    keys = {
        "var_shop": "from the file",
        "var_Region": "south",
        "json_open": "false",
        "json_rooms": '["a", 2]',
        "override_language": "de",
        "override_custom_llm_extra_body": '{"temperature": {"first": 0.5}}',
        "override_user_id": "customer 7",
    }
    with agent(AGENT) as mock:
        said = configure(pbx, section("sales_agent", mock.url, **keys))
        assert "reloaded successfully" in said
        place_call(pbx, "sales_agent", hangup_after=0.5)
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    init = session["init"]
    assert init["conversation_config_override"] == {
        "agent": {"first_message": "Grüß Gott!", "language": "de"},
        "tts": {"speed": 1.1},
    }
    assert init["custom_llm_extra_body"] == {"temperature": {"first": 0.5}}
    assert init["user_id"] == "customer 7"
    expected = {
        "postcode": "01234",
        "items": [1, True, "a"],
        "shop": "from the dialplan",
        "Region": "south",
        "open": False,
        "rooms": ["a", 2],
        "called_number": "sales_agent",
    }
    assert expected.items() <= init["dynamic_variables"].items()


def test_what_is_wrong_is_said_by_the_reload(pbx: Instance) -> None:
    keys = {"json_open": "{}", "override_speed": "fast", "override_tone": "x"}
    said = configure(pbx, section("sales_agent", "http://127.0.0.1:9", **keys))
    for words in (
        "elevenlabs.conf:5",
        "json_open = {}: allowed is JSON",
        "override_speed = fast: allowed is a number",
        "there is no override tone",
    ):
        assert words in said


def test_what_asterisk_cuts(pbx: Instance, agent: StartAgent) -> None:
    """H7: a value as long as what Asterisk cuts without a word is warned about."""
    file = pbx.folder / "long.txt"
    file.write_text(LONG_TEXT, encoding="utf-8")
    start = len(pbx.log())
    with agent(AGENT) as mock:
        configure(pbx, section("sales_agent", mock.url))
        pbx.reload_dialplan(LONG.replace("@", pbx.root.path(file)))
        place_call(pbx, "sales_agent", hangup_after=0.5)
    (session,) = mock.report["sessions"]
    told = session["init"]["dynamic_variables"]
    assert {name: len(told[name]) for name in ("file", "pieces", "all", "short")} == {
        "file": 4095 // 2, "pieces": 4000, "all": (8191 - len("ELEVENLABS_VAR_all=")) // 2,
        "short": 2047,
    }  # fmt: skip
    assert set("".join(told[name] for name in ("file", "pieces", "all"))) == {LONG_TEXT[0]}
    logged = pbx.log()[start:]
    assert re.findall(r"(ELEVENLABS_VAR_\w+) has \d+ bytes, which is where", logged) == [
        "ELEVENLABS_VAR_all", "ELEVENLABS_VAR_file",
    ]  # fmt: skip
    assert "${FILE(x,0,4000)}${FILE(x,4000,4000)}, or into elevenlabs.conf" in logged

"""A call for every value that ELEVENLABSSTATUS can have; a value without one fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Outcome, wait_results
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.timing import SECOND

PROJECT = Path(__file__).parents[2]
CONTRACT = PROJECT / "app_elevenlabs_convai" / "convai_ops.h"
NOT_YET = "(no agent can in this version)"
"""What the README says of a status that nothing leads to."""

AGENTS = """\
title = "statuses"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Hello.", sound = "noise:1:600" }
[agents.ends]
like = "default"
turns = [{ wait_ms = 0, say = { text = "Goodbye.", sound = "noise:2:200" }, end = true }]
[agents.refuses]
like = "default"
faults = [{ name = "close", stage = "open", code = 1008, reason = "Field required" }]
[agents.full]
like = "default"
faults = [{ name = "close", stage = "init", code = 4300, reason = "too many" }]
[agents.one-key]
like = "default"
api_keys = ["another key"]
[agents.hands-over]
like = "default"
turns = [{ wait_ms = 0, tool = { name = "hand_over" }, say_after_tool = { text = "No." } }]
[agents.breaks]
like = "default"
faults = [{ name = "drop", stage = "greeting" }]
"""

STEP = """\
[elevenlabs-steps]
exten => hand_over,1,Set(ELEVENLABS(end)=TRANSFER)
 same => n,Return()
"""

CASES = {
    "AGENT_ENDED": ("ends", {}, "the agent ended the conversation"),
    "HANGUP": ("leaves", {}, "the caller hung up"),
    "TIMEOUT": ("lasts", {"max_duration": "1"}, "max_duration (1 s)"),
    "LIMIT": ("full", {}, "4300"),
    "AUTH": ("one-key", {}, "HTTP 401"),
    "REJECTED": ("refuses", {}, "Field required"),
    "UNREACHABLE": ("away", {"base_url": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    "ERROR": ("breaks", {}, "broke"),
    "TRANSFER": ("hands-over", {"tools": "hand_over"}, "handed the caller over"),
    "UNLOADED": ("stays", {}, "unloaded"),
    "NOAGENT": ("nobody", {}, "nobody"),
}
"""By status: the agent, further keys of its section, and what the reason or its detail says."""

AGENT_OF = {status: case[0] for status, case in CASES.items()}


@pytest.fixture(scope="module")
def outcomes(asterisk: StartAsterisk, root: Root) -> dict[str, Outcome]:
    """One call each, all at once; by status. The last one is ended by `module unload -f`."""
    pbx: Instance = asterisk(dialplan=DIALPLAN + STEP, elevenlabs="[general]\n")
    agents = [agent for agent, _, _ in CASES.values()]
    with MockAgent(root, AGENTS) as mock:
        once = {"connect_attempts": "1"}
        configure(
            pbx,
            "".join(
                section(agent, mock.url, **once | keys)
                for agent, keys, _ in CASES.values()
                if agent != "nobody"
            ),
        )
        start = len(pbx.log())
        leaving = [1.0 * SECOND if agent == "leaves" else None for agent in agents]
        with Callers(pbx, len(agents), lambda i: agents[i], hangup_after=leaving) as calls:
            for call, agent in zip(calls, agents, strict=True):
                if agent != "stays":
                    call.wait()
            pbx.cli("module unload -f app_elevenlabs_convai.so")
            calls.wait()
    found = wait_results(pbx, agents, start)
    return {
        status: Outcome(call, found[agent])
        for call, (status, agent) in zip(calls, AGENT_OF.items(), strict=True)
    }


def statuses() -> list[str]:
    """Those of the contract between module and engine, but for NONE."""
    text = CONTRACT.read_text(encoding="utf-8")
    return [name for name in re.findall(r"CONVAI_STATUS_(\w+) = \d+", text) if name != "NONE"]


def described() -> dict[str, str]:
    """Those of the README, and what it says of each."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    table = text.partition("| `ELEVENLABSSTATUS` |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))


def test_every_status_has_a_call() -> None:
    not_yet = {status for status, text in described().items() if NOT_YET in text}
    assert set(described()) == set(statuses())
    assert set(CASES) == set(statuses()) - not_yet


@pytest.mark.parametrize("status", CASES)
def test_status(outcomes: dict[str, Outcome], status: str) -> None:
    result, call = outcomes[status].result, outcomes[status].call
    assert (result.status, CASES[status][2] in result.told) == (status, True), result
    assert result.went_on == (status != "HANGUP")
    assert call.ended_by == ("caller" if status == "HANGUP" else "asterisk")

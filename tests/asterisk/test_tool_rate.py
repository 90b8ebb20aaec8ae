"""Two hundred calls of tools a second, in the dialplan, in Python, and both.

Each is answered once, with the result that is its own, and no call is the worse for it.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from testbed import bench_histogram
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section, wait_talking
from tests.asterisk.samples import check_samples, noise_agent_names, noise_agents, noise_callers
from tests.asterisk.stage import until
from tests.asterisk.test_metrics import get, samples
from tests.timing import SECOND, only_in_full

pytestmark = [pytest.mark.alone, only_in_full("minutes of two hundred tools a second")]

RATE = 200
"""Tools a second, of all calls together."""

CALLS = 50
EVERY_MS = CALLS * 1000 // RATE
"""So often one agent calls a tool."""

SECONDS = 15
TURNS = SECONDS * 1000 // EVERY_MS
BEFORE_MS = 4000
"""From the greeting to the first tool: all calls are up."""

REFERENCES = 10
TALK_SECONDS = 26.0
"""Calls whose every sample is compared: up before the tools, and longer than they."""

TIMEOUT = 5
WAITS = "expects_response = false"
WAYS = {"dialplan": ("look_up",), "python": ("asks",), "mixed": ("look_up", "asks")}
AGENTS = {f"{way}{i}": WAYS[way] for i, way in zip(range(CALLS), [*WAYS] * CALLS, strict=False)}

DIALPLAN = """\
[callers]
exten => _[a-z].,1,Set(AGENT=${EXTEN})
 same => n,ElevenLabsConvAI(${EXTEN})
 same => n,Hangup()

[elevenlabs-tools]
exten => look_up,1,Return(${IMPORT(${ELEVENLABS_CHANNEL},AGENT)} ${ELEVENLABS_ARG_order})
"""

TOOLS = '''
from pyconvai.tools import Call

def asks(order: int, call: Call) -> str:
    """Tells what it was asked, and by whom."""
    return f"{call.agent} {order}"
'''


def agent(name: str, tools: tuple[str, ...]) -> str:
    """One that calls its tools in turn, each with a number of its own, and waits for nothing."""
    turns = "".join(
        f"""
[[agents.{name}.turns]]
wait_ms = {EVERY_MS if i else BEFORE_MS}
tool = {{ name = "{tools[i % len(tools)]}", parameters = {{ order = {i} }}, {WAITS} }}
"""
        for i in range(TURNS)
    )
    return f'\n[agents.{name}]\nformat = "ulaw_8000"\n{turns}'


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=0, debug=0)


def answers_of(session: dict[str, Any]) -> list[tuple[float, str]]:
    """Of each tool that the agent has called, in order: the result, and how many ms it took."""
    called = [each for each in session["timeline"] if each["event"] == "tool_call"]
    results = [each for each in session["timeline"] if each["event"] == "tool_result"]
    times = Counter(each["tool_call_id"] for each in results)
    assert times == Counter(each["tool_call_id"] for each in called), "not each of them once"
    assert not [each for each in results if each["is_error"]]
    by_id = {each["tool_call_id"]: each for each in results}
    pairs = [(by_id[each["tool_call_id"]], each) for each in called]
    return [(result["at_ms"] - each["at_ms"], result["result"]) for result, each in pairs]


def rate(sessions: list[dict[str, Any]]) -> float:
    """Tools a second, by the service's clock, in the second in which the fewest were called."""
    at: Counter[int] = Counter()
    for session in sessions:
        began = datetime.fromisoformat(session["started"]).timestamp()
        for each in session["timeline"]:
            if each["event"] == "tool_call":
                at[int(began + each["at_ms"] / 1000)] += 1
    inner = sorted(at)[3:-3]  # calls begin and end one after the other
    return statistics.median(at[second] for second in inner)


@pytest.mark.limit(300)
def test_two_hundred_tools_a_second(pbx: Instance, root: Root) -> None:
    folder = pbx.folder / "tools"
    folder.mkdir()
    (folder / "shop.py").write_text(TOOLS, encoding="utf-8")
    names = noise_agent_names(REFERENCES)
    text = noise_agents(REFERENCES, TALK_SECONDS)
    text += "".join(agent(name, tools) for name, tools in AGENTS.items())
    keys = {"tools": "*", "tools_directory": root.path(folder), "tool_timeout": str(TIMEOUT)}
    with MockAgent(root, text, record=True) as mock:
        conf = "".join(section(name, mock.url, **keys) for name in [*names, *AGENTS])
        said = configure(pbx, conf)
        assert "reloaded successfully" in said, said
        before = bench_histogram.read(pbx)
        with noise_callers(pbx, names, TALK_SECONDS) as references:
            references.wait_up()
            with Callers(pbx, CALLS, [*AGENTS].__getitem__, rate=CALLS / 2) as calls:
                wait_talking(pbx, CALLS + REFERENCES)
                wanted = CALLS * TURNS

                def results() -> int:
                    return sum(event["event"] == "tool_result" for event in mock.events())

                until(lambda: results() >= wanted, "not all have been answered", 60 * SECOND)
                stages = bench_histogram.since(bench_histogram.read(pbx), before)
                shown = pbx.cli("elevenlabs show stats")
                scraped = samples(get(pbx, "elevenlabs/metrics"))
                calls.hangup_all()
                calls.wait()
            references.wait((TALK_SECONDS + 30) * SECOND)
        pbx.wait_no_channels()
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    tools = [sessions[name] for name in AGENTS]
    elapsed = {way: list[float]() for way in WAYS}
    for name in AGENTS:
        assert sessions[name]["violations"] == [], name
        found = answers_of(sessions[name])
        assert [result for _, result in found] == [f"{name} {i}" for i in range(TURNS)], name
        elapsed[re.sub(r"\d+", "", name)] += [ms for ms, _ in found]
    print(f"{rate(tools):.0f} tools a second, {wanted} in all")
    for way, times in elapsed.items():
        spread = statistics.quantiles(times, n=100)
        print(f"{way}: p50 {spread[49]:.0f} ms, p99 {spread[98]:.0f} ms, most {max(times):.0f} ms")
    print({name: each.as_dict() for name, each in stages.items()})
    assert rate(tools) >= RATE * 0.95
    assert max(max(times) for times in elapsed.values()) < TIMEOUT * 1000
    assert "0 beyond tool_timeout" in shown
    for name in AGENTS:
        assert scraped["elevenlabs_tools_total", name, "done"] == TURNS, name
        assert scraped["elevenlabs_tools_total", name, "failed"] == 0, name
        assert ("elevenlabs_late_frames_total", name) in scraped
    assert re.search(r"Tools beside calls: 0 of \d+ threads busy", pbx.cli("elevenlabs show stats"))
    check_samples(mock, references, TALK_SECONDS)

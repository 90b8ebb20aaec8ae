"""Tools in Python in a real Asterisk: whatever they do, calls are as they were, agents get answers.

Each agent has the name of the tool that it calls.
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import crowd
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.samples import check_samples, noise_agent_names, noise_agents, noise_callers
from tests.asterisk.stage import until
from tests.timing import SECOND

MODULE = "app_elevenlabs_convai"
TALK_SECONDS = 7.0
REFERENCES = 2
TIMEOUT = 2
OFTEN = ("often_1", "often_2", "often_3", "often_4")
TURNS = 60
"""Of each of these, one behind the other without a pause: some hundreds of calls a second."""

TOOLS = '''
import asyncio, ctypes, os, re, time
from pyconvai.tools import Call, ToolFailed

def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    return a + b

async def who(call: Call) -> dict:
    return {"agent": call.agent, "channel": call.channel, "unique_id": call.unique_id,
            "conversation_id": call.conversation_id}

def hangs() -> None: time.sleep(1000)
async def hangs_too() -> None: await asyncio.sleep(1000)
def throws() -> None: raise ValueError("no such customer")
def refuses() -> None: raise ToolFailed("There is no such customer.")
def exits() -> None: os._exit(1)
def forks() -> str: return "child" if not os.fork() else "parent"
def leaves_child() -> None:
    if not os.fork():
        time.sleep(1000)
def eats() -> int: return len(b"x" * (2 << 30))
def spins() -> None: re.match(r"(a+)+$", "a" * 60 + "b")
def native() -> None: ctypes.PyDLL(None).sleep(1000)
def big() -> str: return "x" * 1_000_000
def slow() -> str:
    open(__file__ + ".began", "x").close()
    time.sleep(1)
    return "the old one"
'''
BROKEN = "def x(:\n"
STEPS = "[elevenlabs-steps]\nexten = stepped,1,Return(from the dialplan)\n"

GIVEN_UP = r"{} took too long and was given up\."
OUTCOMES = {
    "add": r"3",
    "who": r"\{.*\}",
    "hangs": GIVEN_UP,
    "hangs_too": GIVEN_UP,
    "throws": r"{} failed; the phone system's log tells why\.",
    "refuses": r"There is no such customer\.",
    "exits": r"{} was broken off; the phone system's log tells why\.",
    "forks": "parent",
    "leaves_child": r"Done\.",
    "eats": r"{} failed; the phone system's log tells why\.",
    "spins": GIVEN_UP,
    "native": GIVEN_UP,
    "big": r"The result of {} is too long: 1000000 bytes; 16384 are the most\.",
    "stepped": "from the dialplan",
    "missing": r"The phone system has no tool named {}; .*",
}
"""What each agent is told."""
PATIENCE = {"slow": 20}
"""Limits on tools of which none is to be met; all others have TIMEOUT."""

WAIT_MS = {"exits": 2500, "spins": 3000, "native": 3000}
"""These ruin the calls beside them in the same worker: they come when those are over."""


def agent(name: str, tool: str, parameters: str = "", turns: int = 1) -> str:
    turn = f"""
[[agents.{name}.turns]]
wait_ms = {WAIT_MS.get(name, 0)}
tool = {{ name = "{tool}", parameters = {{ {parameters} }}, timeout_ms = 15000 }}
"""
    greeting = '{ text = "Noise.", sound = "noise:1:100", interruptible = false }'
    head = f'\n[agents.{name}]\nformat = "ulaw_8000"\nfirst_message = {greeting}\n'
    return head + turn * turns


AGENTS = "".join(
    agent(name, name, "a = 1" if name == "add" else "") for name in [*OUTCOMES, "slow"]
)
AGENTS += agent("native_now", "native")
AGENTS += "".join(agent(name, "add", "a = 1", TURNS) for name in OFTEN)


def processes(pbx: Instance) -> list[int]:
    """Workers of this Asterisk's, and whoever they have forked."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"pyconvai/tools/main.py" in command and f"/{pbx.name}/".encode() in command:
            found.append(int(path.parent.name))
    return found


def no_process(pbx: Instance) -> None:
    until(lambda: not processes(pbx), f"left: {processes(pbx)}")


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN + STEPS, elevenlabs="[general]\n", debug=0)


@pytest.fixture
def directory(pbx: Instance) -> Path:
    folder = pbx.folder / "tools"
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text(TOOLS, encoding="utf-8")
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")
    return folder


def config(pbx: Instance, mock: MockAgent, directory: Path, *names: str) -> str:
    keys = {"tools": "*", "tools_directory": pbx.root.path(directory)}
    return "".join(
        section(name, mock.url, **keys, tool_timeout=str(PATIENCE.get(name, TIMEOUT)))
        for name in names
    )


def answers(mock: MockAgent, name: str) -> int:
    """How many answers of tools an agent has got."""
    events = mock.events()
    return sum(e["event"] == "tool_result" and e["agent_id"] == name for e in events)


def wait_call(mock: MockAgent, name: str, times: int = 1) -> None:
    """Until a tool has been called so often."""

    def called() -> bool:
        return [event.get("tool_name") for event in mock.events()].count(name) == times

    until(called, f"{name} is not called")


@pytest.mark.alone
def test_calls_beside_tools_that_misbehave(pbx: Instance, directory: Path, root: Root) -> None:
    names = noise_agent_names(REFERENCES)
    text = noise_agents(REFERENCES, TALK_SECONDS) + AGENTS
    with MockAgent(root, text, record=True) as mock:
        said = configure(pbx, config(pbx, mock, directory, *names, *OUTCOMES, *OFTEN))
        assert "reloaded successfully" in said, said
        with noise_callers(pbx, names, TALK_SECONDS) as references:
            references.wait_up()
            agents = [*OUTCOMES, *OFTEN]
            with crowd(pbx, agents) as calls:
                calls.leave(
                    lambda name, _: answers(mock, name) == (TURNS if name in OFTEN else 1),
                    60 * SECOND,
                )
                calls.outcomes()
            references.wait((TALK_SECONDS + 30) * SECOND)
    check_samples(mock, references, TALK_SECONDS)
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    for name, outcome in OUTCOMES.items():
        session = sessions[name]
        assert session["violations"] == [], name
        (told,) = session["tool_results"]
        wanted = outcome.replace("{}", name)
        assert re.fullmatch(wanted, told["result"]), told
    for name in OFTEN:
        assert sessions[name]["violations"] == [], name
        results = [told["result"] for told in sessions[name]["tool_results"]]
        assert len(results) == TURNS, name
        assert results.count("3") >= TURNS - 1, "more than the one that exits has broken off"


def test_what_the_commands_say(pbx: Instance, directory: Path, root: Root) -> None:
    """A tool by itself, the list, and what a call tells a tool."""
    with MockAgent(root, AGENTS) as mock:
        configure(pbx, config(pbx, mock, directory, "who", "stepped"))
        place = pbx.root.path(directory)
        shown = pbx.cli("elevenlabs show tools")
        assert "end_call(reason: string, optional): built in\n" in shown
        assert f"add(a: integer, b: integer, optional): {place}/shop.py:5: Adds two" in shown
        assert "stepped: a step, elevenlabs-steps\n" in shown
        assert f"BROKEN {place}/broken.py:1: SyntaxError: invalid syntax" in shown
        assert re.search(r"process \d+, serving, 0 calls under way", shown)
        assert re.search(r"Python: /\S+python[\d.]*, 3\.", shown)
        tested = pbx.cli('elevenlabs test tool add {"a": 4}')
        assert re.search(r"Tool add: OK after \d+ ms\n6\n", tested), tested
        tested = pbx.cli("elevenlabs test tool throws")
        assert "Tool throws: FAILED after" in tested
        assert "ValueError: no such customer" in tested
        with crowd(pbx, ["who"]) as calls:
            calls.leave(lambda name, _: answers(mock, name) == 1)
            calls.outcomes()
        mock.stop()
        (session,) = mock.report["sessions"]
        (told,) = session["tool_results"]
        variables = session["dynamic_variables"]
        assert json.loads(told["result"]) == {
            "agent": "who",
            "channel": variables["channel"],
            "unique_id": variables["unique_id"],
            "conversation_id": session["conversation_id"],
        }


def test_a_reload_and_the_end_of_everything(pbx: Instance, directory: Path, root: Root) -> None:
    """A call's tool ends where it began. No process outlives an unload, a kill, or Asterisk."""
    with MockAgent(root, AGENTS) as mock:
        text = config(pbx, mock, directory, "slow", "native_now", "leaves_child")
        configure(pbx, text)
        with Callers(pbx, 1, "slow") as calls:
            until((directory / "shop.py.began").exists, "slow is not called")
            before = processes(pbx)
            (directory / "shop.py").write_text('def slow() -> str: return "the new one"\n')
            pbx.cli("module reload app_elevenlabs_convai")
            until(lambda: "the new one" in pbx.cli("elevenlabs test tool slow"), "not reloaded")
            until(lambda: answers(mock, "slow") == 1, "no answer")
            calls.hangup_all()
            calls.wait()
        until(lambda: not set(before) & set(processes(pbx)), "the old worker stays")
        (directory / "shop.py").write_text(TOOLS, encoding="utf-8")
        configure(pbx, text)
        until(lambda: " native()" in pbx.cli("elevenlabs show tools").replace("\n", " "), "loaded")
        for worker in processes(pbx):
            os.kill(worker, signal.SIGKILL)
        assert "\n3\n" in pbx.cli('elevenlabs test tool add {"a": 1}')
        for times, end in enumerate(("unload", "stop"), 1):
            with Callers(pbx, 2, ["leaves_child", "native_now"].__getitem__) as calls:
                wait_call(mock, "native", times)
                if end == "unload":
                    pbx.cli(f"module unload -f {MODULE}.so", limit=40 * SECOND)
                    assert "0 modules loaded" in pbx.cli("module show like elevenlabs")
                    no_process(pbx)
                    pbx.cli(f"module load {MODULE}.so")
                else:
                    pbx.cli("core stop now")
                    no_process(pbx)
                calls.wait(30 * SECOND)
        mock.stop()
    (first, *_) = mock.report["sessions"]
    assert [told["result"] for told in first["tool_results"]] == ["the old one"]

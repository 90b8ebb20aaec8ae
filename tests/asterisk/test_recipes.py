"""The recipes of docs/recipes.md, applied to a copy, built, and at work in a real Asterisk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.root import Root
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import StartAgent
from tests.asterisk.phone import DIALPLAN, configure, section, talk, wait_result
from tests.asterisk.sources import Sources
from tests.host.programs import BUILD_LIMIT
from tests.recipes import apply, recipes
from tests.timing import PROGRAM, only_in_full
from tests.unit.service import Conversation, Service

NAME = f"recipes-{os.getpid()}"
MORE = ("docs", "tests", "testbed", "asterisk_context_files", "pyproject.toml")

# Of the patched copy: those that walk the pages, and those that the recipes bring along.
UNIT_TESTS = [
    f"tests/unit/test_{name}.py"
    for name in ("key_pages", "protocol_page", "protocol", "spec_engine", "settings", "tools")
]
UNIT_TESTS += ["tests/unit/test_session.py::test_a_line_check_is_answered"]
TALKER = """\
title = "talker"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Hello.", sound = "noise:1:200" }
"""
ASKS_FOR_THE_TIME = (
    TALKER
    + """
[[agents.default.turns]]
wait_ms = 0
tool = { name = "get_time", timeout_ms = 5000 }
say_after_tool = { text = "It is {{tool_result}}.", sound = "noise:2:200" }
end = true
"""
)


@pytest.fixture(scope="module")
def sources(root: Root) -> Iterator[Sources]:
    """A copy with all recipes in it, one on top of the other."""
    copy = Sources(root, NAME, MORE)
    for recipe in recipes():
        apply(recipe, copy.folder)
    yield copy
    copy.remove()


@pytest.fixture(scope="module")
def pbx(root: Root, sources: Sources) -> Iterator[Instance]:
    """Asterisk with what was built of the copy. Its documentation is read at the start."""
    instance = Instance(root, NAME, dialplan=DIALPLAN, elevenlabs="[general]\n")
    instance.prepare()
    try:
        instance.build_and_install(f"--directory={root.path(sources.folder)}")
        instance.start()
        yield instance
    finally:
        status = instance.stop()
    assert status == 0


def test_the_copy_passes_the_unit_tests(sources: Sources) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *UNIT_TESTS],
        cwd=sources.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PROGRAM,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@only_in_full("compiles all of it")
def test_the_copy_passes_the_host_tests(sources: Sources) -> None:
    suites = "TESTS=config variables cli events lifecycle"
    done = subprocess.run(
        ["make", "-C", "asterisk_context_files", "VARIANT=plain", suites, "run"],
        cwd=sources.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for test in ("variables/a_called_number", "cli/what_a_key", "events/another_agent"):
        assert f"ok {test}" in done.stdout


def test_a_configuration_key(pbx: Instance, agent: StartAgent) -> None:
    with agent(TALKER) as mock:
        quiet = section("quiet", mock.url, send_called_number="no")
        configure(pbx, quiet + section("other", mock.url))
        for name in ("quiet", "other"):
            talk(pbx, name)
        said = configure(pbx, quiet.replace("= no", "= maybe"))
    told = {each["agent_id"]: each["dynamic_variables"] for each in mock.report["sessions"]}
    assert told["other"]["called_number"] == "other"
    assert "called_number" not in told["quiet"]
    assert "caller_number" in told["quiet"]
    place = f"elevenlabs.conf:{quiet.splitlines().index('send_called_number = no') + 1}"
    assert f"{place} [quiet]: send_called_number = maybe: allowed is yes or no" in said


def test_a_command(pbx: Instance) -> None:
    shown = pbx.cli("elevenlabs show key max_duration")
    assert (
        "allowed is a whole number of seconds from 0 (no limit) to 86400; the default is 0" in shown
    )
    assert "There is no key zzz" in pbx.cli("elevenlabs show key zzz")
    assert "Usage: elevenlabs show key <key>" in pbx.cli("elevenlabs show key")
    assert "Usage: elevenlabs show key <key>" in pbx.cli("core show help elevenlabs show key")
    completed = pbx.cli('_command matchesarray "elevenlabs show key max_" "max_"')
    assert {"max_duration", "max_sessions"} <= set(completed.split())
    assert "agent_id" not in completed


def test_an_ami_event(pbx: Instance, agent: StartAgent) -> None:
    with agent(TALKER) as mock, Ami(pbx, events="call") as ami:
        away = section("first", "http://127.0.0.1:1", fallback_agent="spare", connect_attempts="1")
        configure(pbx, away + section("spare", mock.url))
        with Callers(pbx, 1, "first"):
            event = ami.wait_event("ElevenLabsFallback")
            began = ami.wait_event("ElevenLabsStart")
    assert (event["Agent"], event["Fallback"]) == ("first", "spare")
    assert event["Status"] == "UNREACHABLE"
    assert "127.0.0.1:1" in event["Reason"]
    for field in ("Channel", "Uniqueid", "Linkedid", "CallerIDNum", "Context"):
        assert event[field] == began[field] != ""
    assert "Fallback:" in pbx.cli("manager show event ElevenLabsFallback")


def test_a_message_of_the_protocol(pbx: Instance) -> None:
    """From the service, and the one that goes back."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(bytes(16_000))
        await agent.send(type="line_check", line_check_event={"event_id": 7})
        report = await agent.next()
        assert (report["type"], report["event_id"]) == ("line_report", 7)
        assert 0 < report["waiting_ms"] <= 2000
        await agent.connection.close(1000)

    with Service(script) as service:
        configure(pbx, section("sales_agent", service.url))
        start = len(pbx.log())
        place_call(pbx, "sales_agent")
        service.outcome()
        result = wait_result(pbx, start)
    assert result.status == "AGENT_ENDED", result


def test_a_tool(pbx: Instance, agent: StartAgent) -> None:
    with agent(ASKS_FOR_THE_TIME) as mock:
        configure(pbx, section("sales_agent", mock.url, tools="end_call, get_time"))
        start = len(pbx.log())
        place_call(pbx, "sales_agent")
        assert wait_result(pbx, start).status == "AGENT_ENDED"
    (session,) = mock.report["sessions"]
    assert session["violations"] == []
    (told,) = session["tool_results"]
    assert told["is_error"] is False
    assert re.fullmatch(r"\w+, \d\d \w+ \d{4}, \d\d:\d\d \(UTC[+-]\d{4}\)", told["result"])
    assert f"It is {told['result']}." in [line["text"] for line in session["transcript"]]

"""Everything that can go wrong, on a real call: the right status and reason, and nothing left."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.building import LESS_URGENT, one_build_at_a_time
from testbed.call import Call
from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.tls import Certificate, certificate
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import CALLS_A_SECOND, Outcome, crowd, hold, wait_results
from tests.asterisk.phone import DIALPLAN, configure, section, settled, wait_result, wait_state
from tests.asterisk.stage import until
from tests.planted import KEY
from tests.timing import EVENT, SECOND

# Agents of the shipped scenario of faults: what the caller's dialplan must see. The caller stays on
# the line, and speaks where the fault needs a turn.
FAULTS = [
    ("http-401", "AUTH", "Invalid API key"),
    ("http-401-legacy", "AUTH", "invalid_api_key"),
    ("http-403", "AUTH", "HTTP 403"),
    ("http-404", "REJECTED", "not found"),
    ("http-422", "REJECTED", "Field required"),
    ("http-429", "LIMIT", "HTTP 429"),
    ("http-500", "UNREACHABLE", "HTTP 500"),
    ("http-200-html", "ERROR", "base_url"),
    ("http-200-cut", "ERROR", "base_url"),
    ("http-200-no-url", "ERROR", "base_url"),
    ("http-redirect", "ERROR", "redirect"),
    ("http-silent", "TIMEOUT", "connect_timeout (2 s)"),
    ("http-reset", "UNREACHABLE", "127.0.0.1"),
    ("url-expired", "AUTH", ""),
    ("handshake-403", "AUTH", "HTTP 403"),
    ("handshake-429", "LIMIT", "HTTP 429"),
    ("handshake-500", "UNREACHABLE", "HTTP 500"),
    ("handshake-silent", "TIMEOUT", "connect_timeout (2 s)"),
    ("handshake-reset", "UNREACHABLE", ""),
    ("close-open", "REJECTED", "does not exist"),
    ("close-init", "REJECTED", "ELEVENLABS_VAR_customer"),
    ("close-metadata", "REJECTED", "first_message"),
    ("close-greeting", "LIMIT", "quota"),
    ("close-caller", "ERROR", "boom"),
    ("close-turn", "ERROR", "LLM timeout"),
    ("close-farewell", "ERROR", "crash"),
    ("close-busy", "LIMIT", "too many concurrent"),
    ("close-normal-at-once", "AGENT_ENDED", "1000"),
    ("reset-open", "UNREACHABLE", "dropped the connection"),
    ("reset-metadata", "ERROR", "broke"),
    ("reset-greeting", "ERROR", "broke"),
    ("reset-turn", "ERROR", "broke"),
    ("reset-farewell", "ERROR", "broke"),
    ("silent-open", "TIMEOUT", "connect_timeout (2 s)"),
    ("metadata-missing", "TIMEOUT", "connect_timeout (2 s)"),
    ("queue-timeout", "LIMIT", "no agent was free in time"),
    ("queue-close", "ERROR", "boom"),
    ("error-then-close", "ERROR", "LLM timeout"),
]

# Faults that a caller must not even notice.
HARMLESS = ("http-500-once", "metadata-late", "metadata-twice", "metadata-other", "odd-messages",
            "large", "largest", "large-fragmented", "fragmented", "flood", "queue-first",
            "queue-late", "half-sample", "old-audio", "response-again", "tiny-chunks", "odd-chunks",
            "one-chunk", "slow-metadata")  # fmt: skip

# Agents that are silent or slow at one stage, for callers who hang up just then.
STAGES = ("http-silent", "handshake-silent", "silent-open", "silent-metadata", "silent-turn")
NEVER_THERE = [name for name, status, _ in FAULTS if status == "TIMEOUT"]
LEFT = [f"left-{name}" for name in STAGES]

STAY_SECONDS = 60 * SECOND
"""Longer than any of them takes to end a call."""

ULAW = CODECS["ulaw"]


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "faults") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    names = {name for name, _, _ in FAULTS} | {*HARMLESS, *STAGES, "default"}
    sections = []
    for name in sorted(names):
        # What is only slow has time: so many calls at once are slow by themselves.
        quick = {"connect_timeout": "2"} if name in NEVER_THERE else {}
        sections.append(section(name, mock.url, connect_attempts="2", **quick))
    # The same agents for callers who leave before they give up.
    sections += [section(f"left-{name}", mock.url, agent_id=name) for name in STAGES]
    answer = configure(pbx, "\n".join(sections))
    assert "http-401" in pbx.cli("elevenlabs show agents"), answer
    # The engine's threads and Asterisk's pools come with the first calls and stay.
    count = len(FAULTS) + len(HARMLESS)
    with Callers(pbx, count, "default", hangup_after=2.0, rate=CALLS_A_SECOND) as calls:
        calls.wait()
    pbx.wait_no_channels()
    return pbx


def speech_for(name: str) -> bytes:
    """What the caller says: two turns, where the fault waits for one."""
    stages = ("caller", "turn", "farewell")
    if not name.endswith(stages):
        return b""
    pause = bytes([ULAW.silence]) * ULAW.bytes_in(2.0)
    turn = ULAW.noise(1.0, seed=1)
    return pause + turn + pause + pause + turn + pause


@pytest.fixture(scope="module")
def outcomes(pbx: Instance) -> dict[str, Outcome]:
    """All agents with faults at once; callers stay on the line, but where nothing ends the call."""
    before = pbx.counters()
    names = [*(name for name, _, _ in FAULTS), *HARMLESS]
    with crowd(pbx, names, send=speech_for) as calls:
        calls.leave(lambda name, call: name in HARMLESS and is_heard(call), STAY_SECONDS)
        found = calls.outcomes()
    assert not settled(pbx, before)
    return found


def is_heard(call: Call) -> bool:
    """Whether an agent has greeted this caller."""
    heard = call.so_far().heard if call.answered_at else b""
    return len(heard.strip(bytes([ULAW.silence]))) > ULAW.bytes_in(0.15)


@pytest.mark.parametrize(("name", "status", "words"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_fault(outcomes: dict[str, Outcome], name: str, status: str, words: str) -> None:
    """The right status, a reason to act on, and the dialplan goes on."""
    result = outcomes[name].result
    assert (result.status, words.lower() in result.told.lower()) == (status, True), result
    assert result.went_on
    assert result.reason
    assert KEY not in result.told
    assert outcomes[name].call.ended_by == "asterisk"


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(outcomes: dict[str, Outcome], name: str) -> None:
    """The greeting is heard and the call goes on until the caller ends it."""
    assert outcomes[name].result.status == "HANGUP"
    assert is_heard(outcomes[name].call)


def test_the_caller_hangs_up(pbx: Instance) -> None:
    """While the agent is silent or slow, at each stage."""
    before = pbx.counters()
    said = ULAW.noise(0.5, seed=1)
    for outcome in hold(pbx, LEFT, send=said, hangup_after=1.2 * SECOND).values():
        assert outcome.result.status == "HANGUP", outcome
        assert not outcome.result.went_on
        assert outcome.call.ended_by == "caller"
    assert not settled(pbx, before)


def test_calls_that_are_refused_before_they_are_answered(pbx: Instance, mock: MockAgent) -> None:
    """No such agent, no key, no free session: the dialplan decides, on an unanswered channel."""
    before = pbx.counters()
    configure(
        pbx,
        section("keyless", mock.url, api_key="")
        + section("default", mock.url, max_sessions="1")
        + section("public", mock.url, api_key="", auth="none"),
    )
    for name, status, words in (
        ("nobody", "NOAGENT", "nobody"),
        ("keyless", "AUTH", "no api_key"),
    ):
        start = len(pbx.log())
        place_call(pbx, name)
        result = wait_result(pbx, start)
        assert (result.status, words in result.told) == (status, True), result
        assert result.went_on
    with Callers(pbx, 1, "default") as first:
        first.wait_up()
        start = len(pbx.log())
        place_call(pbx, "default")
        result = wait_result(pbx, start)
        assert (result.status, "max_sessions" in result.reason) == ("LIMIT", True)
        first.hangup_all()
        first.wait()
    start = len(pbx.log())
    place_call(pbx, "public", hangup_after=1.0)
    assert wait_result(pbx, start).status == "HANGUP"
    assert not settled(pbx, before)


def test_nobody_listens(pbx: Instance) -> None:
    configure(pbx, section("down", "http://127.0.0.1:9", connect_attempts="1"))
    start = len(pbx.log())
    place_call(pbx, "down")
    result = wait_result(pbx, start)
    assert (result.status, "127.0.0.1:9" in result.reason) == ("UNREACHABLE", True), result


def test_the_server_dies_in_mid_call(pbx: Instance, root: Root) -> None:
    with MockAgent(root, "default") as mortal:
        configure(pbx, section("mortal", mortal.url))
        start = len(pbx.log())
        with Callers(pbx, 1, "mortal") as calls:
            calls.wait_up()
            mortal.wait_event(lambda e: e["event"] == "transcript", EVENT)
            mortal.kill()
            calls.wait()
    assert wait_result(pbx, start).status == "ERROR"


def test_tls_is_verified(pbx: Instance, root: Root, tls: Certificate) -> None:
    """Not trusted without the right ca_file; trusted with it, or when the operator insists."""
    stranger = certificate(root, "tls-stranger")
    ca, other = root.path(tls.ca), root.path(stranger.ca)
    with MockAgent(root, "default", tls=tls) as secure:
        configure(
            pbx,
            section("untrusted", secure.url)
            + section("wrong", secure.url, ca_file=other)
            + section("trusted", secure.url, ca_file=ca)
            + section("careless", secure.url, tls_verify="no"),
        )
        for name in ("untrusted", "wrong"):
            start = len(pbx.log())
            place_call(pbx, name)
            result = wait_result(pbx, start)
            assert (result.status, "ca_file" in result.reason) == ("UNREACHABLE", True), result
        for name in ("trusted", "careless"):
            start = len(pbx.log())
            with Callers(pbx, 1, name) as calls:
                calls.wait_up()
                until(lambda: is_heard(calls[0]), "not greeted")
            assert wait_result(pbx, start).status == "HANGUP"


def test_a_bad_file_changes_nothing(pbx: Instance, mock: MockAgent) -> None:
    """Every fault is named with file, line, key and what is allowed; the old agents stay."""
    configure(pbx, section("default", mock.url))
    answer = configure(
        pbx,
        "[general]\nchunk_ms = 7\n"
        "[a]\nagent_id = x\nauth = magic\nbase_ulr = us\n"
        "[b]\ntls_verify = perhaps\n",
    )
    for place, words in (
        (2, ("chunk_ms", "7")),
        (5, ("auth", "magic", "signed_url")),
        (6, ("base_ulr", "base_url")),
        (8, ("tls_verify", "perhaps", "yes")),
    ):
        lines = [line for line in answer.splitlines() if f"elevenlabs.conf:{place}" in line]
        assert lines, answer
        assert all(word in lines[0] for word in words), lines
    assert "agent_id" in answer
    assert "default" in pbx.cli("elevenlabs show agents")
    start = len(pbx.log())
    pbx.cli("module reload app_elevenlabs_convai.so")
    pbx.wait_log("base_ulr", start=start)
    place_call(pbx, "default", hangup_after=1.0)
    assert wait_result(pbx, start).status == "HANGUP"


def test_unload_during_calls(pbx: Instance, mock: MockAgent) -> None:
    """Plain: refused. Forced: every call's dialplan goes on with UNLOADED. Then it loads again."""
    configure(pbx, section("default", mock.url))
    start = len(pbx.log())
    with Callers(pbx, 3, "default") as calls:
        calls.wait_up()
        pbx.cli("module unload app_elevenlabs_convai.so")
        assert "app_elevenlabs_convai" in pbx.cli("module show like elevenlabs")
        pbx.cli("module unload -f app_elevenlabs_convai.so")
        calls.wait()
    assert wait_result(pbx, start).status == "UNLOADED"
    assert wait_result(pbx, start).went_on
    assert "0 modules loaded" in pbx.cli("module show like elevenlabs")
    pbx.cli("module load app_elevenlabs_convai.so")
    start = len(pbx.log())
    place_call(pbx, "default", hangup_after=1.0)
    assert wait_result(pbx, start).status == "HANGUP"


BROKEN = """\
title = "broken"
[agents.default]
format = "ulaw_8000"
pace = 0
first_message = { text = "Hello.", sound = "noise:1:120000" }
faults = [{ name = "close", stage = "greeting", code = 1011 }]
"""
"""An agent that has said a minute in one go when the service fails."""


def test_nobody_waits_for_the_last_words_of_a_broken_conversation(
    pbx: Instance, root: Root
) -> None:
    """S21: whoever hangs up, is hung up, or is in the way of a forced unload."""
    names = ("caller", "operator", "unloaded")
    with MockAgent(root, BROKEN) as mock:
        configure(pbx, "".join(section(name, mock.url, agent_id="default") for name in names))
        start = len(pbx.log())
        with crowd(pbx, names) as calls:
            wait_state(pbx, "ending", len(names))
            calls.calls["caller"].hangup()
            shown = pbx.cli("elevenlabs show sessions")
            channel = re.search(r"^(\S+) +operator ", shown, re.MULTILINE)
            assert channel, shown
            pbx.cli(f"elevenlabs hangup {channel[1]}")
            wait_results(pbx, names[:2], start)
            pbx.cli("module unload -f app_elevenlabs_convai.so")
            outcomes = calls.outcomes()
        pbx.cli("module load app_elevenlabs_convai.so")
    statuses = [outcomes[name].result.status for name in names]
    assert statuses == ["HANGUP", "HANGUP", "UNLOADED"]


@pytest.mark.limit(600)
def test_default_directories(tmp_path_factory: pytest.TempPathFactory, root: Root) -> None:
    """Plain `make && make install` in a root that nobody prepared, then `autoload=yes`."""
    if root.is_machine:
        pytest.skip("SKIPPED: this machine has an Asterisk of its own, which tests do not touch")
    copy = Path(tmp_path_factory.mktemp("root")) / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", root.folder, copy], check=True)
    try:
        own = Root.at(copy)
        with one_build_at_a_time():
            own.run([*LESS_URGENT, "make"], timeout=300)
            own.run(["make", "install"], timeout=120, writable=True)
        script = (
            "asterisk -f & "
            "for i in $(seq 100); do asterisk -rx 'core waitfullybooted' && break; sleep 0.1; done;"
            "asterisk -rx 'module show like elevenlabs'; asterisk -rx 'elevenlabs show version';"
            "asterisk -rx 'core show application ElevenLabsConvAI'; asterisk -rx 'core stop now';"
            "wait"
        )
        said = own.run(["sh", "-c", script], timeout=120, check=False, writable=True).stdout
        assert "1 modules loaded" in said, said
        assert "Running" in said
        assert "ELEVENLABSSTATUS" in said
        assert "Engine:" in said
    finally:
        shutil.rmtree(copy)

"""Channels that are no plain telephone's: other codecs, Local, spied on, sent elsewhere, gone."""

from __future__ import annotations

import math
import re
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from testbed.callers import Callers, place_call
from testbed.config import MANAGER_SECRET, MANAGER_USER
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk import phone
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section, settled, wait_result, wait_talking
from tests.asterisk.stage import loud_seconds, until
from tests.timing import EVENT

RESULT = f"Log(NOTICE,{phone.RESULT}"
DIALPLAN = f"""\
[callers]
exten => agent,1,ElevenLabsConvAI(default)
 same => n,{RESULT}went on)
exten => tone,1,Answer()
 same => n,Playtones(440)
 same => n,Goto(agent,1)
exten => buffered,1,Answer()
 same => n,Set(JITTERBUFFER(adaptive)=default)
 same => n,MixMonitor(/tmp/mix.wav)
 same => n,Goto(agent,1)
exten => local,1,Dial(Local/agent@callers)
exten => local-kept,1,Dial(Local/agent@callers/n)
exten => echo,1,Answer()
 same => n,Echo()
exten => limited,1,Set(TIMEOUT(absolute)=1)
 same => n,Goto(agent,1)
exten => options,1,ElevenLabsConvAI(default,nx)
 same => n,{RESULT}went on)
exten => gone,1,Answer()
 same => n,Set(EXTEN_BEFORE=gone)
 same => n,Hangup()
exten => elsewhere,1,{RESULT}went on)
 same => n,Echo()
exten => many,1,Set(i=0)
 same => n,While($[${{i}} < 500])
 same => n,Set(ELEVENLABS_VAR_v${{i}}=value ${{i}})
 same => n,Set(i=$[${{i}} + 1])
 same => n,EndWhile()
 same => n,Goto(agent,1)
exten => h,1,ExecIf($["${{EXTEN_BEFORE}}" = "gone"]?TryExec(ElevenLabsConvAI(default,n)))
 same => n,ExecIf($["${{ELEVENLABSSTATUS}}" != ""]?{RESULT}hung up))
exten => T,1,{RESULT}hung up)
"""
TONE_HZ = 440


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    configure(pbx, section("default", mock.url))
    with Callers(pbx, 5, "agent"):
        wait_talking(pbx, 5)
    pbx.wait_no_channels()
    return pbx


class Manager:
    """One session with the manager interface."""

    def __init__(self, pbx: Instance) -> None:
        self._socket = socket.create_connection(("127.0.0.1", pbx.ports.manager), EVENT)
        self._file = self._socket.makefile("rw", encoding="utf-8", errors="surrogateescape")
        self._file.readline()
        self.ask("Login", Username=MANAGER_USER, Secret=MANAGER_SECRET, Events="off")

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, action: str, **fields: str) -> None:
        """Send an action and wait for its success."""
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in fields.items())]
        self._file.write("\r\n".join(lines) + "\r\n\r\n")
        self._file.flush()
        answer = []
        while line := self._file.readline().strip():
            answer.append(line)
        assert answer[0] == "Response: Success", answer


def channels(pbx: Instance) -> list[str]:
    lines = pbx.cli("core show channels concise").splitlines()
    return [line.partition("!")[0] for line in lines if "!" in line]


def tone(heard: bytes) -> float:
    """How much of the loudness is the tone's, from 0 to 1. PCM at 8000 Hz in network order."""
    pcm = [value for (value,) in struct.iter_unpack(">h", heard)]
    angle = 2 * math.pi * TONE_HZ / 8000
    real = sum(value * math.cos(angle * i) for i, value in enumerate(pcm))
    imaginary = sum(value * math.sin(angle * i) for i, value in enumerate(pcm))
    power = sum(value * value for value in pcm) or 1
    return 2 * (real * real + imaginary * imaginary) / len(pcm) / power


def listen(
    pbx: Instance, extension: str, heard: Callable[[bytes], bool], codec: str = "ulaw"
) -> None:
    """A call until something was heard."""
    with Callers(pbx, 1, extension, codec=codec) as calls:
        calls.wait_up()
        until(lambda: heard(calls[0].so_far().heard), "nothing but silence was heard")


@pytest.mark.parametrize("extension", ["buffered", "local", "local-kept", "many"])
def test_talks(pbx: Instance, extension: str) -> None:
    """The agent is heard, the caller ends the call, and nothing is left of it."""
    before = pbx.counters()
    start = len(pbx.log())
    listen(pbx, extension, lambda heard: loud_seconds(heard) > 1)
    assert wait_result(pbx, start).status == "HANGUP"
    assert not settled(pbx, before)


@pytest.mark.parametrize("codec", ["alaw", "g722", "slin16"])
def test_codecs(pbx: Instance, codec: str) -> None:
    start = len(pbx.log())
    listen(pbx, "agent", lambda heard: len(set(heard)) > 20, codec)
    assert wait_result(pbx, start).status == "HANGUP"


def test_a_tone_ends_when_the_agent_is_there(pbx: Instance) -> None:

    def agent_alone(heard: bytes) -> bool:
        last = heard[-CODECS["slin"].bytes_in(1.0) :]
        return len(set(last)) > 20 and tone(last) < 0.2

    listen(pbx, "tone", agent_alone, "slin")


def test_sent_elsewhere(pbx: Instance) -> None:
    """A Redirect takes the caller out, who goes on where he was sent."""
    before = pbx.counters()
    start = len(pbx.log())
    with Callers(pbx, 1, "agent") as calls, Manager(pbx) as manager:
        calls.wait_up()
        where = {"Context": "callers", "Exten": "elsewhere", "Priority": "1"}
        manager.ask("Redirect", Channel=channels(pbx)[0], **where)
        result = wait_result(pbx, start)
        until(lambda: "Echo" in pbx.cli("core show channels"), "the caller is not elsewhere")
    assert (result.status, "sent elsewhere" in result.reason) == ("HANGUP", True), result
    assert not settled(pbx, before)


@pytest.mark.parametrize("action", ["Redirect", "Bridge"])
def test_without_a_pbx_and_taken_away(pbx: Instance, action: str) -> None:
    """L15: what is left of the channel says that its caller was taken away, not that he hung up."""
    before = pbx.counters()
    start = len(pbx.log())
    with Callers(pbx, 1, "echo") as calls, Manager(pbx) as manager:
        calls.wait_up()
        app = {"Application": "ElevenLabsConvAI", "Data": "default"}
        manager.ask("Originate", Channel="Local/echo@callers/n", **app)
        wait_talking(pbx, 1)
        ours, other = (
            next(name for name in channels(pbx) if name.startswith(kind))
            for kind in ("Local/echo@callers-", "PJSIP")
        )
        if action == "Redirect":
            where = {"Context": "callers", "Exten": "elsewhere", "Priority": "1"}
            manager.ask("Redirect", Channel=ours, **where)
        else:
            manager.ask("Bridge", Channel1=other, Channel2=ours)
        pbx.wait_log(r"agent default HANGUP after .*: the caller was taken out", start=start)
        assert "0 sessions" in pbx.cli("elevenlabs show sessions")
        pbx.cli("channel request hangup all")
        calls.wait()
    assert not settled(pbx, before)


def test_bridged_away(pbx: Instance) -> None:
    """Somebody else takes the channel out of the application and talks with the caller."""
    before = pbx.counters()
    with Callers(pbx, 2, lambda i: ["agent", "echo"][i]) as calls, Manager(pbx) as manager:
        calls.wait_up()
        first, second = channels(pbx)
        manager.ask("Bridge", Channel1=first, Channel2=second)
        until(lambda: "0 sessions" in pbx.cli("elevenlabs show sessions"), "it talks on")
    assert not settled(pbx, before)


def test_spied_on(pbx: Instance) -> None:
    """Somebody listens in and whispers; the conversation does not mind."""
    before = pbx.counters()
    start = len(pbx.log())
    with Callers(pbx, 1, "agent") as calls, Manager(pbx) as manager:
        calls.wait_up()
        spy = {"Application": "ChanSpy", "Data": "PJSIP,qw", "Async": "true"}
        manager.ask("Originate", Channel="Local/echo@callers/n", **spy)
        pbx.wait_log("Spying on channel", start=start)
        shown = pbx.cli("elevenlabs show session " + calls_channel(pbx))
        assert re.search(r"\b0 failed", shown), shown
        pbx.cli("channel request hangup all")
        calls.wait()
    assert not settled(pbx, before)


def calls_channel(pbx: Instance) -> str:
    return next(name for name in channels(pbx) if name.startswith("PJSIP"))


def test_the_channels_time_limit(pbx: Instance) -> None:
    start = len(pbx.log())
    place_call(pbx, "limited")
    assert wait_result(pbx, start).status == "TIMEOUT"


def test_unknown_options(pbx: Instance) -> None:
    start = len(pbx.log())
    place_call(pbx, "options")
    result = wait_result(pbx, start)
    assert (result.status, result.detail == "nx") == ("ERROR", True), result


def test_a_channel_that_is_gone(pbx: Instance) -> None:
    """In the h extension nobody is there to talk: no conversation is opened."""
    start = len(pbx.log())
    place_call(pbx, "gone")
    result = wait_result(pbx, start)
    assert (result.status, result.conversation_id) == ("HANGUP", ""), result
    assert "agent default HANGUP after 0 s" in pbx.log()[start:]

"""ForkStream(): both directions of real calls come whole, and no listener reaches a call."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from testbed.ami import Ami
from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.line import Phone
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import SEQUENCES
from testbed.speech import speech
from testbed.telephones import Telephones
from testbed.tls import Certificate
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.forking import (
    ULAW,
    Heard,
    Listener,
    UdpListener,
    WebSocketListener,
    check_call,
    receive,
    tcp,
    until,
    voice,
)
from tests.asterisk.phone import section
from tests.asterisk.samples import noise_agents
from tests.timing import EVENT, SECOND

# A caller's frame that Asterisk reads more than 100 ms late has had silence in its place.
pytestmark = pytest.mark.alone

SAY_SECONDS = 1.5
CALL_SECONDS = 4.5
WORDS = "One two three four five six seven eight."
AGENTS = 2

# The extension is a scene: `<kind>-<tag>`. What is asked for stands in a global variable.
DIALPLAN = """\
[callers]
exten => _bot-.,1,Answer()
 same => n,ForkStream(${FORK_${EXTEN:4}})
 same => n,ElevenLabsConvAI(${EXTEN:4})
 same => n,Hangup()
exten => _echo-.,1,Answer()
 same => n,Set(CUSTOMER=Miller & Sons)
 same => n,ForkStream(${FORK_${EXTEN:5}})
 same => n,Log(NOTICE,fork|${EXTEN:5}|${FORKSTREAMSTATUS}|${FORKSTREAMID}|)
 same => n,Echo()
exten => _stop-.,1,Answer()
 same => n,ForkStream(${FORK_${EXTEN:5}})
 same => n,Set(ID=${FORKSTREAMID})
 same => n,Wait(0.5)
 same => n,StopForkStream(${ID})
 same => n,Log(NOTICE,fork|${EXTEN:5}|${FORKSTREAMSTATUS}|)
 same => n,StopForkStream()
 same => n,Log(NOTICE,fork|${EXTEN:5}|${FORKSTREAMSTATUS}|)
 same => n,Echo()
exten => _hostile-.,1,Answer()
 same => n,ForkStream(${FORK_unread})
 same => n,ForkStream(${FORK_silent})
 same => n,ForkStream(${FORK_error})
 same => n,ForkStream(${FORK_vanishes})
 same => n,ForkStream(${FORK_floods})
 same => n,ForkStream(${FORK_halves})
 same => n,ForkStream(${FORK_closed})
 same => n,ForkStream(${FORK_nowhere})
 same => n,ForkStream(${FORK_nobody})
 same => n,Echo()
exten => _dial-.,1,ForkStream(${FORK_${EXTEN:5}})
 same => n,Dial(${desk_${EXTEN:5}})
exten => _loop-.,1,Answer()
 same => n,Set(N=0)
 same => n,While($[${N} < 10])
 same => n,ForkStream(${FORK_many})
 same => n,Wait(0.02)
 same => n,StopForkStream()
 same => n,Set(N=$[${N}+1])
 same => n,EndWhile()
 same => n,Echo()
"""

CONF = """\
[general]
allow = udp://*
allow = ws://127.0.0.1
allow = wss://localhost
connect_timeout = 2
ca_file = {ca}
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, root: Root, tls: Certificate) -> Instance:
    conf = CONF.format(ca=root.path(tls.ca))
    return asterisk(
        dialplan=DIALPLAN, elevenlabs="[general]\n", files={"forkstream.conf": conf}, verbose=0
    )


@pytest.fixture(scope="module")
def listeners(tls: Certificate) -> Iterator[dict[str, Listener]]:
    """One of each kind, by the scheme of its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    with UdpListener() as udp, WebSocketListener() as ws, WebSocketListener(tls=context) as wss:
        yield {"udp": udp, "ws": ws, "wss": wss}


@pytest.fixture(scope="module")
def listener(listeners: dict[str, Listener]) -> Listener:
    return listeners["udp"]


def fork(pbx: Instance, name: str, arguments: str) -> None:
    """What ForkStream() gets in the scene of this tag."""
    pbx.cli(f'dialplan set global FORK_{name} "{arguments}"')


def configure_agents(pbx: Instance, text: str) -> None:
    (pbx.etc / "elevenlabs.conf").write_text(text, encoding="utf-8")
    (pbx.etc / "elevenlabs.conf").chmod(0o640)
    pbx.cli("elevenlabs reload")


def wait_none(pbx: Instance) -> None:
    until(lambda: "0 streams" in pbx.cli("forkstream show streams"), "the last stream's end")


@contextmanager
def agents(pbx: Instance, root: Root, listener: Listener, count: int) -> Iterator[None]:
    """So many agents that speak noise, and for each a stream with its name for a tag."""
    with MockAgent(root, noise_agents(count, SAY_SECONDS)) as mock:
        names = [f"agent{i}" for i in range(count)]
        configure_agents(pbx, "".join(section(name, mock.url) for name in names))
        for name in names:
            fork(pbx, name, f"{listener.url},t({name}-{count})")
        yield


# Arguments behind the destination, by tag.
FORMS = {
    "ulaw": "c(ulaw)",
    "alaw": "c(alaw)",
    "wide": "r(16000)d(rx)",
    "rx": "d(rx)p(40)",
    "tx": "d(tx)",
    "interleaved": "i",
    "skip": "s",
    "muted": "m(tx)",
}
SOCKETS = {"ws-apart": "", "ws-rx": "d(rx)", "ws-interleaved": "ic(ulaw)", "wss-apart": ""}


@dataclass
class Played:
    """What became of all calls, which were up at the same time."""

    calls: dict[str, Call]
    """By extension."""
    heard: dict[str, Heard]
    """By tag."""
    log: str

    def statuses(self, tag: str) -> list[str]:
        """What the dialplan had in FORKSTREAMSTATUS, each time."""
        return re.findall(rf"NOTICE.* fork\|{tag}\|(\w*)\|", self.log)


def _unread(connection: ServerConnection) -> None:
    _over.wait(EVENT)


def _vanishes(connection: ServerConnection) -> None:
    connection.recv()
    connection.socket.close()


def _floods(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed, OSError):
        while not _over.is_set():
            connection.send(b"x" * 4000)
            connection.send('{"event": "end"}')


def _halves(connection: ServerConnection) -> None:
    connection.socket.sendall(b"\x81\x05he")
    _over.wait(30 * SECOND)


def _error(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")


_over = threading.Event()
HOSTILE = ("hostile-1", "hostile-2")
GIVEN_UP = (
    "its listener has gone",
    "its listener refuses the WebSocket",
    "its listener is not reached",
    "its host is not found",
    "its listener has not answered in time",
)


def _hostile(pbx: Instance, stack: ExitStack) -> None:
    """Those who don't read, vanish, flood, say half a message, refuse, are silent, or not there."""
    for name, behave in (
        *(("unread", _unread), ("vanishes", _vanishes)),
        *(("floods", _floods), ("halves", _halves)),
    ):
        server = stack.enter_context(WebSocketListener(behave))
        fork(pbx, name, server.url)
    silent = stack.enter_context(tcp(lambda _connection: None))
    fork(pbx, "silent", f"ws://127.0.0.1:{silent}")
    fork(pbx, "error", f"ws://127.0.0.1:{stack.enter_context(tcp(_error))}")
    fork(pbx, "closed", "ws://127.0.0.1:1")
    fork(pbx, "nowhere", "udp://no-such-host.invalid:9")
    fork(pbx, "nobody", "udp://127.0.0.1:9")
    stack.callback(_over.set)


def _scheme(tag: str) -> str:
    return tag.partition("-")[0]


@pytest.fixture(scope="module")
def played(pbx: Instance, root: Root, listener: Listener, listeners: dict[str, Listener]) -> Played:
    """All calls at once: with agents, in each form, with listeners that misbehave, and others."""
    start = len(pbx.log())
    with ExitStack() as stack:
        stack.enter_context(agents(pbx, root, listener, AGENTS))
        _hostile(pbx, stack)
        for tag, options in FORMS.items():
            fork(pbx, tag, f"{listener.url},t({tag})v(CUSTOMER){options}")
        for tag, options in SOCKETS.items():
            fork(pbx, tag, f"{listeners[_scheme(tag)].url}/in?x=1,t({tag}){options}")
        for tag in ("stop", "numbers"):
            fork(pbx, tag, f"{listener.url},t({tag})")
        fork(pbx, "denied", "ws://10.1.2.3:9")
        fork(pbx, "invalid", "udp://127.0.0.1:9,z")
        extensions = [f"bot-agent{i}" for i in range(AGENTS)]
        extensions += [*(f"echo-{tag}" for tag in (*FORMS, *SOCKETS)), *HOSTILE]
        extensions += ["stop-stop", "echo-denied", "echo-invalid", "echo-numbers"]
        # Its RTP has number 0 in the midst of what it says.
        numbers = Phone(root, speech(root, WORDS), sequence=SEQUENCES - 40).say(1600)
        with Callers(
            pbx,
            len(extensions),
            extensions.__getitem__,
            send=lambda i: ULAW.noise(SAY_SECONDS, 2000 + i),
            play=lambda i: numbers if extensions[i] == "echo-numbers" else None,
            hangup_after=CALL_SECONDS,
        ) as calls:
            calls.wait(60 * SECOND)
        tags = [*FORMS, "stop", "numbers", *(f"agent{i}-{AGENTS}" for i in range(AGENTS))]
        heard = {tag: listener.ended(tag) for tag in tags}
        heard |= {tag: listeners[_scheme(tag)].ended(tag) for tag in SOCKETS}
        for what in GIVEN_UP:
            pbx.wait_log(what, start=start)
    wait_none(pbx)
    return Played(dict(zip(extensions, calls, strict=True)), heard, pbx.log()[start:])


@pytest.fixture
def forms(played: Played) -> dict[str, tuple[Heard, bytes]]:
    """By tag: what its listener has, and what the caller said."""
    return {
        tag: (played.heard[tag], voice(played.calls[f"echo-{tag}"].said))
        for tag in (*FORMS, *SOCKETS)
    }


@pytest.mark.parametrize("number", range(AGENTS))
def test_an_agent_s_call_is_copied_whole(played: Played, number: int) -> None:
    """Both directions, apart, in order, sample by sample; and the call ends the stream."""
    check_call(played.heard[f"agent{number}-{AGENTS}"], played.calls[f"bot-agent{number}"])


def test_it_is_whole_where_the_numbers_of_rtp_begin_anew(played: Played) -> None:
    call = played.calls["echo-numbers"]
    assert voice(next(p.payload for p in call.recording.packets_sent if not p.sequence))
    check_call(played.heard["numbers"], call)


@pytest.mark.parametrize("extension", HOSTILE)
def test_no_listener_reaches_a_call(played: Played, extension: str) -> None:
    """Its echo is whole, and came in time; each stream has had its own end."""
    call = played.calls[extension]
    assert call.said in call.heard
    assert (call.recording.gaps, call.recording.lost) == ([], 0)
    for what in GIVEN_UP:
        assert what in played.log


def test_it_is_stopped_and_refused(played: Played) -> None:
    """By its id; there is none left then; and what it may not do is a status."""
    assert played.heard["stop"].end["reason"] == "stopped"
    assert played.statuses("stop") == ["STOPPED", "NOTFOUND"]
    assert played.statuses("denied") == ["DENIED"]
    assert played.statuses("invalid") == ["INVALID"]
    assert "allow = ws://10.1.2.3:9" in played.log
    assert "there is no option z" in played.log


def _sounds(samples: bytes) -> bytes:
    """All that is not silence."""
    return b"".join(
        samples[at : at + 2] for at in range(0, len(samples), 2) if any(samples[at : at + 2])
    )


def _pairs(samples: bytes) -> tuple[bytes, bytes]:
    pairs = [samples[at : at + 4] for at in range(0, len(samples), 4)]
    return b"".join(p[:2] for p in pairs), b"".join(p[2:] for p in pairs)


@pytest.mark.parametrize("tag", ["ulaw", "skip", "tx", "muted", "ws-apart", "wss-apart"])
def test_what_is_said_arrives_in_each_form(forms: dict[str, tuple[Heard, bytes]], tag: str) -> None:
    heard, said = forms[tag]
    sides = {"tx": ["tx"], "muted": ["rx"]}.get(tag, ["rx", "tx"])
    for side in sides:
        assert heard.voice(side) == said, side
    if tag == "muted":
        assert heard.voice("tx") == b""
        assert heard.direction("tx"), "silence takes its place"
    if tag != "skip":
        heard.check_whole()
    assert heard.end["reason"] == "hangup"


def test_longer_packets_carry_the_same(forms: dict[str, tuple[Heard, bytes]]) -> None:
    heard, said = forms["rx"]
    heard.check_whole()
    assert said in b"".join(p.payload for p in heard.packets)
    assert {len(p.payload) for p in heard.packets[:-1]} == {640}


def test_alaw_is_as_near_as_it_can_be(forms: dict[str, tuple[Heard, bytes]]) -> None:
    heard, said = forms["alaw"]
    heard.check_whole()
    assert len(heard.voice("rx")) == len(said)
    assert {packet.codec for packet in heard.packets} == {"alaw"}


def test_silence_is_skipped_and_time_goes_on(forms: dict[str, tuple[Heard, bytes]]) -> None:
    heard, said = forms["skip"]
    assert all(not packet.flags & receive.SILENCE_FLAG for packet in heard.packets)
    assert 2 * sum(len(p.payload) // 2 for p in heard.direction("rx")) == len(said)
    assert heard.end["rx"]["skipped"] > 0


def test_a_wide_stream_is_a_wide_one(forms: dict[str, tuple[Heard, bytes]]) -> None:
    heard, said = forms["wide"]
    assert {packet.rate for packet in heard.packets} == {16000}
    # The resampler rings on a little behind the last sample.
    assert 0 <= len(heard.voice("rx")) - 2 * len(said) <= 2 * 640


@pytest.mark.parametrize("tag", ["interleaved", "ws-interleaved"])
def test_both_in_one_keep_their_sides(forms: dict[str, tuple[Heard, bytes]], tag: str) -> None:
    heard, said = forms[tag]
    samples = b"".join(
        [receive.decoded(p.payload, p.codec) for p in heard.packets]
        + [receive.decoded(raw, "ulaw") for raw in heard.raw]
    )
    # One side waits 100 ms for the other at most, then there is silence: a busy machine is later.
    rx, tx = map(_sounds, _pairs(samples))
    assert rx == tx == _sounds(said)
    assert heard.start["channels"] == 2


def test_one_direction_by_websocket_is_audio_alone(
    forms: dict[str, tuple[Heard, bytes]],
) -> None:
    heard, said = forms["ws-rx"]
    assert said in b"".join(heard.raw)
    assert heard.start["rate"] == 8000
    assert heard.end["rx"]["packets"] == len(heard.raw)


@pytest.mark.parametrize("tag", SOCKETS)
def test_a_ping_is_answered(played: Played, tag: str) -> None:
    """In the midst of the audio."""
    pong = played.heard[tag].pong
    assert pong is not None
    assert pong.is_set()


def test_the_start_tells_whose_stream_it_is(forms: dict[str, tuple[Heard, bytes]]) -> None:
    start = forms["ulaw"][0].start
    assert start["variables"] == {"CUSTOMER": "Miller & Sons"}
    assert start["channel"].startswith("PJSIP/")
    assert (start["codec"], start["layout"], start["direction"]) == ("ulaw", "apart", "both")


# ---- Life ----


def test_programs_start_mute_and_stop(pbx: Instance, listener: Listener) -> None:
    """AMI: the same as the dialplan; and events tell of it."""
    pbx.cli("manager show commands")
    with Callers(pbx, 1, "echo-invalid") as calls, Ami(pbx) as ami:
        calls.wait_up()
        channel = until(
            lambda: re.search(r"^PJSIP/\S+", pbx.cli("core show channels concise"), re.MULTILINE),
            "the channel",
        )[0].split("!")[0]
        where = listener.url
        answer = ami.ask("ForkStream", Channel=channel, Destination=where, Options="t(ami)")
        assert answer["Response"] == "Success", answer
        stream = answer["StreamId"]
        heard = listener.begun("ami")
        assert heard.start["stream_id"] == stream
        assert stream in pbx.cli(f"forkstream show stream {stream}")
        answer = ami.ask("ForkStreamMute", StreamId=stream, Direction="rx", State="1")
        assert answer["Response"] == "Success", answer
        assert ", muted" in pbx.cli(f"forkstream show stream {stream}")
        answer = ami.ask("StopForkStream", StreamId=stream)
        assert answer["Response"] == "Success", answer
        assert listener.ended("ami").end["reason"] == "stopped"
        calls.hangup_all()


def test_it_goes_where_its_channel_goes(pbx: Instance, listener: Listener) -> None:
    """An attended transfer, and another telephone that picks the call up: a masquerade."""
    for name in ("transfer", "pickup", "consult"):
        fork(pbx, name, f"{listener.url},t({name})")
    with Telephones(pbx) as phones:
        # A bridged call: the desk gives the customer, whose channel has the stream, to a colleague.
        customer, desk = phones.phone("customer"), phones.phone("desk_transfer")
        phones.phone("desk_consult")
        call = customer.call("dial-transfer").wait_up()
        at_desk = desk.wait_call()
        until(lambda: listener.tagged("transfer"), "the stream")
        consult = desk.call("echo-consult").wait_up()
        assert at_desk.transfer_to(consult) == 200
        after = ULAW.noise(0.4, seed=77)
        call.say(3 * after)
        # The customer's own channel, and the one that it has become a part of.
        streams = [listener.begun("transfer"), listener.begun("consult")]
        until(
            lambda: any(voice(after) in heard.voice("rx") for heard in streams),
            "what was said after the transfer",
        )
        call.hangup().wait()
        # Another telephone takes the place of the one whose channel has the stream.
        first = phones.phone("first").call("echo-pickup").wait_up()
        heard = listener.begun("pickup")
        taken = phones.phone("other").call("echo-pickup", replaces=first).wait_up()
        # Asterisk learns where the new audio comes from, and leaves out the first packets.
        words = ULAW.noise(0.4, seed=78)
        taken.say(3 * words)
        until(lambda: voice(words) in heard.voice("rx"), "what the other telephone said")
        taken.hangup().wait()
        assert listener.ended("pickup").end["reason"] == "hangup"
    wait_none(pbx)


def test_unloading_is_refused_and_can_be_forced(pbx: Instance, listener: Listener) -> None:
    """A stream holds the module; -f ends it; and it can be loaded again."""
    fork(pbx, "unload", f"{listener.url},t(unload)")
    fork(pbx, "again", f"{listener.url},t(again)")
    with Callers(pbx, 1, "echo-unload", send=ULAW.noise(4.0, 5)) as calls:
        calls.wait_up()
        heard = listener.begun("unload")
        pbx.cli("module unload app_forkstream")
        assert "Running" in pbx.cli("module show like app_forkstream")
        pbx.cli("module reload app_forkstream")
        assert not heard.end
        pbx.cli("module unload -f app_forkstream")
        assert listener.ended("unload").end["reason"] == "unloaded"
        assert "app_forkstream" not in pbx.cli("module show like app_forkstream")
        pbx.cli("module load app_forkstream")
        assert "Running" in pbx.cli("module show like app_forkstream")
        calls.hangup_all()
    with Callers(pbx, 1, "echo-again", send=ULAW.noise(0.5, 6), hangup_after=1.0) as calls:
        calls.wait(30 * SECOND)
    check_call(listener.ended("again"), calls[0])


def test_it_is_documented_on_the_console(pbx: Instance) -> None:
    assert "Copy the audio of this channel" in pbx.cli("core show application ForkStream")
    assert "End the streams" in pbx.cli("core show application StopForkStream")
    assert "Mute a stream" in pbx.cli("manager show command ForkStreamMute")
    assert "Raised when a stream" in pbx.cli("manager show event ForkStreamStop")

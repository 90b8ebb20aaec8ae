"""Every format an agent can have, on every codec a caller can have, measured in both directions.

Agent and caller speak two tones at once to each other. Where nothing needs converting, every byte
is compared. Elsewhere the tones' levels and all that was added to them is measured: Asterisk's
filters and ours, its G.711, G.722 and Opus. Of the pairs of an agent's formats each format is taken
once in each direction; CONVAI_FULL=1 takes all 49.

G.722 and Opus, which the callers here do not speak, are between two channels of Asterisk's: the
caller's, in linear PCM, is bridged with one that rings Asterisk itself and reaches the agent.
"""

from __future__ import annotations

import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest

from pyconvai.mock.audio import FORMATS, decode, tones
from testbed.call import Call
from testbed.callers import Callers
from testbed.config import DEFAULT_CODECS
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, wait_talking
from tests.asterisk.samples import THROUGH_SECONDS, check_heard, is_said
from tests.asterisk.stage import loud_seconds, until
from tests.asterisk.tones import HZ, Measured, from_payload, measure, to_payload
from tests.timing import EVENT, FULL, SECOND

SOUND_MS = 1500
PIECE_MS = 1000
"""Of tones in one message: where the second one is late, either part can be measured. Noise comes
in one."""

MOST = 0.9
"""Of what the agent says: when so much of it is heard, the rest is on its way."""

LEVEL_DB = 0.5
"""Of each tone, either way, on every codec but one."""

PCM_DB = -60.0
"""The loudest line of the spectrum that is no tone of ours, relative to one: where all is PCM."""
G711_DB = -48.0
"""Likewise after one coding in G.711, whose noise is 35 dB below the tones in all."""
G711_TWICE_DB = -40.0
"""From mu-law to A-law or back."""
G722_DB = -45.0
"""G.722's noise is 32 dB below the tones."""
G722_NARROW_DB = -15.0
"""Asterisk's encoder takes 8000 Hz without a filter: 3004 Hz has an image at 4996 Hz, at -20 dB."""
OPUS_DB = -40.0

LEGS = """
[leg_{codec}]
type = endpoint
transport = transport
context = nowhere
disallow = all
allow = {codec}
direct_media = no
"""
LEG_DIALPLAN = """
exten => _g[_].,1,Dial(PJSIP/leg_g722/sip:${EXTEN:2}@127.0.0.1:${SIP_PORT})
exten => _o[_].,1,Dial(PJSIP/leg_opus/sip:${EXTEN:2}@127.0.0.1:${SIP_PORT})
"""

PHONES = {"ulaw": "ulaw", "alaw": "alaw", "g722": "slin16", "slin16": "slin16", "opus": "slin16"}
"""What the agent's channel has, and what the caller's own has."""
LEG = {"g722": "g_", "opus": "o_"}
SAMPLE_BYTES = 2
"""Of slin16, which all callers have whose agent is behind such a leg."""


@dataclass(frozen=True)
class Talk:
    """One call: on which codec, with what the agent speaks and hears, and what both say."""

    codec: str
    phone: str
    out: str
    into: str
    sound: str
    said: bytes

    @property
    def agent(self) -> str:
        return f"{self.sound[:4]}_{self.codec}_{self.out}_{self.into}"

    @property
    def extension(self) -> str:
        return LEG.get(self.codec, "") + self.agent

    @property
    def scenario(self) -> str:
        lines = (
            f"[agents.{self.agent}]",
            f'output_format = "{self.out}"',
            f'input_format = "{self.into}"',
            "pace = 0",
            f"chunk_ms = {SOUND_MS if self.sound.startswith('noise') else PIECE_MS}",
            f'first_message = {{ sound = "{self.sound}", interruptible = false }}',
        )
        return "\n".join((*lines, ""))


@dataclass(frozen=True)
class Heard:
    """What came of it: at the caller's, as RTP has it, and at the agent's, in its own format."""

    talk: Talk
    call: Call
    by_agent: bytes
    to_caller: bytes


def tone_talk(codec: str, out: str, into: str) -> Talk:
    phone = PHONES[codec]
    pcm = FORMATS["pcm_16000" if phone == "slin16" else "pcm_8000"]
    said = to_payload(decode(tones(list(HZ), SOUND_MS, pcm), pcm), phone)
    sound = f"tone:{'+'.join(map(str, HZ))}:{SOUND_MS}"
    return Talk(codec, phone, out, into, sound, said)


def tone_talks(codec: str) -> list[Talk]:
    """Of the agent's formats (out, in): all pairs, or each once on each side."""
    names = list(FORMATS)
    if FULL:
        return [tone_talk(codec, out, into) for out in names for into in names]
    shift = 1 + list(PHONES).index(codec)
    return [tone_talk(codec, o, names[(i + shift) % len(names)]) for i, o in enumerate(names)]


def exact_talk(codec: str) -> Talk:
    said = CODECS[codec].noise(SOUND_MS / 1000, seed=4)
    return Talk(codec, codec, EXACT[codec], EXACT[codec], f"noise:3:{SOUND_MS}", said)


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    dialplan = DIALPLAN.replace("[callers]\n", f"[callers]\n{LEG_DIALPLAN}")
    codecs = (*DEFAULT_CODECS, "slin24", "slin48", "opus")
    pbx = asterisk(dialplan=dialplan, elevenlabs="[general]\n", codecs=codecs)
    with (Path(pbx.etc) / "pjsip.conf").open("a", encoding="utf-8") as conf:
        conf.writelines(LEGS.format(codec=codec) for codec in LEG)
    pbx.cli("module reload res_pjsip.so")
    pbx.cli(f"dialplan set global SIP_PORT {pbx.ports.sip}")
    return pbx


def has_opus(pbx: Instance) -> bool:
    return "Running" in pbx.cli("module show like codec_opus")


@pytest.fixture(scope="module")
def heard(root: Root, pbx: Instance) -> dict[str, list[Heard]]:
    """All calls with tones, by codec, and under `exact` those whose bytes are compared."""
    codecs = [codec for codec in PHONES if codec != "opus" or has_opus(pbx)]
    exact = [exact_talk(codec) for codec in EXACT]
    talks = [tone_talks(codec) for codec in codecs]
    # So many at once, and no more, keep to their time.
    batches = [exact, *talks] if FULL else [[*exact, *(talk for some in talks for talk in some)]]
    found: dict[str, list[Heard]] = {}
    for batch in batches:
        for each in hold(root, pbx, batch):
            key = "exact" if each.talk.sound.startswith("noise") else each.talk.codec
            found.setdefault(key, []).append(each)
    return found


def hold(root: Root, pbx: Instance, talks: Sequence[Talk]) -> list[Heard]:
    """Place these calls, all at once, and wait until they are over."""
    text = 'title = "formats"\n[agents.default]\n'
    text += "".join(talk.scenario for talk in talks)
    talks = sorted(talks, key=lambda talk: talk.phone)
    calls: list[Call] = []
    with MockAgent(root, text, record=True) as mock, ExitStack() as stack:
        configure(pbx, "".join(section(talk.agent, mock.url) for talk in talks))
        for phone, group in groupby(talks, key=lambda talk: talk.phone):
            callers = stack.enter_context(call_agents(pbx, phone, list(group)))
            calls += callers
        # So many are there one after the other, and what is said before is not kept for ever.
        wait_talking(pbx, len(talks))
        for talk, call in zip(talks, calls, strict=True):
            call.say(talk.said)
        for talk, call in zip(talks, calls, strict=True):
            until(lambda: is_through(talk, call), f"{talk.agent}: not through")  # noqa: B023
            call.hangup()
        for call in calls:
            call.wait(60 * SECOND)
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    return [
        Heard(talk, call, *recorded(mock, sessions[talk.agent]))
        for talk, call in zip(talks, calls, strict=True)
    ]


def is_through(talk: Talk, call: Call) -> bool:
    """Whether both sides have said all."""
    line = call.so_far()
    heard = loud_seconds(line.heard[: -call.codec.bytes_in(THROUGH_SECONDS)], talk.phone)
    return is_said(line, talk.said) and heard >= MOST * SOUND_MS / 1000


def call_agents(pbx: Instance, phone: str, talks: list[Talk]) -> Callers:
    return Callers(
        pbx,
        len(talks),
        lambda i: talks[i].extension,
        codec=phone,
    )


def recorded(mock: MockAgent, session: dict[str, Any]) -> tuple[bytes, bytes]:
    """(what the agent heard, what it said)."""
    assert session["violations"] == [], session["agent_id"]
    record = Path(mock.folder / "record")
    by_agent, to_caller = (
        next(record.glob(f"*-{session['conversation_id']}-{side}.raw")).read_bytes()
        for side in ("caller", "agent")
    )
    return by_agent, to_caller


# ---- What was measured ----


@pytest.mark.parametrize("codec", PHONES)
def test_tones_survive(pbx: Instance, heard: dict[str, list[Heard]], codec: str) -> None:
    """Level within half a dB both ways, and nothing added but what a codec itself adds."""
    if codec == "opus" and not has_opus(pbx):
        pytest.skip("this Asterisk has no codec_opus: Opus was NOT tested")
    wrong = []
    for each in heard[codec]:
        rate = 16000 if each.talk.phone == "slin16" else 8000
        samples = from_payload(each.call.heard, each.talk.phone)
        down = measure(longest(samples, rate, gaps(each)), rate)
        up_format = FORMATS[each.talk.into]
        up = measure(longest(decode(each.by_agent, up_format), up_format.rate), up_format.rate)
        for what, measured, good in (
            (f"heard from {each.talk.out}", down, good_down(each.talk, down)),
            (f"said to {each.talk.into}", up, good_up(each.talk, up)),
        ):
            print(f"{codec:6} {what:21} {measured}")
            if not good:
                wrong.append(f"{codec}: {what}: {measured}")
    assert not wrong, "\n".join(wrong)


def gaps(each: Heard) -> list[int]:
    """Before which samples of what was heard a packet may be missing.

    Between two of its channels Asterisk loses one now and then: docs/reliability.md.
    """
    found = each.call.recording.gaps if each.talk.codec in LEG else []
    return [gap.at_byte // SAMPLE_BYTES for gap in found if gap.ms > 0]


def longest(samples: Sequence[int], rate: int, gaps: Sequence[int] = ()) -> Sequence[int]:
    """The longest part without these gaps, and without silence: the mock may have been late."""
    parts = pairwise([0, *gaps, len(samples)])
    return max((span for a, b in parts for span in spans(samples[a:b], rate // 100)), key=len)


def good_down(talk: Talk, measured: Measured) -> bool:
    """Whether the caller heard the agent as well as the codecs between them allow."""
    rate = FORMATS[talk.out].rate
    if talk.codec == "opus" and rate not in (44100, 48000):
        # Asterisk's Opus encodes these rates as speech: of two tones it makes something else,
        # about as loud.
        return abs(measured.loudness_db) < 3
    if talk.codec == "g722" and rate == 8000:
        return within(measured, G722_NARROW_DB)
    return within(measured, bound(talk.codec, talk.out))


def good_up(talk: Talk, measured: Measured) -> bool:
    """Whether the agent heard the caller likewise."""
    return within(measured, bound(talk.codec, talk.into))


def within(measured: Measured, added_db: float) -> bool:
    level = max(map(abs, measured.levels_db))
    return level <= LEVEL_DB and measured.added_db <= added_db


def bound(codec: str, name: str) -> float:
    """What may be added between a channel's codec and an agent's format."""
    ulaw = name == "ulaw_8000"
    if codec in ("ulaw", "alaw"):
        return G711_TWICE_DB if ulaw and codec == "alaw" else G711_DB
    lossy = {"g722": G722_DB, "opus": OPUS_DB}
    return max(lossy.get(codec, PCM_DB), G711_DB if ulaw else PCM_DB)


EXACT = {
    "ulaw": "ulaw_8000",
    "slin": "pcm_8000",
    "slin16": "pcm_16000",
    "slin24": "pcm_24000",
    "slin48": "pcm_48000",
}


@pytest.mark.parametrize("codec", EXACT)
def test_nothing_is_converted_without_need(heard: dict[str, list[Heard]], codec: str) -> None:
    """Byte for byte, both ways, where channel and agent have the same format."""
    (each,) = (each for each in heard["exact"] if each.talk.codec == codec)
    assert len(each.to_caller) == FORMATS[each.talk.out].size(SOUND_MS)
    assert in_network_order(each.to_caller, each.talk.out) in each.call.heard
    check_heard(
        each.call.recording, each.talk.said, in_network_order(each.by_agent, each.talk.into)
    )


def in_network_order(audio: bytes, name: str) -> bytes:
    """PCM is big-endian in RTP and little-endian at the agent's; the other way round as well."""
    if FORMATS[name].sample_bytes == 1:
        return audio
    samples = array.array("h", audio)
    samples.byteswap()
    return samples.tobytes()


GREETED_SECONDS = 10
"""Of twenty: the caller interrupts after one."""

INTERRUPTED = """\
title = "interrupted"
[agents.default]
format = "pcm_22050"
chunk_bytes = 3333
pace = 0
first_message = { sound = "tone:1004+3004:20000" }
[[agents.default.turns]]
say = { sound = "tone:1004+3004:900" }
end = true
"""


def test_an_interruption_between_rates(pbx: Instance, agent: StartAgent) -> None:
    """The greeting stops at once; the reply is whole, to its end, and as loud as it was said."""
    with agent(INTERRUPTED, record=True) as mock:
        configure(pbx, section("interrupted", mock.url))
        with Callers(pbx, 1, "interrupted", codec="slin16") as calls:
            calls.wait_up()
            mock.wait_event(lambda e: e["event"] == "transcript", EVENT)
            until(lambda: loud_seconds(calls[0].so_far().heard, "slin16") > 1, "no greeting")
            calls[0].say(CODECS["slin16"].noise(0.6, seed=3))
            calls.wait(EVENT)
    (session,) = mock.report["sessions"]
    assert (session["interruptions"], session["violations"]) == (1, [])
    samples = from_payload(calls[0].heard, "slin16")
    greeting, reply = spans(samples, gap=1600)
    assert len(greeting) < GREETED_SECONDS * 16000
    assert abs(len(reply) - 0.9 * 16000) < 60
    assert within(measure(reply, 16000), PCM_DB)


def spans(samples: Sequence[int], gap: int) -> Iterator[Sequence[int]]:
    """What is loud, in one piece as long as it is not quiet for so many samples."""
    loud = [i for i, value in enumerate(samples) if abs(value) > 500]
    if not loud:
        return
    start = loud[0]
    for one, other in zip(loud, [*loud[1:], len(samples) + gap], strict=True):
        if other - one >= gap:
            yield samples[start : one + 1]
            start = other

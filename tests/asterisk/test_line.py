"""Callers whose telephones and lines misbehave: what the agent hears is as long as what was said.

All calls are up at once. Each caller says a sweep (tests/asterisk/sweep.py), which tells of every
piece that the agent hears when it was said. docs/reliability.md tells what jitter buffers do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from testbed.callers import place_call
from testbed.instance import Instance
from testbed.line import Phone
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.lines import DIALPLAN, GREETING_MS, Case, Trial, hold
from tests.asterisk.phone import configure, section
from tests.asterisk.sweep import PRECISION_MS, write_sweep
from tests.asterisk.test_formats import has_opus

SHIFT_MS = 60.0 + PRECISION_MS
"""How far the agent may be ahead of what the caller says, or behind."""

pytestmark = pytest.mark.alone  # it measures to a hundredth how long a call is for both ends

LENGTH = 0.01
"""What was heard is as long as the call, within this part of it."""

EDGES_MS = 60.0
"""What a call's set-up and end may add to that, or take from it."""

SPEECH = 0.05
"""Of speech so much may be missing: the first frame in another codec, and the edges of words."""

ULAW, ALAW, G722, OPUS = ("ulaw",), ("alaw",), ("g722",), ("opus",)
TWO = ("ulaw", "alaw")
ALL = ("ulaw", "alaw", "g722", "opus")


def changes(phone: Phone) -> Phone:
    return phone.say(1000).codec("alaw").say(2000).codec("ulaw").say(1000)


def changes_rate(phone: Phone) -> Phone:
    return phone.say(1000).codec("g722").say(1500).codec("opus").say(1000).codec("alaw").say(1000)


def second_codec(phone: Phone) -> Phone:
    return phone.codec("alaw").say(3000)


FOREIGN_MS = 1000


def foreign(phone: Phone) -> Phone:
    """chan_pjsip itself drops what would come in another codec afterwards."""
    return phone.say(1500).foreign(FOREIGN_MS)


def muted(phone: Phone) -> Phone:
    return phone.say(1000).pause(3000).say(1000)


def steady(phone: Phone) -> Phone:
    return phone.say(5000)


def words(phone: Phone) -> Phone:
    for _ in range(8):
        phone.say(400).pause(220)
    return phone.say(400)


def words_and_noise(phone: Phone) -> Phone:
    for _ in range(8):
        phone.say(400).pause(220, noise=True)
    return phone.say(400)


def lossy(percent: float) -> Callable[[Phone], Phone]:
    return lambda phone: phone.say(5000).lose(percent, seed=1).say(200)


ADAPTIVE_MS = 60
"""An adaptive buffer begins without delay, and has 60 ms of it after a third of a second."""

STALLS = 3
STALL_MS = 400


def stalls(phone: Phone) -> Phone:
    for _ in range(STALLS):
        phone.say(1400).pause(300)
    phone.say(400)
    for word in range(STALLS):
        phone.stall(1700 * word + 500, STALL_MS)
    return phone


def speaks_after_the_greeting(phone: Phone) -> Phone:
    return phone.pause(GREETING_MS + 1500).say(1500)


CASES = [
    Case("plain", "ulaw_8000", TWO, changes, "changes_type_1"),
    Case("plain", "pcm_16000", TWO, changes, "changes_type_2"),
    Case("plain", "ulaw_8000", ALL, changes_rate, "changes_rate_1"),
    Case("plain", "pcm_16000", ALL, changes_rate, "changes_rate_2"),
    Case("connected", "ulaw_8000", TWO, second_codec, "second_1"),
    Case("connected", "pcm_16000", TWO, second_codec, "second_2"),
    Case("plain", "ulaw_8000", ("ulaw", "g729"), foreign, "foreign_1"),
    Case("fixed", "ulaw_8000", ULAW, muted, "muted_1"),
    Case("fixed", "pcm_16000", ALAW, muted, "muted_2"),
    Case("adaptive", "pcm_16000", ULAW, steady, "steady_1", sequence=40_000, buffer_ms=ADAPTIVE_MS),
    Case("adaptive", "pcm_16000", G722, steady, "steady_2", sequence=65_500, buffer_ms=ADAPTIVE_MS),
    Case("adaptive", "ulaw_8000", OPUS, steady, "steady_3", sequence=40_000, buffer_ms=ADAPTIVE_MS),
    Case("fixed", "pcm_16000", ALAW, steady, "steady_4", sequence=40_000),
    Case("plain", "ulaw_8000", ULAW, words, "words_1"),
    Case("plain", "pcm_16000", G722, words, "words_2"),
    Case("plain", "pcm_16000", OPUS, words, "words_3"),
    Case("plain", "pcm_16000", ALAW, words_and_noise, "words_4"),
    Case("plain", "ulaw_8000", ULAW, lossy(5), "lossy_1"),
    Case("plain", "pcm_16000", ALAW, lossy(10), "lossy_2"),
    Case("plain", "pcm_16000", G722, lossy(10), "lossy_3"),
    Case("plain", "pcm_16000", OPUS, lossy(10), "lossy_4"),
    Case("plain", "ulaw_8000", ULAW, stalls, "stalls_1"),
    Case("plain", "pcm_16000", OPUS, stalls, "stalls_2"),
    # Once empty, a fixed buffer begins anew with the first packet that comes, late as it is.
    Case("fixed", "ulaw_8000", ULAW, stalls, "stalls_3", buffer_ms=STALL_MS),
    Case("greeting", "ulaw_8000", ULAW, speaks_after_the_greeting, "speaks_1"),
]


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    codecs = ("ulaw", "alaw", "g722", "opus", "g729")
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", codecs=codecs)


@pytest.fixture(scope="module")
def trials(root: Root, pbx: Instance, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    """All the calls, by what they do."""
    wav = write_sweep(tmp_path_factory.mktemp("sweep") / "sweep.wav")
    opus = has_opus(pbx)
    found = hold(root, pbx, wav, [case for case in CASES if opus or "opus" not in case.offer])
    print(*found.values(), sep="\n")
    return found


def faults(trials: dict[str, Trial], what: str, gone_ms: int = 0) -> list[str]:
    """What is wrong with the calls of one kind. gone_ms: speech that cannot arrive."""
    some = [trial for name, trial in trials.items() if name.startswith(what + "_")]
    assert some, "none of these was placed"
    return [f"{fault}: {trial}" for trial in some for fault in _faults(trial, gone_ms)]


def _faults(trial: Trial, gone_ms: int) -> list[str]:
    heard, said_ms = trial.heard, trial.said_ms
    least = (said_ms - gone_ms) * (1 - SPEECH)
    found = {
        "too little speech": heard.speech_ms < least,
        "more than was said": heard.speech_ms > said_ms * (1 + SPEECH),
        "ahead": not heard.lead_ms <= SHIFT_MS + trial.case.buffer_ms,
        "behind": not heard.lag_ms <= SHIFT_MS,
        "length": abs(trial.too_long_ms) > LENGTH * trial.call_ms + EDGES_MS,
    }
    return [fault for fault, is_so in found.items() if is_so]


def test_changes_of_payload_type(trials: dict[str, Trial]) -> None:
    """L1: from the first frames of another codec on, the agent hears it, whatever it hears."""
    assert faults(trials, "changes_type") == []


def test_changes_to_another_rate(trials: dict[str, Trial]) -> None:
    """L1: likewise from 8 to 16 and to 48 kHz."""
    assert faults(trials, "changes_rate") == []


def test_the_answers_second_codec(trials: dict[str, Trial]) -> None:
    """L2: with option c what arrives is not what Asterisk expects."""
    assert faults(trials, "second") == []


def test_muted_behind_a_jitter_buffer(trials: dict[str, Trial]) -> None:
    """L3: frames without length are silence."""
    assert faults(trials, "muted") == []


def test_sequence_numbers_behind_a_jitter_buffer(trials: dict[str, Trial]) -> None:
    """L4: any first sequence number, and none on what the buffer makes up."""
    assert faults(trials, "steady") == []


def test_pauses_without_packets(trials: dict[str, Trial]) -> None:
    """L5: a pause between words is as long for the agent, with comfort noise or without."""
    assert faults(trials, "words") == []


def test_loss(trials: dict[str, Trial]) -> None:
    """L6: what is lost is silence."""
    assert faults(trials, "lossy") == []


def test_stalls(trials: dict[str, Trial]) -> None:
    """L7: what comes too late is dropped: silence has taken its place."""
    assert faults(trials, "stalls", gone_ms=STALLS * STALL_MS) == []


def test_first_words_after_a_greeting(trials: dict[str, Trial]) -> None:
    """L10: with option g and no packets before, all is heard from the first word on."""
    assert faults(trials, "speaks") == []


def test_a_codec_without_a_translation_in_mid_call(pbx: Instance, trials: dict[str, Trial]) -> None:
    """L12: the agent hears silence of that length, and the log says why, once."""
    trial = trials["foreign_1"]
    assert abs(trial.heard.speech_ms + FOREIGN_MS - trial.said_ms) < SPEECH * trial.said_ms
    assert max(trial.heard.lead_ms, trial.heard.lag_ms) <= SHIFT_MS
    assert abs(trial.too_long_ms) < LENGTH * trial.call_ms + EDGES_MS
    assert pbx.log().count("cannot translate what the caller sends, g729") == 1


def test_a_channel_without_a_codec_that_can_be_translated(pbx: Instance) -> None:
    """L12: refused before the service is asked, with what helps; the channel is not answered."""
    configure(pbx, section("p_refused", "http://127.0.0.1:9"))
    start = len(pbx.log())
    call = place_call(pbx, "p_refused", codec="g729")
    assert call.answered_at is None
    (reason,) = re.findall(r"agent p_refused ERROR after 0 s: (.*)", pbx.log()[start:])
    assert "g729" in reason
    assert "allow = ulaw" in reason

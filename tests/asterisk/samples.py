"""Calls whose every sample is known: agents and callers that speak noise, each its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from testbed.call import Call
from testbed.callers import DEFAULT_RATE, Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS, PACKET_MS, TIMESTAMPS, Codec, Recording

ULAW = CODECS["ulaw"]
CALLER_SEED = 1000
AFTER_SECONDS = 3.0
"""Between the end of what both say and the end of the call."""

HELD_UP_MS, IN_TIME_MS = 40.0, 5.0
"""A caller who is so late was held up, until no more late than that: the line's clock goes on
meanwhile, the agent has silence, and what then comes all at once is not heard (caller_clock.h)."""

THROUGH_SECONDS = 0.4
"""Silence behind what was said, before a caller hangs up: it is on its way for a moment."""

PACE, AHEAD_MS = 20.0, 2000
"""How fast an agent comes to be how much ahead; from there on it speaks in real time."""

CHUNK_MS = 200
"""Of an agent's audio in a message."""

# In such pieces the whole way in is busy all the time, and a mock that is late for a while
# leaves no pause. The first words of a call are its agent's; the caller is heard from the metadata
# on.
AGENT = """
[agents.agent{number}]
format = "ulaw_8000"
chunk_ms = {chunk_ms}
pace = {pace}
ahead_ms = {ahead_ms}
max_duration_s = {limit}
first_message = {{ text = "Noise.", sound = "noise:{number}:{ms}", interruptible = false }}
"""


def noise_agent_names(count: int) -> list[str]:
    """The agents' names, which are their ids as well."""
    return [f"agent{number}" for number in range(count)]


def noise_agents(count: int, seconds: float, pace: float = PACE, ahead_ms: int = AHEAD_MS) -> str:
    """A scenario of agents that each speak noise of their own for so long.

    pace: how much faster than real time they send it. ahead_ms: from there on in real time; 0: all.
    """
    ms = int(seconds * 1000)
    limit = seconds + 60
    pacing = {"pace": pace, "ahead_ms": ahead_ms, "chunk_ms": CHUNK_MS}
    agents = (AGENT.format(number=n, ms=ms, limit=limit, **pacing) for n in range(count))
    return 'title = "noise"\n[agents.default]\n' + "".join(agents)


def caller_noise(number: int, seconds: float) -> bytes:
    """What caller number says, in mu-law."""
    return ULAW.noise(seconds, CALLER_SEED + number)


def noise_callers(
    pbx: Instance,
    names: Sequence[str],
    seconds: float,
    after: float = AFTER_SECONDS,
    rate: float = DEFAULT_RATE,
) -> Callers:
    """Callers who speak noise of their own for so long, each to one of these agents.

    after: until they hang up then. While the mock writes down what one call was, its agents are
    late; where that is long, no agent should have anything left to say. rate: calls a second.
    """
    return Callers(
        pbx,
        len(names),
        names.__getitem__,
        send=lambda i: caller_noise(i, seconds),
        hangup_after=seconds + after,
        rate=rate,
    )


def goes_on(recording: Recording) -> bool:
    """Whether no packet is lost, and the timestamps go on from one to the next.

    Where a busy machine holds Asterisk up they go on by that much more; what was heard tells
    whether anything is missing.
    """
    return recording.lost == 0 and all(gap.ms > 0 for gap in recording.gaps)


def audible(payload: bytes, codec: Codec) -> bytes:
    """All samples but those of silence: of speech that may have come too late at some places."""
    size = codec.packet_bytes // codec.step
    silence = bytes([codec.silence]) * size
    samples = (payload[at : at + size] for at in range(0, len(payload), size))
    return b"".join(sample for sample in samples if sample != silence)


def check_samples(
    mock: MockAgent, calls: Iterable[Call], seconds: float | None, late_ms: float = 0.0
) -> None:
    """Both directions of every call, byte for byte, and in time. Call n is with agent n.

    seconds: for how long both have spoken; None: the caller has hung up before they had said all.
    late_ms: for so long an agent may have paused behind its first message, as its mock was late.
    """
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    for number, call in enumerate(calls):
        check_call(mock, call, sessions[f"agent{number}"], seconds, late_ms)
        call.forget()


def check_call(
    mock: MockAgent,
    call: Call,
    session: dict[str, Any],
    seconds: float | None,
    late_ms: float = 0.0,
) -> None:
    """Both directions of one call, and that the agent had nothing to complain of."""
    record = Path(mock.folder / "record")
    name = session["agent_id"]
    assert session["violations"] == [], f"{name}: {session['violations'][:5]}"
    by_agent, by_caller = (
        next(record.glob(f"*-{session['conversation_id']}-{side}.raw")).read_bytes()
        for side in ("agent", "caller")
    )
    silence, said = bytes([ULAW.silence]), call.said
    heard = audible(call.heard, ULAW)
    if seconds is None:
        assert ULAW.seconds(heard) > call.seconds / 2, f"{name}: {ULAW.seconds(heard)} s heard"
        by_agent, said = _until_heard(by_agent, len(heard)), _until_end(call)
    else:
        assert len(by_agent) == ULAW.bytes_in(seconds)
    assert audible(by_agent, ULAW) == heard, f"{name}: not what was said"
    paused = len(call.heard.strip(silence)) - len(by_agent.strip(silence))
    assert paused <= ULAW.bytes_in(late_ms / 1000), f"{name}: pauses of {paused} samples"
    assert paused <= 0 or _only_behind_first(call.heard, by_agent, paused), f"{name}: another pause"
    assert goes_on(call.recording), call.recording.gaps
    check_heard(call.recording, said, by_caller)


def _only_behind_first(heard: bytes, said: bytes, paused: int) -> bool:
    """Whether the one pause of an agent, of so many samples, is that behind its first message."""
    silence = bytes([ULAW.silence])
    first = ULAW.bytes_in(CHUNK_MS / 1000) - (len(said) - len(said.lstrip(silence)))
    heard = heard.strip(silence)
    return heard[:first] + heard[first + paused :] == said.strip(silence)


def _until_heard(said: bytes, samples: int) -> bytes:
    """As much of what was said as holds so many samples that are not silence."""
    places = [at for at, sample in enumerate(said) if sample != ULAW.silence]
    return said[: places[samples - 1] + 1]


def _until_end(call: Call) -> bytes:
    """As much of what a caller had to say as has come through before the end of the call."""
    sent = call.recording.sent
    end = len(sent) - sent.index(call.said[: ULAW.packet_bytes]) - ULAW.bytes_in(THROUGH_SECONDS)
    return call.said[:end]


def came_at(line: Recording, sound: bytes) -> float:
    """When a sound that was heard on a line began to come, in seconds of time.monotonic()."""
    at, ends = line.heard.index(sound), accumulate(len(packet.payload) for packet in line.audio)
    return next(packet.at for packet, end in zip(line.audio, ends, strict=True) if end > at)


def is_said(line: Recording, said: bytes) -> bool:
    """Whether all of it was sent on a line, and so much more that it has come through."""
    at = line.sent.find(said)
    return 0 <= at <= len(line.sent) - len(said) - line.codec.bytes_in(THROUGH_SECONDS)


def check_heard(line: Recording, said: bytes, heard: bytes) -> None:
    """Whether an agent has heard all that was said on a line: whole, in order, and without a gap.

    But for what the line itself was late with, on a machine that stalled: see held_up().
    """
    size, silence = line.codec.packet_bytes, line.codec.silence
    at = line.sent.find(said)
    assert at >= 0, "it was not said"
    late = held_up(line)[at // size :]
    pieces = [said[i : i + size] for i in range(0, len(said), size)]
    where, dropped = 0, list[bytes]()
    for is_late, some in groupby(zip(pieces, late, strict=False), key=lambda each: each[1]):
        run = [piece for piece, _ in some]
        if is_late:
            dropped = run
            continue
        found = heard.find(b"".join(run), where)
        assert found >= 0, f"not heard whole: {_missing(pieces, late, heard, line.codec)}"
        if dropped and where:
            between = heard[where:found]
            for piece in dropped:
                between = between.replace(piece, b"", 1)
            assert set(between) <= {silence}, "something else was heard"
        where = found + len(run) * size


def in_time(line: Recording, said: bytes) -> int:
    """How many packets of what was said on a line were not late."""
    size = line.codec.packet_bytes
    first = line.sent.index(said) // size
    return held_up(line)[first : first + len(said) // size].count(False)


def held_up(line: Recording) -> list[bool]:
    """Of each audio packet that was sent on a line, whether it was late: see HELD_UP_MS."""
    step = line.codec.step
    packets = [p for p in line.packets_sent if p.payload_type == line.codec.payload_type]
    behind_ms = [
        1000 * (p.at - packets[0].at)
        - (p.timestamp - packets[0].timestamp) % TIMESTAMPS * PACKET_MS / step
        for p in packets
    ]
    punctual_ms = min(behind_ms, default=0.0)
    late, is_late = list[bool](), False
    for ms in behind_ms:
        is_late = ms - punctual_ms > (IN_TIME_MS if is_late else HELD_UP_MS)
        late.append(is_late)
    return late


def _missing(pieces: Sequence[bytes], late: Sequence[bool], heard: bytes, codec: Codec) -> str:
    """Where the agent has not heard what it was told, and how much of that was late."""
    at = [number for number, piece in enumerate(pieces) if piece not in heard]
    places = ", ".join(f"{codec.seconds(number * codec.packet_bytes):.2f} s" for number in at[:10])
    told = f"{len(at)} packets ({places}), of which {sum(late[n] for n in at)} were late"
    return f"{told}; {sum(late)} of {len(late)} on this line were"

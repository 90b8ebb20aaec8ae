"""Calls whose every sample is known: agents and callers that speak noise, each its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS, Codec, Recording

ULAW = CODECS["ulaw"]
CALLER_SEED = 1000
AFTER_SECONDS = 3.0
"""Between the end of what both say and the end of the call."""

CALLER_LATE_MS = 60.0
"""A caller whose packets are further apart was held up; the line's clock goes on meanwhile."""

# Faster than real time, in pieces of 200 ms: the whole way in is busy all the time. The first
# words of a call are its agent's; the caller is heard from the metadata on.
AGENT = """
[agents.agent{number}]
format = "ulaw_8000"
chunk_ms = 200
pace = {pace}
ahead_ms = {ahead_ms}
max_duration_s = {limit}
first_message = {{ text = "Noise.", sound = "noise:{number}:{ms}", interruptible = false }}
"""


def noise_agent_names(count: int) -> list[str]:
    """The agents' names, which are their ids as well."""
    return [f"agent{number}" for number in range(count)]


def noise_agents(count: int, seconds: float, pace: float = 1.2, ahead_ms: int = 0) -> str:
    """A scenario of agents that each speak noise of their own for so long.

    pace: how much faster than real time they send it. ahead_ms: from there on in real time.
    """
    ms = int(seconds * 1000)
    limit = seconds + 60
    pacing = {"pace": pace, "ahead_ms": ahead_ms}
    agents = (AGENT.format(number=n, ms=ms, limit=limit, **pacing) for n in range(count))
    # Many calls that hang up at once take their time: no audio comes meanwhile.
    return 'title = "noise"\n[limits]\ngap_ms = 3000\n[agents.default]\n' + "".join(agents)


def caller_noise(number: int, seconds: float) -> bytes:
    """What caller number says, in mu-law."""
    return ULAW.noise(seconds, CALLER_SEED + number)


def noise_callers(
    pbx: Instance, names: Sequence[str], seconds: float, after: float = AFTER_SECONDS
) -> Callers:
    """Callers who speak noise of their own for so long, each to one of these agents.

    after: until they hang up then. While the mock writes down what one call was, its agents are
    late; where that is long, no agent should have anything left to say.
    """
    return Callers(
        pbx,
        len(names),
        names.__getitem__,
        send=lambda i: caller_noise(i, seconds),
        hangup_after=seconds + after,
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
    mock: MockAgent, calls: Iterable[Call], seconds: float, late_ms: float = 0.0
) -> None:
    """Both directions of every call, byte for byte, and in time. Call n is with agent n.

    late_ms: for so long in all an agent may have had nothing to play, because its mock was late.
    """
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    for number, call in enumerate(calls):
        check_call(mock, call, sessions[f"agent{number}"], seconds, late_ms)
        call.forget()


def check_call(
    mock: MockAgent, call: Call, session: dict[str, Any], seconds: float, late_ms: float = 0.0
) -> None:
    """Both directions of one call, and that the agent had nothing to complain of."""
    record = Path(mock.folder / "record")
    name = session["agent_id"]
    assert session["violations"] == [], f"{name}: {session['violations'][:5]}"
    by_agent, by_caller = (
        next(record.glob(f"*-{session['conversation_id']}-{side}.raw")).read_bytes()
        for side in ("agent", "caller")
    )
    silence = bytes([ULAW.silence])
    assert len(by_agent) == ULAW.bytes_in(seconds)
    assert audible(by_agent, ULAW) == audible(call.heard, ULAW), f"{name}: not what was said"
    paused = len(call.heard.strip(silence)) - len(by_agent.strip(silence))
    assert paused <= ULAW.bytes_in(late_ms / 1000), f"{name}: pauses of {paused} samples"
    assert goes_on(call.recording), call.recording.gaps
    if _longest_ms(call) < CALLER_LATE_MS:
        assert call.said in by_caller, f"{name}: {_differences(call, by_caller)}"
    else:  # the machine held the caller up, and what was late for the agent was silence meanwhile
        heard = audible(by_caller, ULAW)
        assert audible(call.said, ULAW) in heard, f"{name}: {_differences(call, by_caller)}"


def _longest_ms(call: Call) -> float:
    """The longest time between two packets that the caller has sent."""
    sent = [after.at - before.at for before, after in pairwise(call.recording.packets_sent)]
    return 1000 * max(sent, default=0.0)


def _differences(call: Call, heard: bytes) -> str:
    """What the agent has not heard of what the caller said, and whether it was sent in time."""
    size = ULAW.packet_bytes
    at = [i for i in range(0, len(call.said), size) if call.said[i : i + size] not in heard]
    places = ", ".join(f"{ULAW.seconds(i):.2f} s" for i in at[:10])
    return (
        f"the caller's audio is not intact: {len(at)} packets not heard whole ({places});"
        f" the longest time between two that the caller sent: {_longest_ms(call):.0f} ms"
    )

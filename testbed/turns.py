"""A caller with manners: says each thing once the other side has finished.

with Callers(instance, 1, "100") as calls:
    take_turns(list(calls), [encode(...), encode(...)], limit=60)
"""

from __future__ import annotations

import array
import sys
import time
from collections.abc import Sequence

from testbed.call import Call
from testbed.errors import TestbedError
from testbed.rtp import Codec
from testbed.speech import decode_ulaw

QUIET_SECONDS = 2.0
"""So long must the line be quiet before the next turn. An agent answers sooner."""

LOOK_SECONDS = 0.2
"""How often to listen; every look reads all that the call has heard."""

LOUD = 500
"""A packet whose mean amplitude is above this is speech."""

TAIL_PACKETS = 150
"""What is looked at of a recording: more than QUIET_SECONDS."""


def take_turns(calls: Sequence[Call], said: Sequence[bytes], limit: float) -> None:
    """Say each payload in each call, when the line is quiet; limit in seconds for all of it.

    Calls that end before their last turn are left alone.
    """
    if not said:
        return
    deadline = time.monotonic() + limit
    speaking_until = {call.number: 0.0 for call in calls}
    turn = dict.fromkeys(speaking_until, 0)
    while waiting := [c for c in calls if not c.complete and turn[c.number] < len(said)]:
        if time.monotonic() > deadline:
            raise TestbedError(f"the caller did not get to speak within {limit:g} s")
        for call in waiting:
            if _quiet_for(call, speaking_until[call.number]) >= QUIET_SECONDS:
                payload = said[turn[call.number]]
                call.say(payload)
                speaking_until[call.number] = time.monotonic() + call.codec.seconds(payload)
                turn[call.number] += 1
        time.sleep(LOOK_SECONDS)


def _quiet_for(call: Call, speaking_until: float) -> float:
    """Return for how many seconds neither side has spoken; 0 before the answer."""
    if call.answered_at is None or call.complete:
        return 0.0
    tail = call.so_far().audio[-TAIL_PACKETS:]
    loud = [packet.at for packet in tail if _loudness(packet.payload, call.codec) > LOUD]
    return time.monotonic() - max([call.answered_at, speaking_until, *loud[-1:]])


def _loudness(payload: bytes, codec: Codec) -> float:
    """Return the mean amplitude, of 32768."""
    if codec.name == "ulaw":
        samples = array.array("h", decode_ulaw(payload))
    elif codec.rtpmap.startswith("L16/"):
        samples = array.array("h", payload)
    else:
        raise TestbedError(f"a caller who takes turns has no ears for {codec.name}: use ulaw")
    if codec.name != "ulaw" or sys.byteorder == "big":
        samples.byteswap()  # linear samples come in network order, those of mu-law little-endian
    return sum(map(abs, samples)) / len(samples) if samples else 0.0

r"""What a telephone and its line do to the RTP of a call: a scenario of a few lines for each call.

    words = speech(root, "One two three four five six seven eight.")
    phone = Phone(root, words)
    for _ in range(8):
        phone.say(400).pause(220)           # no packets in the pauses
    phone.codec("alaw").say(1000)           # another payload type, without a re-INVITE
    phone.lose(5, seed=1).stall(1000, 400)  # 5 % are lost; from 1.0 s on all waits 400 ms
    with Callers(pbx, 1, "100", also=["alaw"], play=phone, hangup_after=phone.seconds) as calls:
        calls.wait()

A line has the clock of its caller, in milliseconds from the answer on. What is said at 3000 is
what the WAV file has there, from its beginning again after its end, whatever came before: so a
test finds by what it hears when that was said. First comes what the telephone does, in order:
`say`, `silence` and `pause` move the clock on; `codec`, `length`, `jump` and `source` hold from
then on. Then what the network does to all of it: `lose`, `drop`, `swap`, `repeat`, `stall`,
`delay`, `burst`, `drift`. Every method returns the line.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path

from testbed.errors import TestbedError
from testbed.root import Root
from testbed.rtp import CODECS, PACKET_MS, RECORD, SENT, SEQUENCES, TIMESTAMPS, Codec, Packet
from testbed.speech import packets, track

GRAIN_MS = 10
"""What all lengths here are multiples of."""

COMFORT_NOISE = bytes([78])
"""Of RFC 3389: noise at -78 dBov, as a telephone in a quiet room tells."""

COMFORT_NOISE_TYPE = 13
COMFORT_NOISE_MS = 200
"""Between one packet of comfort noise and the next."""


class Phone:
    """The packets of one call, in order of the time at which they are sent."""

    def __init__(
        self,
        root: Root,
        wav: Path,
        codec: str = "ulaw",
        *,
        packet_ms: int = PACKET_MS,
        sequence: int = 1000,
        timestamp: int = 160_000,
    ) -> None:
        """Begin with an empty line. sequence, timestamp: of the first packet."""
        self.packets: list[Packet] = []
        self.ms = 0
        """The caller's clock: how long the call is so far."""
        self._root, self._wav = root, wav
        self._codec, self._length = CODECS[codec], packet_ms
        self._sequence, self._timestamp, self._ssrc = sequence, timestamp, 1
        self._resuming = True

    @property
    def seconds(self) -> float:
        """How long the call is so far, for hangup_after."""
        return self.ms / 1000

    # --- what the telephone does ---

    def say(self, ms: int) -> Phone:
        """Say what the track has now, for so long."""
        return self._speak(self._wav, ms)

    def silence(self, ms: int) -> Phone:
        """Send packets with silence in them, as a telephone does that is muted."""
        return self._speak(track(self._root, [0.12]), ms)

    def pause(self, ms: int, *, noise: bool = False) -> Phone:
        """Send nothing, as a telephone does that suppresses silence; noise: but comfort noise."""
        self._check(ms, GRAIN_MS)
        for at in range(0, ms, COMFORT_NOISE_MS) if noise else ():
            self._send(COMFORT_NOISE, COMFORT_NOISE_TYPE)
            self._pass(min(COMFORT_NOISE_MS, ms - at))
        if not noise:
            self._pass(ms)
        self._resuming = True
        return self

    def foreign(self, ms: int) -> Phone:
        """Send packets of G.729, which no open library encodes: what they hold is nothing."""
        codec = CODECS["g729"]
        for _ in range(ms // PACKET_MS):
            self._send(bytes(codec.packet_bytes), codec.payload_type)
            self._pass(PACKET_MS)
        return self

    def codec(self, name: str) -> Phone:
        """Go on in another codec."""
        self._codec = CODECS[name]
        return self

    def length(self, packet_ms: int) -> Phone:
        """Go on with packets of this length: 10, 20, 30, 40, 60 ms."""
        self._length = packet_ms
        return self

    def jump(self, *, sequence: int = 0, timestamp: int = 0) -> Phone:
        """Go on so much further, or back, in sequence numbers or time stamps."""
        self._sequence += sequence
        self._timestamp += timestamp
        return self

    def source(self, ssrc: int, *, sequence: int = 1, timestamp: int = 1) -> Phone:
        """Go on as another source (SSRC), as after a transfer behind a gateway."""
        self._ssrc, self._sequence, self._timestamp = ssrc, sequence, timestamp
        return self

    # --- what the network does ---

    def lose(self, percent: float, seed: int) -> Phone:
        """Lose this part of all packets, each seed others; the first one arrives."""
        dice = random.Random(seed)  # noqa: S311 - a test is the same each time
        return self.drop({i for i in range(1, len(self.packets)) if dice.random() * 100 < percent})

    def drop(self, places: Container[int]) -> Phone:
        """Lose the packets at these places, counted from 0."""
        self.packets = [each for i, each in enumerate(self.packets) if i not in places]
        return self

    def repeat(self, places: Container[int]) -> Phone:
        """Have these packets arrive twice."""
        self.packets = [
            p for i, each in enumerate(self.packets) for p in [each] * (1 + (i in places))
        ]
        return self

    def swap(self, places: Container[int]) -> Phone:
        """Have each of these packets arrive behind the one that follows it."""
        for i in range(len(self.packets) - 1):
            if i in places:
                one, other = self.packets[i : i + 2]
                self.packets[i : i + 2] = replace(other, at=one.at), replace(one, at=other.at)
        return self

    def stall(self, at_ms: int, ms: int) -> Phone:
        """Deliver nothing for so long from then on, and afterwards all of it at once."""
        start, end = at_ms / 1000, (at_ms + ms) / 1000
        return self._move(lambda at: end if start <= at < end else at)

    def delay(self, at_ms: int, ms: int) -> Phone:
        """Deliver all that is sent from then on so much later, as on another way."""
        return self._move(lambda at: at + ms / 1000 if at >= at_ms / 1000 else at)

    def burst(self, ms: int) -> Phone:
        """Deliver what was sent in each so many milliseconds together, at their end."""
        return self._move(lambda at: (int(at * 1000) // ms + 1) * ms / 1000)

    def drift(self, ppm: float) -> Phone:
        """Have a clock that is slower than ours by so many millionths (faster: below 0)."""
        return self._move(lambda at: at * (1 + ppm / 1e6))

    # --- how it is sent ---

    def schedule(self) -> bytes:
        """Return what the RTP endpoint plays."""
        return b"".join(
            RECORD.pack(
                round(each.at * 1e9), each.timestamp % TIMESTAMPS, each.ssrc,
                each.sequence % SEQUENCES, len(each.payload), SENT, each.payload_type, each.marker,
            ) + each.payload
            for each in self.packets
        )  # fmt: skip

    def _speak(self, wav: Path, ms: int) -> Phone:
        self._check(ms, self._length)
        for _ in range(ms // self._length):
            payload = _packet(self._root, wav, self._codec, self.ms, self._length)
            self._send(payload, self._codec.payload_type)
            self._pass(self._length)
        return self

    def _check(self, ms: int, length: int) -> None:
        if ms % length:
            raise TestbedError(f"{ms} ms are not whole packets of {length} ms")

    def _send(self, payload: bytes, payload_type: int) -> None:
        self.packets.append(
            Packet(
                at=self.seconds,
                sequence=self._sequence,
                timestamp=self._timestamp,
                ssrc=self._ssrc,
                payload_type=payload_type,
                marker=self._resuming and payload_type != COMFORT_NOISE_TYPE,
                payload=payload,
            )
        )
        self._sequence += 1
        self._resuming = False

    def _pass(self, ms: int) -> None:
        self.ms += ms
        self._timestamp += ms * self._codec.step // PACKET_MS

    def _move(self, when: Callable[[float], float]) -> Phone:
        self.packets = [replace(each, at=when(each.at)) for each in self.packets]
        return self


def _packet(root: Root, wav: Path, codec: Codec, at_ms: int, packet_ms: int) -> bytes:
    """Return the packet of a WAV file that begins there; it begins again after its end."""
    grain = GRAIN_MS if codec.packet_bytes else packet_ms
    if at_ms % grain:
        raise TestbedError(f"{codec.name}: {at_ms} ms is no whole number of {packet_ms} ms")
    cut = _cut(root, wav, codec, grain)
    first = at_ms // grain
    return b"".join(cut[i % len(cut)] for i in range(first, first + packet_ms // grain))


_cut = functools.cache(packets)

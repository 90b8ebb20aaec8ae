r"""How soon a caller hears the agent: from the application's start to its first frame of speech.

    print(measure(asterisk, mock.url, ["agent"] * 50))

Of each call the module itself tells when the conversation was up and when the agent's first frame
was written (`elevenlabs show session`); the mock tells what it took itself, from the client's first
message to its own first audio. What is left is ours, and the network's.
"""

from __future__ import annotations

import json
import re
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from websockets.sync.client import connect

from testbed.call import Call
from testbed.callers import Callers
from testbed.errors import TestbedError
from testbed.instance import Instance

LIMIT_SECONDS = 20.0
"""On the first words of some calls."""

AT_ONCE = 10
CALLS_A_SECOND = 4.0
"""On loopback the URL for an agent's next call is there by then."""

HEARD_SECONDS = 1.0
"""After the last answer, before anybody asks: each command costs more than a call takes."""

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Began:
    """How one call began, in milliseconds."""

    talking: float
    """From the application's start until the conversation was up."""
    heard: float
    """... until the first frame of the agent's was written."""
    in_rtp: float
    """From the answer, as the caller sees it, until that frame came in."""
    service: float
    """What the service took of that, from the client's first message to its first audio."""

    @property
    def ours(self) -> float:
        """What is not the service's."""
        return self.heard - self.service


@dataclass(frozen=True)
class Latency:
    """Of many calls, in milliseconds."""

    calls: int
    median: float
    p95: float
    worst: float
    conversation_median: float
    first_word_median: float
    """From the conversation on until the agent was heard, with what the service took of that."""
    in_rtp_median: float
    service_median: float

    def as_dict(self) -> dict[str, Any]:
        """For a report."""
        return asdict(self)


def measure(
    asterisk: Instance, service: str, agents: Sequence[str], rate: float = CALLS_A_SECOND
) -> Latency:
    """Call each of the agents, a few at a time; other calls may be up. service: the mock's URL."""
    batches = [agents[at : at + AT_ONCE] for at in range(0, len(agents), AT_ONCE)]
    told = [each for batch in batches for each in _call(asterisk, batch, rate)]
    took = _own_delays(service)
    began = [Began(up, heard, in_rtp, took[name]) for name, up, heard, in_rtp in told]
    ours = sorted(each.ours for each in began)
    return Latency(
        len(began),
        round(statistics.median(ours), 1),
        round(ours[min(len(ours) - 1, int(0.95 * len(ours)))], 1),
        round(max(ours), 1),
        round(statistics.median(each.talking for each in began), 1),
        round(statistics.median(each.heard - each.talking for each in began), 1),
        round(statistics.median(each.in_rtp for each in began), 1),
        round(statistics.median(each.service for each in began), 1),
    )


def floor(service: str, agent: str, count: int, rate: float = CALLS_A_SECOND) -> dict[str, float]:
    """The same conversations by a client that does nothing else, one after the other.

    In a process of its own, so that it shares nothing but the machine and the mock.
    """
    command = [sys.executable, "-m", "testbed.latency", service, agent, str(count), str(rate)]
    said = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_SECONDS + count)
    took: dict[str, float] = json.loads(said.stdout)
    own = _own_delays(service)
    ours = sorted(ms - own[conversation] for conversation, ms in took.items())
    p95 = ours[min(len(ours) - 1, int(0.95 * len(ours)))]
    found = {"median": statistics.median(ours), "p95": p95, "worst": ours[-1]}
    return {"calls": len(ours)} | {name: round(ms, 1) for name, ms in found.items()}


def _client(service: str, agent: str, count: int, rate: float) -> dict[str, float]:
    """From the first packet of a connection to the agent's first audio, in ms, by conversation."""
    url = f"{service.replace('https:', 'wss:')}/v1/convai/conversation?agent_id={agent}"
    took: dict[str, float] = {}
    trust = _trusting()
    for _ in range(count):
        began = time.monotonic()
        conversation = ""
        # With a bounded queue, its reader would stop at audio that nobody takes and miss the close.
        with connect(
            url,
            ssl=trust,
            compression=None,
            proxy=None,
            max_queue=None,
            close_timeout=HEARD_SECONDS,
        ) as agent_side:
            agent_side.send(json.dumps({"type": "conversation_initiation_client_data"}))
            while True:
                message = json.loads(agent_side.recv(LIMIT_SECONDS))
                if message["type"] == "conversation_initiation_metadata":
                    event = message["conversation_initiation_metadata_event"]
                    conversation = event["conversation_id"]
                elif message["type"] == "audio":
                    took[conversation] = 1000 * (time.monotonic() - began)
                    break
        time.sleep(max(0.0, began + 1 / rate - time.monotonic()))
    return took


def _trusting() -> ssl.SSLContext:
    """For our own mock, on loopback."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


def _call(
    asterisk: Instance, agents: Sequence[str], rate: float
) -> list[tuple[str, float, float, float]]:
    """Some calls, until their agents have been heard: conversation, and three times in ms.

    In the order of the agents.
    """
    with Callers(asterisk, len(agents), lambda i: agents[i], rate=rate) as callers:
        callers.wait_up()
        time.sleep(HEARD_SECONDS)
        told = _wait_heard(asterisk, agents)
        callers.hangup_all()
        callers.wait()
    _wait(lambda: not _channels(asterisk, agents), "the calls were not over")
    return [(*each, _first_word(call)) for call, each in zip(callers, told, strict=True)]


def _channels(asterisk: Instance, agents: Sequence[str]) -> list[str]:
    """The channels that talk with these agents, the oldest first."""
    sessions = asterisk.cli("elevenlabs show sessions")
    found = re.findall(r"^(\S+/\S+) +(\S+) ", sessions, re.MULTILINE)
    return sorted(channel for channel, agent in found if agent in agents)


def _wait_heard(asterisk: Instance, agents: Sequence[str]) -> list[tuple[str, float, float]]:
    """What the module tells of its sessions, the oldest first, once all agents were heard."""
    told: list[tuple[str, float, float]] = []

    def heard() -> bool:
        channels = _channels(asterisk, agents)
        told[:] = [_told(asterisk.cli(f"elevenlabs show session {name}")) for name in channels]
        return len(told) == len(agents) and all(heard for _, _, heard in told)

    _wait(heard, f"{len(agents)} agents were not heard")
    return told


def _wait(reached: Callable[[], bool], missed: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise TestbedError(f"{missed} within {LIMIT_SECONDS:g} s")
        time.sleep(POLL_SECONDS)


def _told(shown: str) -> tuple[str, float, float]:
    conversation = re.search(r"^Conversation: +(\S+)", shown, re.MULTILINE)
    began = re.search(r"after ([\d.]+) ms, agent heard after ([\d.]+) ms", shown)
    if conversation is None or began is None:
        return "", 0.0, 0.0
    return conversation[1], float(began[1]), float(began[2])


def _first_word(call: Call) -> float:
    """From the answer to the first packet that is not silence, in milliseconds."""
    silence = {call.codec.silence}
    assert call.answered_at is not None
    for packet in call.recording.audio:
        if set(packet.payload) != silence:
            return 1000 * (packet.at - call.answered_at)
    raise TestbedError("the caller heard nothing")


def _own_delays(service: str) -> dict[str, float]:
    """Of the mock's conversations."""
    url = f"{service}/mock/report"  # of http or https
    ours = _trusting()
    with urllib.request.urlopen(url, timeout=LIMIT_SECONDS, context=ours) as answer:  # noqa: S310
        sessions = json.load(answer)["sessions"]
    return {session["conversation_id"]: _own_delay(session["timeline"]) for session in sessions}


def _own_delay(timeline: list[dict[str, Any]]) -> float:
    at = {entry["event"]: entry["at_ms"] for entry in reversed(timeline)}
    return float(at.get("agent_audio", 0) - at.get("init", 0))


if __name__ == "__main__":
    print(json.dumps(_client(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))

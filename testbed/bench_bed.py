"""What the benchmark runs on: an Asterisk with a release build, a mock agent over TLS, a bridge.

    with started(options, print) as bed:
        hold(bed, "chunk20", 40)

Calls enter by extensions: `echo`; the name of an agent; `rec<agent>`, the same beside a
MixMonitor; `peer`, the same conversation by chan_websocket and testbed.bench_bridge; `later`,
`chunk20` after ECHO_FIRST_SECONDS in Echo(); `floor`, an application that only waits as ours does
(bench_floor.c).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.bench_load import Bed
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.slow_link import SlowLink
from testbed.tls import Certificate, certificate

FOLDER = BUILD / "bench"
BRIDGE_SECONDS = 10.0
"""Limit on the bridge's start."""

LINK_SECONDS = 0.040
"""Each way, for the agents that are far away."""

CHUNKS_MS = (20, 100)
LIMIT = 20
"""max_sessions of the agent `limited`."""

COLD_CALLS = 100
"""Agents that nobody has called before: each can be cold once."""

ECHO_FIRST_SECONDS = 10
"""All calls of a load are up and settled by then."""

DIALPLAN = f"""\
[callers]
exten => later,1,Answer()
 same => n,Set(TIMEOUT(absolute)={ECHO_FIRST_SECONDS})
 same => n,Echo()
exten => T,1,Set(TIMEOUT(absolute)=0)
 same => n,Goto(chunk20,1)
"""
DIALPLAN += """\
exten => echo,1,Answer()
 same => n,Echo()
exten => floor,1,Answer()
 same => n,BenchFloor()
exten => peer,1,Answer()
 same => n,Dial(WebSocket/bridge/c(ulaw))
exten => _rec.,1,MixMonitor(${UNIQUEID}.ulaw)
 same => n,Goto(${EXTEN:3},1)
exten => _[a-z].,1,ElevenLabsConvAI(${EXTEN})
 same => n,Log(NOTICE,bench|${EXTEN}|${ELEVENLABSSTATUS}|)
 same => n,Hangup()
"""

# Half of the time each agent speaks: two seconds of noise, two of silence, and so on. What the
# caller says is too soft to be a turn, so that the script goes on by the clock.
SCENARIO = """\
title = "bench"
[limits]
gap_ms = 3000
[agents.default]
format = "ulaw_8000"
chunk_ms = 200
pace = 1.1
when_done = "repeat"
first_message = { text = "Noise.", sound = "noise:1:2000", interruptible = false }
[[agents.default.turns]]
wait_ms = 2000
say = { text = "Noise.", sound = "noise:2:2000", interruptible = false }

# Whom callers interrupt: it sends whole answers at once, as the service does, so that much waits.
[agents.talkative]
format = "ulaw_8000"
pace = 5.0
when_done = "repeat"
[[agents.talkative.turns]]
wait_ms = 500
say = { text = "A long answer of noise.", sound = "noise:3:6000" }
"""

WEBSOCKET_CLIENT = """\
[bridge]
type = websocket_client
connection_type = per_call_config
uri = {uri}
protocols = media
tls_enabled = no
"""


@dataclass
class Started(Bed):
    """A running bed, with what some measurements need beside it."""

    service: str = ""
    """URL of the mock agent."""
    ca: str = ""
    """Whom its clients are to trust: a file, as it is called inside the root."""
    bridge: int = 0
    """Process id of the bridge."""


def section(name: str, url: str, ca: str, **keys: object) -> str:
    """One agent of elevenlabs.conf; all but `keys` is as by default."""
    lines = {"agent_id": name, "api_key": "any", "base_url": url, "ca_file": ca} | keys
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())


def agents(near: str, far: str, ca: str, far_calls: int) -> str:
    """elevenlabs.conf with all agents. far_calls: how many cold agents there are of each place."""
    talking = [section(f"chunk{ms}", near, ca, chunk_ms=ms) for ms in CHUNKS_MS]
    named = [section(name, near, ca) for name in ("warm", "talkative", "far-warm")]
    named[2] = section("far-warm", far, ca)
    cold = [section(f"cold-{i}", near, ca) for i in range(COLD_CALLS)]
    places = (("near-cold", near), ("far-cold", far))
    latency = [section(f"{n}-{i}", url, ca) for n, url in places for i in range(far_calls)]
    limited = section("limited", near, ca, max_sessions=LIMIT)
    return "".join([*talking, *named, *cold, *latency, limited])


@contextmanager
def started(seconds: float, far_calls: int, say: Callable[[str], None]) -> Iterator[Started]:
    """Start it all, for windows of so many seconds."""
    with ExitStack() as stack:
        root = Root.find(say)
        tls = certificate(root, "tls-bench")
        mock = stack.enter_context(MockAgent(root, SCENARIO, tls=tls))
        link = stack.enter_context(SlowLink(mock.url, delay=LINK_SECONDS))
        bridge, uri = stack.enter_context(_bridge(root, mock.url, tls))
        asterisk = Instance(
            root,
            "bench",
            dialplan=DIALPLAN,
            elevenlabs=agents(mock.url, link.url, root.path(tls.ca), far_calls),
            files={"websocket_client.conf": WEBSOCKET_CLIENT.format(uri=uri)},
            verbose=0,
            debug=0,
        )
        asterisk.prepare()
        stack.callback(asterisk.stop)
        say("building a release and installing it")
        asterisk.build_and_install("MODE=release")
        asterisk.start()
        ca = root.path(tls.ca)
        yield Started(asterisk, seconds, {"mock": mock.pid}, mock.url, ca, bridge)


@contextmanager
def _bridge(root: Root, service: str, tls: Certificate) -> Iterator[tuple[int, str]]:
    """The bridge's process id, and the URL that Asterisk is to connect with."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    output = FOLDER / "bridge.output"
    command = ["python3", "-m", "testbed.bench_bridge", service, root.path(tls.ca)]
    with output.open("wb") as file:
        process = root.popen(command, stdout=file)
    try:
        yield process.pid, _ready(process, output)
    finally:
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + BRIDGE_SECONDS
    while not (found := re.search(r"^ready (\S+)$", output.read_text(), re.MULTILINE)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise TestbedError(f"the bridge is not ready:\n{output.read_text()}")
        time.sleep(0.02)
    return found[1]

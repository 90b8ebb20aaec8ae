r"""`make bench`: what a call costs, as a multiple of what `Echo()` costs in the same run.

Real RTP both ways, agents over TLS that speak all the time in pieces of 200 ms, every call with
noise of its own. A busy machine changes absolute figures, so only ratios from one run mean
something; the order is Echo, agents, Echo again, and the mean of both Echoes is the yardstick.
Before that, with nothing else going on: how soon an agent is heard (`testbed.latency`), near and
over a link of 40 ms each way, with a signed URL that was fetched ahead (warm) and without (cold).
Nothing here fails a build.

Leaves build/bench/results.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from testbed import latency
from testbed.callers import Callers
from testbed.echo import Cost, cpu_per_call
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.measure import CpuWindow
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.slow_link import SlowLink
from testbed.tls import certificate

FOLDER = BUILD / "bench"
CALLS = 40
WINDOW_SECONDS = 20.0
SETTLE_SECONDS = 6.0
"""Between the last answer and the window: set-up is not what is measured."""

AFTER_SECONDS = 10.0
"""For which agents speak on after the window, so that it is never half empty."""

CHUNKS_MS = (20, 100)
FIRST_WORDS = 50

ULAW = CODECS["ulaw"]

DIALPLAN = """\
[callers]
exten => echo,1,Answer()
 same => n,Echo()
exten => _[a-z].,1,ElevenLabsConvAI(${EXTEN})
 same => n,Hangup()
"""

SCENARIO = """\
title = "bench"
[limits]
gap_ms = 3000
[agents.default]
format = "ulaw_8000"
chunk_ms = 200
pace = 1.1
first_message = {{ text = "Noise.", sound = "noise:1:{ms}", interruptible = false }}
"""


LINK_SECONDS = 0.040
"""Each way, for the agents that are far away."""

FAR_CALLS_A_SECOND = 1.0
"""There it takes some round trips until the next call's URL has come."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    calls: int
    seconds: float
    first_words: int


def section(name: str, url: str, ca: str, chunk_ms: int) -> str:
    """One agent of elevenlabs.conf."""
    keys = {"agent_id": name, "api_key": "any", "base_url": url, "ca_file": ca}
    lines = (f"{key} = {value}\n" for key, value in (keys | {"chunk_ms": str(chunk_ms)}).items())
    return f"[{name}]\n{''.join(lines)}"


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def measure_agents(asterisk: Instance, name: str, options: Options) -> dict[str, Any]:
    """Hold the calls and measure in a window in their middle."""
    length = SETTLE_SECONDS + options.seconds
    before = asterisk.counters()
    with Callers(
        asterisk, options.calls, name, send=lambda i: ULAW.noise(length + 2, seed=i)
    ) as calls:
        calls.wait_up()
        time.sleep(SETTLE_SECONDS)
        window = CpuWindow(asterisk.pid)
        time.sleep(options.seconds)
        percent = window.percent()
        during = asterisk.counters()
        intervals = [ms for call in calls for ms in call.so_far().intervals_ms]
    asterisk.wait_no_channels()
    calls.delete_files()
    return {
        "cpu_percent_per_call": round(percent / options.calls, 3),
        "pss_kb_per_call": round((during.pss_kb - before.pss_kb) / options.calls),
        "threads_per_call": round((during.threads - before.threads) / options.calls, 2),
        "frame_interval_ms": {
            "p50": round(percentile(intervals, 0.5), 2),
            "p99": round(percentile(intervals, 0.99), 2),
            "max": round(max(intervals, default=0.0), 2),
        },
    }


def measure_echo(asterisk: Instance, options: Options) -> Cost:
    """The yardstick."""
    cost = cpu_per_call(asterisk, "echo", calls=options.calls, seconds=options.seconds)
    asterisk.wait_no_channels()
    return cost


def run(options: Options) -> dict[str, Any]:
    """Measure everything; returns what goes into results.json."""
    root = Root.find(lambda line: print(f"    {line}", flush=True))
    tls = certificate(root, "tls-bench")
    speech_ms = int((SETTLE_SECONDS + options.seconds + AFTER_SECONDS) * 1000)
    with (
        MockAgent(root, SCENARIO.format(ms=speech_ms), tls=tls) as mock,
        SlowLink(mock.url, delay=LINK_SECONDS) as link,
    ):
        ca = root.path(tls.ca)
        agents = {f"chunk{ms}": section(f"chunk{ms}", mock.url, ca, ms) for ms in CHUNKS_MS}
        kinds = latency_agents(options.first_words)
        urls = {"near": mock.url, "far": link.url}
        sections = [
            section(name, urls[kind.split("_")[0]], ca, CHUNKS_MS[0])
            for kind, names in kinds.items()
            for name in dict.fromkeys(names)
        ]
        asterisk = Instance(
            root,
            "bench",
            dialplan=DIALPLAN,
            elevenlabs="".join([*agents.values(), *sections]),
            verbose=0,
            debug=0,
        )
        asterisk.prepare()
        print("==> building a release and installing it", flush=True)
        asterisk.build_and_install("MODE=release")
        asterisk.start()
        try:
            first_words = measure_first_words(asterisk, mock.url, kinds)
            return measure(asterisk, tuple(agents), options) | {"first_words": first_words}
        finally:
            asterisk.stop()


def latency_agents(count: int) -> dict[str, list[str]]:
    """Whom to call for each kind: a warm agent over and over, a cold one never twice."""
    return {
        f"{place}_{state}": [f"{place}-{i if state == 'cold' else 'warm'}" for i in range(count)]
        for place in ("near", "far")
        for state in ("cold", "warm")
    }


def measure_first_words(
    asterisk: Instance, service: str, kinds: dict[str, list[str]]
) -> dict[str, Any]:
    """How soon the agent is heard, of each kind."""
    results = {}
    for kind, agents in kinds.items():
        print(f"==> first words: {kind}, {len(agents)} calls", flush=True)
        latency.measure(asterisk, service, agents[:1])  # the connection's way is known then
        rate = FAR_CALLS_A_SECOND if kind.startswith("far") else latency.CALLS_A_SECOND
        results[kind] = latency.measure(asterisk, service, agents[1:], rate).as_dict()
    return results


def measure(asterisk: Instance, agents: tuple[str, ...], options: Options) -> dict[str, Any]:
    """Echo, each kind of agent, Echo."""
    results: dict[str, Any] = {
        "asterisk_version": asterisk.root.versions()["asterisk"],
        "engine_build": asterisk.engine_build(),
        "processors": os.cpu_count(),
        "calls": options.calls,
        "window_seconds": options.seconds,
    }
    print(f"==> Echo(), {options.calls} calls, {options.seconds:g} s", flush=True)
    first = measure_echo(asterisk, options)
    for name in agents:
        print(f"==> {name}", flush=True)
        results[name] = measure_agents(asterisk, name, options)
    print("==> Echo() again", flush=True)
    second = measure_echo(asterisk, options)
    echo = (first.percent + second.percent) / 2
    results["echo"] = {
        "cpu_percent_per_call": [round(first.percent, 3), round(second.percent, 3)],
        "pss_kb_per_call": round(second.pss_kb),
        "threads_per_call": round(second.threads, 2),
    }
    for name in agents:
        results[name]["times_echo"] = round(results[name]["cpu_percent_per_call"] / echo, 2)
    return results


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0, or 1 when something did not work."""
    parser = argparse.ArgumentParser(prog="python3 -m testbed.bench", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=WINDOW_SECONDS, help="of each window")
    parser.add_argument("--first-words", type=int, default=FIRST_WORDS, help="calls of each kind")
    arguments = parser.parse_args(argv)
    try:
        results = run(Options(arguments.calls, arguments.seconds, arguments.first_words + 1))
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2)
    (FOLDER / "results.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

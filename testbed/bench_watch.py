"""What it costs that programs and people watch: the same calls with and without them.

Programs: a client of AMI that is told of every call, transcripts, records, a webhook, a scrape of
the metrics each five seconds. People: browsers with the live page open. All of them run in this
process, whose CPU is not Asterisk's. The loads come in the order without, with, with, without, so
that a machine that gets slower meanwhile does so for both.
"""

from __future__ import annotations

import json
import re
import socket
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from testbed.bench_bed import Started
from testbed.bench_load import Held, hold
from testbed.config import MANAGER_SECRET, MANAGER_USER
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.measure import cpu_seconds

AGENT = "watched"
"""As `chunk20`, but that its calls are told of."""

SCRAPE_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""Limit on a connection, and on an answer of Asterisk's HTTP server."""

DELIVERED_SECONDS = 60.0
"""Limit on all webhooks having come, behind the last call."""

POLL_SECONDS = 0.1
PIECE = 1 << 16
PAGE = "elevenlabs/events"
"""What the live page reads for as long as it is open."""

KEYS = """\
transcripts = all
records = yes
webhook_url = http://127.0.0.1:{port}/calls
webhook_secret = a_secret_of_the_benchmark
"""
PAGE_KEYS = "http_page = yes\n"
WEB = "webenabled = yes\n"
"""For manager.conf: who looks at the page logs in to AMI over HTTP."""

_LATE = re.compile(r'^elevenlabs_late_frames_total\{agent="([^"]*)"\} (\d+)', re.MULTILINE)


@dataclass
class Seen:
    """What the watchers have been told, in all loads."""

    events: int = 0
    ends: int = 0
    left_out: int = 0
    """Events that Asterisk has not told, by its own count."""
    records: int = 0
    webhooks: set[str] = field(default_factory=set)
    scrapes_ms: list[float] = field(default_factory=list)
    page_bytes: list[int] = field(default_factory=list)
    """What each browser has read."""


@dataclass(frozen=True)
class Life:
    """One load, from before its first call until nothing of it is left."""

    held: Held
    seconds: float
    """CPU seconds of Asterisk for each call, set-up, end and records included."""
    late_frames: int

    def as_dict(self) -> dict[str, Any]:
        """For a report."""
        shares = self.held.as_dict()
        return {**shares, "cpu_seconds": self.seconds, "late_frames": self.late_frames}


def programs(bed: Started, calls: int) -> dict[str, Any]:
    """Events, records, a webhook and metrics."""
    with _configured(bed, AGENT) as seen, ExitStack() as stack:

        def watch(stack: ExitStack) -> None:
            stack.enter_context(_ami(bed.asterisk, seen))
            stack.enter_context(_scraping(bed.asterisk, seen))

        def delivered() -> None:
            limit = time.monotonic() + DELIVERED_SECONDS
            while len(seen.webhooks) < seen.ends and time.monotonic() < limit:
                time.sleep(POLL_SECONDS)

        found = _compare(bed, calls, (AGENT, watch, delivered))
        stack.close()
        seen.records = _records(bed.asterisk)
    return found | {
        "events": seen.events,
        "calls_told": seen.ends,
        "events_left_out": seen.left_out,
        "records": seen.records,
        "webhooks": len(seen.webhooks),
        "scrapes": len(seen.scrapes_ms),
        "scrape_max_ms": round(max(seen.scrapes_ms, default=0.0), 1),
    }


def viewers(bed: Started, calls: int, count: int) -> dict[str, Any]:
    """The live page, open in so many browsers."""
    manager = bed.asterisk.etc / "manager.conf"
    text = manager.read_text(encoding="utf-8")
    with _configured(bed, AGENT, PAGE_KEYS) as seen:
        manager.write_text(text.replace("enabled = yes\n", f"enabled = yes\n{WEB}", 1))
        bed.asterisk.cli("manager reload")

        def watch(stack: ExitStack) -> None:
            for _ in range(count):
                stack.enter_context(_viewer(bed.asterisk, seen))

        # Both have the page switched on; one is looked at.
        found = _compare(bed, calls, ("chunk20", watch, lambda: None))
    return found | {"viewers": count, "page_kb": [size // 1024 for size in seen.page_bytes]}


def _compare(
    bed: Started,
    calls: int,
    watched: tuple[str, Callable[[ExitStack], None], Callable[[], None]],
) -> dict[str, Any]:
    """Without, with, with, without: both, and what the one costs as a multiple of the other.

    watched: the agent, what watches, and what to wait for behind the last call.
    """
    agent, watch, afterwards = watched
    plain, with_watchers = list[Life](), list[Life]()
    for is_watched in (False, True, True, False):
        with ExitStack() as stack:
            if is_watched:
                watch(stack)
                with_watchers.append(_live(bed, agent, calls, afterwards))
            else:
                plain.append(_live(bed, "chunk20", calls, lambda: None))
    return {
        "calls": calls,
        "times": _times(with_watchers, plain, lambda life: life.seconds),
        "times_talking": _times(with_watchers, plain, lambda life: life.held.percent),
        "late_frames": [sum(each.late_frames for each in some) for some in (plain, with_watchers)],
        "plain": [each.as_dict() for each in plain],
        "watched": [each.as_dict() for each in with_watchers],
    }


def _times(some: Sequence[Life], others: Sequence[Life], of: Callable[[Life], float]) -> float:
    one, other = (statistics.fmean(map(of, lives)) for lives in (some, others))
    return round(one / other, 3) if other else 0.0


def _live(bed: Started, agent: str, calls: int, afterwards: Callable[[], None]) -> Life:
    """Hold calls; all that Asterisk has worked for them is theirs."""
    pid = bed.asterisk.pid
    late, cpu = _late(bed.asterisk, agent), cpu_seconds(pid)
    held = hold(bed, agent, calls)
    afterwards()
    seconds = (cpu_seconds(pid) - cpu) / calls
    return Life(held, round(seconds, 5), _late(bed.asterisk, agent) - late)


# --- what is told of ---


@contextmanager
def _configured(bed: Started, agent: str, general: str = "") -> Iterator[Seen]:
    """Have an agent whose calls are told of, and a receiver of their webhooks."""
    asterisk, seen = bed.asterisk, Seen()
    original = asterisk.elevenlabs or ""
    keys = original.partition("[chunk20]\n")[2].partition("[")[0]
    with _receiver(seen) as port:
        section = f"[{agent}]\n{keys}{KEYS.format(port=port)}"
        _reload(asterisk, f"[general]\n{general}\n{original}{section}")
        try:
            yield seen
        finally:
            _reload(asterisk, original)


def _reload(asterisk: Instance, elevenlabs: str) -> None:
    asterisk.elevenlabs = elevenlabs
    asterisk.write_config()
    said = asterisk.cli("elevenlabs reload")
    if "reloaded successfully" not in said:
        raise TestbedError(f"elevenlabs.conf of the benchmark: {said}")


@contextmanager
def _receiver(seen: Seen) -> Iterator[int]:
    """A program of an operator's that takes webhooks; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.webhooks.add(json.loads(body)["id"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _records(asterisk: Instance) -> int:
    files = (asterisk.folder / "spool" / "elevenlabs").glob("records-*.jsonl")
    return sum(file.read_bytes().count(b"\n") for file in files)


# --- who watches ---


@contextmanager
def _ami(asterisk: Instance, seen: Seen) -> Iterator[None]:
    """A client of AMI that is told of calls."""
    address = ("127.0.0.1", asterisk.ports.manager)
    connection = socket.create_connection(address, ANSWER_SECONDS)
    words = ["Action: Login", f"Username: {MANAGER_USER}", f"Secret: {MANAGER_SECRET}"]
    connection.sendall("\r\n".join([*words, "Events: call", "", ""]).encode())
    connection.settimeout(None)

    def listen() -> None:
        rest = b""
        with suppress(OSError):
            while piece := connection.recv(PIECE):
                *blocks, rest = (rest + piece).split(b"\r\n\r\n")
                for block in blocks:
                    if block.startswith(b"Event: ElevenLabs"):
                        seen.events += 1
                        _end(block, seen)

    with _in_thread(listen):
        try:
            yield
        finally:
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _end(block: bytes, seen: Seen) -> None:
    if block.startswith(b"Event: ElevenLabsEnd\r\n"):
        found = re.search(rb"^EventsLeftOut: (\d+)", block, re.MULTILINE)
        seen.ends += 1
        seen.left_out += int(found[1]) if found else 0


@contextmanager
def _scraping(asterisk: Instance, seen: Seen) -> Iterator[None]:
    """A Prometheus that looks every five seconds."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(SCRAPE_SECONDS):
            began = time.monotonic()
            _metrics(asterisk)
            seen.scrapes_ms.append(1000 * (time.monotonic() - began))

    with _in_thread(scrape):
        try:
            yield
        finally:
            over.set()


@contextmanager
def _viewer(asterisk: Instance, seen: Seen) -> Iterator[None]:
    """A browser that has the page open: it has logged in, and reads what is sent to it."""
    host = f"127.0.0.1:{asterisk.ports.http}"
    login = f"http://{host}/rawman?action=login&username={MANAGER_USER}&secret={MANAGER_SECRET}"
    with urllib.request.urlopen(login, timeout=ANSWER_SECONDS) as answer:
        cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
    connection = socket.create_connection(("127.0.0.1", asterisk.ports.http), ANSWER_SECONDS)
    words = [f"GET /{PAGE} HTTP/1.1", f"Host: {host}", f"Cookie: {cookie}", "", ""]
    connection.sendall("\r\n".join(words).encode())
    first = connection.recv(PIECE)
    if b" 200 " not in first.partition(b"\r\n")[0]:
        raise TestbedError(f"/{PAGE} has answered {first[:200]!r}")
    connection.settimeout(None)
    number = len(seen.page_bytes)
    seen.page_bytes.append(len(first))

    def read() -> None:
        with suppress(OSError):
            while piece := connection.recv(PIECE):
                seen.page_bytes[number] += len(piece)

    with _in_thread(read):
        try:
            yield
        finally:
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def _in_thread(run: Callable[[], None]) -> Iterator[None]:
    """Leave the inner context before this one."""
    thread = threading.Thread(target=run, name="watcher", daemon=True)
    thread.start()
    yield
    thread.join(ANSWER_SECONDS)


def _late(asterisk: Instance, agent: str) -> int:
    """Frames that the module has written more than 20 ms after their time, with this agent."""
    return sum(int(count) for name, count in _LATE.findall(_metrics(asterisk)) if name == agent)


def _metrics(asterisk: Instance) -> str:
    url = f"http://127.0.0.1:{asterisk.ports.http}/elevenlabs/metrics"
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
        text: str = answer.read().decode()
    return text

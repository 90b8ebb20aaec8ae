r"""The mock agent as a child process, in the root: espeak-ng and websockets are there.

    with MockAgent(root, "demo") as agent:      # a shipped scenario, or a file
        elevenlabs = f"[general]\nbase_url = {agent.url}\\n..."
        ...
    print(agent.report["violations"])

The report exists once the context is left, or after stop(). Live events (one JSON object each) are
read by `agent.events()`, or waited for by `agent.wait_event(lambda e: e["type"] == ...)`.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from testbed.errors import TestbedError
from testbed.paths import BUILD, PROJECT
from testbed.root import Root
from testbed.tls import Certificate

READY_SECONDS = 60.0
"""Limit on `ready`: the mock prepares all its speech first."""

STOP_SECONDS = 60.0
"""Limit on the end after SIGTERM, report included."""

POLL_SECONDS = 0.01
"""How often to look at the mock's output."""

PATIENCE = {
    "pacing_ms": 3000,
    "gap_ms": 3000,
    "lag_ms": 5000,
    "first_audio_ms": 10_000,
    "init_ms": 10_000,
    "pong_ms": 5000,
}
"""Limits of the mock's checks, where a scenario has none of its own: there is a whole Asterisk
between the two, and often much else on the machine. tests/unit has them strict."""

SPEECH_CACHE = BUILD / "speech" / "mock"

_runs = itertools.count(1)


class MockAgent:
    """A running mock agent; a context manager for one thread."""

    def __init__(
        self,
        root: Root,
        scenario: str | Path = "default",
        *,
        tls: Certificate | None = None,
        port: int = 0,
        record: bool = False,
        arguments: tuple[str, ...] = (),
    ) -> None:
        """Describe the agent; entering the context starts it.

        scenario: the name of a shipped one, the text of one (TOML, more than one line), or a file.
        tls: serve HTTPS with that. port: 0 for any free one. record: keep both sides' audio.
        """
        self.root = root
        self.folder = BUILD / "testbed" / "mock" / f"{os.getpid()}-{next(_runs)}"
        self.url = ""
        self.report: dict[str, Any] = {}
        self.exit_status: int | None = None
        self._scenario, self._tls, self._port = scenario, tls, port
        self._record, self._arguments = record, arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> MockAgent:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise TestbedError("the mock agent does not run")
        return self._process.pid

    @property
    def output(self) -> str:
        """Return all that the mock has printed."""
        return self._text("output")

    def start(self) -> None:
        """Start the agent and wait until it serves."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        SPEECH_CACHE.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output").open("wb") as output:
            self._process = self.root.popen(self._command(), stdout=output)
        deadline = time.monotonic() + READY_SECONDS
        while not (found := re.search(r"^ready (\S+)$", self.output, re.MULTILINE)):
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline:
                self.stop()
                what = "not ready in time" if status is None else f"ended with {status}"
                raise TestbedError(f"mock agent {what}:\n{self.output}")
            time.sleep(POLL_SECONDS)
        self.url = found[1]

    def stop(self) -> None:
        """End the agent and read its report."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            self.exit_status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            self.exit_status = process.wait()
        report = self._text("report.json")
        self.report = json.loads(report) if report else {}

    def kill(self) -> None:
        """End the agent at once, as a crash of the server would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def events(self) -> list[dict[str, Any]]:
        """Return the live events so far."""
        return read_events(self.folder)

    def wait_event(
        self, wanted: Callable[[dict[str, Any]], bool], limit: float, what: str = "the event"
    ) -> dict[str, Any]:
        """Wait for the first live event that `wanted` accepts, past ones included."""
        deadline = time.monotonic() + limit
        while True:
            for event in self.events():
                if wanted(event):
                    return event
            if time.monotonic() > deadline:
                raise TestbedError(f"mock agent: {what} did not come within {limit:g} s")
            time.sleep(POLL_SECONDS)

    def _command(self) -> list[str]:
        path = self.root.path
        options = {
            "--port": str(self._port),
            "--scenario": self._scenario_argument(),
            "--report": path(self.folder / "report.json"),
            "--log-json": path(self.folder / "events.json"),
            "--speech-cache": path(SPEECH_CACHE),
        }
        if self._record:
            (self.folder / "record").mkdir()
            options["--record"] = path(self.folder / "record")
        if self._tls is not None:
            options["--tls-cert"] = path(self._tls.certificate)
            options["--tls-key"] = path(self._tls.key)
        words = [word for option in options.items() for word in option]
        return ["python3", "-m", "pyconvai.mock", *words, *self._arguments]

    def _scenario_argument(self) -> str:
        text = self._scenario
        if isinstance(text, Path):
            return self.root.path(text)
        if "\n" not in text:
            shipped = PROJECT / "pyconvai" / "mock" / "scenarios" / f"{text}.toml"
            if not shipped.exists():
                return text  # the mock tells what there is
            text = shipped.read_text(encoding="utf-8")
        file = self.folder / "scenario.toml"
        file.write_text(patient(text), encoding="utf-8")
        return self.root.path(file)

    def _text(self, name: str) -> str:
        return _text(self.folder / name)


def patient(scenario: str) -> str:
    """Return the text of a scenario with those limits that it does not set itself."""
    try:
        given = tomllib.loads(scenario).get("limits", {})
    except tomllib.TOMLDecodeError:
        return scenario  # the mock tells where
    lines = "".join(f"{name} = {ms}\n" for name, ms in PATIENCE.items() if name not in given)
    head, found, rest = scenario.partition("[limits]\n")
    return f"{head}{found}{lines}{rest}" if found else f"{scenario}\n[limits]\n{lines}"


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return the live events so far of the agent that has this folder."""
    lines = _text(folder / "events.json").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def line_of(event: dict[str, Any]) -> str:
    """Return a live event as a line for people, "" where it is not for them."""
    match event["event"]:
        case "open":
            line = "the module has connected"
        case "transcript":
            line = f"{event['speaker']:>6}: {event['text']}"
        case "interruption":
            line = "        (the caller interrupts)"
        case "close" | "closed":
            line = "the conversation is closed"
        case _:
            return ""
    return f"    {event['at_ms'] / 1000:6.2f} s  {line}"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

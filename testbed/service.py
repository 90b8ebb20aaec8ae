"""An instance in the background, for the shell: started by `up`, ended by `down`.

A supervisor process of its own session owns the instance: Asterisk dies with it. What it runs is
in build/testbed/<name>/state.json as long as it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.config import DEFAULT_DIALPLAN
from testbed.errors import TestbedError
from testbed.instance import BOOT_SECONDS, BUILD_SECONDS, Instance
from testbed.paths import BUILD, PROJECT
from testbed.ports import PortBlock
from testbed.root import Root

DOWN_SECONDS = 30.0
"""Limit on the supervisor's end; the instance has its own, shorter ones."""

WATCH_SECONDS = 0.5
"""How often the supervisor looks whether Asterisk still runs."""

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class State:
    """What the supervisor of an instance has written down."""

    supervisor: int
    started: int
    """The supervisor's start in clock ticks since boot: tells it from a later process's pid."""
    pid: int
    first_port: int
    root: str

    @property
    def alive(self) -> bool:
        """Whether that very supervisor still runs."""
        return _start_ticks(self.supervisor) == self.started


class Attached(Instance):
    """An instance that another process owns: everything but start and stop works."""

    def __init__(self, name: str, state: State) -> None:
        super().__init__(Root.at(Path(state.root)), name)
        self.state = state
        self._ports = PortBlock(state.first_port)

    @property
    def pid(self) -> int:
        """Asterisk's process id."""
        return self.state.pid

    @property
    def running(self) -> bool:
        """Whether Asterisk runs."""
        return self.state.alive

    def start(self) -> None:
        """Refuse: it runs already."""
        raise TestbedError(f"instance {self.name} belongs to another process")

    def stop(self) -> int | None:
        """Refuse: see down()."""
        raise TestbedError(f"instance {self.name} belongs to another process; use down")


def attach(name: str) -> Attached:
    """Return the instance that `up` started under this name."""
    state = read_state(name)
    if state is None:
        raise TestbedError(f"no instance '{name}' runs; start one: python3 -m testbed up")
    return Attached(name, state)


def read_state(name: str) -> State | None:
    """Return the state of a running instance, None if there is none."""
    try:
        state = State(**json.loads(_state_path(name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return state if state.alive else None


def names() -> list[str]:
    """Return the names of all instances that `up` started and that still run."""
    found = (path.parent.name for path in (BUILD / "testbed").glob("*/state.json"))
    return sorted(name for name in found if read_state(name))


def up(name: str, arguments: list[str]) -> State:
    """Start the supervisor with these arguments of `serve` and wait until its instance is up."""
    if read_state(name) is not None:
        raise TestbedError(f"instance '{name}' runs already; stop it: python3 -m testbed down")
    log = BUILD / "testbed" / f"{name}.supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "testbed", "serve", "--name", name, *arguments],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + BOOT_SECONDS + BUILD_SECONDS
    try:
        while (state := read_state(name)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TestbedError(f"instance '{name}' did not start:\n{log.read_text()}")
            time.sleep(POLL_SECONDS)
    except BaseException:
        process.kill()  # Asterisk goes with it
        process.wait()
        raise
    return state


def down(name: str) -> None:
    """End an instance that `up` started, and wait until it has gone."""
    state = read_state(name)
    if state is None:
        raise TestbedError(f"no instance '{name}' runs")
    os.kill(state.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while state.alive:
        if time.monotonic() > deadline:
            os.kill(state.supervisor, signal.SIGKILL)
            raise TestbedError(f"instance '{name}' did not end within {DOWN_SECONDS:g} s; killed")
        time.sleep(POLL_SECONDS)


def serve(options: argparse.Namespace) -> None:
    """Be the supervisor: own an instance until SIGTERM, or until Asterisk ends by itself."""
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    instance = Instance(
        Root.find(),
        options.name,
        dialplan=_text(options.dialplan) or DEFAULT_DIALPLAN,
        elevenlabs=_text(options.elevenlabs),
        codecs=options.codecs.split(","),
    )
    try:
        instance.prepare()
        if options.install:
            print(instance.build_and_install(), flush=True)
        instance.start()
        _write_state(instance)
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        while instance.running and not signal.sigtimedwait(ends, WATCH_SECONDS):
            pass
    finally:
        _state_path(options.name).unlink(missing_ok=True)
        instance.stop()


def _text(file: str | None) -> str | None:
    return Path(file).read_text(encoding="utf-8") if file else None


def _write_state(instance: Instance) -> None:
    own = os.getpid()
    state = State(
        supervisor=own,
        started=_start_ticks(own),
        pid=instance.pid,
        first_port=instance.ports.first,
        root=str(instance.root.folder),
    )
    path = _state_path(instance.name)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(state)), encoding="utf-8")
    unfinished.replace(path)


def _state_path(name: str) -> Path:
    return BUILD / "testbed" / name / "state.json"


def _start_ticks(pid: int) -> int:
    """Return when a process started; 0 if there is none, or if it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])

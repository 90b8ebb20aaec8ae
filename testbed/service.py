"""An instance in the background, for the shell: started by `up`, ended by `down`.

A supervisor process of its own session owns the instance: Asterisk dies with it. What it runs is
in build/testbed/<name>/state.json as long as it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.config import CONTEXT, DEFAULT_DIALPLAN
from testbed.errors import TestbedError
from testbed.instance import BOOT_SECONDS, BUILD_SECONDS, UNDER_FACTOR, Instance
from testbed.mock import READY_SECONDS, MockAgent
from testbed.paths import BUILD, PROJECT
from testbed.ports import PortBlock
from testbed.root import Root

DOWN_SECONDS = 30.0
"""Limit on the supervisor's end; the instance has its own, shorter ones."""

WATCH_SECONDS = 0.5
"""How often the supervisor looks whether Asterisk still runs."""

POLL_SECONDS = 0.05

_WHERE = re.compile(
    r"(?m)^[ \t]*(base_url|signed_url_endpoint|api_key(_file|_env)?|ca_file|tls_verify)[ \t]*=.*\n?"
)
"""The lines of an elevenlabs.conf that say where the service is and how to get in."""


KEY_FILE = "elevenlabs.key"
"""In the instance's etc: a key that means nothing."""


@dataclass(frozen=True)
class State:
    """What the supervisor of an instance has written down."""

    supervisor: int
    started: int
    """The supervisor's start in clock ticks since boot: tells it from a later process's pid."""
    pid: int
    first_port: int
    root: str
    agent_url: str = ""
    """Of the mock agent that runs along; empty without."""
    agent_folder: str = ""
    """Where that agent leaves its output, its report and what was said."""

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
    slower = UNDER_FACTOR if any(re.match("--under=.", each) for each in arguments) else 1.0
    deadline = time.monotonic() + BOOT_SECONDS * slower + BUILD_SECONDS + READY_SECONDS
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


def down(name: str) -> State:
    """End an instance that `up` started, wait until it has gone, and return what it was."""
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
    return state


def make(name: str, arguments: list[str], directory: Path = PROJECT) -> int:
    """Run make in the instance's root, for that instance; its output is ours, and its status.

    directory: another copy of the sources, inside the checkout.
    """
    instance = attach(name)
    command = ["make", f"ASTERISK_CONF={instance.root.path(instance.conf)}", *arguments]
    process = instance.root.popen(command, cwd=directory, contained=True, stdout=1)
    try:
        return process.wait(BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise TestbedError(f"make: not finished after {BUILD_SECONDS:g} s") from None
    finally:
        process.kill()  # everything that it started goes along
        process.wait()


def run(name: str, command: list[str]) -> int:
    """Run a program where the instance runs, or would run, with this terminal; its exit status.

    The instance's process can be seen by its pid, which is in $ASTERISK_PID as well.
    """
    state = read_state(name)
    root = Root.at(Path(state.root)) if state else Root.find()
    env = root.environment({"ASTERISK_PID": str(state.pid)} if state else None)
    return subprocess.run(root.command(command), env=env, check=False).returncode


def serve(options: argparse.Namespace) -> None:
    """Be the supervisor: own an instance until SIGTERM, or until Asterisk ends by itself."""
    with ExitStack() as stack:
        root = Root.find()
        agent = None
        instance = Instance(
            root,
            options.name,
            dialplan=_dialplan(options),
            elevenlabs=_text(options.elevenlabs),
            codecs=options.codecs.split(","),
            # Where the checkout is, it is not in there.
            wrapper=shlex.split(options.under.replace(str(PROJECT), root.path(PROJECT))),
        )
        if options.agent:
            agent = stack.enter_context(MockAgent(root, _scenario(options.agent), record=True))
            instance.files[KEY_FILE] = "any-key-will-do\n"
            key = root.path(instance.etc / KEY_FILE)
            instance.elevenlabs = led_to(agent.url, key, instance.elevenlabs or "")
        _own(instance, agent, install=options.install)


def _own(instance: Instance, agent: MockAgent | None, *, install: bool) -> None:
    """Start the instance, write its state down, and stop it when that is asked for."""
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    try:
        instance.prepare()
        if install:
            print(instance.build_and_install(), flush=True)
        instance.start()
        _write_state(instance, agent)
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        while instance.running and not signal.sigtimedwait(ends, WATCH_SECONDS):
            pass
    finally:
        _state_path(instance.name).unlink(missing_ok=True)
        instance.stop()


def led_to(url: str, key_file: str, text: str) -> str:
    """Return an elevenlabs.conf all of whose agents are at this URL, with the key in this file.

    So a file of production can be tried as it is: its own key is neither read nor sent.
    """
    where = f"base_url = {url}\napi_key_file = {key_file}\n"
    text = _WHERE.sub("", text)
    text, found = re.subn(r"(?m)^\s*\[general\].*\n?", rf"[general]\n{where}", text, count=1)
    return text if found else f"[general]\n{where}\n{text}"


def _dialplan(options: argparse.Namespace) -> str:
    """Return the dialplan that was given, and the way from the callers into it."""
    text = _text(options.dialplan) or DEFAULT_DIALPLAN
    if options.context == CONTEXT:
        return text
    return f"{text}\n[{CONTEXT}]\ninclude => {options.context}\n"


def _scenario(given: str) -> str:
    """Return the text of a scenario's file, which is not visible in every root; or its name."""
    return Path(given).read_text(encoding="utf-8") if Path(given).is_file() else given


def _text(file: str | None) -> str | None:
    return Path(file).read_text(encoding="utf-8") if file else None


def _write_state(instance: Instance, agent: MockAgent | None) -> None:
    own = os.getpid()
    state = State(
        supervisor=own,
        started=_start_ticks(own),
        pid=instance.pid,
        first_port=instance.ports.first,
        root=str(instance.root.folder),
        agent_url=agent.url if agent else "",
        agent_folder=str(agent.folder) if agent else "",
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

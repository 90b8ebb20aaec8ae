"""Looks over the shoulder of a test: at every process of the machine, and at all that AMI tells."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.config import MANAGER_SECRET, MANAGER_USER
from testbed.instance import Instance
from tests.timing import EVENT, MS, SECOND

LOOK_SECONDS = 20 * MS
"""How often to look at the processes: one that reads its arguments and ends lives as long."""

CONNECT_SECONDS = 10 * SECOND


class Processes:
    """The command line of every process that was there, and the environment of those not ours."""

    def __init__(self) -> None:
        self.command_lines: dict[bytes, str] = {}
        """By what it says, whose it was."""
        self.environments: dict[bytes, str] = {}
        self._seen: set[tuple[str, int]] = set()
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[Processes]:
        """Look at them until the context is left."""
        thread = threading.Thread(target=self._watch, name="processes", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once. Processes come and go meanwhile."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command_line = (process / "cmdline").read_bytes()
                what = (process / "comm").read_text(errors="replace").strip()
                self.command_lines.setdefault(command_line, f"{what} ({process.name})")
                self._environment(process, what)

    def _environment(self, process: Path, what: str) -> None:
        """Read once for each program that a process has become: that is slow."""
        run = (process.name, (process / "exe").stat().st_ino)
        if run not in self._seen:
            self._seen.add(run)
            environment = (process / "environ").read_bytes()
            self.environments.setdefault(environment, f"{what} ({process.name})")


class Eavesdropper:
    """A program with all rights to read AMI: every byte that comes."""

    def __init__(self, pbx: Instance) -> None:
        self._address = ("127.0.0.1", pbx.ports.manager)
        self._socket: socket.socket | None = None
        self._heard = bytearray()
        self._thread = threading.Thread(target=self._listen, name="eavesdropper", daemon=True)

    def __enter__(self) -> Eavesdropper:
        self._socket = socket.create_connection(self._address, CONNECT_SECONDS)
        self.say("Login", Username=MANAGER_USER, Secret=MANAGER_SECRET, Events="on")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._socket is not None
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(CONNECT_SECONDS)
        self._socket.close()

    def say(self, action: str, **headers: str) -> None:
        """Ask for something; the answer is among what comes."""
        assert self._socket is not None
        lines = {"Action": action, **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"{text}\r\n".encode())

    def _listen(self) -> None:
        assert self._socket is not None
        self._socket.settimeout(None)
        with suppress(OSError):
            while data := self._socket.recv(1 << 16):
                self._heard += data

    def blocks(self) -> str:
        """All events and answers, each as one line: the name of its event tells whose it is."""
        text = bytes(self._heard).decode(errors="replace")
        return "\n".join(" | ".join(block.split("\r\n")) for block in text.split("\r\n\r\n"))

    def wait(self, words: str, limit: float = EVENT) -> None:
        """Wait until it has heard this."""
        until = time.monotonic() + limit
        while words.encode() not in self._heard:
            assert time.monotonic() < until, f"AMI has not told of {words!r}"
            time.sleep(LOOK_SECONDS)


def own_environment() -> bytes:
    """The environment of this very process, as others see it."""
    return Path(f"/proc/{os.getpid()}/environ").read_bytes()

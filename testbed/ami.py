"""A client of AMI."""

from __future__ import annotations

import socket
import time

from testbed.config import MANAGER_SECRET, MANAGER_USER
from testbed.errors import TestbedError
from testbed.instance import Instance

ANSWER_SECONDS = 30.0
"""Limit on a connection, and on the response to an action."""

EVENT_SECONDS = 30.0
"""Default limit on an event."""


class Ami:
    """One connection to AMI. events: which it is told of, for `wait_event`; "call", for example.

    user: another one of manager.conf, with the same secret.
    """

    def __init__(self, pbx: Instance, events: str = "off", user: str = MANAGER_USER) -> None:
        self._socket = socket.create_connection(("127.0.0.1", pbx.ports.manager), ANSWER_SECONDS)
        self._file = self._socket.makefile("rwb")
        self._file.readline()  # the banner
        answer = self.ask("Login", Username=user, Secret=MANAGER_SECRET, Events=events)
        if answer["Response"] != "Success":
            raise TestbedError(f"AMI of instance {pbx.name}: {answer}")

    def __enter__(self) -> Ami:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, action: str, **headers: str) -> dict[str, str]:
        """The response to an action; events that come before it are passed over."""
        lines = {"Action": action, **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._file.write(f"{text}\r\n".encode())
        self._file.flush()
        while "Response" not in (block := self._block()):
            pass
        return block

    def wait_event(self, *names: str, limit: float = EVENT_SECONDS) -> dict[str, str]:
        """The next event of these names; others are passed over."""
        until = time.monotonic() + limit
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            if (block := self._block()).get("Event") in names:
                return block
        raise TestbedError(f"no event {', '.join(names)} within {limit:g} s")

    def events(self, last: str = "", count: int = 0) -> list[dict[str, str]]:
        """All events that have come until now, and have not been passed over.

        count, last: wait for so many of this name first. A channel's Hangup comes behind all else
        that is told of the channel, and some time after the channel has gone.
        """
        found: list[dict[str, str]] = []
        self._socket.settimeout(EVENT_SECONDS)
        while sum(block.get("Event") == last for block in found) < count:
            found.append(self._block())
        self._file.write(b"Action: Ping\r\n\r\n")
        self._file.flush()
        while "Ping" not in (block := self._block()):
            found.append(block)
        return found

    def _block(self) -> dict[str, str]:
        """One answer or event. The values of a name that is there several times are lines."""
        lines: dict[str, str] = {}
        while line := self._file.readline().decode().strip():
            name, _, value = line.partition(":")
            lines[name] = f"{lines[name]}\n{value.strip()}" if name in lines else value.strip()
        return lines

"""Free ports on loopback that two instances, or two checkouts, never both take."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testbed.claims import claim
from testbed.errors import TestbedError

FIRST_PORT = 10_000
"""Below it live well-known services."""

LAST_PORT = 32_000
"""Above it the kernel hands out ports by itself (net.ipv4.ip_local_port_range)."""

BLOCK = 2_000
"""Ports of one instance: two RTP ports each for 450 calls on either side, and room for others."""


FREE_SECONDS = 60.0
"""Limit on a free block: there are eleven, and tests that run at once may want more for a while."""

POLL_SECONDS = 0.1
"""How often to look for one that was given back."""

TABLES = ("udp", "udp6", "tcp", "tcp6")

TIME_WAIT = "06"
"""A TCP state in these tables (the kernel's net/tcp_states.h)."""


class PortBlock:
    """The ports of one instance and of the callers that ring it.

    `sip`, `manager` and `http` are Asterisk's, `rtp` its media range; `take()` and `take_rtp()`
    hand out ports to callers, going round when all have been used once.
    """

    def __init__(self, first: int | None = None) -> None:
        """Claim a block; or, given its first port, join one that another process has claimed."""
        self._claim: socket.socket | None = None
        if first is None:
            self._claim, first = _claim_block()
        self.first = first
        self.sip, self.manager, self.http = first, first + 1, first + 2
        self._single = itertools.cycle(range(first + 10, first + 100))
        self.rtp = range(first + 100, first + 1_100)
        self._media = itertools.cycle(range(first + 1_100, first + BLOCK, 2))

    def take(self) -> int:
        """Return a port for a caller's signalling or control that is free right now."""
        return _first_free(self._single, 90, _used())

    def take_rtp(self, count: int) -> list[int]:
        """Return that many even ports for callers' media, each with its odd neighbour unused."""
        limit = (BLOCK - 1_100) // 2
        if count > limit:
            raise TestbedError(f"{count} calls at once: an instance has ports for {limit}")
        used = _used()
        return [_first_free(self._media, limit, used) for _ in range(count)]

    def release(self) -> None:
        """Let another instance have the block."""
        if self._claim is not None:
            self._claim.close()


def _claim_block() -> tuple[socket.socket, int]:
    deadline = time.monotonic() + FREE_SECONDS
    while True:
        for first in range(FIRST_PORT, LAST_PORT - BLOCK + 1, BLOCK):
            held = claim(f"ports-{first}")
            if held is None:
                continue
            if _used().isdisjoint(range(first, first + 3)):
                return held, first
            held.close()
        if time.monotonic() > deadline:
            where = f"between {FIRST_PORT} and {LAST_PORT}"
            raise TestbedError(f"no free block of {BLOCK} ports {where}")
        time.sleep(POLL_SECONDS)


def _used() -> set[int]:
    """Return the ports that sockets have.

    The kernel is asked rather than tried: a socket that tries a port has it for that moment, and a
    child that another thread forks then keeps it until it execs.
    """
    used: set[int] = set()
    for table in TABLES:
        with suppress(FileNotFoundError):  # a kernel without IPv6
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                # Connections that have ended linger; they do not keep a server away.
                if state != TIME_WAIT:
                    used.add(int(local.rpartition(":")[2], 16))
    return used


def _first_free(ports: Iterator[int], tries: int, used: set[int]) -> int:
    for port in itertools.islice(ports, tries):
        if port not in used:
            return port
    raise TestbedError("all ports of this instance are in use")

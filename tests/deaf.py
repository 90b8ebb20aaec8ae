"""An address that answers nothing, without a firewall: whoever connects waits for ever."""

from __future__ import annotations

import socket


class Deaf:
    """A listener whose backlog is full: Linux drops what else comes, as a dead link would."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server((host, port), family=self.family, backlog=0)
        self._server.setblocking(False)
        self.address = self._server.getsockname()
        self.port: int = self.address[1]
        # Connected, not accepted: one is as many as fit into a backlog of 0.
        self._filler = socket.create_connection(self.address[:2])
        self._own = self._filler.getsockname()

    def hears(self) -> int:
        """From now on it is not deaf. How many have connected since the last call."""
        count = 0
        self._filler.close()
        try:
            while True:
                came, peer = self._server.accept()
                came.close()
                count += peer != self._own
        except BlockingIOError:
            return count

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        self._filler.close()
        self._server.close()

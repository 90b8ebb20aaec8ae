"""Names that only one process on the machine can hold at a time.

A name is held by binding an abstract UNIX socket: the kernel knows each only once per network, as
it does ports, and lets go of it when the process ends, however that ends. No file is left behind.
"""

from __future__ import annotations

import socket

PREFIX = "\0app_elevenlabs_convai-testbed-"


def claim(name: str) -> socket.socket | None:
    """Return the claim, to be closed when done; None if another holder has the name."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(PREFIX + name)
    except OSError:
        held.close()
        return None
    return held

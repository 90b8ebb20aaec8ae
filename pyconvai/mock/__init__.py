"""A voice agent server that needs no account: for demos, for tests, for developing a dialplan.

Speaks the conversation protocol over HTTP and WebSocket on one port, follows a scenario file,
checks its client and reports what it saw. Needs Python 3.11 and ``websockets`` alone.
Run it with ``python3 -m pyconvai.mock``, or in a test with ``MockAgent``.
"""

from .scenario import ScenarioError, load
from .server import MockAgent

__all__ = ["MockAgent", "ScenarioError", "load"]

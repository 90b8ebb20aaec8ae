"""Hold conversations with the mock agent through the engine, without Asterisk.

Protocol, connections, sessions, and how they end: over real sockets on loopback.
"""

from __future__ import annotations

import argparse
import sys

import suites

FILES = ("protocol", "net", "connecting", "session", "session_mock", "send", "endings")


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="test_websocket", description=__doc__)
    parser.parse_args()
    return suites.conclude("test_websocket", suites.python_tests(*FILES))


if __name__ == "__main__":
    sys.exit(main())

"""The one exception of the testbed."""

from __future__ import annotations


class TestbedError(Exception):
    """What the testbed needs is missing or did not happen in time; the text says what to do."""

    __test__ = False  # keeps pytest from taking the name for a test class

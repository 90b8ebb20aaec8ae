"""Logging into Asterisk's logger: ``logging`` on this side, the host's log function on the other.

Python's stdout belongs to nobody inside Asterisk, so nothing may be printed. ``host`` makes each
text harmless, whoever it is from.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from . import limits, words
from .core import _core

DEBUG, NOTICE, WARNING, ERROR = range(4)
"""``enum convai_log_level``."""

SHARED_LOGGERS = ("asyncio", "websockets")
"""Loggers of libraries, which all generations of the engine in one interpreter share."""

NOBODY = logging.NullHandler()


def host(level: int, text: str, channel: str = "") -> None:
    """Write a line to the host's log, through the door. Any thread; may block as that log does."""
    text = words.line(text, limits.MAX_LINE_BYTES)
    _core.log(level, words.line(channel), text)


class HostHandler(logging.Handler):
    """Hand what libraries log on this thread to the host, without the name of a channel.

    Each generation has a handler of its own and a loop thread of its own: a line is told once, by
    the generation that it concerns.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Only what comes from this handler's thread."""
        return record.thread == self._thread

    def emit(self, record: logging.LogRecord) -> None:
        """Loop thread; may block for as long as Asterisk's logger does."""
        try:
            host(_level(record.levelno), self.format(record))
        except Exception:  # a fault while logging must not become a fault of the call
            self.handleError(record)


def _level(python_level: int) -> int:
    if python_level >= logging.ERROR:
        return ERROR
    return WARNING if python_level >= logging.WARNING else NOTICE


@contextmanager
def libraries() -> Iterator[None]:
    """Send the warnings of libraries on this thread to the host, and nowhere else."""
    logging.raiseExceptions = False  # it would print
    handler = HostHandler()
    loggers = [logging.getLogger(name) for name in SHARED_LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.addHandler(NOBODY)  # it stays: Python prints a record that no handler takes
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def trace(fault: BaseException) -> str:
    """A traceback as one long line, which stays whole in the log."""
    return " | ".join("".join(traceback.format_exception(fault)).split("\n"))


def frames(fault: BaseException) -> str:
    """Where an exception has come from, without its text, which may be somebody's secret."""
    places = traceback.extract_tb(fault.__traceback__)
    way = " < ".join(f"{place.name} ({place.lineno})" for place in reversed(places))
    return f"{type(fault).__name__} in {way}"


class ChannelLog:
    """The log of one call: every line carries its channel's name."""

    def __init__(self, handle: _core.SessionHandle, debug: bool) -> None:
        self._handle = handle
        self._channel = handle.channel
        self._debug = debug
        self._lines: Counter[str] = Counter()
        """How many of each kind there were to write."""

    @property
    def debugging(self) -> bool:
        """Whether messages are to be logged: the agent asks for it, or the operator does."""
        return self._handle.debugging(self._debug)

    def write(self, level: int, text: str, kind: str = "") -> None:
        """A line of this level; DEBUG only where somebody looks for a fault.

        ``kind``: what others may cause any number of, in words. ``LINES_OF_A_KIND`` are written.
        """
        if level == DEBUG:
            if not self.debugging:
                return
        elif kind:
            self._lines[kind] += 1
            if self._lines[kind] > limits.LINES_OF_A_KIND:
                return
        host(level, text, self._channel)

    def close(self) -> None:
        """Say how many lines were left out: the call is over."""
        for kind, count in self._lines.items():
            if count > limits.LINES_OF_A_KIND:
                more = count - limits.LINES_OF_A_KIND
                host(NOTICE, f"not logged: {more} more lines about {kind}", self._channel)
        self._lines.clear()

    def debug(self, text: str) -> None:
        """A line that only somebody who looks for a fault wants."""
        self.write(DEBUG, text)

    def notice(self, text: str, kind: str = "") -> None:
        """A line that an operator may want."""
        self.write(NOTICE, text, kind)

    def warning(self, text: str, kind: str = "") -> None:
        """Something is not as it should be; the call goes on."""
        self.write(WARNING, text, kind)

    def error(self, text: str, kind: str = "") -> None:
        """The call, or a part of it, ends because of this."""
        self.write(ERROR, text, kind)

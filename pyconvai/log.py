"""Logging into Asterisk's logger: ``logging`` on this side, the host's log function on the other.

Python's stdout belongs to nobody inside Asterisk, so nothing may be printed.
"""

from __future__ import annotations

import logging

from . import _core

DEBUG, NOTICE, WARNING, ERROR = range(4)
"""``enum convai_log_level``."""


class HostHandler(logging.Handler):
    """Hand records of any logger to the host, without the name of a channel."""

    def emit(self, record: logging.LogRecord) -> None:
        """Loop thread or a pool thread; may block for as long as Asterisk's logger does."""
        try:
            _core.log(_level(record.levelno), "", self.format(record))
        except Exception:  # a fault while logging must not become a fault of the call
            self.handleError(record)


def _level(python_level: int) -> int:
    if python_level >= logging.ERROR:
        return ERROR
    return WARNING if python_level >= logging.WARNING else NOTICE


def install(logger: logging.Logger) -> None:
    """Send this logger's warnings to the host, once, and nowhere else."""
    logging.raiseExceptions = False  # it would print
    logger.handlers = [HostHandler(logging.WARNING)]
    logger.setLevel(logging.WARNING)
    logger.propagate = False


class ChannelLog:
    """The log of one call: every line carries its channel's name."""

    def __init__(self, channel: str, debug: bool) -> None:
        self._channel = channel
        self._debug = debug

    @property
    def debugging(self) -> bool:
        """Whether messages are to be logged: the agent asks for it, or the operator does."""
        return self._debug or _core.debugging()

    def debug(self, text: str) -> None:
        """A line that only someone who looks for a fault wants."""
        if self.debugging:
            _core.log(DEBUG, self._channel, text)

    def notice(self, text: str) -> None:
        """A line an operator may want."""
        _core.log(NOTICE, self._channel, text)

    def warning(self, text: str) -> None:
        """Something is not as it should be; the call goes on."""
        _core.log(WARNING, self._channel, text)

    def error(self, text: str) -> None:
        """The call ends because of this."""
        _core.log(ERROR, self._channel, text)

"""What commands and programs ask the loop without a call, and who answers. Loop thread only.

A kind of inquiry is one async function, which ``Runtime`` names. It may await, but never block. The
answer is lines for people; each passes the door here. The C module's end: ``control/inquire.c``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from . import limits, log, words
from .core import _core
from .service.endings import SetupFailed

Pair = tuple[int, str, str]
"""(kind, name, value), as a call's; arguments among them (``settings.arguments``)."""

Answer = tuple[bool, list[str]] | tuple[bool, list[str] | bytes]
"""Whether all is well, and lines for people; or a document, whose maker has put each text of others
through a door of its own: JSON by ``records.record.written``, a page by ``report.text``."""

Function = Callable[[str, list[Pair]], Awaitable[Answer]]
"""Gets the agent's section, which may be empty, and the pairs. Or it raises SetupFailed, and its
ending is the answer."""


class Inquiries:
    """Those of one loop that are under way. How many there may be, the core sees to."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        """``functions``: by the kind that they answer."""
        self._functions = functions
        self._under_way: dict[asyncio.Task[None], _core.InquiryHandle] = {}

    def look(self) -> None:
        """Begin with those that are new, and end those that nobody waits for any more."""
        for handle in _core.new_inquiries():
            task = asyncio.get_running_loop().create_task(self._answer(handle))
            self._under_way[task] = handle
            task.add_done_callback(self._gone)
        for task, handle in self._under_way.items():
            if handle.given_up:
                task.cancel()

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task).release()

    async def _answer(self, handle: _core.InquiryHandle) -> None:
        ok = False
        lines: list[str] | bytes
        try:
            async with asyncio.timeout(handle.seconds):
                ok, lines = await self._ask(handle)
        except SetupFailed as failed:
            lines = [str(failed.ending)]
        except TimeoutError:
            lines = [f"no answer within {handle.seconds:g} s"]
        except asyncio.CancelledError:
            handle.answer(ok, "the engine is being stopped")
            raise
        except Exception as fault:
            log.host(log.ERROR, f"an inquiry, {handle.kind}, failed: {log.trace(fault)}")
            lines = ["the engine failed; the log tells why"]
        text = lines.decode() if isinstance(lines, bytes) else "\n".join(harmless(lines))
        handle.answer(ok, text)

    async def _ask(self, handle: _core.InquiryHandle) -> Answer:
        function = self._functions.get(handle.kind)
        if function is None:
            return False, [f"this engine knows no inquiry {words.token(handle.kind)}"]
        return await function(handle.agent, list(handle.pairs))


def harmless(lines: list[str]) -> list[str]:
    """Lines as they may leave the engine, and no more than ``limits.INQUIRY_LINES``."""
    kept = [words.line(each, limits.INQUIRY_LINE_BYTES) for each in lines[: limits.INQUIRY_LINES]]
    if more := len(lines) - len(kept):
        kept[-1] = f"... and {more + 1} lines more"
    return kept

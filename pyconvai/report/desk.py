"""The inquiries of people about calls: a report, a bundle. Loop thread only.

What takes time is done by a thread of its own, one thing after the other: to make a page, to look
for a record among those on the disk, to write. The loop waits for none of it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from itertools import islice
from typing import TypeVarTuple

import orjson

from .. import limits
from ..records import record
from ..records.disk import Disk
from ..records.folder import Folder
from ..records.keeper import LAST, Records
from ..records.record import Record
from ..service.settings import arguments
from . import bundle, page

Pairs = list[tuple[int, str, str]]
Answer = tuple[bool, list[str] | bytes]
"""As ``inquiries.py`` takes it."""

Ts = TypeVarTuple("Ts")

_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


class Desk:
    """Who answers them."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._thread: Disk | None = None

    def close(self) -> None:
        """Begin nothing more; nobody waits for what is under way."""
        if self._thread is not None:
            self._thread.close()

    async def names(self, _agent: str, _pairs: Pairs) -> Answer:
        """``call names``: a line each, of what a report can be had of without the disk."""
        found = list(islice(self._records.names(), limits.INQUIRY_LINES))
        return True, found or [LAST]

    async def page(self, _agent: str, pairs: Pairs) -> Answer:
        """``report page``: the page of one call itself, as HTML.

        Without what was said, unless ``words`` is ``yes``: who asks may look at calls, and not at
        files.
        """
        (name,) = arguments(pairs, "call")
        with_words = arguments(pairs, "words") == ["yes"]
        options, line = self._records.options, self._records.find(name)
        if line is None and not options.folder:
            return False, [_unknown(name)]
        return await self._run(_page, line, name, options.folder, with_words)

    async def report(self, _agent: str, pairs: Pairs) -> Answer:
        """``report``: write the page of one call, and say where."""
        (name,) = arguments(pairs, "call")
        options = self._records.options
        if not options.folder:
            return False, ["the engine has not been told where reports go"]
        line = self._records.find(name)
        return await self._run(_report, line, name, options.folder, options.days)

    async def bundle(self, _agent: str, pairs: Pairs) -> Answer:
        """``bundle``: write a file to send in, of parts that the module gives; say where."""
        options = self._records.options
        if not options.folder:
            return False, ["the engine has not been told where bundles go"]
        over = [orjson.loads(kept.line) for kept in self._records.recent]
        parts = [(name, text) for _, name, text in pairs]
        return await self._run(_bundle, parts, over, options.folder, options.days)

    async def _run(self, job: Callable[[*Ts], Answer], *given: *Ts) -> Answer:
        """Have it done, behind what is under way; one that is given up before is not begun."""
        self._thread = self._thread or Disk("convai-report")
        try:
            return await self._thread.run(job, *given)
        except TimeoutError:
            seconds = limits.REPORT_SEARCH_SECONDS
            return False, [f"not found among the records on the disk within {seconds:g} s"]
        except OSError as fault:
            return False, [f"nothing could be written: {fault.strerror or type(fault).__name__}"]


def _unknown(name: str) -> str:
    """Why there is no record."""
    return f"no call {name} is up, or among the last {limits.CALLS_KEPT} that are over"


# ---- On the thread ----


def _report(line: bytes | None, name: str, path: str, days: int) -> Answer:
    folder = Folder(path, uuid.uuid4().hex)
    try:
        found, data = _made(line, name, folder)
        if found is None:
            return False, [data.decode()]
        return True, [folder.put_report(_file_name(found), data, days)]
    finally:
        folder.close()


def _page(line: bytes | None, name: str, path: str, with_words: bool) -> Answer:
    folder = Folder(path, uuid.uuid4().hex)
    try:
        found, data = _made(line, name, folder, with_words=with_words)
        return (True, data) if found is not None else (False, [data.decode()])
    finally:
        folder.close()


def _made(
    line: bytes | None, name: str, folder: Folder, *, with_words: bool = True
) -> tuple[Record | None, bytes]:
    """The record of a call and its page; or nothing, and why."""
    found = orjson.loads(line) if line else folder.find(name, limits.REPORT_SEARCH_SECONDS)
    if found is None:
        more = "; records = yes keeps those of calls that are over on the disk"
        return None, f"{_unknown(name)}{more}".encode()
    now = record.moment(record.now_ms())
    made = page.made(found, now[:19].replace("T", " "), with_words=with_words)
    data = made.encode(errors="replace")
    if len(data) > limits.REPORT_BYTES:
        return None, f"the report would have more than {limits.REPORT_BYTES} bytes".encode()
    return found, data


def _file_name(found: Record) -> str:
    """When it began, the channel, a part of the record's id: the same for the same call."""
    began = re.sub(r"\D", "", str(found["started_at"])[:19])
    channel = _NO_FILE_NAME.sub("-", str(found["channel"]))[: limits.REPORT_NAME_CHARACTERS]
    return f"call-{began}-{channel.strip('.-')}-{_NO_FILE_NAME.sub('', str(found['id']))[:8]}.html"


def _bundle(parts: list[tuple[str, str]], over: list[Record], path: str, days: int) -> Answer:
    folder = Folder(path, uuid.uuid4().hex)
    try:
        now_ms = record.now_ms()
        data = bundle.made(parts, over, now_ms)
        stamp = re.sub(r"\D", "", record.moment(now_ms)[:19])
        where = folder.put_report(f"bundle-{stamp}.tar.gz", data, days)
    finally:
        folder.close()
    return True, [where, "Keys and numbers are cut out; look into it before you send it."]

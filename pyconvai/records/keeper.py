"""The records of one engine: gathered on the loop, written by the disk's thread. Loop thread only.

The module says what a call is with its session, and how it has ended when it is over; the session
says what the conversation was like. What waits for the disk is bounded, and a disk that takes
nothing costs a line in the log and, in the end, records; never a call.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .. import limits, log
from ..conversation.account import Account
from ..conversation.session import Session
from ..core import _core
from ..service.endings import Ending, Status
from ..service.net import Network
from . import options as settings
from . import record
from .disk import Disk
from .folder import Entry, Folder
from .recent import Recent
from .webhook import Sender

LAST = "last"
"""Asks for the call that ended last; no channel has such a name."""

Facts = dict[str, str]
Pairs = list[tuple[int, str, str]]


@dataclass(slots=True)
class _Call:
    """A call that is to be recorded, from its first session on."""

    facts: Facts
    sessions: int = 0
    """That are up."""
    session: Session | None = None
    """The last one, while it is up."""
    account: Account | None = None
    """Of the last one that is over."""
    ending: Ending | None = None
    is_over: bool = False
    """The module has said how it has ended; its facts are all there."""

    @property
    def to_disk(self) -> bool:
        """Whether its record goes further than to memory."""
        return "yes" in (self.facts["in_file"], self.facts["for_webhook"])


class Records:
    """What is recorded of the calls of one engine."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._options = settings.Options()
        self.recent = Recent()
        self._calls: dict[str, _Call] = {}
        self._entries: deque[Entry] = deque()
        self._bytes = self._lost = 0
        self._disk: Disk | None = None
        self._folder: Folder | None = None
        self._sender: Sender | None = None
        self._writing: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._error = ""
        """Why the disk takes nothing; empty: it does."""

    @property
    def options(self) -> settings.Options:
        """What ``elevenlabs.conf`` says of records, by now."""
        return self._options

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """Those that ``close`` ends."""
        return {task for task in (self._writing, self._sending) if task is not None}

    # ---- What the module tells ----

    def look(self) -> None:
        """Take what has come."""
        for what, pairs in _core.new_information():
            if what == _core.INFORM_SETTINGS:
                self._configure(settings.read(pairs))
            elif what == _core.INFORM_CALL_OVER:
                self._is_over({name: value for _, name, value in pairs})

    def _configure(self, new: settings.Options) -> None:
        self._options = new
        if not new.wanted and self._disk is None:
            return  # no thread and no folder for what nobody wants
        if self._disk is None or self._folder is None:
            self._disk = Disk()
            self._folder = Folder(new.folder, uuid.uuid4().hex)
        if self._sender is None:
            self._sender = Sender(self._network, self._disk, self._folder, new)
            self._sending = asyncio.get_running_loop().create_task(self._sender.run())
        self._sender.configure(new)

    # ---- Calls ----

    def begin(self, facts: Facts, session: Session) -> str:
        """A session begins. Returns the id of its record; empty: it is nobody's call."""
        if not facts:
            return ""
        call = self._calls.setdefault(facts["id"], _Call(facts))
        if call.to_disk and not call.sessions and call.account is None:
            self._put(self._entry(facts, record.written(record.begun(facts))))
        call.sessions += 1
        call.session = session
        return facts["id"]

    def end(self, call_id: str, session: Session) -> None:
        """A session is over, and has told its account all that there is."""
        call = self._calls.get(call_id)
        if call is None:
            return  # it has been concluded: the engine is being stopped, and did not wait
        call.sessions -= 1
        call.account, call.ending = session.account, session.ending
        if call.session is session:
            call.session = None
        self._finish(call)

    def _is_over(self, facts: Facts) -> None:
        call = self._calls.setdefault(facts["id"], _Call(facts))
        call.facts, call.is_over = facts, True
        self._finish(call)

    def _finish(self, call: _Call) -> None:
        """Record it, once both the module and its sessions are through with it."""
        if call.is_over and not call.sessions:
            del self._calls[call.facts["id"]]
            found = record.ended(call.facts, call.account)
            line = record.written(found)
            self.recent.add(found, line)
            if call.to_disk:
                self._put(self._entry(call.facts, line, record.day(found)))

    # ---- Calls, for who looks at them ----

    def names(self) -> Iterator[str]:
        """The id of the conversation and the channel of each that ``find`` finds, newest first."""
        for call in reversed(self._calls.values()):
            if call.session is not None and call.session.account.conversation_id:
                yield call.session.account.conversation_id
            yield call.facts["channel"]
        for kept in self.recent:
            yield from kept.names[:2]

    def find(self, name: str) -> bytes | None:
        """The record of the newest call with this name (``record.names``) that is in memory.

        ``last``: of the one that ended last. One that is up has what there is until now.
        """
        if name == LAST:
            return next((kept.line for kept in self.recent), None)
        for call in reversed(self._calls.values()):
            ids = (call.facts["channel"], call.facts["unique_id"], call.facts["id"])
            up = call.session
            if name in ids or (up and name == up.account.conversation_id):
                return record.written(self._standing(call))
        return self.recent.find(name)

    @staticmethod
    def _standing(call: _Call) -> record.Record:
        account = call.account
        if call.session is not None:
            call.session.look()
            account = call.session.account
        return record.standing(call.facts, account)

    @staticmethod
    def _entry(facts: Mapping[str, str], line: bytes, day: str = "") -> Entry:
        in_file, for_webhook = facts["in_file"] == "yes", facts["for_webhook"] == "yes"
        return Entry(facts["id"], line, facts["asked_agent"], in_file, for_webhook, day)

    # ---- To the disk ----

    def _put(self, entry: Entry) -> None:
        room = self._bytes + len(entry.line) <= limits.RECORDS_WAITING_BYTES
        if self._folder is None or not room or len(self._entries) >= limits.RECORDS_WAITING:
            self._lost += bool(entry.day)
            return
        self._entries.append(entry)
        self._bytes += len(entry.line)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """Write what waits, until nothing does."""
        assert self._disk is not None
        assert self._folder is not None
        seconds = limits.DISK_PAUSE_SECONDS
        while self._entries:
            batch = list(islice(self._entries, limits.RECORDS_AT_ONCE))
            done, fault = await self._disk.run(self._folder.write, batch)
            for entry in batch[:done]:
                self._entries.popleft()
                self._bytes -= len(entry.line)
            if self._sender is not None:
                self._sender.add(each.spooled for each in batch[:done] if each.spooled)
            if fault is None:
                self._works()
                seconds = limits.DISK_PAUSE_SECONDS
            else:
                self._fails(fault)
                await asyncio.sleep(seconds)
                seconds = min(seconds * 2, limits.DISK_PAUSE_LONGEST_SECONDS)

    def _fails(self, fault: OSError) -> None:
        why = fault.strerror or type(fault).__name__
        if not self._error:
            told = f"records cannot be written to {self._options.folder}: {why}"
            log.host(log.ERROR, f"{told}; {limits.RECORDS_WAITING} wait for room, the rest is lost")
        self._error = why

    def _works(self) -> None:
        if self._error or self._lost:
            log.host(log.NOTICE, f"records are written again; {self._lost} were lost meanwhile")
        self._error, self._lost = "", 0

    # ---- The end of the engine ----

    async def close(self) -> None:
        """Record what is left, and let go of everything. No session is up any more."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limits.RECORDS_CONCLUDE_SECONDS
        self.look()
        while any(call.to_disk for call in self._calls.values()) and loop.time() < until:
            await asyncio.sleep(0.01)
            self.look()
        for call in list(self._calls.values()):
            self._conclude(call)
        if self._sending is not None:
            self._sending.cancel()
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=limits.RECORDS_LAST_SECONDS)
            self._writing.cancel()
        if self._entries:
            left = sum(bool(entry.day) for entry in self._entries)
            log.host(log.WARNING, f"the disk has not taken {left} records: they are lost")
        await self._let_go()

    def _conclude(self, call: _Call) -> None:
        """The module has not said how the call ended: by what this engine knows."""
        ending = call.ending or Ending(Status.UNLOADED, "the engine has been stopped")
        begun, now = int(call.facts["started_ms"]), record.now_ms()
        call.sessions = 0
        self._is_over(
            call.facts
            | {
                "status": ending.status.name,
                "reason": ending.reason,
                "detail": ending.detail,
                "ended_ms": str(now),
                "duration_ms": str(max(0, now - begun)),
                "answered_ms": "0",
            }
        )

    async def _let_go(self) -> None:
        if self._disk is None or self._folder is None:
            return
        if self._sender is not None:
            await self._sender.close()
        loop = asyncio.get_running_loop()
        last = loop.create_task(self._disk.run(self._folder.close))
        await asyncio.wait({last}, timeout=limits.RECORDS_LAST_SECONDS)
        last.cancel()
        self._disk.close()

    # ---- What operators see ----

    async def told(self, _agent: str, _pairs: Pairs) -> tuple[bool, list[str]]:
        """The answer to the inquiry ``webhooks``."""
        lines = self._sender.told() if self._sender else []
        if self._error:
            count = len(self._entries)
            lines.append(f"{count} records and marks wait for the disk: {self._error}")
        if self._lost:
            lines.append(f"{self._lost} records are lost: no more may wait")
        return True, lines or ["There is no webhook_url in elevenlabs.conf"]

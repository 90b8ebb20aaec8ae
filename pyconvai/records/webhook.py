"""Sending what is in the spool: each record at least once, with the same bytes. Loop thread only.

One engine sends: the one that holds the lock. A record that was not taken is tried again after a
pause that grows with it; and a place that takes nothing is asked by one record after the other,
after pauses that grow with the place, so that neither a broken record nor a broken receiver holds
up others. Where a record goes, and how it is signed, ``elevenlabs.conf`` decides at each try.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from .. import limits, log
from ..core import _core
from ..secret import Secret
from ..service.backoff import retry_after
from ..service.endings import SetupFailed
from ..service.net import Network
from .disk import Disk
from .folder import Folder, Spooled
from .options import Destination, Options
from .signature import HEADER, signature


def pause(longest: float, times: int) -> float:
    """How long to wait after so many failures, one at least."""
    seconds = min(longest, limits.WEBHOOK_PAUSE_SECONDS * 2.0 ** min(times - 1, 32))
    return seconds * random.uniform(1 - limits.WEBHOOK_JITTER_SHARE, 1)  # noqa: S311


def _records(count: int) -> str:
    return f"{count} record{'s' * (count != 1)}"


class _NotOurs(Exception):
    """Nothing is to be sent: another engine does by now, or the record has no destination."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record that is to be sent."""

    spooled: Spooled
    tries: int = 0
    next: float = 0.0
    """By the loop's clock."""
    sending: bool = False

    def __lt__(self, other: _Waiting) -> bool:
        """Whether it is due before another one; the older one of two that are."""
        return (self.next, self.spooled.since) < (other.next, other.spooled.since)


@dataclass(slots=True, eq=False)
class _Place:
    """A receiver, for all agents whose records go there."""

    shown: str
    queue: list[_Waiting] = field(default_factory=list)
    """A heap: what is not under way. Those that are given up are passed over."""
    streak: int = 0
    """Failures since it has taken something."""
    next: float = 0.0
    sending: int = 0
    waiting: int = 0
    sent: int = 0
    failed: int = 0
    given_up: int = 0
    error: str = ""

    @property
    def at_once(self) -> int:
        """One record at a time asks a place whether it takes something again."""
        return 1 if self.streak else limits.WEBHOOKS_AT_ONCE

    @property
    def due(self) -> float:
        """When the next one may be offered."""
        return max(self.queue[0].next, self.next) if self.queue else math.inf

    def line(self, now: float) -> str:
        """For an operator."""
        counts = (
            f"{self.shown}: {self.waiting} waiting, {self.sent} sent,"
            f" {self.failed} tries failed, {self.given_up} given up"
        )
        due = f"; next try in {max(0.0, self.due - now):.0f} s" if self.due < math.inf else ""
        return counts + due + (f"; last error: {self.error}" if self.error else "")


_NOWHERE = "no webhook_url in elevenlabs.conf"


class Sender:
    """What sends, in one engine. ``run`` is its task."""

    def __init__(self, network: Network, disk: Disk, folder: Folder, options: Options) -> None:
        self._network, self._disk, self._folder = network, disk, folder
        self._options = options
        self._waiting: dict[str, _Waiting] = {}
        """By the name in the spool, oldest first, or nearly so."""
        self._places: dict[Secret | None, _Place] = {None: _Place(_NOWHERE)}
        """By the URL; None: records that have nowhere to go."""
        self._requests: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._holds = False
        self._looks = 0
        self._trouble = ""

    # ---- Asked from outside ----

    def configure(self, options: Options) -> None:
        """Go by these settings from now on."""
        self._options = options
        self._forget()
        for each in self._waiting.values():
            self._put(each)
        self._wake.set()

    def add(self, spooled: Iterable[Spooled]) -> None:
        """These are in the spool, and on the disk."""
        if self._holds:
            for each in spooled:
                if each.name not in self._waiting:
                    waiting = self._waiting[each.name] = _Waiting(each)
                    self._put(waiting)
            self._count()
            self._wake.set()

    def _put(self, each: _Waiting) -> None:
        """Have it wait at its place."""
        place = self._place(each)
        place.waiting += 1
        if not each.sending:
            heapq.heappush(place.queue, each)

    def _forget(self) -> None:
        for place in self._places.values():
            place.queue.clear()
            place.waiting = 0

    def _clear(self) -> None:
        """Nothing waits here: another engine sends, or the spool is to be looked at anew."""
        self._waiting.clear()
        self._forget()
        self._count()

    def _count(self) -> None:
        """Have the metrics tell how many wait."""
        _core.tell_webhooks(len(self._waiting))

    async def run(self) -> None:
        """Send while this engine is in service. Ends only by cancellation."""
        while True:
            try:
                await self._take_turn()
                self._trouble = ""
            except OSError as error:
                if self._trouble != str(error):  # once, until it has changed
                    self._trouble = str(error)
                    where = self._options.folder
                    log.host(log.WARNING, f"records are not sent: {where}: {error.strerror}")
                await asyncio.sleep(limits.SPOOL_LOOK_SECONDS)
            except Exception as fault:  # of ours: it is not to be the last turn
                log.host(log.ERROR, f"records are not sent: {log.trace(fault)}")
                await asyncio.sleep(limits.DISK_PAUSE_LONGEST_SECONDS)

    async def close(self) -> None:
        """Stop what is under way. What was not taken stays in the spool."""
        for task in self._requests:
            task.cancel()
        if self._requests:
            await asyncio.wait(self._requests)

    # ---- Who sends ----

    async def _take_turn(self) -> None:
        if self._options.in_service and (self._holds or await self._claim()):
            await self._serve()
        elif self._options.in_service:
            await asyncio.sleep(limits.SENDER_LOOK_SECONDS)
        else:
            await self._let_go()
            self._wake.clear()
            await self._wake.wait()

    async def _claim(self) -> bool:
        self._looks += 1
        by_force = self._looks > limits.SENDER_PATIENCE_LOOKS
        self._clear()
        self._holds = await self._disk.run(self._folder.claim, by_force)
        if self._holds:
            self._looks = 0
        return self._holds

    async def _let_go(self) -> None:
        """Another engine is in service, and waits for this."""
        self._looks = 0
        if self._holds:
            self._holds = False
            await self.close()
            self._clear()
            await self._disk.run(self._folder.release)

    # ---- Rounds ----

    async def _serve(self) -> None:
        """Send, until this is another engine's business."""
        loop = asyncio.get_running_loop()
        tidy_at = look_at = loop.time()
        while self._holds and self._options.in_service:
            if loop.time() >= tidy_at:
                await self._tidy()
                tidy_at = loop.time() + limits.TIDY_SECONDS
            if loop.time() >= look_at:
                known = frozenset(self._waiting)
                self.add(await self._disk.run(self._folder.spooled, known))
                await self._give_up()
                look_at = loop.time() + limits.SPOOL_LOOK_SECONDS
            self._wake.clear()
            due = min(self._start_due(), tidy_at, look_at)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()

    async def _tidy(self) -> None:
        if cut_off := await self._disk.run(self._folder.recover):
            calls = f"{cut_off} call{'s' * (cut_off > 1)}"
            told = f"{calls} cut off when Asterisk or an engine ended: recorded as CRASHED"
            log.host(log.WARNING, told)
        await self._disk.run(self._folder.tidy, self._options.days)

    async def _give_up(self) -> None:
        """Let go of what was not taken for a day, and of the oldest of too many."""
        oldest = time.time() - limits.WEBHOOK_LIFE_SECONDS
        excess = len(self._waiting) - limits.SPOOL_RECORDS
        too_many: list[_Waiting] = []
        too_old: list[_Waiting] = []
        for each in self._waiting.values():
            if len(too_many) >= excess and each.spooled.since >= oldest:
                break
            if each.sending:
                continue
            if len(too_many) < excess:
                too_many.append(each)
            elif each.tries >= limits.WEBHOOK_TRIES or self._destination(each) is None:
                too_old.append(each)
        await self._drop(too_many, f"more than {limits.SPOOL_RECORDS} wait")
        hours = limits.WEBHOOK_LIFE_SECONDS / 3600
        await self._drop(too_old, f"not taken for {hours:.0f} h")

    async def _drop(self, given_up: list[_Waiting], why: str) -> None:
        """Give these up, with a line for each place."""
        by_place: dict[_Place, list[str]] = {}
        for each in given_up:
            await self._disk.run(self._folder.sent, each.spooled.name)
            self._remove(each)
            by_place.setdefault(self._place(each), []).append(each.spooled.id)
        for place, ids in by_place.items():
            place.given_up += len(ids)
            shown = ", ".join(ids[: limits.WEBHOOK_IDS_TOLD])
            more = " ..." if len(ids) > limits.WEBHOOK_IDS_TOLD else ""
            error = f"; last error: {place.error}" if place.error else ""
            told = f"webhook, {place.shown}: {_records(len(ids))} given up, {why}{error}"
            log.host(log.WARNING, f"{told}; their ids: {shown}{more}")

    def _remove(self, each: _Waiting) -> None:
        if self._waiting.pop(each.spooled.name, None):
            self._place(each).waiting -= 1
            self._count()

    def _destination(self, each: _Waiting) -> Destination | None:
        return self._options.destination(each.spooled.agent)

    def _place(self, each: _Waiting) -> _Place:
        return self._place_of(self._destination(each))

    def _place_of(self, destination: Destination | None) -> _Place:
        url = destination.url if destination else None
        if destination and url not in self._places:
            self._places[url] = _Place(destination.place)
        return self._places[url]

    def _start_due(self) -> float:
        """Start what is due. Returns when the next is, or when to look at the spool again."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = now + limits.SPOOL_LOOK_SECONDS
        for url, place in self._places.items():
            if url is None:
                continue
            while place.sending < place.at_once and place.due <= now:
                each = heapq.heappop(place.queue)
                if each.spooled.name in self._waiting:
                    self._start(each, place)
            if place.sending < place.at_once:
                due = min(due, place.due)
        return due

    def _start(self, each: _Waiting, place: _Place) -> None:
        each.sending = True
        place.sending += 1
        task = asyncio.get_running_loop().create_task(self._send(each, place))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    # ---- One request ----

    async def _send(self, each: _Waiting, place: _Place) -> None:
        try:
            async with asyncio.timeout(limits.WEBHOOK_SECONDS):
                error, wanted = await self._offer(each)
        except _NotOurs:
            self._again(each)
            return
        except TimeoutError:
            error, wanted = f"no answer within {limits.WEBHOOK_SECONDS:.0f} s", None
        except SetupFailed as failed:
            error, wanted = str(failed.ending), None
        except OSError as fault:
            error, wanted = fault.strerror or type(fault).__name__, None
        except Exception as fault:
            log.host(log.ERROR, f"webhook: {log.trace(fault)}")
            error, wanted = "the engine failed; the log tells why", None
        finally:
            each.sending = False
            place.sending -= 1
            self._wake.set()
        each.tries += 1
        if error:
            self._failed(each, place, error, wanted or 0.0)
        else:
            self._sent(each, place)

    async def _offer(self, each: _Waiting) -> tuple[str, float | None]:
        """Offer a record. Returns why it was not taken, or "", and the pause that is asked for."""
        name, destination = each.spooled.name, self._destination(each)
        try:
            body = await self._disk.run(self._folder.load, name)
        except FileNotFoundError:  # it was sent when it was found for the second time
            self._remove(each)
            raise _NotOurs from None
        if body is None:
            self._holds = False
        if body is None or destination is None:
            raise _NotOurs
        endpoint, context = destination.endpoint, None
        if endpoint.secure:
            context = await self._network.tls(destination.ca_file, True, with_system=True)
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            HEADER: signature(destination.secret, body, now),
        }
        answer = await self._network.post(endpoint, headers, body, context, "webhook")
        if 200 <= answer.status < 300:
            await self._disk.run(self._folder.sent, name)
            return "", None
        why = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        return f"HTTP {answer.status}{why}", retry_after(answer.retry_after)

    def _sent(self, each: _Waiting, place: _Place) -> None:
        self._remove(each)
        place.sent += 1
        if place.streak >= limits.WEBHOOK_TOLD:
            log.host(log.NOTICE, f"webhook: {place.shown} takes records again")
        place.streak, place.next = 0, 0.0

    def _failed(self, each: _Waiting, place: _Place, error: str, wanted: float) -> None:
        now = asyncio.get_running_loop().time()
        place.failed += 1
        place.streak += 1
        place.error = error
        each.next = now + pause(limits.WEBHOOK_RECORD_PAUSE_SECONDS, each.tries)
        self._again(each)
        own = pause(limits.WEBHOOK_PLACE_PAUSE_SECONDS, place.streak)
        place.next = now + max(own, min(wanted, limits.WEBHOOK_RECORD_PAUSE_SECONDS))
        if place.streak == limits.WEBHOOK_TOLD:
            log.host(log.WARNING, f"webhook: {place.shown} does not take records: {error}")

    def _again(self, each: _Waiting) -> None:
        """Let it wait for its next try, where elevenlabs.conf has it go by now."""
        if each.spooled.name in self._waiting:
            heapq.heappush(self._place(each).queue, each)

    # ---- What operators see ----

    def told(self) -> list[str]:
        """A line for each place."""
        now = asyncio.get_running_loop().time()
        for destination in self._options.destinations.values():
            self._place_of(destination)
        places = [p for u, p in self._places.items() if u is not None or p.waiting or p.given_up]
        lines = [place.line(now) for place in places]
        if lines and not self._holds:
            lines.append("another engine, or another Asterisk with this spool directory, sends")
        return lines

r"""Callers: any number of SIP calls to an instance, with every sample kept.

    with Callers(asterisk, 40, "100", send=lambda i: CODECS["ulaw"].noise(5, i)) as calls:
        calls.wait_up()
        calls[3].hangup()
        calls[4].say(more).press("1")
        calls.wait(30)
    for call in calls:
        assert call.heard.startswith(call.said), call

    call = place_call(asterisk, "100", send=audio, hangup_after=6.0)
    print(call.ended_by, call.seconds, call.recording.gaps)

A call sends from the moment it is answered: what it was given to say, and silence around that
(`silence=False`: nothing). It ends when Asterisk hangs up, after `hangup_after` seconds, or by
`hangup()`, also while it still rings. Leaving the `with` block hangs up what is left and ends SIPp
and the RTP endpoint. Every wait has a limit and raises TestbedError when it is over.
"""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TypeVar, overload

from testbed.board import ENDPOINT_SECONDS, Board
from testbed.call import END_SECONDS, UP_SECONDS, Call
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.line import Phone
from testbed.rtp import CODECS, RtpEndpoint
from testbed.sipp import Line, Sipp

CLEANUP_SECONDS = 30.0
"""Limit on hanging up what is left at the end."""

ACK_SECONDS = 0.1
"""Between a call's answer and the first request to end it."""

HANGUP_SPACING = 0.002
"""Seconds between two calls that are hung up together: SIPp loses what comes all at once."""

CHECK_SECONDS = 0.25
"""How often to see whether SIPp is still there, which nothing announces."""

DEFAULT_RATE = 20.0
"""New calls a second."""

PIECE = 65536

Speech = None | bytes | Sequence[bytes] | Callable[[int], bytes]
Play = None | Phone | Sequence[Phone | None] | Callable[[int], Phone | None]
Seconds = None | float | Sequence[float | None] | Callable[[int], float | None]

T = TypeVar("T")

_runs = itertools.count(1)


class Callers(Board):
    """A number of calls placed at once; a context manager for one thread."""

    def __init__(
        self,
        instance: Instance,
        n: int,
        extension: str | Callable[[int], str],
        *,
        codec: str = "ulaw",
        also: Sequence[str] = (),
        send: Speech = None,
        silence: bool = True,
        play: Play = None,
        hangup_after: Seconds = None,
        rate: float = DEFAULT_RATE,
        caller: Callable[[int], str] = lambda i: f"{1000 + i}",
    ) -> None:
        """Describe the calls; entering the context places them.

        extension, send, play, hangup_after, caller: one value for all, or a function of the index
        (from 0); send, play and hangup_after may be one value for each too. hangup_after is in
        seconds from the answer on. silence: whether packets go on while there is nothing to say.
        also: codecs that are offered behind `codec`. play: what the line does, see testbed.line;
        nothing else is sent then. rate: new calls a second.
        """
        self._calls: list[Call] = []
        super().__init__(instance, f"{os.getpid()}-{next(_runs)}", self._calls)
        self.codec = CODECS[codec]
        self._silence, self._rate = silence, rate
        self._offer = [CODECS[name] for name in (codec, *also)]
        self._play = [_each(play, i) for i in range(n)]
        self._speech = [_speech(send, i) for i in range(n)]
        self._hangup_after = [_each(hangup_after, i) for i in range(n)]
        self._calls += [
            Call(
                number=i + 1,
                extension=extension if isinstance(extension, str) else extension(i),
                caller=caller(i),
                codec=self.codec,
                record=self.folder / f"{i + 1}.rtp",
                board=self,
            )
            for i in range(n)
        ]
        self._opened: set[int] = set()
        self._hangups: list[tuple[float, int]] = []
        self._sipp: Sipp | None = None
        self._reader: threading.Thread | None = None
        self._stopping = threading.Event()

    # --- the calls ---

    def __len__(self) -> int:
        return len(self._calls)

    @overload
    def __getitem__(self, index: int) -> Call: ...

    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...

    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        return self._calls[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def wait_up(self, limit: float = UP_SECONDS) -> None:
        """Wait until all calls are answered."""
        self.wait_for(self._calls, limit, "answered", lambda call: call.answered_at is not None)

    def wait(self, limit: float = END_SECONDS) -> None:
        """Wait until all calls have ended."""
        self.wait_for(self._calls, limit, "ended", lambda call: call.complete)

    def hangup_all(self) -> None:
        """End every call that has not ended."""
        up = [call for call in self._calls if call.ended_at is None]
        now = time.monotonic()
        with self._changed:
            for i, call in enumerate(up):
                heapq.heappush(self._hangups, (now + i * HANGUP_SPACING, call.number))

    @property
    def pids(self) -> dict[str, int]:
        """The processes that make the calls: what they cost is not Asterisk's."""
        if self._endpoint is None or self._sipp is None:
            raise TestbedError("the calls have not been placed yet: enter the context first")
        return {"rtp": self._endpoint.pid, "sipp": self._sipp.pid}

    # --- life ---

    def __enter__(self) -> Callers:
        try:
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.hangup_all()
            with suppress(TestbedError):
                self.wait(CLEANUP_SECONDS)
        finally:
            self._close()

    def _start(self) -> None:
        self.folder.mkdir(parents=True)
        ports = self.instance.ports.take_rtp(len(self))
        # Both children are started here, not on the reader's thread: they die with their thread.
        self._endpoint = RtpEndpoint(self.instance.root)
        self._reader = threading.Thread(target=self._read, name="callers", daemon=True)
        self._reader.start()
        for call, port, speech in zip(self, ports, self._speech, strict=True):
            record, number = call.record, call.number
            self._endpoint.open(number, port, record, self.codec, silence=self._silence)
            if speech:
                call.say(speech)
            if phone := self._play[number - 1]:
                self.file(call, "play", phone.schedule())
        self.wait_until(ENDPOINT_SECONDS, "RTP ports", lambda: len(self._opened) == len(self))
        self._sipp = Sipp(
            self.instance.root,
            self.folder,
            [Line(c.number, p, c.extension, c.caller) for c, p in zip(self, ports, strict=True)],
            self._offer,
            local_port=self.instance.ports.take(),
            remote_port=self.instance.ports.sip,
            rate=self._rate,
        )

    def _close(self) -> None:
        self._stopping.set()
        if self._reader is not None:
            self._reader.join(ENDPOINT_SECONDS)
        if self._sipp is not None:
            self._sipp.close()
        if self._endpoint is not None:
            self._endpoint.close()
        for call in self._calls:
            call.complete = True  # the endpoint has closed all records

    def delete_files(self) -> None:
        """Remove the records, which are large for many long calls."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what a Call asks for (see call.Switchboard) ---

    def hangup(self, call: Call) -> None:
        """Have SIPp end the call; one that Asterisk does not know yet, as soon as it does."""
        with self._changed:
            if call.answered_at and time.monotonic() < call.answered_at + ACK_SECONDS:
                # SIPp says "answered" before it has sent the ACK, and drops a call that it is to
                # end in between: Asterisk would never hear of that.
                heapq.heappush(self._hangups, (call.answered_at + ACK_SECONDS, call.number))
                return
            again, call.hanging_up = call.hanging_up, True
            # SIPp takes a second request for an unexpected message and drops the call.
            if call.placed_at is not None and not again:
                self._send_hangup(call)

    def _send_hangup(self, call: Call) -> None:
        if self._sipp is not None and call.ended_at is None:
            self._sipp.hangup(call.number)

    # --- the reader's thread ---

    def _read(self) -> None:
        """Take in the lines of SIPp and of the endpoint as they come, and hang up on time."""
        assert self._endpoint is not None
        rest = {"endpoint": b"", "sipp": b""}
        selector = selectors.DefaultSelector()
        selector.register(self._endpoint, selectors.EVENT_READ, "endpoint")
        while not self._stopping.is_set():
            if self._sipp is not None and len(selector.get_map()) == 1:
                selector.register(self._sipp, selectors.EVENT_READ, "sipp")
            # Asked before what it has said last is read, which may be the end of these calls.
            is_silent = self._sipp is not None and not self._sipp.running
            for key, _ in selector.select(self._timeout()):
                is_silent &= key.data != "sipp"
                piece = os.read(key.fd, PIECE)
                if not piece:
                    self._fail("the RTP endpoint has ended")
                    return
                *lines, rest[key.data] = (rest[key.data] + piece).split(b"\n")
                for line in lines:
                    self._take_line(line.decode())
            self._hangup_due()
            if is_silent:
                self._give_up()
        selector.close()

    def _timeout(self) -> float:
        due = self._hangups[0][0] - time.monotonic() if self._hangups else CHECK_SECONDS
        starting = 0.01 if self._sipp is None else CHECK_SECONDS
        return max(0.0, min(due, starting))

    def _take_line(self, line: str) -> None:
        words = line.split(maxsplit=2)
        with self._changed:
            if words and words[0].isdigit():
                self._take_event(self._calls[int(words[0]) - 1], words[1], words[2:])
            elif words:
                self._take_answer(words[0], int(words[1]), words[2:])
            self._changed.notify_all()

    def _take_event(self, call: Call, what: str, detail: list[str]) -> None:
        """Take in one log line of SIPp."""
        now = time.monotonic()
        if what == "placed":
            call.placed_at = now
            if call.hanging_up:
                self._send_hangup(call)
        elif what == "ringing":
            call.ringing_at = call.ringing_at or now
        elif what == "answered":
            call.answered_at, call.status = now, 200
            self.control(call, "remote", detail[0])
            after = self._hangup_after[call.number - 1]
            if after is not None:
                heapq.heappush(self._hangups, (now + after, call.number))
        elif call.ended_at is None:
            call.ended_at = now
            call.ended_by = detail[0] if what == "ended" else what
            call.status = int(detail[0]) if what == "refused" else call.status
            self.control(call, "close")

    def _take_answer(self, what: str, number: int, detail: list[str]) -> None:
        """Take in one line of the RTP endpoint."""
        if what == "opened":
            self._opened.add(number)
        elif what == "flushed":
            self._flushes[number] += 1
        elif what == "closed":
            self._calls[number - 1].complete = True
        elif not self._calls[number - 1].ended_at:
            self._errors.append(f"RTP endpoint, call {number}: {' '.join(detail)}")

    def _hangup_due(self) -> None:
        while self._hangups and self._hangups[0][0] <= time.monotonic():
            _, number = heapq.heappop(self._hangups)
            if self._calls[number - 1].ended_at is None:
                self.hangup(self._calls[number - 1])

    def _give_up(self) -> None:
        """Let calls have failed that SIPp ended without a word: for unexpected messages, mostly."""
        with self._changed:
            for call in self._calls:
                if call.ended_at is None:
                    self._take_event(call, "failed", [])


def place_call(
    instance: Instance,
    extension: str,
    *,
    send: bytes = b"",
    hangup_after: float | None = None,
    codec: str = "ulaw",
    limit: float = END_SECONDS,
) -> Call:
    """Place one call, wait until it has ended, and return it; limit in seconds."""
    with Callers(
        instance, 1, extension, codec=codec, send=send, hangup_after=hangup_after
    ) as calls:
        calls.wait(limit)
    return calls[0]


def _speech(send: Speech, index: int) -> bytes:
    if send is None or isinstance(send, bytes):
        return send or b""
    return send(index) if callable(send) else send[index]


def _each(value: T | Sequence[T] | Callable[[int], T], index: int) -> T:
    """Return what one call gets of a value for all, for each, or by the index."""
    if callable(value):
        return value(index)
    return value[index] if isinstance(value, Sequence) else value

"""The telephones of one scenario: their sockets, their audio, and the thread that reads both.

`telephone.py` has the example. Leaving the `with` block hangs up what is left.
"""

from __future__ import annotations

import itertools
import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from testbed.ami import Ami
from testbed.board import ENDPOINT_SECONDS, Board
from testbed.call import Call
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.rtp import CODECS, RtpEndpoint
from testbed.sip import Dialog, Media, Message
from testbed.telephone import Leg, Telephone

CLEANUP_SECONDS = 30.0
"""Limit on hanging up what is left at the end."""

DATAGRAM = 65536

_runs = itertools.count(1)


class Telephones(Board):
    """Any number of telephones; a context manager for one thread."""

    def __init__(self, instance: Instance) -> None:
        """Describe them; entering the context makes them ready, `phone` adds one."""
        self.phones: list[Telephone] = []
        self.legs: list[Leg] = []
        super().__init__(instance, f"phones-{os.getpid()}-{next(_runs)}", self.legs)
        self._ami: Ami | None = None
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._reader = threading.Thread(target=self._read, name="telephones", daemon=True)

    def __enter__(self) -> Telephones:
        self.folder.mkdir(parents=True)
        self._ami = Ami(self.instance)
        self._endpoint = RtpEndpoint(self.instance.root)
        self._selector.register(self._endpoint, selectors.EVENT_READ, self._take_lines())
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for leg in self.legs:
                if leg.ended_at is None:
                    leg.hangup()
            with suppress(TestbedError):
                left = [leg for leg in self.legs if not leg.complete]
                self.wait_for(left, CLEANUP_SECONDS, "ended", lambda leg: leg.complete)
        finally:
            self._close()

    def phone(
        self, name: str, number: str = "", *, codec: str = "ulaw", answers: bool = True
    ) -> Telephone:
        """Make a telephone.

        number: what it says that it is (the name, if none is given). codec: the one that it speaks.
        answers: whether it takes calls at once, or by `Leg.answer` alone.
        """
        with self._changed:  # a port is taken once it is bound
            port = self.instance.ports.take()
            phone = Telephone(self, name, number or name, port, CODECS[codec], answers)
        self.manage("Setvar", Variable=name, Value=f"PJSIP/caller/{phone.uri}")
        self.phones.append(phone)
        self._selector.register(phone.socket, selectors.EVENT_READ, self._take_datagrams(phone))
        self._wake.send(b"1")
        return phone

    def originate(self, phone: Telephone, **headers: str) -> Leg:
        """Have Asterisk ring a telephone (AMI's Originate); its call, once it comes.

        headers: of the action, with the telephone's own Channel if none is among them.
        """
        self.manage(
            "Originate", **{"Channel": f"PJSIP/caller/{phone.uri}", "Async": "true"} | headers
        )
        return phone.wait_call()

    def manage(self, action: str, **headers: str) -> None:
        """Ask something of AMI; it is done when this returns."""
        assert self._ami is not None, "enter the context first"
        with self._changed:
            answer = self._ami.ask(action, **headers)
        if answer["Response"] != "Success":
            raise TestbedError(f"AMI {action}: {answer}")

    # --- what legs ask for (see call.Switchboard, telephone.Exchange) ---

    def open(
        self,
        phone: Telephone,
        dialog: Dialog,
        to: str,
        sender: str,
        when_open: Callable[[Leg], None],
    ) -> Leg:
        """Make a leg; when_open is called once it can send and receive audio."""
        with self._changed:
            (port,) = self.instance.ports.take_rtp(1)
            number = len(self.legs) + 1
            leg = Leg(
                number=number,
                extension=to,
                caller=sender,
                codec=phone.codec,
                record=self.folder / f"{number}-{phone.name}.rtp",
                board=self,
                phone=phone,
                dialog=dialog,
                media=Media(port, (phone.codec,)),
                when_open=when_open,
            )
            assert self._endpoint is not None
            # First: who finds the leg among its telephone's may ask for its recording at once.
            self._endpoint.open(number, port, leg.record, phone.codec, silence=True)
            self.legs.append(leg)
            phone.legs.append(leg)
            self._changed.notify_all()
        return leg

    def hangup(self, call: Call) -> None:
        """End a call as far as it has come; one that Asterisk does not know yet, once it does."""
        with self._changed:
            again, call.hanging_up = call.hanging_up, True
            if call.ended_at is None and not again:
                self.legs[call.number - 1].stop()

    # --- the reader's thread ---

    def _read(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if self._woken.recv(1) != b"1":
                        return
                    continue
                try:
                    with self._changed:
                        key.data()
                        self._changed.notify_all()
                except Exception as error:  # told to whoever waits
                    self._fail(f"{type(error).__name__}: {error}")
                    return

    def _take_datagrams(self, phone: Telephone) -> Callable[[], None]:
        return lambda: self._take_message(phone, Message.parse(phone.socket.recv(DATAGRAM)))

    def _take_message(self, phone: Telephone, message: Message) -> None:
        call_id = message.header("Call-ID")
        leg = next((leg for leg in phone.legs if leg.dialog.call_id == call_id), None)
        if leg is not None:
            leg.take(message)
        elif message.method == "INVITE" and not message.status and not message.tag("To"):
            dialog = Dialog.called(message, phone.uri)
            sender = message.header("From")
            self.open(phone, dialog, phone.number, sender, lambda leg: leg.ring(message))
        elif message.method != "ACK" and not message.status:
            phone.send(message.response(200 if message.method == "OPTIONS" else 481, "none"))

    def _take_lines(self) -> Callable[[], None]:
        rest = b""

        def take() -> None:
            nonlocal rest
            assert self._endpoint is not None
            piece = os.read(self._endpoint.fileno(), DATAGRAM)
            if not piece:
                raise TestbedError("the RTP endpoint has ended")
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                what, number, *detail = line.decode().split(maxsplit=2)
                self._take_answer(what, self.legs[int(number) - 1], detail)

        return take

    def _take_answer(self, what: str, leg: Leg, detail: list[str]) -> None:
        """Take in one line of the RTP endpoint."""
        if what == "opened":
            leg.when_open(leg)
        elif what == "flushed":
            self._flushes[leg.number] += 1
        elif what == "closed":
            leg.complete = True
        elif leg.ended_at is None:
            raise TestbedError(f"RTP endpoint, call {leg.number}: {' '.join(detail)}")

    def _close(self) -> None:
        self._wake.send(b"0")
        self._reader.join(ENDPOINT_SECONDS)
        if self._ami is not None:
            self._ami.__exit__()
        if self._endpoint is not None:
            self._endpoint.close()
        for phone in self.phones:
            phone.socket.close()
        for leg in self.legs:
            leg.complete = True  # the endpoint has closed all records
        self._selector.close()
        self._wake.close()
        self._woken.close()

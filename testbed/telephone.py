r"""A telephone that does in mid-call what telephones do: hold, transfer, pick up, change its mind.

    with Telephones(asterisk) as phones:
        customer, desk = phones.phone("customer"), phones.phone("desk")
        call = customer.call("100").wait_up()      # Dial(${desk}) there rings the desk
        at_desk = desk.wait_call()
        consult = desk.call("agent").wait_up()
        consult.hold()                             # or hold("inactive"), hold("zero"), ...
        at_desk.transfer_to(consult)               # REFER with Replaces; transfer("agent"): blind
        call.say(noise)                            # a Leg is a Call, with its recording

Asterisk reaches a telephone as `Dial(${<name>})`: the testbed sets that global variable. What a
method asks of Asterisk is answered when it returns; it returns the SIP status.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from testbed.call import Call, Switchboard
from testbed.line import Phone as Line
from testbed.rtp import CODECS, Codec
from testbed.sip import (
    HOST,
    REASONS,
    T38,
    VIDEO,
    Dialog,
    Media,
    Message,
    direction_of,
    hop,
    port_of,
    uri_in,
)

if TYPE_CHECKING:
    from testbed.instance import Instance

ANSWER_SECONDS = 30.0
"""Limit on Asterisk's answer to a request, and on what it tells of a transfer."""

DIGIT_MS = 160
"""What a digit in an INFO says of its length."""


class Exchange(Switchboard, Protocol):
    """What telephones need of the `Telephones` they belong to."""

    instance: Instance

    def open(
        self,
        phone: Telephone,
        dialog: Dialog,
        to: str,
        sender: str,
        when_open: Callable[[Leg], None],
    ) -> Leg:
        """Make a leg; when_open is called once it can send and receive audio."""

    def file(self, call: Call, command: str, content: bytes) -> None:
        """Send a command to the RTP endpoint that reads a file."""

    def wait_until(self, limit: float, what: str, reached: Callable[[], bool]) -> None:
        """Wait for anything that a message brings about."""


class Telephone:
    """One telephone: a name, a number and a port; any number of calls."""

    def __init__(
        self, board: Exchange, name: str, number: str, port: int, codec: Codec, answers: bool
    ) -> None:
        self.board, self.name, self.number, self.codec = board, name, number, codec
        self.answers = answers
        """Whether it answers at once; otherwise it rings until `Leg.answer`."""
        self.follows = True
        """Whether it calls whom Asterisk refers it to, and tells of that; else `Leg.tell` does."""
        self.refuses = 0
        """The status that it refuses to be referred with; 0: it does not."""
        self.uri = f"sip:{number}@{HOST}:{port}"
        self.legs: list[Leg] = []
        """All calls, in either direction, in order."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, port))
        self._taken = 0

    def call(
        self,
        extension: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        send: bytes = b"",
        play: Line | None = None,
        sender: str = "",
        replaces: Leg | None = None,
        more: Sequence[str] = (),
    ) -> Leg:
        """Place a call.

        headers: more of them, ("Privacy", "id") for example. send: what it says from the answer on;
        play: what its line does instead (testbed.line). sender: all of From. replaces: pick up that
        call, which another telephone has. more: lines of the offer behind the audio, as `VIDEO`.
        """
        if replaces is not None:
            headers = (*headers, ("Replaces", replaces.dialog.replaces))
        uri = f"sip:{extension}@{HOST}:{self.board.instance.ports.sip}"
        return self.place(uri, headers=headers, send=send, play=play, sender=sender, more=more)

    def place(
        self,
        uri: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        send: bytes = b"",
        play: Line | None = None,
        sender: str = "",
        more: Sequence[str] = (),
    ) -> Leg:
        """Place a call to a URI, as `call` does to an extension."""
        dialog = Dialog(sender or f"<{self.uri}>", f"<{uri}>", uri, self.uri)

        def ready(leg: Leg) -> None:
            leg.media = replace(leg.media, more=leg.lines(more))
            leg.invite(*headers)

        leg = self.board.open(self, dialog, uri, self.number, ready)
        if send:
            leg.say(send)
        if play is not None:
            self.board.file(leg, "play", play.schedule())
        return leg

    def wait_call(self, limit: float = ANSWER_SECONDS) -> Leg:
        """Wait for the next call that comes in; each is given out once."""
        self.board.wait_until(
            limit, f"{self.name} rung", lambda: len(self._incoming()) > self._taken
        )
        self._taken += 1
        return self._incoming()[self._taken - 1]

    def _incoming(self) -> list[Leg]:
        return [leg for leg in self.legs if leg.incoming is not None]

    def send(self, message: Message) -> None:
        """Send to Asterisk."""
        self.socket.sendto(bytes(message), (HOST, self.board.instance.ports.sip))


@dataclass(kw_only=True, eq=False)
class Leg(Call):
    """One call of a telephone, placed or received; `caller` in `ended_by` means this side."""

    phone: Telephone = field(repr=False)
    dialog: Dialog = field(repr=False)
    media: Media = field(repr=False)
    """What it offers next."""
    incoming: Message | None = field(default=None, repr=False)
    """The INVITE that rang it."""
    requests: list[Message] = field(default_factory=list, repr=False)
    """All that Asterisk has asked of it."""
    responses: list[Message] = field(default_factory=list, repr=False)
    when_open: Callable[[Leg], None] = field(repr=False)
    when_decided: Callable[[int], None] = field(default=lambda _status: None, repr=False)
    """Called with the status when a call that was placed is answered or refused."""
    _first: Message | None = field(default=None, repr=False)
    _invite: Message | None = field(default=None, repr=False)
    _version: int = field(default=0, repr=False)
    _sent: dict[tuple[int, str], Message] = field(default_factory=dict, repr=False)

    # --- in mid-call ---

    def reinvite(self, media: Media | None = None) -> int:
        """Offer something else, or the same again; what is accepted is in force from then on."""
        media = media or self.media
        answer = self._ask("INVITE", body=self._text(media))
        if answer.status < 300 and media.instead == ():
            self.media = media
        return answer.status

    def hold(self, how: str = "sendonly") -> int:
        """Put the far end on hold, in one of the ways of `sip.HOLDS`; audio goes on as it did."""
        return self.reinvite(self._sending().held(how))

    def unhold(self) -> int:
        """Take it back."""
        return self.reinvite(self._sending())

    def change_codec(self, name: str) -> int:
        """Offer another codec; what is sent is the line's business (testbed.line, `codec`)."""
        return self.reinvite(replace(self.media, codecs=(CODECS[name],)))

    def offer_video(self) -> int:
        """Offer video beside the audio."""
        return self.reinvite(replace(self.media, more=self.lines(VIDEO)))

    def offer_fax(self) -> int:
        """Offer T.38 in place of the audio, as a fax machine does that has heard another."""
        return self.reinvite(replace(self.media, instead=self.lines(T38)))

    @property
    def asked(self) -> str:
        """Which way the audio goes by Asterisk's last offer: "sendonly" is hold by the far end."""
        offers = [m.body for m in (self.incoming, *self.requests) if m and port_of(m.body)]
        return direction_of(offers[-1]) if offers else ""

    def lines(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Lines of an offer, with a port that is free."""
        port = self.phone.board.instance.ports.take_rtp(1)[0] if lines else 0
        return tuple(line.format(port=port) for line in lines)

    def transfer(self, extension: str) -> int:
        """Have the far end sent elsewhere (REFER); the last status that Asterisk tells of it."""
        sip = self.phone.board.instance.ports.sip
        return self.refer(f"<sip:{extension}@{HOST}:{sip}>")

    def transfer_to(self, other: Leg, *, stays: bool = False) -> int:
        """Join the far ends of two calls of this telephone's (REFER with Replaces)."""
        return self.refer(other.dialog.replacing, stays=stays)

    def refer(self, to: str, *, stays: bool = False) -> int:
        """Send a REFER; the last status that Asterisk tells of it.

        This leg is hung up then, for Asterisk leaves that to the telephone. stays: it is not yet.
        """
        answer = self._ask("REFER", ("Refer-To", to), ("Referred-By", f"<{self.phone.uri}>"))
        if answer.status >= 300:
            return answer.status
        board = self.phone.board
        board.wait_until(ANSWER_SECONDS, "told of the transfer", lambda: bool(self._told()))
        if self._told() < 300 and not stays:
            self.hangup()
        return self._told()

    def press_info(self, digit: str) -> int:
        """Send a digit as SIP INFO."""
        body = f"Signal={digit}\r\nDuration={DIGIT_MS}\r\n"
        return self._ask("INFO", body=body, kind="application/dtmf-relay").status

    def tell(self, status: int) -> None:
        """Tell what came of the call that Asterisk has last asked for by REFER."""
        refer = [message for message in self.requests if message.method == "REFER"][-1]
        state = "terminated;reason=noresource" if status >= 200 else "active;expires=60"
        body = f"SIP/2.0 {status} {REASONS.get(status, 'Response')}\r\n"
        headers = [("Event", f"refer;id={refer.number}"), ("Subscription-State", state)]
        kind = "message/sipfrag;version=2.0"
        self.phone.send(self.dialog.request("NOTIFY", *headers, body=body, kind=kind))

    # --- a call that came in ---

    def answer(self) -> Leg:
        """Take the call."""
        assert self.incoming is not None
        self._respond(self.incoming, 200, body=self._answer(self.incoming))
        self._hear(self.incoming.body)
        return self

    def refuse(self, status: int = 486) -> Leg:
        """Do not take it."""
        assert self.incoming is not None
        self._respond(self.incoming, status)
        self.over("caller")
        return self

    # --- what the board calls, on its thread mostly ---

    def invite(self, *headers: tuple[str, str]) -> None:
        """Place the call."""
        self._first = self._invite = self.dialog.request(
            "INVITE", *headers, body=self._text(self.media)
        )
        self.phone.send(self._first)

    def ring(self, invite: Message) -> None:
        """Ring, and answer if that is the telephone's way."""
        self.incoming = invite
        self._respond(invite, 180)
        if self.phone.answers:
            self.answer()

    def stop(self) -> None:
        """End the call as far as it has come."""
        if self.incoming is not None and (self._last_answer() or 0) < 200:
            self.refuse()
        elif self.incoming is not None or self.answered_at is not None:
            self.phone.send(self.dialog.request("BYE"))
        elif self.placed_at is not None and self._first is not None:
            self.phone.send(hop(self._first, "CANCEL"))

    def over(self, by: str) -> None:
        """Take in that the call has ended."""
        if self.ended_at is None:
            self.ended_at, self.ended_by = time.monotonic(), by
            self.board.control(self, "close")

    def take(self, message: Message) -> None:
        """Take in a message of this call's."""
        if message.status:
            self._take_response(message)
            return
        if again := self._sent.get((message.number, message.method)):
            self.phone.send(again)
            return
        self.requests.append(message)
        self._take_request(message)

    # --- inside ---

    def _sending(self) -> Media:
        return replace(self.media, direction="sendrecv", address=HOST, session_level=False)

    def _text(self, media: Media) -> str:
        self._version += 1
        return media.text(self._version)

    def _answer(self, offer: Message) -> str:
        self._version += 1
        if not offer.body:
            return self.media.text(self._version)
        return self.media.answer(offer.body, self._version)

    def _ask(
        self, method: str, *headers: tuple[str, str], body: str = "", kind: str = "application/sdp"
    ) -> Message:
        """Send a request and wait for its final answer."""
        request = self.dialog.request(method, *headers, body=body, kind=kind)
        if method == "INVITE":
            self._invite = request
        self.phone.send(request)

        def answers() -> list[Message]:
            wanted = (request.number, method)
            return [m for m in self.responses if (m.number, m.method) == wanted and m.status >= 200]

        self.phone.board.wait_until(ANSWER_SECONDS, f"answer to {method}", lambda: bool(answers()))
        return answers()[0]

    def _told(self) -> int:
        """What Asterisk's NOTIFYs say of a transfer; 0 while it is under way."""
        for message in reversed(self.requests):
            found = re.match(r"SIP/2.0 (\d+)", message.body) if message.method == "NOTIFY" else None
            if found and int(found[1]) >= 200:
                return int(found[1])
        return 0

    def _last_answer(self) -> int | None:
        assert self.incoming is not None
        sent = self._sent.get((self.incoming.number, "INVITE"))
        return sent.status if sent else None

    def _respond(
        self, request: Message, status: int, *headers: tuple[str, str], body: str = ""
    ) -> None:
        contact = ("Contact", f"<{self.dialog.contact}>")
        response = request.response(status, self.dialog.local_tag, contact, *headers, body=body)
        self._sent[(request.number, request.method)] = response
        self.phone.send(response)

    def _hear(self, description: str) -> None:
        """Send the audio where Asterisk wants it."""
        if (port := port_of(description)) and self.ended_at is None:
            self.board.control(self, "remote", str(port))

    def _take_response(self, message: Message) -> None:
        first = self._first is not None and message.number == self._first.number
        self.responses.append(message)
        if message.method == "INVITE":
            self._acknowledge(message)
            if first:
                self._take_progress(message)
            if 200 <= message.status < 300:
                self._hear(message.body)
        elif message.method == "BYE":
            self.over("caller")

    def _acknowledge(self, message: Message) -> None:
        if message.status >= 300 and self._invite is not None:
            ack = hop(self._invite, "ACK")
            ack.headers = [(n, message.header("To") if n == "To" else v) for n, v in ack.headers]
            self.phone.send(ack)
        elif message.status >= 200:
            self.dialog.remote_tag = message.tag("To")
            self.dialog.target = uri_in(message.header("Contact"))
            self.phone.send(self.dialog.request("ACK", number=message.number))

    def _take_progress(self, message: Message) -> None:
        now = time.monotonic()
        if self.placed_at is None:
            self.placed_at = now
            if self.hanging_up:
                self.stop()
        if message.status >= 300:
            self.status = message.status
            self.over("caller" if self.hanging_up else "refused")
            self.when_decided(message.status)
        elif message.status >= 200 and self.answered_at is None:
            self.answered_at, self.status = now, 200
            self.when_decided(200)
        elif message.status >= 180:
            self.ringing_at = self.ringing_at or now

    def _take_request(self, message: Message) -> None:
        match message.method:
            case "ACK":
                if self.incoming is not None and self.ended_at is None and not self.answered_at:
                    self.answered_at, self.status = time.monotonic(), 200
                self._hear(message.body)
            case "INVITE" | "UPDATE":
                again = message.method == "INVITE" or message.body
                self._respond(message, 200, body=self._answer(message) if again else "")
                self._hear(message.body)
            case "BYE":
                self._respond(message, 200)
                self.over("asterisk")
            case "CANCEL":
                self._respond(message, 200)
                if self.incoming is not None and (self._last_answer() or 0) < 200:
                    self._respond(self.incoming, 487)
                    self.over("asterisk")
            case "REFER":
                self._follow(message)
            case _:
                self._respond(message, 200)

    def _follow(self, refer: Message) -> None:
        """Ring whom Asterisk refers this telephone to, and tell what came of it."""
        self._respond(refer, self.phone.refuses or 202)
        if self.phone.refuses or not self.phone.follows:
            return
        uri, _, rest = uri_in(refer.header("Refer-To")).partition("?")
        replaces = unquote(rest.partition("=")[2]) if rest.startswith("Replaces=") else ""
        leg = self.phone.place(uri, headers=[("Replaces", replaces)] if replaces else [])
        leg.when_decided = self.tell

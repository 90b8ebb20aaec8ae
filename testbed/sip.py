"""What telephones say to Asterisk: SIP messages, dialogs and session descriptions; no I/O here.

Enough of SIP for one hop on loopback, where no datagram is lost: our requests are not repeated.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from testbed.errors import TestbedError
from testbed.rtp import EVENT_TYPE, Codec

HOST = "127.0.0.1"
ALLOW = "INVITE, ACK, BYE, CANCEL, REFER, NOTIFY, INFO, UPDATE, OPTIONS"
MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly"}
REASONS = {
    180: "Ringing",
    200: "OK",
    202: "Accepted",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
}


@dataclass
class Message:
    """A request or a response."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        """Read a datagram."""
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(start, [(name.strip(), value.strip()) for name, _, value in pairs], body)

    def __bytes__(self) -> bytes:
        body = self.body.encode()
        headers = [*self.headers, ("Content-Length", str(len(body)))]
        lines = [self.start, *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape") + body

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The first value of a header, "" where there is none."""
        return next(iter(self.all(name)), "")

    @property
    def status(self) -> int:
        """A response's status; 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def number(self) -> int:
        """Number of the request that this is, or answers."""
        return int(self.header("CSeq").split()[0])

    @property
    def method(self) -> str:
        """Method of the request that this is, or answers."""
        return self.header("CSeq").split()[1]

    def tag(self, name: str) -> str:
        """The tag in From or To."""
        found = re.search(r";\s*tag=([^;>\s]+)", self.header(name))
        return found[1] if found else ""

    def response(self, status: int, tag: str, *more: tuple[str, str], body: str = "") -> Message:
        """A response to this request; tag is ours, for a To that has none yet."""
        copied = [
            (n, v) for n, v in self.headers if n.lower() in ("via", "from", "call-id", "cseq")
        ]
        to = self.header("To") if self.tag("To") else f"{self.header('To')};tag={tag}"
        start = f"SIP/2.0 {status} {REASONS.get(status, 'Response')}"
        return Message(start, [*copied, ("To", to), *more, *typed(body)], body)


def typed(body: str, kind: str = "application/sdp") -> list[tuple[str, str]]:
    """The header that a body needs."""
    return [("Content-Type", kind)] if body else []


def uri_in(value: str) -> str:
    """The URI in a header such as From or Contact."""
    found = re.search(r"<([^>]*)>", value)
    return found[1] if found else value.partition(";")[0].strip()


@dataclass
class Dialog:
    """One side of a call's signalling."""

    local: str
    """Our From, without the tag."""
    remote: str
    """The far end's To, without the tag."""
    target: str
    """Where requests go: the far end's Contact."""
    contact: str
    """Ours: a URI."""
    call_id: str = field(default_factory=lambda: f"{secrets.token_hex(8)}@testbed")
    local_tag: str = field(default_factory=lambda: secrets.token_hex(4))
    remote_tag: str = ""
    number: int = 0
    """Of our last request."""

    @classmethod
    def called(cls, invite: Message, contact: str) -> Dialog:
        """The called side's."""
        return cls(
            local=invite.header("To"),
            remote=re.sub(r";\s*tag=.*", "", invite.header("From")),
            target=uri_in(invite.header("Contact")),
            contact=contact,
            call_id=invite.header("Call-ID"),
            remote_tag=invite.tag("From"),
        )

    def request(
        self,
        method: str,
        *more: tuple[str, str],
        body: str = "",
        kind: str = "application/sdp",
        number: int | None = None,
    ) -> Message:
        """Our next request, or one with the number of an earlier one (ACK)."""
        if number is None:
            self.number = number = self.number + 1
        port = self.contact.rpartition(":")[2]
        tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        headers = [
            ("Via", f"SIP/2.0/UDP {HOST}:{port};branch=z9hG4bK-{secrets.token_hex(8)};rport"),
            ("Max-Forwards", "70"),
            ("From", f"{self.local};tag={self.local_tag}"),
            ("To", f"{self.remote}{tag}"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<{self.contact}>"),
            ("Allow", ALLOW),
        ]
        return Message(
            f"{method} {self.target} SIP/2.0", [*headers, *more, *typed(body, kind)], body
        )

    @property
    def replaces(self) -> str:
        """What a request says that is to take this call's place, as the header Replaces."""
        return f"{self.call_id};to-tag={self.remote_tag};from-tag={self.local_tag}"

    @property
    def replacing(self) -> str:
        """The same as a Refer-To: whoever follows it takes this call's place."""
        return f"<{self.target}?Replaces={quote(self.replaces, safe='')}>"


def hop(request: Message, method: str) -> Message:
    """A CANCEL of that INVITE, or the ACK of its refusal: of the same transaction."""
    names = ("via", "max-forwards", "from", "to", "call-id")
    headers = [(name, value) for name, value in request.headers if name.lower() in names]
    start = request.start.replace("INVITE", method, 1)
    return Message(start, [*headers, ("CSeq", f"{request.number} {method}")])


@dataclass(frozen=True)
class Media:
    """What a telephone offers, or answers with."""

    port: int
    codecs: tuple[Codec, ...]
    direction: str = "sendrecv"
    address: str = HOST
    session_level: bool = False
    """The direction stands above the media: valid for all of them, as some telephones do it."""
    more: tuple[str, ...] = ()
    """Lines behind the audio: other media."""
    instead: tuple[str, ...] = ()
    """Lines in place of the audio."""

    def held(self, how: str) -> Media:
        """How a telephone puts the far end on hold: one of `HOLDS`."""
        return replace(self, **HOLDS[how])

    def text(self, version: int) -> str:
        """The description; version grows by one with each."""
        direction = f"a={self.direction}"
        above = [direction] if self.session_level else []
        types = " ".join(str(codec.payload_type) for codec in self.codecs)
        audio = [
            f"m=audio {self.port} RTP/AVP {types} {EVENT_TYPE}",
            *(f"a=rtpmap:{codec.payload_type} {codec.rtpmap}" for codec in self.codecs),
            f"a=rtpmap:{EVENT_TYPE} telephone-event/8000",
            "a=ptime:20",
            *([] if self.session_level else [direction]),
        ]
        lines = ["v=0", f"o=testbed 1 {version} IN IP4 {HOST}", "s=-", f"c=IN IP4 {self.address}"]
        lines += ["t=0 0", *above, *(self.instead or audio), *self.more]
        return "\r\n".join([*lines, ""])

    def answer(self, offer: str, version: int) -> str:
        """The same as an answer: with a refusal of every media of the offer's that is not audio."""
        refused = [
            re.sub(r" \d+ ", " 0 ", line, count=1)
            for line in re.findall(r"^m=\S+ \d+ [^\r\n]*", offer, re.MULTILINE)
            if not line.startswith("m=audio")
        ]
        wanted = direction_of(offer)
        mirrored = MIRRORED.get(wanted, wanted)
        return replace(self, direction=mirrored, more=tuple(refused)).text(version)


HOLDS: dict[str, dict[str, Any]] = {
    "sendonly": {"direction": "sendonly"},
    "inactive": {"direction": "inactive"},
    "zero": {"address": "0.0.0.0"},  # noqa: S104 - of RFC 2543
    "session": {"direction": "sendonly", "session_level": True},
    "zero-inactive": {"address": "0.0.0.0", "direction": "inactive"},  # noqa: S104 - of RFC 2543
}
"""The ways to hold: RFC 3264's two, the old one of RFC 2543, and how telephones mix them."""

T38 = (
    "m=image {port} udptl t38",
    "a=T38FaxVersion:0",
    "a=T38MaxBitRate:14400",
    "a=T38FaxRateManagement:transferredTCF",
    "a=T38FaxMaxBuffer:1400",
    "a=T38FaxMaxDatagram:400",
    "a=T38FaxUdpEC:t38UDPRedundancy",
)
"""A fax machine's offer in place of the audio."""

VIDEO = ("m=video {port} RTP/AVP 99", "a=rtpmap:99 H264/90000", "a=sendrecv")
"""A video telephone's offer beside the audio."""


def direction_of(description: str) -> str:
    """Which way the audio goes, seen from who wrote that."""
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", description, re.MULTILINE)
    return found[1] if found else "sendrecv"


def port_of(description: str) -> int:
    """The port that whoever wrote that hears on; 0 where it is no audio."""
    found = re.search(r"^m=audio (\d+)", description, re.MULTILINE)
    return int(found[1]) if found else 0


def number_in(value: str) -> str:
    """The number in a header such as From."""
    found = re.match(r"sips?:([^@;>]*)@", uri_in(value))
    if not found:
        raise TestbedError(f"no number in {value}")
    return found[1]

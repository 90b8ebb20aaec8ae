"""Where a URL leads: one reader of URLs for all that the service and the operator give."""

from __future__ import annotations

import ipaddress
import re
import string
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from .. import limits, words
from .endings import Ending, SetupFailed, Status

_SECURE = {"ws": False, "http": False, "wss": True, "https": True}

_NAME = re.compile(r"(?=.{1,254}\Z)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)
"""What DNS can be asked for."""

_ZONE = re.compile(r"[\w.-]{1,32}", re.ASCII)
"""Of an IPv6 address: the name of an interface, or its number."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a URL leads. ``host`` is an IP address or a name that DNS can be asked for."""

    host: str
    port: int
    secure: bool
    target: str = field(repr=False)
    """May bear a signature."""
    key: str = field(default="base_url", repr=False, compare=False)
    """Of ``elevenlabs.conf``, that leads here: what to correct."""

    @classmethod
    def of(cls, url: str, key: str = "base_url") -> Endpoint:
        """Take a ws, wss, http or https URL apart. SetupFailed when it is none.

        Refused as well is what readers of URLs disagree about, or make a credential of: a user, a
        fragment, a backslash, characters that nobody sees.
        """
        try:
            if not url.isprintable() or "\\" in url or len(url) > limits.URL_CHARACTERS:
                raise ValueError("characters that no URL has")
            parts = urlsplit(url)
            secure = _SECURE[parts.scheme]
            port = (443 if secure else 80) if parts.port is None else parts.port
            if not (port and parts.hostname) or "@" in parts.netloc or "#" in url:
                raise ValueError("more or less than host and port")
            host, is_address = parts.hostname, "[" in parts.netloc
        except (KeyError, ValueError):
            what = "not a ws, wss, http or https address"
            ending = Ending(Status.ERROR, f"{what}; correct {words.token(key)}")
            raise SetupFailed(ending) from None
        target = parts.path or "/"
        target = f"{target}?{parts.query}" if parts.query else target
        place = _address(host, key) if is_address else _name(host, key)
        return cls(place, port, secure, quote(target, safe=string.punctuation), key)

    @property
    def place(self) -> tuple[str, int, bool]:
        """Where a connection leads: URLs with the same place can share one."""
        return self.host, self.port, self.secure

    @property
    def name(self) -> str:
        """What a certificate has to name: the host without the zone of an IPv6 address.

        The zone says which interface of this machine leads there.
        """
        return self.host.partition("%")[0]

    @property
    def authority(self) -> str:
        """For the header Host: without the port where it is the scheme's own."""
        host = f"[{self.name}]" if ":" in self.name else self.name
        return f"{host}:{self.port}".removesuffix(":443" if self.secure else ":80")

    def __str__(self) -> str:
        host = words.token(self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def place_of(url: str) -> str:
    """Where a URL leads, fit for a reason: host and port, whatever it is."""
    try:
        return str(Endpoint.of(url))
    except SetupFailed:
        return "an address that cannot be read"


def _address(host: str, key: str) -> str:
    """An IPv6 address, perhaps with a zone as RFC 6874 writes it."""
    address, mark, zone = host.replace("%25", "%", 1).partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise _no_host(host, key) from None
    if mark and not _ZONE.fullmatch(zone):
        raise _no_host(host, key)
    return f"{address}{mark}{zone}"


def _name(host: str, key: str) -> str:
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise _no_host(host, key) from None
    if not _NAME.fullmatch(name):
        raise _no_host(host, key)
    return name


def _no_host(host: str, key: str) -> SetupFailed:
    reason = f"cannot find the host: it is no host name; check {words.token(key)}"
    return SetupFailed(Ending(Status.UNREACHABLE, reason, detail=host))

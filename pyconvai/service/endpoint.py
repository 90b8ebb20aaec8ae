"""Where a URL leads: one reader of URLs for all that the service and the operator give."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from .endings import Ending, SetupFailed, Status, one_line

_SECURE = {"ws": False, "http": False, "wss": True, "https": True}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a URL leads. ``host`` is an IP address or a name that DNS can be asked for."""

    host: str
    port: int
    secure: bool
    target: str

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Take a ws, wss, http or https URL apart. SetupFailed when it is none."""
        try:
            parts = urlsplit(url)
            secure = _SECURE[parts.scheme]
            port = parts.port or (443 if secure else 80)
            host = parts.hostname
        except (KeyError, ValueError):
            host = None
        if not host:
            raise SetupFailed(
                Ending(Status.ERROR, "not a ws, wss, http or https address; correct base_url")
            )
        target = parts.path or "/"
        target = f"{target}?{parts.query}" if parts.query else target
        return cls(_name(host), port, secure, quote(target, safe=string.punctuation))

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
        return str(replace(self, host=self.name)).removesuffix(":443" if self.secure else ":80")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place_of(url: str) -> str:
    """Where a URL leads, fit for a reason: host and port, whatever it is."""
    try:
        return str(Endpoint.of(url))
    except SetupFailed:
        return "an address that cannot be read"


def _name(host: str) -> str:
    if ":" in host:
        return host.replace("%25", "%", 1)  # a zone, as RFC 6874 writes it
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        reason = one_line(f"cannot find the host {host}: it is no host name; check base_url")
        raise SetupFailed(Ending(Status.UNREACHABLE, reason)) from None
def _no_host(host: str, key: str) -> SetupFailed:
    reason = f"cannot find the host: it is no host name; check {words.token(key)}"
    return SetupFailed(Ending(Status.UNREACHABLE, reason, detail=host))

"""What ``elevenlabs.conf`` says of records: the settings that the module tells, by section."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..secret import Secret
from ..service.endings import SetupFailed
from ..service.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the records of an agent go, and how they are signed."""

    url: Secret
    """Its path may be a credential."""
    secret: Secret
    ca_file: str
    """Trusted beside the system's authorities."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it leads. SetupFailed: nowhere."""
        return Endpoint.of(self.url.reveal(), "webhook_url")

    @property
    def place(self) -> str:
        """Host and port, for people."""
        try:
            return str(self.endpoint)
        except SetupFailed:
            return "an address that cannot be read"


@dataclass(slots=True)
class Options:
    """All of it. The default: nothing is recorded."""

    in_service: bool = False
    """This engine, and no other of the module's, serves new calls."""
    folder: str = ""
    days: int = 30
    """So long records are kept."""
    wanted: bool = False
    """Some call may be recorded, or sent."""
    destinations: dict[str, Destination] = field(default_factory=dict)
    """By the section, in lower case; ``general`` among them."""
    sections: set[str] = field(default_factory=set)

    def destination(self, agent: str) -> Destination | None:
        """Where records of calls to this agent go: to one that there is not, as [general] says."""
        section = agent.lower()
        return self.destinations.get(section if section in self.sections else "general")


def read(pairs: Iterable[tuple[int, str, str]]) -> Options:
    """What the module tells with INFORM_SETTINGS (``call/recording.c``)."""
    options = Options()
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for _, name, value in pairs:
        if name == "section":
            section = sections.setdefault(value.lower(), {})
        else:
            section[name] = value
            if not sections:
                options.in_service = section.get("in_service") == "yes"
                options.folder = section.get("folder", "")
                options.days = int(section.get("records_days", options.days))
    for name, keys in sections.items():
        options.wanted |= keys["records"] == "yes"
        if keys["webhook_url"]:
            options.wanted = True
            url, secret = Secret(keys["webhook_url"]), Secret(keys["webhook_secret"])
            options.destinations[name] = Destination(url, secret, keys["ca_file"])
    options.sections = set(sections)
    return options

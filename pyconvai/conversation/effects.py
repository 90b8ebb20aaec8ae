"""What a message asks of the session: small values that the conversation returns.

``Conversation`` (``protocol.py``) decides, ``Session`` carries out, in the order of the tuple.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from ..service.metadata import Metadata


class Level(IntEnum):
    """``enum convai_log_level``, as far as a conversation uses it."""

    DEBUG = 0
    NOTICE = 1
    WARNING = 2


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A value of the service's that goes back byte for byte: JSON."""

    json: bytes

    def __str__(self) -> str:
        """For the log."""
        return self.json.decode(errors="replace")


Id = str | Verbatim
"""Of a call of a tool. A text stands for itself, everything else goes back as it came."""


@dataclass(frozen=True, slots=True)
class Play:
    """Queue a piece of agent audio.

    ``new_response``: it is of another response than the audio that was queued before it. Then the
    session completes a half sample and tells where the response begins (``response_began``).
    """

    audio_base64: str
    event_id: int
    new_response: bool
    characters: int = 0
    """Of the agent's text that it speaks; 0: the service does not tell."""


class Speaker(StrEnum):
    """Whose words."""

    AGENT = "agent"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Said:
    """Words of the conversation: others may read them, and programs are told."""

    speaker: Speaker
    text: str
    event_id: int
    final: bool = False
    """Of the caller's: the service has made up its mind."""
    again: bool = False
    """Of the agent's: in place of those that came last."""
    truncated: bool = False
    """The message was too long to be read whole."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What the agent has said of a turn that was cut short, by the service's reckoning."""

    text: str
    event_id: int


@dataclass(frozen=True, slots=True)
class PlayHold:
    """Queue a piece of what the service plays to a caller who waits. It is not the agent's."""

    audio_base64: str


@dataclass(frozen=True, slots=True)
class Queued:
    """No agent is free: the service lets the caller wait."""


@dataclass(frozen=True, slots=True)
class QueueTimedOut:
    """The service lets the caller wait no longer."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An agent is there: the conversation begins. Hold audio that is left is not to be heard."""


@dataclass(frozen=True, slots=True)
class CountStale:
    """Agent audio came that is older than the last interruption; its length in base64."""

    characters: int


@dataclass(frozen=True, slots=True)
class AskFirst:
    """Take no agent audio below the conversation until it says ``Play`` again."""


@dataclass(frozen=True, slots=True)
class Flush:
    """The caller has barged in: throw away what is queued, and tell how much (``flushed``)."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message to the service."""

    text: str


@dataclass(frozen=True, slots=True)
class CountPong:
    """A ping has been answered."""


@dataclass(frozen=True, slots=True)
class CallTool:
    """The agent wants something done here. It is owed exactly one result.

    Also if it says that it expects none: the service's own clients answer whatever
    ``expects_response`` says.
    """

    name: str
    call_id: Id
    """Empty: it has none, or one that is too long to go back."""
    parameters: dict[str, Any]
    fault: str = ""
    """Why its parameters can't be used: a sentence for the agent."""


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the call's log. The text is cut; the log makes it one line."""

    level: Level
    text: str
    kind: str = field(default="", compare=False)
    """See ``ChannelLog.write``."""


class Event(IntEnum):
    """``enum convai_event_kind``."""

    INTERRUPTION = 0
    SPOKEN = 1
    TOOL = 2
    TRANSCRIPT = 3


class ToolState(StrEnum):
    """Where a call of a tool stands, as programs see it."""

    CALLED = "called"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ToolNews:
    """A tool that the service itself runs."""

    name: str
    call_id: str
    state: ToolState


@dataclass(frozen=True, slots=True)
class CountUnknown:
    """A message came that has an unknown type, or none, or that is no message at all."""


Effect = (
    Play
    | PlayHold
    | Queued
    | QueueTimedOut
    | Admitted
    | CountStale
    | AskFirst
    | Flush
    | Send
    | CountPong
    | CallTool
    | Said
    | Corrected
    | Log
    | CountUnknown
    | Metadata
    | ToolNews
)
"""``Metadata``: the formats are known; ``Queued`` or ``Admitted`` follows."""

Effects = tuple[Effect, ...]
"""Of one message, to be carried out in this order."""

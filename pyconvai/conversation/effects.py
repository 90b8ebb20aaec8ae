"""What a message asks of the session: small values that the conversation returns.

``Conversation`` (``protocol.py``) decides, ``Session`` carries out, in the order of the tuple.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..service.metadata import Metadata


class Level(IntEnum):
    """``enum convai_log_level``, as far as a conversation uses it."""

    DEBUG = 0
    NOTICE = 1
    WARNING = 2


@dataclass(frozen=True, slots=True)
class Play:
    """Queue a piece of agent audio.

    ``new_response``: it is of another response than the audio that was queued before it. Then the
    session completes a half sample and tells where the response begins (``response_began``).
    """

    audio_base64: str
    event_id: int
    new_response: bool


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
    call_id: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the call's log."""

    level: Level
    text: str


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
    | Flush
    | Send
    | CountPong
    | CallTool
    | Log
    | CountUnknown
    | Metadata
)
"""``Metadata``: the formats are known; ``Queued`` or ``Admitted`` follows."""

Effects = tuple[Effect, ...]
"""Of one message, to be carried out in this order."""

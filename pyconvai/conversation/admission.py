"""Where the caller stands with the service, which may have no agent free. No I/O."""

from __future__ import annotations

from enum import Enum

from .effects import Admitted, Effects, Queued, QueueTimedOut


class Place(Enum):
    """Where the caller stands with the service."""

    DOOR = "door"
    """The metadata has not come."""
    HALL = "hall"
    """It has: the next message tells whether an agent is there, or the caller is to wait."""
    QUEUE = "queue"
    """No agent is free. The service plays hold audio, and discards what it is sent."""
    TALK = "talk"
    """An agent is there."""


TELLS_NOTHING = frozenset({"conversation_initiation_metadata", "queue_status", "ping"})
"""Messages that do not say that an agent is there."""


class Admission:
    """The way of one caller's to an agent. What changes on it is returned as effects."""

    def __init__(self) -> None:
        self.place = Place.DOOR
        self.agent_came = False
        """It has said something: the caller is not queued any more."""
        self._waits_at_door = False

    def enter(self) -> bool:
        """The metadata has come; return whether the word to wait has come before it."""
        self.place = Place.HALL
        return self._waits_at_door

    def admit(self) -> Effects:
        """Nothing has said that the caller is to wait: an agent is there."""
        if self.place is not Place.HALL:
            return ()
        self.place = Place.TALK
        return (Admitted(),)

    def wait(self) -> Effects:
        """Be queued. The word comes right behind the metadata, unless the network holds it up."""
        if self.place is Place.QUEUE or self.agent_came:
            return ()
        self.place = Place.QUEUE
        return (Queued(),)

    def told(self, status: str) -> Effects:
        """Take the service's word about its queue."""
        if status == "timed_out":
            return (QueueTimedOut(),) if self.place is Place.QUEUE else ()
        if status == "admitted" and self.place is Place.QUEUE:
            self.place = Place.TALK
            return (Admitted(),)
        if self.place is Place.DOOR:
            self._waits_at_door = status == "waiting"
        elif status == "waiting":
            return self.wait()
        return ()

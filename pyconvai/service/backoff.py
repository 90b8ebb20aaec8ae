"""Leaving a service alone that has asked for it: HTTP 429, and "too many conversations at once".

Without this, every caller of a busy hour would make one more request to a service that refuses them
all, and would wait for its answer. Loop thread only. Each host, key and agent has a pause of its
own: one agent's limit must not close another agent, and where the limit is the whole account's,
each agent finds that out with one request.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from ..limits import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_FORGET_SECONDS,
    BACKOFF_JITTER_SHARE,
    BACKOFF_LONGEST_SECONDS,
    BACKOFF_RETRY_AFTER_SECONDS,
    RETRY_AFTER_CHARACTERS,
)
from ..secret import Secret
from .endings import Ending, Status
from .settings import Settings

Key = tuple[str, Secret, str]


@dataclass(slots=True)
class _Pause:
    since: float
    until: float
    refusals: int
    ending: Ending


class BackOff:
    """Which hosts must not be asked at the moment, with which key for which agent; how long."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._chance = clock, chance
        self._pauses: dict[Key, _Pause] = {}

    def refusal(self, settings: Settings) -> Ending | None:
        """The ending of a call that must not ask now; None when it may ask."""
        pause, left = self._pauses.get(_key(settings)), self.left(settings)
        if pause is None or left <= 0:
            return None
        seconds = math.ceil(left)
        return Ending(
            Status.LIMIT,
            f"the service is not asked for another {seconds:d} s, since {pause.ending.reason}",
            detail=pause.ending.detail,
        )

    def left(self, settings: Settings) -> float:
        """For how many seconds calls must not ask; 0 when they may."""
        pause = self._pauses.get(_key(settings))
        return max(0.0, pause.until - self._clock()) if pause else 0.0

    def refused(self, settings: Settings, began: float, ending: Ending, wait: float | None) -> None:
        """Note that the service had no room for an attempt that began at ``began`` (see ``now``).

        ``wait``: the pause in seconds that the service asked for, if it did. Attempts that were
        under way together count as one refusal.
        """
        now, key = self._clock(), _key(settings)
        self._pauses = {
            k: p for k, p in self._pauses.items() if now < p.until + BACKOFF_FORGET_SECONDS
        }
        pause = self._pauses.get(key)
        together = pause is not None and began < pause.since
        if together and not wait:
            return
        count = (pause.refusals if pause else 0) + (0 if together else 1)
        seconds = min(BACKOFF_FIRST_SECONDS * 2 ** min(count - 1, 16), BACKOFF_LONGEST_SECONDS)
        seconds *= 1 + BACKOFF_JITTER_SHARE * (2 * self._chance() - 1)
        if wait:
            # The engine may come back later than asked for, but not earlier.
            asked = min(wait, BACKOFF_RETRY_AFTER_SECONDS)
            seconds = max(seconds, asked + asked * BACKOFF_JITTER_SHARE * self._chance())
        self._pauses[key] = _Pause(now, now + seconds, count, ending)

    def succeeded(self, settings: Settings) -> None:
        """Forget it all: a conversation has come up."""
        self._pauses.pop(_key(settings), None)

    def now(self) -> float:
        """The time on this object's clock, for ``began``."""
        return self._clock()


def _key(settings: Settings) -> Key:
    return settings.base_url, settings.api_key, settings.agent_id


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date. None where it does not."""
    if not value or len(value) > RETRY_AFTER_CHARACTERS:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError, LookupError, OSError):
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None

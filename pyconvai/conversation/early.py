"""Agent audio that comes before the metadata: kept until its format is known. No I/O."""

from __future__ import annotations

from .. import limits
from .effects import Play


class EarlyAudio:
    """What one conversation keeps, from its beginning on, within ``EARLY_AUDIO_BYTES``."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, int]] = []
        """base64, and the id of its response."""
        self._room = limits.EARLY_AUDIO_BYTES

    def keep(self, audio_base64: str, event_id: int | None) -> bool:
        """Keep a piece; one without an id is of the response before it. False: there is no room."""
        cost = len(audio_base64) + limits.EARLY_PIECE_BYTES
        if cost > self._room:
            self._room = 0  # what comes now would not belong behind what is kept
            return False
        if event_id is None:
            event_id = self._pieces[-1][1] if self._pieces else 0
        if audio_base64:
            self._room -= cost
            self._pieces.append((audio_base64, event_id))
        return True

    def take(self) -> list[Play]:
        """All that is kept, to be played now."""
        plays: list[Play] = []
        for text, event_id in self._pieces:
            plays.append(Play(text, event_id, not plays or event_id != plays[-1].event_id))
        self._pieces = []
        return plays

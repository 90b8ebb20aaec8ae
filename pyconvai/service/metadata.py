"""What the service says first: that the conversation is up, and in which formats."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metadata:
    """The conversation is up. Formats are the service's names, such as ``ulaw_8000``."""

    conversation_id: str
    agent_format: str
    caller_format: str

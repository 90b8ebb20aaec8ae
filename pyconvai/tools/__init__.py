"""What a file of ``tools_directory`` may import: ``from pyconvai.tools import Call, ToolFailed``.

docs/tools.md says how such a file is written.
"""

from __future__ import annotations

from dataclasses import dataclass


class ToolFailed(Exception):
    """The tool could not do it; the text is a sentence for the agent, and no fault for the log."""


@dataclass(frozen=True, slots=True)
class Call:
    """The call in which the agent uses the tool: for a parameter with this annotation."""

    channel: str = ""
    """Name of the caller's channel; it may change during a call."""
    unique_id: str = ""
    """Of that channel, as Asterisk has it."""
    agent: str = ""
    """Section of elevenlabs.conf."""
    conversation_id: str = ""
    """The service's; empty in ``elevenlabs test tool``, as all of these but the agent."""

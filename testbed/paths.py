"""Where the testbed reads and writes."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout."""

BUILD = PROJECT / "build"
"""Everything generated goes below this folder."""


def cache() -> Path:
    """Return the folder in the user's cache that outlives a checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "app_elevenlabs_convai"

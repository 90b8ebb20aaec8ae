"""The bundle: what somebody who helps has to know of an installation, in one file. No I/O.

A ``.tar.gz`` of a few texts. The module gives most of them (``control/cli_bundle.c``); each passes
``cutting.py`` here, whatever it is. Nobody's words of a conversation are in it.
"""

from __future__ import annotations

import gzip
import io
import platform
import re
import sys
import tarfile

import orjson

from .. import __version__, limits
from ..records import record
from ..records.record import Record
from . import cutting

_ENDING_FIELDS = (
    "started_at",
    "talking_at",
    "ended_at",
    "duration_ms",
    "talking_ms",
    "direction",
    "agent",
    "asked_agent",
    "conversation_id",
    "status",
    "reason",
    "detail",
    "caller_turns",
    "agent_turns",
    "interruptions",
    "latency_ms",
    "latency_max_ms",
    "jitter_ms",
    "loss_percent",
    "remote_jitter_ms",
    "remote_loss_percent",
    "round_trip_ms",
    "mos",
    "counters",
)
"""Of the last calls: neither who has called, nor what was said."""

_PLAIN = frozenset({"asterisk.txt", "counters.txt", "versions.txt"})
"""Parts that are figures, ours and Asterisk's: no telephone numbers, but dates."""

_FILE = re.compile(r"[a-z][a-z0-9_-]{0,30}\.txt")

_README = """\
This is what "elevenlabs bundle" has written for whoever helps with app_elevenlabs_convai {version},
at {now} UTC. Keys, tokens, what follows a host, and telephone numbers are cut out: *** stands in
their place, with the last two digits of a number. No audio, no transcript and no caller is in it.
Look into it before you send it: a name that you have given to a context or an agent stays.

{files}
"""


def made(parts: list[tuple[str, str]], over: list[Record], now_ms: int) -> bytes:
    """The file. ``parts``: name and text each, as the module gives them; ``over``: records."""
    now = record.moment(now_ms)[:19].replace("T", " ")
    files: dict[str, str] = {}
    for name, text in parts[: limits.BUNDLE_PARTS]:
        if _FILE.fullmatch(name):
            files[name] = files.get(name, "") + text
    cleaned = {name: _cleaned(name, text) for name, text in files.items()}
    cleaned["versions.txt"] = _engine() + cleaned.get("versions.txt", "")
    cleaned["endings.jsonl"] = "".join(_ending(each) for each in over)
    listed = "\n".join(f"{name}: {len(text)} characters" for name, text in sorted(cleaned.items()))
    readme = _README.format(version=__version__, now=now, files=listed)
    return _packed({"README.txt": readme, **cleaned}, now_ms // 1000)


def _engine() -> str:
    return f"engine {__version__}, Python {sys.version.split()[0]}, {platform.platform()}\n"


def _cleaned(name: str, text: str) -> str:
    most = limits.BUNDLE_PART_CHARACTERS
    if len(text) > most:
        text = f"{text[:most]}\n... {len(text) - most} characters more are left out\n"
    clean = cutting.without_secrets if name in _PLAIN else cutting.cut
    return "".join(clean(line) for line in text.splitlines(keepends=True))


def _ending(found: Record) -> str:
    kept: Record = {name: found.get(name) for name in _ENDING_FIELDS}
    for name in ("agent", "asked_agent", "reason", "detail"):
        kept[name] = cutting.cut(str(kept[name] or ""))
    return orjson.dumps(kept).decode() + "\n"


def _packed(files: dict[str, str], seconds: int) -> bytes:
    """The names in it are below one folder; whose files they are is not said."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, text in files.items():
            data = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"elevenlabs-bundle/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o640, seconds
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()

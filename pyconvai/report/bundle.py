"""The bundle: what somebody who helps has to know of an installation, in one file. No I/O.

A ``.tar.gz`` of a few texts. The module gives most of them (``control/cli_bundle.c``). Of what an
operator writes only what is known to be harmless is shown: the module sees to the configuration,
``dialplan.py`` to the dialplan. Each text passes ``cutting.py`` besides, whatever it is. Nobody's
words of a conversation are in it.
"""

from __future__ import annotations

import gzip
import io
import platform
import re
import sys
import tarfile
from collections.abc import Callable, Iterable

import orjson

from .. import __version__, limits
from ..records import record
from ..records.record import Record
from ..secret import SHOWN
from . import cutting, dialplan

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

_OWN_DETAIL = frozenset({"AGENT_ENDED", "NOAGENT"})
"""Endings whose detail tells of the conversation, or has a word of the dialplan's."""

_PLAIN = frozenset({"asterisk.txt", "counters.txt", "versions.txt"})
"""Parts that are figures, ours and Asterisk's: no telephone numbers, but dates."""

_FIRST: dict[str, tuple[Callable[[str], str], ...]] = {
    "asterisk.txt": (cutting.without_names,),
    "log.txt": (cutting.without_quotes,),
}
"""What each line of a part goes through before all others."""

_FILE = re.compile(r"[a-z][a-z0-9_-]{0,30}\.txt")

_README = """\
This is what "elevenlabs bundle" has written at {now} UTC
for whoever helps with app_elevenlabs_convai {version}.

Of the dialplan it has names of applications, and what is said with the module's own words; of
elevenlabs.conf numbers, words out of lists, and names. Keys, tokens, what follows a host, and
telephone numbers are cut out of all the rest: *** stands in their place, with the last two digits
of a number. No audio, no transcript and no caller is in it. Look into it before you send it: names
that you have given to agents, tools and the contexts of these stay.

{files}
"""


def made(parts: list[tuple[str, str]], over: list[Record], now_ms: int) -> bytes:
    """The file. ``parts``: name and text each, as the module gives them; ``over``: records."""
    now = record.moment(now_ms)[:19].replace("T", " ")
    given: dict[str, list[str]] = {}
    for name, text in parts:
        given.setdefault(name, []).append(text)
    names = dialplan.known(
        given.get("agent", ()), given.get("context", ()), "".join(given.get("applications", ()))
    )
    hide = cutting.finder(given.get("hidden", ()), names.all)
    files = [(name, "".join(texts)) for name, texts in given.items() if _FILE.fullmatch(name)]
    cleaned = {name: _cleaned(name, text, hide) for name, text in files[: limits.BUNDLE_PARTS]}
    if "dialplan" in given:
        lines = dialplan.shown("".join(given["dialplan"]), names)
        cleaned["dialplan.txt"] = _cleaned("dialplan.txt", lines, str)
    cleaned["versions.txt"] = _engine() + cleaned.get("versions.txt", "")
    cleaned["endings.jsonl"] = "".join(_ending(each, names, hide) for each in over)
    listed = "\n".join(f"{name}: {len(text)} characters" for name, text in sorted(cleaned.items()))
    readme = _README.format(version=__version__, now=now, files=listed)
    return _packed({"README.txt": readme, **cleaned}, now_ms // 1000)


def _engine() -> str:
    return f"engine {__version__}, Python {sys.version.split()[0]}, {platform.platform()}\n"


def _cleaned(name: str, text: str, hide: Callable[[str], str]) -> str:
    most = limits.BUNDLE_PART_CHARACTERS
    if len(text) > most:
        text = f"{text[:most]}\n... {len(text) - most} characters more are left out\n"
    clean = cutting.without_secrets if name in _PLAIN else cutting.cut
    steps = (*_FIRST.get(name, ()), hide, clean)
    return "".join(_through(line, steps) for line in text.splitlines(keepends=True))


def _through(line: str, steps: Iterable[Callable[[str], str]]) -> str:
    for step in steps:
        line = step(line)
    return line


def _ending(found: Record, names: dialplan.Known, hide: Callable[[str], str]) -> str:
    kept: Record = {name: found.get(name) for name in _ENDING_FIELDS}
    for name in ("agent", "asked_agent"):
        agent = str(kept[name] or "")
        kept[name] = names.agents.get(agent.lower(), SHOWN) if agent else ""
    if kept["status"] in _OWN_DETAIL:
        kept["detail"] = ""
    for name in ("reason", "detail"):
        kept[name] = hide(cutting.without_quotes(str(kept[name] or "")))
    for name in ("agent", "asked_agent", "reason", "detail"):
        kept[name] = cutting.cut(kept[name])
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

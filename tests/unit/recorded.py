"""Calls that are to be recorded, from the side of the module: what it tells the engine of them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import orjson

from pyconvai.service.settings import PairKind
from tests.timing import EVENT
from tests.unit.engine import Engine, ffi

SETTINGS, CALL_OVER = 1, 2
SECRET = "wsec_0123456789abcdef"


def inform(engine: Engine, what: int, pairs: list[tuple[str, str | bytes]]) -> int:
    """Tell it; 0, or -1."""
    kind = PairKind.SETTING if what == SETTINGS else PairKind.FACT
    texts = [t if isinstance(t, bytes) else t.encode() for pair in pairs for t in pair]
    keep: list[Any] = [ffi.new("char[]", text) for text in texts]
    array = ffi.new("struct convai_pair[]", len(pairs))
    for i in range(len(pairs)):
        array[i].kind, array[i].name, array[i].value = kind, keep[2 * i], keep[2 * i + 1]
    return int(engine.ops.inform(what, array, len(pairs)))


def configure(
    engine: Engine,
    folder: Path,
    webhooks: dict[str, str] | None = None,
    *,
    in_service: bool = True,
    ca_file: str = "",
    days: int = 30,
) -> None:
    """``webhooks``: by section; ``general`` is there in any case."""
    pairs: list[tuple[str, str | bytes]] = [
        ("in_service", "yes" if in_service else "no"),
        ("folder", str(folder)),
        ("records_days", str(days)),
    ]
    for section, url in ({"general": ""} | (webhooks or {})).items():
        pairs += [
            ("section", section),
            ("records", "yes"),
            ("webhook_url", url),
            ("webhook_secret", SECRET if url else ""),
            ("ca_file", ca_file),
        ]
    assert inform(engine, SETTINGS, pairs) == 0


def facts(agent: str = "general", **more: str) -> dict[str, str]:
    """Of a call that begins now."""
    return {
        "id": str(uuid.uuid4()),
        "in_file": "yes",
        "for_webhook": "yes",
        "system": "",
        "channel": "PJSIP/caller-00000001",
        "unique_id": "1.1",
        "linked_id": "1.1",
        "direction": "inbound",
        "caller_number": "0301234",
        "caller_name": "",
        "called_number": "100",
        "asked_agent": agent,
        "agent": agent,
        "started_ms": str(round(time.time() * 1000)),
    } | more


def end(**more: str) -> dict[str, str]:
    """How a call has ended, now."""
    return {
        "status": "HANGUP",
        "reason": "the caller hung up",
        "detail": "",
        "ended_ms": str(round(time.time() * 1000)),
        "duration_ms": "1500",
        "answered_ms": "1400",
    } | more


def call(engine: Engine, agent: str = "general", **more: str | bytes) -> str:
    """A call without a session, from its beginning to its end; the id of its record."""
    pairs: dict[str, Any] = facts(agent) | end() | more
    assert inform(engine, CALL_OVER, list(pairs.items())) == 0
    return str(pairs["id"])


def lines(folder: Path) -> list[dict[str, Any]]:
    """All records in files."""
    files = sorted(folder.glob("records-*.jsonl"))
    return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]


def wait_lines(folder: Path, count: int, seconds: float = EVENT) -> list[dict[str, Any]]:
    until = time.monotonic() + seconds
    while len(found := lines(folder)) < count:
        assert time.monotonic() < until, found
        time.sleep(0.005)
    return found


def wait_spool(folder: Path, count: int, seconds: float = EVENT) -> None:
    until = time.monotonic() + seconds
    while len(found := list((folder / "webhook").glob("[0-9]*.json"))) != count:
        assert time.monotonic() < until, found
        time.sleep(0.005)

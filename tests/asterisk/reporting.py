"""The report of a call of a test's Asterisk: fetched by a test, or left by one that failed."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.paths import BUILD

LEFT = BUILD / "reports"
"""Where tests that have failed leave theirs."""

SECONDS = 20.0
"""For one report; a test that has failed may have left an engine that hangs."""

WRITTEN = re.compile(r"/(elevenlabs/reports/\S+)")


def report(pbx: Instance, name: str = "last") -> Path:
    """Have a report written, or a bundle of the name ``bundle``; where it is."""
    command = "elevenlabs bundle" if name == "bundle" else f"elevenlabs report {name}"
    said = pbx.cli(command, limit=SECONDS)
    found = WRITTEN.search(said)
    assert found, said
    return pbx.folder / "spool" / found[1]


def unpacked(path: Path) -> dict[str, str]:
    """The files of a bundle, by name."""
    with tarfile.open(path) as archive:
        return {
            Path(each.name).name: archive.extractfile(each).read().decode()  # type: ignore[union-attr]
            for each in archive.getmembers()
        }


def leave(pbx: Instance, test: str) -> Path | None:
    """Keep the report of the last call under the name of a test; None: there is none to be had."""
    try:
        found = report(pbx)
    except (TestbedError, AssertionError, OSError):
        return None
    LEFT.mkdir(parents=True, exist_ok=True)
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", test)[-120:]
    return Path(shutil.copy(found, LEFT / f"{safe}.html"))

"""Read the machine's apt configuration: which Debian mirror it uses, and through which proxy."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError

APT_CONFIG_SECONDS = 20
"""Limit on `apt-config dump`, which only reads files."""

OS_RELEASE = Path("/etc/os-release")
SOURCES = Path("/etc/apt")
MIRROR_VARIABLE = "TESTBED_MIRROR"
"""Environment variable that overrides the mirror found."""

OLD_LISTS = 'Acquire::Check-Valid-Until "false";'
"""As apt-config shows it."""

SNAPSHOT = re.compile(r"/\d{8}T\d{6}Z(/|$)")
"""In the URI of an archive as it was at one time, as Debian's snapshot archive writes it."""


@dataclass(frozen=True)
class Source:
    """One suite of one archive that apt is configured to use."""

    uri: str
    suite: str
    components: tuple[str, ...]


def find_mirror(apt: Path = SOURCES, codename: str | None = None) -> str:
    """Return the URI of the Debian archive that this machine installs from.

    It is the entry with component `main` for the machine's own suite (`bookworm`; not its
    security or update suites). Raises TestbedError if there is none.
    """
    if override := os.environ.get(MIRROR_VARIABLE):
        return override
    suite = codename or _codename()
    for source in read_sources(apt):
        if source.suite == suite and "main" in source.components:
            return _resolve(source.uri)
    raise TestbedError(
        f"no Debian archive with suite '{suite}' and component 'main' in {apt}/sources.list or "
        f"{apt}/sources.list.d; set {MIRROR_VARIABLE} to the URI of a Debian mirror"
    )


def read_sources(apt: Path = SOURCES) -> list[Source]:
    """Return all binary package sources under `apt`, one-line (.list) and deb822 (.sources)."""
    parts = apt / "sources.list.d"
    found: list[Source] = []
    for path in [apt / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            found += _read_list(path.read_text(encoding="utf-8"))
    for path in sorted(parts.glob("*.sources")):
        found += _read_deb822(path.read_text(encoding="utf-8"))
    return found


def apt_options(mirror: str, say: Callable[[str], None]) -> list[str]:
    """Return the machine's proxy and TLS settings as options for another apt that asks a mirror.

    And whether it takes lists that are past their date; `say` is told if so.
    """
    configured = _configuration()
    wanted = re.compile(r'^Acquire::(http|https)(::[^ ]+)? "[^"]+";$')
    options = [line for line in configured if wanted.match(line)]
    if why := takes_old_lists(mirror, configured):
        say(f"lists of packages that are past their date are taken: {why}")
        options.append(OLD_LISTS)
    return options


def takes_old_lists(mirror: str, configured: Sequence[str]) -> str:
    """Say why lists that are past their date are taken from a mirror; "" if they are not.

    An old list may be one that somebody plays back, to have old holes installed. It is taken where
    lists are old for good, and where this machine's own apt takes it.
    """
    if SNAPSHOT.search(mirror):
        return f"{mirror} is a snapshot"
    if OLD_LISTS in configured:
        return "this machine's apt is told not to look at their dates"
    return ""


def _configuration() -> list[str]:
    """Return the machine's apt configuration, an option a line."""
    try:
        return subprocess.run(
            ["apt-config", "dump"],
            capture_output=True,
            text=True,
            timeout=APT_CONFIG_SECONDS,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def _read_list(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        entry = re.match(r"\s*deb\s+(?:\[[^]]*\]\s*)?([^#]+)", line)
        words = entry.group(1).split() if entry else []
        if len(words) >= 2:
            yield Source(words[0], words[1], tuple(words[2:]))


def _read_deb822(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"]) == ["no"]:
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield Source(uri, suite, tuple(fields.get("components", [])))


def _fields(stanza: str) -> dict[str, list[str]]:
    """Return the fields of one deb822 paragraph as lists of words, names in lower case."""
    fields: dict[str, list[str]] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields.get(name, []).extend(line.split())
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.split()
    return fields


def _resolve(uri: str) -> str:
    """Return a plain URI for one of apt's `mirror+file:` lists, and any other URI as it is."""
    if not uri.startswith("mirror+file:"):
        return uri
    path = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    lines = path.read_text(encoding="utf-8").splitlines()
    uris = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if not uris:
        raise TestbedError(f"{path}: names no mirror; set {MIRROR_VARIABLE}")
    return uris[0]


def _codename() -> str:
    for line in OS_RELEASE.read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return shlex.split(line.partition("=")[2])[0]
    raise TestbedError(f"{OS_RELEASE}: no VERSION_CODENAME; set {MIRROR_VARIABLE}")

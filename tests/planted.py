"""Credentials that tests plant, and the search for them where they must not stand.

A credential is made of one mark, four times: whatever piece of it leaks, of half its length or
more, has the mark in it, in whatever encoding. No source holds a mark, it is computed here. So
whatever file, line or command line has one has it from a run.

    python3 -m tests.planted . --temporary    # searches files; exit status 1: found some

Signatures of signed URLs are the mock agent's own and found by their beginning, in every test.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

MARK_DIGITS = 12
"""48 bits: no text, and no byte code, has them by chance."""

REPEATED = 4

SHOWN = 60
"""Characters of a line on either side of what was found."""

LINE = 1 << 16
"""Bytes of a line that rules are held against: a binary file may be one line."""

NEWLINE = b"\n"

LARGEST = 256 << 20
"""Bytes of a file that is read at once; larger ones are none of ours, and said."""


@cache
def mark(name: str) -> str:
    """What tells that it is this one."""
    return hashlib.sha256(f"planted {name}".encode()).hexdigest()[:MARK_DIGITS]


@cache
def digits(name: str) -> str:
    """The same as something that can be pressed on a telephone."""
    return str(int(mark(name), 16))[-MARK_DIGITS:].rjust(MARK_DIGITS, "7")


def secret(name: str) -> str:
    """A credential, as long as those of the service."""
    return mark(name) * REPEATED


def key(name: str) -> str:
    """A key of an account, as those of the service look."""
    return f"sk_{secret(name)}"


def signature(name: str) -> str:
    """The credential of a signed URL."""
    return f"cvtkn_{secret(name)}"


KEY = key("key")
"""The key of all tests that need none in particular."""

SECRETS = (
    *("key", "key in the file", "key of the environment", "key in elevenlabs.conf"),
    *("key in a wrong place", "signature", "token", "token of the dialplan", "variable"),
)
"""Names of what is planted anywhere."""

PIN = "PIN"

CONTROL = "control"
"""What the test of the search leaks on purpose."""

SIGNATURES = re.compile(rb"cvtkn_[A-Za-z0-9_-]{6}")


def needles(text: str) -> Iterator[bytes]:
    """The forms in which a mark may stand: as it is, UTF-16, hexadecimal, base64 at any offset."""
    raw = text.encode()
    yield raw
    yield text.encode("utf-16-le")[:-1]  # of both byte orders
    yield raw.hex().encode()
    for before in range(3):
        yield base64.b64encode(bytes(before) + raw)[4:-4]


@dataclass(frozen=True)
class Found:
    """One place where one stands that must not."""

    what: str
    where: str
    """The file, or what was searched."""
    number: int
    """Of the line, from 1."""
    around: str
    """As much of the line as tells which it is."""
    line: str = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.where}:{self.number}: {self.what}: {self.around}"


@dataclass(frozen=True)
class Allowed:
    """Where a credential belongs: not every place is a leak."""

    where: str
    """Regular expression for the name of the place, all of it."""
    line: str
    """Regular expression for a part of the line."""
    why: str

    def __contains__(self, found: Found) -> bool:
        return bool(re.fullmatch(self.where, found.where) and re.search(self.line, found.line))


class Search:
    """Looks for what was planted."""

    def __init__(self, names: Sequence[str] = (*SECRETS, PIN), allowed: Iterable[Allowed] = ()):
        self._allowed = tuple(allowed)
        self._needles = [
            (name, needle)
            for name in names
            for needle in needles(digits(name) if name == PIN else mark(name))
        ]
        self._signatures = "signature" in names

    def data(self, data: bytes, where: str) -> list[Found]:
        """What stands in something, each kind of thing once a line."""
        places = [(at, name) for name, needle in self._needles for at in _all(data, needle)]
        if self._signatures:
            places += [(each.start(), "signature") for each in SIGNATURES.finditer(data)]
        found: dict[tuple[str, int], Found] = {}
        for at, name in sorted(places):
            each = _found(name, where, data, at)
            if not any(each in allowed for allowed in self._allowed):
                found.setdefault((name, each.number), each)
        return list(found.values())

    def text(self, text: str, where: str) -> list[Found]:
        """What stands in a text."""
        return self.data(text.encode(), where)

    def files(
        self, folder: Path, skipped: Sequence[str] = (), base: Path | None = None
    ) -> list[Found]:
        """What stands in the files below a folder.

        skipped: suffixes, or names of folders that are not looked into. Links are not followed.
        base: the folder from which their names are told, if it is another one.
        """
        found: list[Found] = []
        for file in _files(folder, skipped):
            try:
                size = file.stat().st_size
                data = file.read_bytes() if size <= LARGEST else b""
            except FileNotFoundError:
                continue  # of a run that is under way
            if size > LARGEST:
                found.append(Found("too large to be searched", str(file), 0, f"{size} bytes", ""))
            found += self.data(data, str(file.relative_to(base or folder)))
        return found


def _all(data: bytes, needle: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        # The next line: within this one it is the same leak.
        line = data.find(b"\n", at)
        at = data.find(needle, line) if line >= 0 else -1


def _found(what: str, where: str, data: bytes, at: int) -> Found:
    start = data.rfind(NEWLINE, 0, at) + 1
    end = data.find(NEWLINE, at)
    line = data[start : end if end >= 0 else len(data)][:LINE]
    around = line[max(0, at - start - SHOWN) : at - start + SHOWN]
    number = data.count(NEWLINE, 0, at) + 1
    return Found(
        what, where, number, around.decode(errors="replace"), line.decode(errors="replace")
    )


def _files(folder: Path, skipped: Sequence[str]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skipped)
        for name in sorted(names):
            file = Path(parent) / name
            if file.is_file() and not file.is_symlink() and file.suffix not in skipped:
                yield file


# ---- What runs of the tests leave behind ----

AUDIO = (".rtp", ".say", ".play", ".raw", ".wav")
"""What callers and agents have heard: noise, which holds no text."""

LEFT_ALONE = ("venv", "node_modules", ".git", *AUDIO)

SERVICES = (
    Allowed(
        r"(.*/)?mock/[^/]+/scenario\.toml",
        r"",
        "the settings of the service's side: which key it takes, and what it echoes",
    ),
    Allowed(
        r"(.*/)?mock/[^/]+/(report\.json|events\.json|output|record/.*\.json)",
        r"(?s)^(?!.*(sk_|cvtkn_)).*",
        "what the agent was told, by intention. The mock writes down neither key nor signature",
    ),
    Allowed(
        r"(.*/)?mock/[^/]+/(report\.json|events\.json|output|record/.*\.json)",
        r'"(close_)?reason": |, closed by agent \(',
        "the words with which the service has closed, as the test has ordered",
    ),
)
"""Where things stand at the service's side."""

SETTINGS = (
    Allowed(
        r"(.*/)?[^/]*(\.conf|\.key)",
        r"",
        "configuration: where the operator has put it",
    ),
    Allowed(
        r"(.*/)?etc/.*",
        r"",
        "configuration: where the operator has put it",
    ),
)
"""Where things stand in a test's Asterisk."""

BY_ASTERISK = (
    Allowed(
        r"(.*/)?(full|console|debugging)\.log",
        r"Executing \[[^]]*\] Set\(",
        "what the dialplan sets is in Asterisk's own lines of it, at verbose 3",
    ),
)
"""What Asterisk tells of what the dialplan says: see docs/security.md."""

SOURCES = (
    Allowed(
        r"tests/.*\.(py|pyc|c|h)|\.pytest_cache/v/cache/\w+",
        r"cvtkn_",
        "made up in a source of a test, or the name of one; what is planted stands in none",
    ),
)

LEFT = (*SERVICES, *SETTINGS, *BY_ASTERISK, *SOURCES)


def left_of(folder: Path) -> list[Found]:
    """What stands in the files of one instance of the testbed."""
    return Search(allowed=LEFT).files(folder, ("lib", "calls", *AUDIO))


OK = "No test has left a key, a signature, a token or a PIN"


def temporary() -> list[Path]:
    """Folders of tests outside the checkout; those of other checkouts' runs are among them."""
    folder = Path(tempfile.gettempdir())
    return [*folder.glob("pytest-of-*"), *folder.glob("testbed-*")]


def main(arguments: Sequence[str]) -> int:
    """Search what is left of the last runs of the tests; 1: something was found."""
    folders = [Path(each) for each in arguments if each != "--temporary"]
    folders += temporary() if "--temporary" in arguments else []
    search, found = Search(allowed=LEFT), 0
    for folder in folders:
        for each in search.files(folder, LEFT_ALONE):
            print(f"{folder}/{each}")
            found += 1
    remedy = "mend what has left them there, then remove the files (rm -r build/testbed)"
    print(f"{found} credentials of tests are where they must not be: {remedy}" if found else OK)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Secrets, in one place: keys and signed URLs, of which no text, log line or traceback shows any.

A secret's text is ``***`` wherever Python makes one of it. What others say, such as a service that
echoes a key in an error, goes through ``scrub`` where a line is written.

Its bytes are overwritten when the last reference goes. What Python copies in between (what
``reveal`` returns, the text that a secret was made of) is only freed, as is whatever TLS and the
kernel make of it. Any thread.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NoReturn
from urllib.parse import quote, unquote
from weakref import WeakValueDictionary

from . import limits

SHOWN = "***"
"""What stands in the place of every secret."""

_OPEN_PARAMETERS = frozenset({"agent_id", "branch_id", "version_id", "environment"})
"""Of a URL: they are no secrets, and lines of a log need them."""

_BEGINNING = 3
"""Bytes of a secret by which it is looked for first: those of one kind begin alike."""

_SALT = os.urandom(16)
_lock = threading.Lock()


class Secret:
    """A text that shows as ``***``, in ``str``, ``repr`` and formats; JSON refuses it.

    Secrets of one value are one object: so they are compared by identity, in a time that tells
    nothing. It cannot be copied, nor pickled. An empty one is false.
    """

    __slots__ = ("__weakref__", "_forms", "_value", "marks")

    _value: bytearray
    _forms: tuple[bytearray, ...]
    """What gives it away (see ``_given_away_by``), in UTF-8 and lower case."""
    marks: tuple[bytearray, ...]
    """Those of them of which one is in every text that has any."""

    def __new__(cls, text: str) -> Secret:
        """The secret with this value: the one that is there already, or a new one."""
        digest = hashlib.blake2b(_bytes(text), key=_SALT, digest_size=16).digest()
        with _lock:
            self = _live.get(digest)
            if self is None:
                self = super().__new__(cls)
                forms = dict.fromkeys(_bytes(form).lower() for form in _given_away_by(text))
                self._value = bytearray(_bytes(text))
                self._forms = tuple(bytearray(form) for form in forms)
                self.marks = tuple(form for form in self._forms if _is_mark(form, forms))
                _live[digest] = self
                _Held.now = None
            return self

    def reveal(self) -> str:
        """The value, for who gives it to a socket. Keep it in no variable that outlives that."""
        return self._value.decode("utf-8", "surrogatepass")

    def given_away_by(self, data: bytes) -> tuple[bytearray, ...]:
        """What may be in a text and gives it away; nothing where it is not in there.

        The text is UTF-8 in lower case, and so is what is returned.
        """
        return self._forms if any(mark in data for mark in self.marks) else ()

    @property
    def longest(self) -> int:
        """Bytes of the longest form of it that is taken out of texts."""
        return max(map(len, self._forms))

    def __bool__(self) -> bool:
        """Whether there is anything to be kept secret."""
        return bool(self._value)

    def __str__(self) -> str:
        return SHOWN

    __repr__ = __str__

    def __format__(self, _spec: str) -> str:
        return SHOWN

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret is not copied")

    def __del__(self) -> None:
        """Overwrite the value."""
        _Held.now = None  # without the lock, which this thread may have: what is zero is in no text
        for form in (self._value, *self._forms):
            form[:] = bytes(len(form))


_live: WeakValueDictionary[bytes, Secret] = WeakValueDictionary()
"""By a salted digest of the value."""


@dataclass(frozen=True)
class _Held:
    """What to look for. 200 calls have hundreds of secrets, and few texts have one of them."""

    marks: dict[bytes, list[bytearray]]
    """By how they begin, which gives nothing away and is soon looked for."""
    longest: int
    """Bytes of the longest secret."""

    now: ClassVar[_Held | None] = None
    """That of the secrets which somebody holds; None: they have changed since."""

    @classmethod
    def look(cls) -> _Held:
        with _lock:
            held = cls.now
            if held is None:
                secrets = list(_live.values())
                marks: dict[bytes, list[bytearray]] = {}
                for mark in (mark for secret in secrets for mark in secret.marks):
                    marks.setdefault(bytes(mark[:_BEGINNING]), []).append(mark)
                held = cls(marks, max((secret.longest for secret in secrets), default=0))
                cls.now = held
            return held

    def is_one_in(self, data: bytes) -> bool:
        """Whether a text has any; it is UTF-8 in lower case."""
        for beginning, marks in self.marks.items():
            if beginning in data and any(mark in data for mark in marks):
                return True
        return False


def scrub(text: str, most: int | None = None) -> str:
    """Put ``***`` in the place of every secret that somebody still holds, in any case of letters.

    ``most``: of a longer text no more characters than these are wanted. It is cut here, where none
    of a secret that the cut goes through is left: half of one would not be found. Values of less
    than ``limits.SECRET_SCRUBBED_CHARACTERS`` stay, for they stand in other words as well.
    """
    held = _Held.look()
    if most is None or len(text) <= most:
        return _without(held, text)
    # What is cut in half begins in the last characters, as many as the longest secret has.
    shown = _without(held, text[: most + held.longest])
    at = len(shown) - held.longest if len(text) > most + held.longest else most
    return shown[: max(0, at)]


def _without(held: _Held, text: str) -> str:
    data = _bytes(text)
    lower = data.lower()
    if not held.is_one_in(lower):
        return text
    with _lock:
        secrets = list(_live.values())
    found = [form for secret in secrets for form in secret.given_away_by(lower)]
    for form in sorted(found, key=len, reverse=True):  # one secret may be a part of another
        if _is_long(form):
            data = _replaced(data, form)
    return data.decode("utf-8", "surrogatepass")


def _replaced(data: bytes, form: bytearray) -> bytes:
    """Lower case has as many bytes, so that places in it are places in the text."""
    lower, kept, at = data.lower(), [], 0
    while (found := lower.find(form, at)) >= 0:
        kept.append(data[at:found])
        at = found + len(form)
    return SHOWN.encode().join((*kept, data[at:]))


def _is_long(form: bytes | bytearray) -> bool:
    return len(form) >= limits.SECRET_SCRUBBED_CHARACTERS


def _is_mark(form: bytearray, forms: Iterable[bytes]) -> bool:
    others = (other for other in forms if _is_long(other) and len(other) < len(form))
    return _is_long(form) and not any(other in form for other in others)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _given_away_by(text: str) -> Iterator[str]:
    """The value, as it is and as a part of a URL; of a URL also what it bears, without its host."""
    yield text
    yield quote(text, safe="", errors="surrogatepass")
    scheme, _, rest = text.partition("://")
    if not rest or not scheme.isalnum():
        return
    authority, _, query = rest.partition("?")
    user, at, _ = authority.partition("/")[0].rpartition("@")
    if at:
        yield user
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if name not in _OPEN_PARAMETERS:
            yield value
            yield unquote(value)

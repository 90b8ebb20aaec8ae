"""What a call starts with, as the C module hands it over: settings, variables and overrides.

The C module has read and checked ``elevenlabs.conf``; numbers are numbers here. What comes from the
dialplan (variables and overrides) is checked here, for only the protocol knows their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from .endings import Ending, SetupFailed, Status

SIGNED_URL_PATH = "/v1/convai/conversation/get-signed-url"
CONVERSATION_PATH = "/v1/convai/conversation"


class PairKind(IntEnum):
    """``enum convai_pair_kind``."""

    SETTING = 0
    VARIABLE = 1
    JSON = 2
    OVERRIDE = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """One agent of ``elevenlabs.conf``. Times are in seconds unless the name says otherwise."""

    agent_id: str
    base_url: str = "https://api.elevenlabs.io"
    api_key: str = field(default="", repr=False)
    auth: str = "signed_url"
    signed_url_endpoint: str = ""
    chunk_ms: int = 20
    connect_timeout: int = 10
    connect_attempts: int = 3
    max_duration: int = 0
    ca_file: str = ""
    tls_verify: bool = True
    debug: bool = False

    @property
    def hosts(self) -> list[Settings]:
        """These settings once for each address in base_url, in the order to try them."""
        return [replace(self, base_url=url) for url in self.base_url.split(",")]

    @property
    def signed_url_request(self) -> str:
        """The address to ask for a signed URL, agent id included."""
        endpoint = self.signed_url_endpoint or SIGNED_URL_PATH
        if "://" not in endpoint:
            endpoint = self.base_url.rstrip("/") + endpoint
        joint = "&" if urlsplit(endpoint).query else "?"
        return f"{endpoint}{joint}agent_id={quote(self.agent_id, safe='')}"

    @property
    def public_url(self) -> str:
        """The WebSocket address of an agent that wants no authentication."""
        base = "ws" + self.base_url.rstrip("/").removeprefix("http")
        return f"{base}{CONVERSATION_PATH}?agent_id={quote(self.agent_id, safe='')}"


# ELEVENLABS_OVERRIDE_<name>: where it goes in conversation_config_override, and its type.
OVERRIDES: dict[str, tuple[tuple[str, ...], type]] = {
    "first_message": (("agent", "first_message"), str),
    "language": (("agent", "language"), str),
    "prompt": (("agent", "prompt", "prompt"), str),
    "llm": (("agent", "prompt", "llm"), str),
    "voice_id": (("tts", "voice_id"), str),
    "model_id": (("tts", "model_id"), str),
    "stability": (("tts", "stability"), float),
    "speed": (("tts", "speed"), float),
    "similarity_boost": (("tts", "similarity_boost"), float),
    "max_duration_seconds": (("conversation", "max_duration_seconds"), int),
}


@dataclass(frozen=True, slots=True)
class Call:
    """Everything the engine knows of one call before it connects."""

    settings: Settings
    dynamic_variables: dict[str, Any]
    overrides: dict[str, Any]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[int, str, str]]) -> Call:
        """Read what the C module handed over. SetupFailed says what the dialplan got wrong."""
        settings: dict[str, str] = {}
        variables: dict[str, Any] = {}
        overrides: dict[str, Any] = {}
        for kind, name, value in pairs:
            if kind == PairKind.SETTING:
                settings[name] = value
            elif kind == PairKind.VARIABLE:
                variables[name] = value
            elif kind == PairKind.JSON:
                variables[name] = _json_value(name, value)
            elif kind == PairKind.OVERRIDE:
                _put_override(overrides, name, value)
        return cls(_settings(settings), variables, overrides)


_KINDS: dict[str, type] = {
    "chunk_ms": int,
    "connect_timeout": int,
    "connect_attempts": int,
    "max_duration": int,
    "tls_verify": bool,
    "debug": bool,
}


def _settings(texts: dict[str, str]) -> Settings:
    """Build Settings from texts that config.c has checked; keys of other layers are left out."""
    known = {name: texts[name] for name in Settings.__dataclass_fields__ if name in texts}
    values: dict[str, Any] = {}
    for name, text in known.items():
        kind = _KINDS.get(name, str)
        values[name] = text == "yes" if kind is bool else kind(text)
    return Settings(**values)


def _rejected(reason: str) -> SetupFailed:
    return SetupFailed(Ending(Status.REJECTED, reason))


def _json_value(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _rejected(
            f"channel variable ELEVENLABS_JSON_{name} is not JSON ({error});"
            f" use ELEVENLABS_VAR_{name} for plain text"
        ) from None


def _put_override(overrides: dict[str, Any], name: str, text: str) -> None:
    """Put one override at its place in the tree. An empty value is left out, not sent as empty."""
    if name not in OVERRIDES:
        raise _rejected(
            f"channel variable ELEVENLABS_OVERRIDE_{name} names no override;"
            f" there are: {', '.join(sorted(OVERRIDES))}"
        )
    if not text:
        return
    path, kind = OVERRIDES[name]
    try:
        value = kind(text)
    except ValueError:
        raise _rejected(
            f"channel variable ELEVENLABS_OVERRIDE_{name} must be a number, it is '{text}'"
        ) from None
    node = overrides
    for step in path[:-1]:
        node = node.setdefault(step, {})
    node[path[-1]] = value

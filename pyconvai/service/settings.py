"""What a call starts with, as the C module hands it over: settings, variables and overrides.

The C module has read and checked ``elevenlabs.conf``; numbers are numbers here. What comes from the
dialplan (variables and overrides) is checked here, for only the protocol knows their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from math import isfinite
from typing import Any, get_type_hints
from urllib.parse import quote, urlencode

import orjson

from .. import limits
from ..secret import Secret
from ..words import token
from .endings import Ending, SetupFailed, Status

AGENTS_PATH = "/v1/convai/agents"
SIGNED_URL_PATH = "/v1/convai/conversation/get-signed-url"
CONVERSATION_PATH = "/v1/convai/conversation"


_FOR_TOOLS = "secret__"
"""Of a dynamic variable that goes into headers of the agent's tools, and not to its model."""

_FOR_MODEL = "custom_llm_extra_body"
"""An override that goes on to somebody else's model: nobody here knows what is a token in it."""

_NO_KEY = Secret("")


class PairKind(IntEnum):
    """``enum convai_pair_kind``."""

    SETTING = 0
    VARIABLE = 1
    JSON = 2
    OVERRIDE = 3
    ARGUMENT = 4
    """Of an inquiry, and of no call."""
    FACT = 5
    """Of the record of a call."""


def arguments(pairs: Iterable[tuple[int, str, str]], name: str) -> list[str]:
    """All arguments of an inquiry that have this name, in order."""
    return [text for kind, each, text in pairs if kind == PairKind.ARGUMENT and each == name]


@dataclass(frozen=True, slots=True)
class Settings:
    """One agent of ``elevenlabs.conf``. Times are in seconds unless the name says otherwise."""

    agent_id: str
    base_url: str = "https://api.elevenlabs.io"
    api_key: Secret = _NO_KEY
    auth: str = "signed_url"
    signed_url_endpoint: str = ""
    chunk_ms: int = 20
    connect_timeout: int = 10
    connect_attempts: int = 3
    max_duration: int = 0
    ca_file: str = ""
    tls_verify: bool = True
    debug: bool = False
    tools: str = "end_call"
    steps_max: int = 20
    transfer_allow: str = "none"
    set_variable_allow: str = "none"
    tools_directory: str = ""
    tool_timeout: int = 15
    filler_after_ms: int = 1500
    get_state_allow: str = "none"
    branch_id: str = ""
    version_id: str = ""
    environment: str = ""
    transcripts: str = "none"
    """Where the words of a conversation go: ``none``, ``events``, ``records`` or ``all``."""
    queue: str = "wait"
    """In the service's queue: ``wait`` as long as it lets us, ``refuse`` to, or so many seconds."""

    @property
    def tells_words(self) -> bool:
        """Whether events and the dialplan are told what is said."""
        return self.transcripts in ("events", "all")

    @property
    def records_words(self) -> bool:
        """Whether the record of a call has what was said."""
        return self.transcripts in ("records", "all")

    @property
    def queue_seconds(self) -> int:
        """How long a caller may be queued; 0: as long as the service lets them."""
        return int(self.queue) if self.queue.isdigit() else 0

    def _query(self, *names: str) -> str:
        """Which agent, and what else of these is set, as a query of a URL."""
        values = {name: getattr(self, name) for name in ("agent_id", *names)}
        return urlencode({n: v for n, v in values.items() if v}, quote_via=quote, safe="")

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
        joint = "&" if "?" in endpoint else "?"
        return f"{endpoint}{joint}{self._query('branch_id', 'version_id', 'environment')}"

    @property
    def agent_url(self) -> str:
        """Where the service tells the agent's settings; of its first host."""
        base, agent_id = self.base_url.split(",")[0].rstrip("/"), quote(self.agent_id, safe="")
        which = {name: getattr(self, name) for name in ("branch_id", "version_id")}
        query = urlencode({n: v for n, v in which.items() if v}, quote_via=quote, safe="")
        return f"{base}{AGENTS_PATH}/{agent_id}{f'?{query}' if query else ''}"

    @property
    def is_secure(self) -> bool:
        """Whether anything on the way to a conversation is encrypted: then all has to be."""
        return "https" in (self.base_url.split(":")[0], self.signed_url_request.split(":")[0])

    @property
    def first_url(self) -> str:
        """The address that a call begins with, unless it has a signed URL already."""
        return self.signed_url_request if self.auth == "signed_url" else self.public_url

    @property
    def public_url(self) -> str:
        """The WebSocket address of an agent that wants no authentication."""
        base = "ws" + self.base_url.rstrip("/").removeprefix("http")
        return f"{base}{CONVERSATION_PATH}?{self._query('branch_id', 'environment')}"


_CONFIG = "conversation_config_override"

# ELEVENLABS_OVERRIDE_<name>: where it goes in the first message, and its type. Lists and objects
# are JSON. docs/protocol.md shows this table, and a test compares it.
OVERRIDES: dict[str, tuple[tuple[str, ...], type]] = {
    "first_message": ((_CONFIG, "agent", "first_message"), str),
    "language": ((_CONFIG, "agent", "language"), str),
    "max_conversation_duration_message": (
        (_CONFIG, "agent", "max_conversation_duration_message"),
        str,
    ),
    "prompt": ((_CONFIG, "agent", "prompt", "prompt"), str),
    "llm": ((_CONFIG, "agent", "prompt", "llm"), str),
    "reasoning_effort": ((_CONFIG, "agent", "prompt", "reasoning_effort"), str),
    "tool_ids": ((_CONFIG, "agent", "prompt", "tool_ids"), list),
    "tool_ids_strict": ((_CONFIG, "agent", "prompt", "tool_ids_strict"), bool),
    "native_mcp_server_ids": ((_CONFIG, "agent", "prompt", "native_mcp_server_ids"), list),
    "knowledge_base": ((_CONFIG, "agent", "prompt", "knowledge_base"), list),
    "voice_id": ((_CONFIG, "tts", "voice_id"), str),
    "model_id": ((_CONFIG, "tts", "model_id"), str),
    "stability": ((_CONFIG, "tts", "stability"), float),
    "speed": ((_CONFIG, "tts", "speed"), float),
    "similarity_boost": ((_CONFIG, "tts", "similarity_boost"), float),
    "pronunciation_dictionary_locators": (
        (_CONFIG, "tts", "pronunciation_dictionary_locators"),
        list,
    ),
    "supported_voices": ((_CONFIG, "tts", "supported_voices"), list),
    "clone_strength": ((_CONFIG, "tts", "clone_strength"), float),
    "keywords": ((_CONFIG, "asr", "keywords"), list),
    "soft_timeout_config": ((_CONFIG, "turn", "soft_timeout_config"), dict),
    "noisy_environment_message": ((_CONFIG, "turn", "noisy_environment_message"), str),
    "text_only": ((_CONFIG, "conversation", "text_only"), bool),
    "max_duration_seconds": ((_CONFIG, "conversation", "max_duration_seconds"), int),
    "client_events": ((_CONFIG, "conversation", "client_events"), list),
    "custom_llm_extra_body": (("custom_llm_extra_body",), dict),
    "user_id": (("user_id",), str),
    "branch_id": (("branch_id",), str),
    "environment": (("environment",), str),
    "starting_workflow_node_id": (("starting_workflow_node_id",), str),
    "procedure_ids": (("procedure_ids",), list),
    "start_procedure_ids": (("start_procedure_ids",), list),
    "tool_mock_config": (("tool_mock_config",), dict),
}

_NAMES = ", ".join(sorted(OVERRIDES))

WANTED: dict[type, str] = {
    str: "text",
    float: "a number",
    int: "a whole number",
    bool: "yes or no",
    list: "a JSON list",
    dict: "a JSON object",
}
"""What a value of each type has to be, in words for a reason."""

_FLAGS = dict.fromkeys(("yes", "true", "y", "t", "1", "on"), True) | dict.fromkeys(
    ("no", "false", "n", "f", "0", "off"), False
)
"""As Asterisk knows them."""


@dataclass(frozen=True, slots=True)
class Call:
    """Everything the engine knows of one call before it connects."""

    settings: Settings
    dynamic_variables: dict[str, Any]
    overrides: dict[str, Any]
    """Parts of the first message, ``conversation_config_override`` and others."""
    secrets: tuple[Secret, ...] = ()
    """Values of variables that the service calls secret, and tokens in what goes on to somebody
    else's model: held, so that no line shows an echo."""

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[int, str, str]]) -> Call:
        """Read what the C module handed over. SetupFailed says what the dialplan got wrong."""
        settings: dict[str, str | Secret] = {}
        variables: dict[str, Any] = {}
        overrides: dict[str, Any] = {}
        for kind, name, value in pairs:
            if kind == PairKind.SETTING:
                settings[name] = Secret(value) if _KINDS.get(name) is Secret else value
            elif kind == PairKind.VARIABLE:
                variables[name] = value
            elif kind == PairKind.JSON:
                variables[name] = _json_value(name, value)
            elif kind == PairKind.OVERRIDE:
                _put_override(overrides, name, value)
        chosen = _settings(settings)
        for name in ("branch_id", "environment"):
            # Also part of the address; the call's value goes before the agent's.
            if value := overrides.setdefault(name, getattr(chosen, name)):
                chosen = replace(chosen, **{name: value})
            else:
                del overrides[name]
        for_tools = (value for name, value in variables.items() if name.startswith(_FOR_TOOLS))
        secrets = [*map(Secret, _texts(list(for_tools)))]
        for text in _texts(overrides.get(_FOR_MODEL)):
            scheme, _, value = text.rpartition(" ")  # as Bearer
            if len(value) >= limits.TOKEN_CHARACTERS and " " not in scheme:
                secrets.append(Secret(value))
        return cls(chosen, variables, overrides, tuple(secrets))


def _texts(value: Any) -> Iterator[str]:
    """All texts in it, not deeper than limits.JSON_DEPTH_MAX."""
    if isinstance(value, str):
        yield value
    elif _holds(value):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


_KINDS: dict[str, type] = get_type_hints(Settings)


def _settings(texts: dict[str, str | Secret]) -> Settings:
    """Build Settings from texts that config/keys.c has checked; leave out keys of the C module."""
    values: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        if (text := texts.get(name)) is not None:
            values[name] = text == "yes" if kind is bool else text if kind is Secret else kind(text)
    return Settings(**values)


def _rejected(reason: str, detail: str = "") -> SetupFailed:
    return SetupFailed(Ending(Status.REJECTED, reason, detail=detail))


def _is_too_deep(value: Any) -> bool:
    """More than limits.JSON_DEPTH_MAX lists and objects in each other."""
    layer = [value]
    for _ in range(limits.JSON_DEPTH_MAX):
        lists = [
            each.values() if isinstance(each, dict) else each for each in layer if _holds(each)
        ]
        layer = [item for each in lists for item in each]
        if not layer:
            return False
    return any(_holds(each) for each in layer)


def _holds(value: Any) -> bool:
    return isinstance(value, list | dict)


def _json_value(name: str, text: str) -> Any:
    name = token(name)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _rejected(
            f"channel variable ELEVENLABS_JSON_{name} is not JSON;"
            f" use ELEVENLABS_VAR_{name} for plain text",
            str(error),
        ) from None
    if isinstance(value, dict):
        raise _rejected(
            f"channel variable ELEVENLABS_JSON_{name} is a JSON object, which the service does not"
            " take: text, a number, true, false, null, or a list of those"
        )
    if _is_too_deep(value):
        raise _rejected(f"channel variable ELEVENLABS_JSON_{name} is nested too deep")
    return value


def _put_override(overrides: dict[str, Any], name: str, text: str) -> None:
    """Put one override at its place in the tree. An empty value is left out, not sent as empty."""
    if name not in OVERRIDES:
        what = f"channel variable ELEVENLABS_OVERRIDE_{token(name)} names no override"
        raise _rejected(f"{what}; docs/protocol.md lists them; there are: {_NAMES}", name)
    if not text:
        return
    path, kind = OVERRIDES[name]
    try:
        value = _of_kind(kind, text)
    except (ValueError, KeyError):
        raise _rejected(
            f"channel variable ELEVENLABS_OVERRIDE_{token(name)} must be {WANTED[kind]}",
            "" if kind in (list, dict) else f"it is '{text}'",  # in JSON there may be secrets
        ) from None
    node = overrides
    for step in path[:-1]:
        node = node.setdefault(step, {})
    node[path[-1]] = value


def _can_be_sent(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return abs(value) <= limits.WHOLE_MAX
    return not _is_too_deep(value)


def _of_kind(kind: type, text: str) -> Any:
    """The value that a text stands for. ValueError or KeyError: for none."""
    if kind is bool:
        return _FLAGS[text.lower()]
    value: Any = orjson.loads(text) if kind in (list, dict) else kind(text)
    if not isinstance(value, kind) or not _can_be_sent(value):
        raise ValueError(text)
    return value

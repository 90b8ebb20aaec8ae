"""Says whether a message is one of the service's protocol, by its own descriptions.

faults("server", {"type": "ping", "ping_event": {"event_id": 1, "ping_ms": None}})  -> []
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

HERE = Path(__file__).parent
Sender = Literal["client", "server"]
Schema = dict[str, Any]

# Some are written from the server's point of view, one from the client's.
FILES: dict[str, dict[Sender, str]] = {
    "agent.asyncapi.yaml": {"server": "publish", "client": "subscribe"},
    "agent.asyncapi.2026-11.yaml": {"server": "publish", "client": "subscribe"},
    "agent.asyncapi.swift-sdk.yaml": {"server": "subscribe", "client": "publish"},
}
AUDIO = "user_audio_chunk"
"""Stands for the type of the one message that has none."""

BASE64_KEYS = {AUDIO, "audio_base_64"}
"""What holds audio, which not every description says of each of them."""

_LITERAL = re.compile(r'literal<"(\w+)">')
_formats = FormatChecker(formats=())


@_formats.checks("base64", raises=ValueError)
def _is_base64(text: object) -> bool:
    """Whether text is padded standard base64; what is no text is the type's concern."""
    if not isinstance(text, str):
        return True
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return True


class Specification:
    """One description: a validator for each sender and type of message."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.document: dict[str, Any] = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
        (self._channel,) = self.document["channels"].values()
        self._definitions = {
            key: _translate(schema)
            for key, schema in self.document["components"]["schemas"].items()
        }
        self.validators: dict[Sender, dict[str, Draft202012Validator]] = {
            sender: dict(self._messages(operation)) for sender, operation in FILES[name].items()
        }

    @property
    def examples(self) -> list[tuple[Sender, dict[str, Any]]]:
        """The messages that the description itself shows, and who sends each."""
        senders: dict[str, Sender] = {
            operation: sender for sender, operation in FILES[self.name].items()
        }
        shown = [
            message
            for example in self._channel.get("x-fern-examples", ())
            for message in example["messages"]
        ]
        return [(senders[message["type"]], message["value"]) for message in shown]

    def faults(self, sender: Sender, message: dict[str, Any]) -> list[str]:
        """What is wrong with the message by this description; nothing when it conforms."""
        kind = AUDIO if AUDIO in message else str(message.get("type"))
        validator = self.validators[sender].get(kind)
        if validator is None:
            return [f"{self.name}: no message of type {kind!r} from the {sender}"]
        error = best_match(validator.iter_errors(message))
        return [f"{self.name}: {kind}: {error.json_path}: {error.message}"] if error else []

    def _messages(self, operation: str) -> Iterator[tuple[str, Draft202012Validator]]:
        for reference in self._channel[operation]["message"]["oneOf"]:
            message = self._follow(reference)
            schema = _translate(message["payload"]) | {"components": {"schemas": self._definitions}}
            Draft202012Validator.check_schema(schema)
            yield (
                self._kind(message["payload"]),
                Draft202012Validator(schema, format_checker=_formats),
            )

    def _kind(self, payload: Schema) -> str:
        """The constant that a payload's type has."""
        properties = self._follow(payload)["properties"]
        if AUDIO in properties:
            return AUDIO
        return str(_translate(properties["type"])["const"])

    def _follow(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node


def _translate(schema: Any) -> Any:
    """An AsyncAPI schema as JSON Schema of 2020."""
    if isinstance(schema, list):
        return [_translate(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if literal := _LITERAL.fullmatch(str(schema.get("x-fern-type", ""))):
        return {"type": "string", "const": literal[1]}
    out = {key: _translate(value) for key, value in schema.items() if key != "nullable"}
    for key in BASE64_KEYS & out.keys():
        out[key] = {**out[key], "format": "base64"}
    _close(schema, out)
    return {"anyOf": [out, {"type": "null"}]} if schema.get("nullable") is True else out


def _close(schema: Schema, out: Schema) -> None:
    """Admit only the keys that are named, and demand those with a single possible value."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or schema.get("type", "object") != "object":
        return
    out.setdefault("additionalProperties", False)
    literals = [
        key
        for key, value in properties.items()
        if isinstance(value, dict) and "x-fern-type" in value
    ]
    if literals:
        out["required"] = sorted({*schema.get("required", ()), *literals})


@functools.cache
def specifications() -> tuple[Specification, ...]:
    """All descriptions; read once, for that takes a moment."""
    return tuple(Specification(name) for name in FILES)


def faults(sender: Sender, message: dict[str, Any]) -> list[str]:
    """What is wrong with a message by each description; nothing when one of them admits it."""
    found = [specification.faults(sender, message) for specification in specifications()]
    return [] if [] in found else [line for lines in found for line in lines]

"""From the type hints of a function: what the agent may give it, and whether a value is that.

``str``, ``int``, ``float``, ``bool``, ``None``, ``Any``, ``list[X]``, ``dict[str, X]``, ``X | Y``,
``Literal``, ``Enum``, and ``Annotated[X, "what it means"]``.
"""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from . import Call

Schema = dict[str, Any]


class Unfit(Exception):
    """A function that can be no tool: why, and what helps."""


class Wrong(Exception):
    """A value that a parameter cannot have; the text says what it must be."""


class Kind:
    """What one annotation lets through."""

    def __init__(self, schema: Schema, words: str, take: Callable[[Any], Any]) -> None:
        """``words``: completes "it must be ..."; ``take``: the value, or Wrong."""
        self.schema, self.words, self._take = schema, words, take

    def take(self, value: Any) -> Any:
        """The value as the function gets it. Wrong: it is none of these."""
        return self._take(value)


def _plain(schema: Schema, words: str, *kinds: type) -> Kind:
    def take(value: Any) -> Any:
        if type(value) not in kinds:
            raise Wrong(words)
        try:
            return float(value) if float in kinds else value
        except OverflowError:
            raise Wrong(words) from None

    return Kind(schema, words, take)


_PLAIN: dict[Any, Kind] = {
    str: _plain({"type": "string"}, "text", str),
    bool: _plain({"type": "boolean"}, "true or false", bool),
    int: _plain({"type": "integer"}, "a whole number", int),
    float: _plain({"type": "number"}, "a number", float, int),
    type(None): _plain({"type": "null"}, "null", type(None)),
    Any: Kind({}, "anything", lambda value: value),
    list: _plain({"type": "array"}, "a list", list),
    dict: _plain({"type": "object"}, "an object", dict),
}


def kind_of(hint: Any) -> Kind:
    """What this annotation lets through. Unfit: it means nothing in JSON."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (list, dict) and not inner:
        hint = origin  # typing.List is list
    if hint in (None, *_PLAIN):
        return _PLAIN[type(None) if hint is None else hint]
    if origin is Annotated:
        kind = kind_of(inner[0])
        about = next((each for each in inner[1:] if isinstance(each, str)), "")
        more = {"description": about} if about else {}
        return Kind({**kind.schema, **more}, kind.words, kind.take)
    if origin in (Union, types.UnionType):
        return _one_of([kind_of(each) for each in inner])
    if origin is Literal:
        return _choice({each: each for each in inner})
    if origin is list:
        return _list(kind_of(inner[0]))
    if origin is dict and inner[0] is str:
        return _object(kind_of(inner[1]))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _choice({each.value: each for each in hint})
    raise Unfit(f"the type {inspect.formatannotation(hint)} is none that JSON has")


def _choice(values: Mapping[Any, Any]) -> Kind:
    names = ", ".join(str(each) for each in values)

    def take(value: Any) -> Any:
        for each, meant in values.items():
            if type(each) is type(value) and each == value:
                return meant
        raise Wrong(f"one of {names}")

    return Kind({"enum": list(values)}, f"one of {names}", take)


def _one_of(kinds: list[Kind]) -> Kind:
    words = " or ".join(each.words for each in kinds if each.words != "null")

    def take(value: Any) -> Any:
        for each in kinds:
            try:
                return each.take(value)
            except Wrong:
                continue
        raise Wrong(words)

    return Kind({"anyOf": [each.schema for each in kinds]}, words, take)


def _list(item: Kind) -> Kind:
    words = f"a list, and each in it {item.words}"

    def take(value: Any) -> Any:
        if not isinstance(value, list):
            raise Wrong(words)
        try:
            return [item.take(each) for each in value]
        except Wrong:
            raise Wrong(words) from None

    return Kind({"type": "array", "items": item.schema}, words, take)


def _object(item: Kind) -> Kind:
    words = f"an object, and each value in it {item.words}"

    def take(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Wrong(words)
        try:
            return {name: item.take(each) for name, each in value.items()}
        except Wrong:
            raise Wrong(words) from None

    return Kind({"type": "object", "additionalProperties": item.schema}, words, take)


class Signature:
    """The parameters of a tool."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Unfit: it cannot be called by an agent."""
        try:
            hints = get_type_hints(function, include_extras=True)
        except Exception as fault:  # a name that is not there, or anything else
            raise Unfit(f"its type hints cannot be read: {type(fault).__name__}: {fault}") from None
        self._kinds: dict[str, Kind] = {}
        self._required: list[str] = []
        self._optional_null: set[str] = set()
        self._call = ""
        for each in inspect.signature(function).parameters.values():
            if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                raise Unfit(f"the parameter {each.name} cannot be given by its name")
            if each.name not in hints:
                raise Unfit(
                    f"the parameter {each.name} has no type hint; add one, or begin the function's"
                    " name with _ if it is no tool"
                )
            self._add(each, hints[each.name])

    def _add(self, parameter: inspect.Parameter, hint: Any) -> None:
        if hint is Call:
            self._call = parameter.name
            return
        try:
            kind = self._kinds[parameter.name] = kind_of(hint)
        except Unfit as unfit:
            raise Unfit(f"the parameter {parameter.name}: {unfit}") from None
        if parameter.default is parameter.empty:
            try:
                kind.take(None)
                self._optional_null.add(parameter.name)
            except Wrong:
                self._required.append(parameter.name)

    @property
    def schema(self) -> Schema:
        """As the service wants it for a client tool's parameters."""
        properties = {name: kind.schema for name, kind in self._kinds.items()}
        return {"type": "object", "properties": properties, "required": self._required}

    def arguments(self, given: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """What the function is called with; null counts as absent. Wrong: a sentence."""
        given = {name: value for name, value in given.items() if value is not None}
        if others := sorted(set(given) - set(self._kinds)):
            names = ", ".join(self._kinds)
            there_are = f"it has: {names}" if names else "it has none"
            raise Wrong(f"There is no parameter {', '.join(others)}; {there_are}.")
        values: dict[str, Any] = dict.fromkeys(self._optional_null)
        for name, kind in self._kinds.items():
            if name in given:
                try:
                    values[name] = kind.take(given[name])
                except Wrong as wrong:
                    raise Wrong(f"The parameter {name} must be {wrong}.") from None
            elif name in self._required:
                raise Wrong(f"The parameter {name} is missing; it is {kind.words}.")
        if self._call:
            values[self._call] = call
        return values

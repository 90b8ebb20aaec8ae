"""Type hints of tools: what the agent may give, and what it is told of the rest."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest

from pyconvai.tools import Call
from pyconvai.tools.hints import Signature, Unfit, Wrong


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


CALL = Call("PJSIP/a")


def tool(
    call: Call,
    article: Annotated[str, "its number"],
    size: Size,
    count: int = 1,
    price: float = 0.5,
    tags: list[str] = [],  # noqa: B006
    more: dict[str, float] | None = None,
    how: Literal["post", 7] = "post",
    note: Optional[str] = None,  # noqa: UP045
    anything: Any = None,
    flag: bool = False,
) -> None: ...


GIVEN = {"article": "a", "size": "s"}


def test_the_schema() -> None:
    schema = Signature(tool).schema
    assert schema["required"] == ["article", "size"]
    assert schema["properties"] == {
        "article": {"type": "string", "description": "its number"},
        "size": {"enum": ["s", "l"]},
        "count": {"type": "integer"},
        "price": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "more": {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "number"}},
                {"type": "null"},
            ]
        },
        "how": {"enum": ["post", 7]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "anything": {},
        "flag": {"type": "boolean"},
    }


def test_values_as_the_function_gets_them() -> None:
    given = {**GIVEN, "price": 2, "more": {"x": 1}, "how": 7, "note": None, "anything": [{}]}
    assert Signature(tool).arguments(given, CALL) == {
        "call": CALL,
        "article": "a",
        "size": Size.SMALL,
        "price": 2.0,
        "more": {"x": 1.0},
        "how": 7,
        "anything": [{}],
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"article": "a"}, "The parameter size is missing; it is one of s, l."),
        ({"size": "s", "article": None}, "The parameter article is missing; it is text."),
        ({**GIVEN, "size": "m"}, "The parameter size must be one of s, l."),
        ({**GIVEN, "count": "3"}, "The parameter count must be a whole number."),
        ({**GIVEN, "count": True}, "The parameter count must be a whole number."),
        ({**GIVEN, "price": 10**400}, "The parameter price must be a number."),
        ({**GIVEN, "tags": ["a", 1]}, "The parameter tags must be a list, and each in it text."),
        ({**GIVEN, "how": "7"}, "The parameter how must be one of post, 7."),
        ({**GIVEN, "flag": 1}, "The parameter flag must be true or false."),
        (
            {**GIVEN, "more": {"x": "1"}},
            "The parameter more must be an object, and each value in it a number.",
        ),
        ({**GIVEN, "note": 1}, "The parameter note must be text."),
        ({**GIVEN, "call": "x", "zip": 1}, "There is no parameter call, zip; it has: article, "),
    ],
)
def test_what_the_agent_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(Wrong) as wrong:
        Signature(tool).arguments(given, CALL)
    assert str(wrong.value).startswith(told)


def required_null(a: str | None) -> None: ...
def without_hint(a) -> None: ...  # type: ignore[no-untyped-def]
def positional(a: int, /) -> None: ...
def many(*a: int) -> None: ...
def strange(a: bytes) -> None: ...
def unknown(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_what_may_be_null_need_not_be_given() -> None:
    assert Signature(required_null).arguments({}, CALL) == {"a": None}


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (without_hint, "has no type hint; add one"),
        (positional, "cannot be given by its name"),
        (many, "cannot be given by its name"),
        (strange, "the parameter a: the type bytes is none that JSON has"),
        (unknown, "its type hints cannot be read: NameError"),
    ],
)
def test_a_function_that_can_be_no_tool(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(Unfit, match=why):
        Signature(function)

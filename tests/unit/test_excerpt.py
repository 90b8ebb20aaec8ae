"""What is read of a message that is too long to be read whole; and values as they came."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconvai.core._core import excerpt, find_json
from tests.specs.made import ANYTHING
from tests.unit.frame_reader import examples

STRING, MEMBERS, DEPTH, VALUES = 4096, 64, 8, 2048
"""``core/excerpt.h``"""


def read(message: Any) -> tuple[Any, bool]:
    """What an excerpt of a message says, and whether something was left out."""
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    found = excerpt(text)
    assert found is not None, text[:100]
    assert len(found[0]) <= len(text)
    assert excerpt(found[0]) == (found[0], False), "an excerpt of an excerpt is the same"
    return orjson.loads(found[0]), found[1]


OBJECTS = st.dictionaries(st.text(max_size=9), ANYTHING, max_size=4)


@given(OBJECTS, st.sampled_from([None, 0, 3]))
@examples(50, 5_000)
def test_what_is_short_is_left_as_it_is(message: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(message, indent=indent).encode()
    found = excerpt(text)
    assert found is not None
    assert found[1] or json.loads(found[0]) == message


@given(st.binary() | OBJECTS.map(json.dumps).map(lambda text: text[:-1].encode()))
@examples(50, 5_000)
def test_any_bytes(text: bytes) -> None:
    found = excerpt(text)
    assert found is None or len(found[0]) <= len(text)
    find_json(text, b"", b"")
    find_json(b'{"a":' + text, b"a", b"b")


@pytest.mark.parametrize("unit", ["a", "é", "€", "😀", "\\n", "\\u00e4", "\\ud83d\\ude00", '\\"'])
@pytest.mark.parametrize("before", range(13))
def test_long_strings_are_cut_between_characters(unit: str, before: int) -> None:
    """S15."""
    text = f'{{"a":"{"b" * before}{unit * 5000}"}}'.encode()
    found, is_cut = read(text)
    assert is_cut
    whole = orjson.loads(text)["a"]
    assert whole.startswith(found["a"])
    kept = len(found["a"]) - before
    assert STRING - 12 <= before + kept * len(unit.encode()) <= STRING


def test_the_longest_strings_and_numbers_that_stay() -> None:
    assert read({"a": "b" * STRING, "c": 1}) == ({"a": "b" * STRING, "c": 1}, False)
    assert read({"b" * 5000: 1})[0] == {"b" * STRING: 1}
    number = "0." + "1" * 1022
    assert read(f'{{"a":{number}}}'.encode()) == ({"a": float(number)}, False)
    assert read(f'{{"a":{number}1}}'.encode()) == ({"a": None}, True)


def test_agent_audio_stays_whole() -> None:
    """S15, S16: in the shape of today and in that of 2024; other strings of these names are cut."""
    audio = "QUJD" * 100_000
    for shape in (
        {"type": "audio", "audio_event": {"event_id": None, "audio_base_64": audio}},
        {"type": "audio", "audio": {"chunk": audio}},
    ):
        assert read(shape) == (shape, False)
    for other in ({"chunk": audio}, {"a": {"b": {"chunk": audio}}}, {"a": {"chunks": audio}}):
        assert read(other)[1]


def test_long_lists_and_objects_end_early() -> None:
    """S15: and what stands behind them is there."""
    long_list = [[]] * 100_000
    long_object = {str(n): n for n in range(1000)}
    message = {"a": long_list, "b": {"c": long_object, "d": 1}, "type": "x"}
    found, is_cut = read(message)
    assert is_cut
    assert found == {
        "a": [[]] * MEMBERS,
        "b": {"c": dict(list(long_object.items())[:MEMBERS]), "d": 1},
        "type": "x",
    }


def test_all_that_lies_deep_has_one_limit() -> None:
    """S15: what is not deep does not depend on it."""
    wide = [[[1] * 20] * MEMBERS] * MEMBERS
    found, is_cut = read({"a": wide, "type": "x", "b": {"c": 1}})
    assert is_cut
    assert (found["type"], found["b"]) == ("x", {"c": 1})
    assert json.dumps(found).count("1") <= VALUES


def test_what_lies_too_deep_becomes_empty() -> None:
    """S7."""
    deep = "[" * 100_000 + "]" * 100_000
    found, is_cut = read(f'{{"a":{deep},"b":{{"c":1}}}}'.encode())
    assert is_cut
    assert found == {"a": json.loads("[" * DEPTH + "]" * DEPTH), "b": {"c": 1}}


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b" ",
            b"[]",
            b"1",
            b'"a"',
            b"{",
            b'{"a"',
            b'{"a":',
            b'{"a":1',
            b'{"a":1,',
            b'{"a":"',
        ),
        *(b'{"a":1]', b'{"a":[1}', b'{"a":1}}', b'{"a":1} x', b"{a:1}", b'{"a" 1}', b'{"a":}'),
        b'{"a":"\\"}',
        b'{"a":' + b"[" * 20 + b"}" * 20,
    ],
)
def test_what_is_no_object(text: bytes) -> None:
    assert excerpt(text) is None or text.endswith(b"}" * 20)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"x":{"y":7}}', b"7"),
        (
            b' { "a" : [ { "x" : 1 } ] , "x" : { "z" : 1 , "y" : [ 1 , {"y":2} ] } } ',
            b'[ 1 , {"y":2} ]',
        ),
        (b'{"x":{"y":1},"x":{"y":2,"y":3}}', b"3"),
        (b'{"x":{"y":1},"x":4}', b""),
        (b'{"x":{"y":1},"x":{}}', b""),
        (b'{"x":{}}', b""),
        (b'{"y":1}', b""),
        (b'{"x":[{"y":1}]}', b""),
        (b'{"x":{"\\u0079":1}}', b""),
        (b'{"x":{"yy":1,"y":"a\\"}"}}', b'"a\\"}"'),
        (b"{}", b""),
        (b"[]", b""),
        (b"", b""),
    ],
)
def test_a_value_as_it_came(text: bytes, value: bytes) -> None:
    """S7: of a key that comes twice the last counts, as for every reader."""
    assert find_json(text, b"x", b"y") == value

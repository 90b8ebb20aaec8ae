"""A text that the core recognizes as agent audio means just that to Python."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frame_reader import (
    FULL_EVENT,
    REVERSED,
    SHORT,
    assert_same_meaning,
    compiled,
    event_with,
    examples,
    mutated,
    recognize,
    understand,
    words,
)


@pytest.fixture(scope="module")
def c() -> Any:
    """The compiled files: ffi and lib."""
    return compiled()


RECOGNIZED = {
    "short": SHORT,
    "full": FULL_EVENT,
    "reversed": REVERSED,
    "blanks": ' \t\r\n{ "type" : "audio" , "audio_event" : { "event_id"\n: 0 , '
    '"audio_base_64" : "AAAA" } } ',
    "more keys": '{"a":{},"type":"audio","b":[1,{"type":2}],"audio_event":{"x":"","event_id":1,'
    '"audio_base_64":"AAAA","y":{"event_id":3,"audio_base_64":null}},"c":null}',
    "largest id": SHORT.replace("7", "9" * 18),
    "no alignment": event_with(',"alignment":null,"is_final":true'),
    "strange alignment": event_with(',"alignment":{"chars":"H","x":{"chars":[1]}}'),
    "alignment of lists": event_with(',"alignment":{"x":[1],"chars":[[],{},"ab"],"y":[]}'),
    "no characters": event_with(',"alignment":{"chars":[]},"is_final":true'),
    "an alignment twice": event_with(',"alignment":{"chars":["a"]},"alignment":{}'),
    "escapes": event_with(r',"a":"\"\\\/\b\f\n\r\t\u00e4\u0000\uD7ff\ue000"'),
    "characters": event_with(',"ä€😀\x7f":"\u0080\u07ff\u0800\ud7ff\ue000\U00010000\U0010ffff"'),
    "numbers": event_with(f',"a":[0,-0,-1.0,0.30000000000000004,0.{"3" * 900},{"9" * 18}.5]'),
    "wide": event_with(f',"a":[{"[],{}," * 9}{"[1]," * 9}0]'),
    "deepest": event_with(',"a":' + "[" * 8 + "]" * 8),
}
"""Texts that are taken: the service's, and what the next version of it may be like."""


@pytest.mark.parametrize("text", RECOGNIZED.values(), ids=list(RECOGNIZED))
def test_usual_texts_are_recognized(c: Any, text: str) -> None:
    assert assert_same_meaning(c, text.encode())


def with_id(text: str) -> str:
    return SHORT.replace("7", text)


def with_base64(text: str) -> str:
    return SHORT.replace("AAA=", text)


UNUSUAL: dict[str, str | bytes] = {
    "nothing": "",
    "no object": "[]",
    "empty": "{}",
    "no event": '{"type":"audio"}',
    "empty event": '{"type":"audio","audio_event":{}}',
    "event is no object": '{"type":"audio","audio_event":[]}',
    "of 2024": '{"type":"audio","audio":{"chunk":"AAAA"}}',
    "no type": SHORT.replace('"type":"audio",', ""),
    "other type": SHORT.replace('"audio"', '"ping"'),
    "type with escape": SHORT.replace('"audio"', r'"\u0061udio"'),
    "two types": SHORT.replace('"audio",', '"audio","type":"audio",'),
    "two events": SHORT[:-1] + "," + SHORT[len('{"type":"audio",') :],
    "two ids": event_with(',"event_id":8'),
    "two base64": event_with(',"audio_base_64":"BBBB"'),
    "two ids, one with escape": event_with(r',"event_\u0069d":8'),
    "two base64, one with escape": event_with(r',"\u0061udio_base_64":"BBBB"'),
    "two types, one with escape": SHORT[:-1] + r',"t\u0079pe":"ping"}',
    "two events, one with escape": SHORT[:-1] + r',"\u0061udio_event":{}}',
    "no id": SHORT.replace(',"event_id":7', ""),
    "id null": with_id("null"),
    "id as string": with_id('"7"'),
    "id -1": with_id("-1"),
    "id -0": with_id("-0"),
    "id 1.0": with_id("1.0"),
    "id 1e5": with_id("1e5"),
    "id 07": with_id("07"),
    "id 00": with_id("00"),
    "id of 19 digits": with_id("1" * 19),
    "id of 20 digits": with_id("9" * 20),
    "id true": with_id("true"),
    "id missing": with_id(""),
    "no base64": SHORT.replace('"audio_base_64":"AAA=",', ""),
    "base64 empty": with_base64(""),
    "base64 null": SHORT.replace('"AAA="', "null"),
    "base64 of 3": with_base64("AAA"),
    "base64 of 5": with_base64("AAAAA"),
    "base64 with escape": with_base64(r"AA\/A"),
    "base64 with escapes": with_base64(r"\u0041\/"),
    "base64 with quote": with_base64('AAA\\"'),
    "base64 in blanks": with_base64("  AAAA  "),
    "base64 with control character": with_base64("AAA\n"),
    "base64 with NUL": with_base64("AAA\0"),
    "base64 of others": with_base64("ÄÄ"),
    "base64 of no characters": SHORT.encode().replace(b"AAA=", b"\xff\xff\xff\xff"),
    "BOM": b"\xef\xbb\xbf" + SHORT.encode(),
    "text behind": SHORT + "x",
    "brace behind": SHORT + "}",
    "NUL behind": SHORT + "\0",
    "another behind": SHORT + SHORT,
    "comma at the end": event_with(","),
    "comma at the outer end": SHORT[:-1] + ",}",
    "comma in list": event_with(',"a":[1,]'),
    "comma in object": event_with(',"a":{"b":1,}'),
    "no colon": event_with(',"a"'),
    "no comma": event_with('"a":1'),
    "single quotes": SHORT.replace('"', "'"),
    "comment": "/**/" + SHORT,
    "form feed": SHORT[:1] + "\f" + SHORT[1:],
    "no-break space": SHORT[:1] + "\xa0" + SHORT[1:],
    "control character": event_with(',"a":"\x1f"'),
    "line in string": event_with(',"a":"\n"'),
    "wrong escape": event_with(r',"a":"\x41"'),
    "escape NUL": event_with(',"a":"\\\0"'),
    "short escape": event_with(r',"a":"\u00e"'),
    "wrong digit": event_with(r',"a":"\u00g0"'),
    "high surrogate": event_with(r',"a":"\ud83d"'),
    "low surrogate": event_with(r',"a":"\uDE00"'),
    "surrogate pair": event_with(r',"a":"\ud83d\ude00"'),
    "UTF-8 overlong": event_with(',"a":"?"').encode().replace(b"?", b"\xc0\xaf"),
    "UTF-8 overlong of 3": event_with(',"a":"?"').encode().replace(b"?", b"\xe0\x80\x80"),
    "UTF-8 overlong of 4": event_with(',"a":"?"').encode().replace(b"?", b"\xf0\x80\x80\x80"),
    "UTF-8 surrogate": event_with(',"a":"?"').encode().replace(b"?", b"\xed\xa0\x80"),
    "UTF-8 too high": event_with(',"a":"?"').encode().replace(b"?", b"\xf4\x90\x80\x80"),
    "UTF-8 cut": event_with(',"a":"?"').encode().replace(b"?", b"\xe2\x82"),
    "UTF-8 still higher": event_with(',"a":"?"').encode().replace(b"?", b"\xf5\x80\x80\x80"),
    "UTF-8 broken off": event_with(',"a":"?"').encode().replace(b"?", b"\xe2\x82x"),
    "UTF-8 lone": event_with(',"?":1').encode().replace(b"?", b"\x80"),
    "exponent": event_with(',"a":1e400'),
    "leading zero": event_with(',"a":01'),
    "plus": event_with(',"a":+1'),
    "only minus": event_with(',"a":-'),
    "minus in minus": event_with(',"a":- 1'),
    "point at the end": event_with(',"a":1.'),
    "point at the front": event_with(',"a":.1'),
    "not finite": event_with(f',"a":{"9" * 400}'),
    "NaN": event_with(',"a":NaN'),
    "Infinity": event_with(',"a":-Infinity'),
    "True": event_with(',"a":True'),
    "words": event_with(',"a":truefalse'),
    "too deep": event_with(',"a":' + "[" * 9 + "]" * 9),
    "too deep for orjson": event_with(',"a":' + "[" * 2000 + "]" * 2000),
    "wrong bracket": event_with(',"a":[}'),
}
"""Texts that are left to Python, malformed or not."""


@pytest.mark.parametrize("text", UNUSUAL.values(), ids=list(UNUSUAL))
def test_unusual_texts_are_left_to_python(c: Any, text: str | bytes) -> None:
    assert recognize(c, text if isinstance(text, bytes) else text.encode()) is None


def test_every_byte_within_base64(c: Any) -> None:
    """At each of four places, between others that are right, or as high and as low as possible."""
    for byte in range(256):
        for at in range(8):
            for others in b"A!~":
                base64 = bytes([others] * at + [byte] + [others] * (7 - at))
                is_plain = byte > 0x20 and byte < 0x80 and byte not in b'"\\'
                assert assert_same_meaning(c, SHORT.encode().replace(b"AAA=", base64)) == is_plain


@pytest.mark.parametrize("text", [SHORT, FULL_EVENT, REVERSED])
def test_no_beginning_of_a_text_is_recognized(c: Any, text: str) -> None:
    """Nor is a text with any one byte left out or doubled understood differently."""
    encoded = text.encode()
    for at in range(len(encoded)):
        assert recognize(c, encoded[:at]) is None
        assert_same_meaning(c, encoded[:at] + encoded[at + 1 :])
        assert_same_meaning(c, encoded[:at] + encoded[at : at + 1] + encoded[at:])


characters = st.text(max_size=3) | st.sampled_from(list('aß"\\\n€'))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | characters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(characters, inner, max_size=3),
    max_leaves=6,
)
base64_texts = st.sampled_from(["AAAA", "//8A", "AA==", "+/AA", "", "A", " AAAA"])
event_ids = st.integers(0, 10**18 - 1) | st.sampled_from([None, "7", -1, 1.0, 10**18, 2**63, True])
keys = st.sampled_from(["alignment", "is_final", "x", "type", "audio_event", "event_id"])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """JSON that is more or less an audio event, as one of many writers would write it."""
    inner: dict[str, Any] = {"audio_base_64": draw(base64_texts), "event_id": draw(event_ids)}
    inner |= draw(st.dictionaries(keys, values, max_size=3))
    outer: dict[str, Any] = {"type": "audio", "audio_event": inner}
    outer |= draw(st.dictionaries(keys, values, max_size=1))
    for one in (inner, outer):
        order = draw(st.permutations(list(one.items())))
        one.clear()
        one.update(order)
    text = json.dumps(
        outer, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1]))
    )
    return text.encode("utf-8", "surrogatepass")


usual = st.sampled_from([text.encode() for text in RECOGNIZED.values()])


@examples(150, 5000)
@given(text=mutated(usual | events()))
def test_mutated_texts_keep_their_meaning(c: Any, text: bytes) -> None:
    assert_same_meaning(c, text)


@examples(100, 5000)
@given(more=st.lists(words, max_size=20).map(b"".join))
def test_random_texts_keep_their_meaning(c: Any, more: bytes) -> None:
    """Words in any order within an audio event."""
    assert_same_meaning(c, event_with(",").encode()[:-2] + more + b"}}")


alignments = st.lists(
    st.tuples(
        st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), st.integers(0, 99999)
    ),
    max_size=20,
)


@examples(50, 1000)
@given(
    audio=st.binary(min_size=1, max_size=60),
    event_id=st.integers(0, 10**6),
    alignment=st.none() | alignments,
    is_final=st.none() | st.booleans(),
    id_first=st.booleans(),
    type_first=st.booleans(),
    ascii_only=st.booleans(),
)
def test_the_service_is_recognized(
    c: Any,
    audio: bytes,
    event_id: int,
    alignment: list[tuple[str, int]] | None,
    is_final: bool | None,
    id_first: bool,
    type_first: bool,
    ascii_only: bool,
) -> None:
    """In either order of keys, with or without alignment, whoever writes the JSON."""
    base64 = b64encode(audio).decode()
    body: dict[str, Any] = {"audio_base_64": base64, "event_id": event_id}
    if alignment is not None:
        body["alignment"] = {
            "chars": [character for character, _ in alignment],
            "char_start_times_ms": [number for _, number in alignment],
            "char_durations_ms": [number / 8 for _, number in alignment],
        }
    if is_final is not None:
        body["is_final"] = is_final
    if id_first:
        body = dict(reversed(body.items()))
    event = {"type": "audio", "audio_event": body}
    if not type_first:
        event = dict(reversed(event.items()))
    text = json.dumps(event, ensure_ascii=ascii_only).encode()
    told = (base64, event_id, len(alignment or ()))
    assert recognize(c, text) == told == understand(text)

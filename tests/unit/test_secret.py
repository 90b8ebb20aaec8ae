"""A secret shows nowhere; where its holder wants it, it is whole."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from dataclasses import asdict, dataclass
from traceback import TracebackException
from urllib.parse import quote

import orjson
import pytest

from pyconvai import limits, words
from pyconvai.secret import SHOWN, Secret, scrub

KEY = "sk_5e11a-secret/key+of some=length"
URL = (
    "wss://api.example.com/v1/convai/conversation?agent_id=agent_0123456789"
    "&conversation_signature=cvtkn_0123456789abcdef%2B%2F"
)


@dataclass(frozen=True)
class Holder:
    """Something that has a secret."""

    key: Secret


def shown(secret: Secret) -> list[str]:
    """All that Python makes a text of."""
    fault = ValueError("no", secret)
    return [
        str(secret),
        repr(secret),
        f"{secret} {secret!r} {secret!s} {secret:>40} {secret!a}",
        "%s %r" % (secret, secret),  # noqa: UP031
        format(secret, "x"),
        repr([secret]),
        repr(Holder(secret)),
        repr(fault),
        json.dumps({"key": secret}, default=str),
        orjson.dumps({"key": secret}, default=str).decode(),
        "".join(TracebackException.from_exception(fault, capture_locals=True).format()),
    ]


def test_no_text_shows_it() -> None:
    for text in shown(Secret(KEY)):
        assert SHOWN in text
        assert "5e11a" not in text


def test_it_is_whole_for_who_needs_it() -> None:
    """Also what is no UTF-8, as a name of a file may be."""
    for text in (KEY, "", "\udc80ä"):
        assert Secret(text).reveal() == text
        assert bool(Secret(text)) == bool(text)


def test_no_copy_leaves_by_accident() -> None:
    secret = Secret(KEY)
    for act in (copy.copy, copy.deepcopy, pickle.dumps, json.dumps, orjson.dumps):
        with pytest.raises(TypeError) as caught:
            act(secret)
        assert "5e11a" not in str(caught.value)
    with pytest.raises(TypeError):
        asdict(Holder(secret))


def test_those_of_one_value_are_equal() -> None:
    """And no text is equal to them: who compares has to say so."""
    one, same, other = Secret(KEY), Secret(KEY), Secret(KEY + "x")
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert {one: 1}[same] == 1
    text: object = KEY
    assert one != text


def test_its_bytes_are_overwritten() -> None:
    value = "nobody else has this one"
    secret = Secret(value)
    forms = (secret._value, *secret._forms)
    del secret
    assert forms
    assert not any(any(form) for form in forms)
    assert len(forms[0]) == len(value)


def test_scrub_takes_out_what_is_held() -> None:
    key = "sk_another/one=only+here"
    secret, url = Secret(key), Secret(URL)
    said = f"invalid key {key}, {quote(key, safe='')}; {URL} {quote(URL, safe='')}"
    assert scrub(said) == "invalid key ***, ***; *** ***"
    signature = "cvtkn_0123456789abcdef"
    assert scrub(f"bad {signature}%2B%2F or {signature}+/") == "bad *** or ***"
    plain = "no agent_0123456789 at api.example.com"
    assert scrub(plain) == plain
    assert scrub(f"\udc80 {key}") == "\udc80 ***"
    del secret, url
    assert scrub(said) == said, "nobody has it any more"


def test_scrub_knows_of_each_that_comes_and_goes() -> None:
    """Those of one kind begin alike, and any of them may be the last that was made or let go."""
    texts = [f"sk_test_comes_and_goes_{number:03}" for number in range(50)]
    held: dict[str, Secret] = {}
    for text in texts:
        assert scrub(text) == text
        held[text] = Secret(text)
        assert [scrub(each) for each in held] == [SHOWN] * len(held)
    for text in texts:
        del held[text]
        assert scrub(text) == text
        assert [scrub(each) for each in held] == [SHOWN] * len(held)


def test_scrub_leaves_no_rest_of_a_longer_one() -> None:
    held = [Secret("sk_0123456"), Secret("sk_0123456789")]
    assert scrub("sk_0123456789 sk_0123456") == "*** ***"
    assert held


def test_a_user_in_a_url_is_none_of_a_reader_s_business() -> None:
    held = Secret("wss://user:password@api.example.com/")
    assert scrub("user:password") == SHOWN
    assert held


def test_a_short_one_is_no_reason_to_blot_words_out() -> None:
    held = [Secret("k" * (limits.SECRET_SCRUBBED_CHARACTERS - 1)), Secret("")]
    assert scrub("k" * limits.SECRET_SCRUBBED_CHARACTERS) == "kkkkkkkk"
    held.append(Secret("k" * limits.SECRET_SCRUBBED_CHARACTERS))
    assert scrub("kkkkkkkk") == SHOWN


def test_threads_that_meet_have_one() -> None:
    made: list[Secret] = []
    meet = threading.Barrier(4)

    def make() -> None:
        meet.wait(10)
        made.extend(Secret(f"key {i}") for i in range(200))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 200


LONG = "eyJhbGciOiJIUzI1NiJ9." + "Q7zX" * 200
"""A token of a web service: longer than all that is shown of a text."""


@pytest.mark.parametrize("key", [KEY[3:], LONG])
@pytest.mark.parametrize("most", [40, 240, 7500])
def test_a_text_that_is_cut_shows_no_half_of_one(key: str, most: int) -> None:
    """K6: wherever the limit cuts, also behind many that have become shorter."""
    held = Secret(key)
    for before in range(0, most + len(key), 7):
        for text in ("." * before + key, "." * (before % 50) + f"{key} " * (2 + most // 10)):
            cut = words.cut(text, most)
            assert len(cut) <= most
            for made in (scrub(text, most), words.line(text, most), scrub(cut)):
                assert not any(key[at : at + 6] in made for at in (0, len(key) // 2))
    assert held


def test_what_is_long_and_no_secret_keeps_its_beginning() -> None:
    held = Secret(KEY)
    assert scrub("abc" * 100, 240) == ("abc" * 100)[:240]
    assert scrub(f"{KEY} abc", 5) == "*** a"
    assert held


def test_letters_in_another_case_hide_nothing() -> None:
    """K6: a host's name is written small, and so is a key that somebody made one of."""
    held = Secret(KEY)
    said = f"no {KEY.upper()}.example, {quote(KEY, safe='').lower()} of Ümlaut"
    assert scrub(said) == "no ***.example, *** of Ümlaut"
    assert held

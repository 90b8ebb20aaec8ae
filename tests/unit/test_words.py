"""The door for words from outside: what has passed is one line, bounded, and acts on nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconvai.core import _core
from tests.unit.frame_reader import examples

MOST = 240
USES = [_core.LINE, _core.DATA]
KEPT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 :._-/+")
"""Of ASCII, in data."""

PIECES = [
    *("sk_0123456789abcdef", "xi-api-key: ", "Authorization: Bearer ", "token=", '"secret":"'),
    *("user:pass@", "https://", "sip:", "?signature=", "&", "'", '"', "=", "@", "-", "...", "***"),
    *(
        " ",
        "\n",
        "\x1b[31m",
        "\x9b",
        "\u2028",
        "\u202e",
        "\u200b",
        "\ufeff",
        "é",
        "日本",
        "😀",
        "\0",
    ),
]
TEXTS = st.text(max_size=300) | st.lists(
    st.sampled_from(PIECES) | st.text(max_size=9), max_size=30
).map("".join)


def line(text: str, most: int = MOST) -> str:
    """What is left of it in a line."""
    return _core.clean(text, most, _core.LINE)


def data(text: str, most: int = MOST) -> str:
    """What is left of it in data."""
    return _core.clean(text, most, _core.DATA)


@pytest.mark.parametrize("use", USES)
@given(text=TEXTS, most=st.integers(0, 400))
@examples(300, 20_000)
def test_what_has_passed_is_harmless(use: int, text: str, most: int) -> None:
    """K2, K10: one line, bounded, in UTF-8, the same the second time."""
    made = _core.clean(text, most, use)
    assert len(made.encode()) <= most
    assert made.isprintable() or all(
        unicodedata.category(c) == "Cn" for c in made if not c.isprintable()
    )
    assert "  " not in made
    assert made == made.strip()
    assert _core.clean(made, most, use) == made
    if use == _core.DATA:
        assert {c for c in made if c.isascii()} <= KEPT
        assert not made.startswith(("-", "+", "=", "@"))
        assert not set(made) & {
            chr(code) for code in (0x2019, 0x201D, 0x2BC, 0xFF02, 0xFF07, 0xFF1B)
        }


def test_every_character() -> None:
    """K10: control and format characters, separators and strange blanks are blanks; others stay."""
    for code in range(0x110000):
        if 0xD800 <= code <= 0xDFFF:
            continue
        character = chr(code)
        category = unicodedata.category(character)
        made = line(f"a{character}b")
        if category in ("Cc", "Cf", "Co", "Zl", "Zp", "Zs"):
            assert made == "a b", hex(code)
        elif category not in ("Cn", "Mn", "Lo"):  # of these some fill a place and are not seen
            assert made == f"a{character}b", hex(code)


@given(st.text(st.characters(categories=["L", "N"], max_codepoint=0x10FF), max_size=80))
@examples(100, 5_000)
def test_harmless_text_stays(text: str) -> None:
    assert line(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach 127.0.0.1:8765: Connection refused",
        "PJSIP/100-00000001: agent sales_agent AGENT_ENDED after 12 s: the agent ended it (1000)",
        "sip:5550100@pbx.example:5060 has called Local/100@agents-00000001;1",
        "invalid token: the signature of Bearer tokens is wrong; Basic plan, max_tokens=100",
        "the language sk_SK; https://user@host; see https://elevenlabs.io/app?x=1&y=2, 12:30 @ x",
        "no api_key for agent sales in elevenlabs.conf; set api_key_file = /etc/asterisk/key",
        "'quoted' and \"quoted\", (in) [brackets] {and} more: 100 % of $5 — Grüße, 日本 😀",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    assert line(text) == text


SECRET = "Zx9Qw8Er7Ty6Ui5Op4"


@pytest.mark.parametrize(
    "text",
    [
        f"sk_{SECRET} was refused",
        f"the signature cvtkn_{SECRET} was refused",
        f"invalid key 'sk_{SECRET}'",
        f"sk-proj-{SECRET}",
        f"xi-api-key: {SECRET}",
        f"XI-API-KEY={SECRET}; x",
        f"Authorization: Bearer {SECRET}.abc.def",
        f"authorization: {SECRET}",
        f"Authorization: Basic {SECRET}==",
        f"got Bearer {SECRET}/+=.~ here",
        f"wss://api.example/v1?agent_id=a&conversation_signature={SECRET}&x=1",
        f"GET /?token={SECRET} HTTP/1.1",
        f"access_token={SECRET}",
        f'{{"api_key": "{SECRET} and {SECRET}", "x": 1}}',
        f"{{'secret__pin':'{SECRET}'}}",
        f'{{"password":"a\\"{SECRET}"}}',
        f'{{"password":"{SECRET}',
        f"https://user:{SECRET}@api.example/",
        f"https://{SECRET}@api.example/",
        f"https://:{SECRET[:9]}@api.example/",
        f"sip:user:{SECRET}@api.example",
        f"user:{SECRET}@api.example",
    ],
)
def test_credentials_are_cut(text: str) -> None:
    """K6, K7: whatever their place, also where the limit cuts through them."""
    for use in USES:
        for most in (8, 16, 32, 48, 200):
            assert SECRET[:4] not in _core.clean(text, most, use)
    assert "***" in line(text)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('bye"; $(touch x) id', "bye touch x id"),
        ("conv_1\r\nForged: yes", "conv_1 Forged: yes"),
        ("\x1b]0;title\x07\x9b31m red", "0 title 31m red"),
        ("=1+1", "1+1"),
        ("--help -rf", "help -rf"),
        ("+-+ @SUM(A1)", "SUM A1"),
        ("it's 'x' OR 1=1 --", "it s x OR 1 1 --"),
        ("a`b`c\\d|e&f<g>h,i{j}k[l]m*n?o#p!q~r%s^t", "a b c d e f g h i j k l m n o p q r s t"),
        ("\u2018a\u02bcb\uff02c", "a b c"),
        ("Grüße von 日本 😀", "Grüße von 日本 😀"),
    ],
)
def test_data(text: str, made: str) -> None:
    """K2."""
    assert data(text) == made


FORMS = ("NFC", "NFD", "NFKC", "NFKD")
CODE_PAGES = ("cp1252", "cp1257", "shift_jis", "cp932", "euc_kr", "johab", "gbk", "big5")


def in_other_hands(character: str) -> set[str]:
    """What a database or a program may make of it that wants another form or another encoding."""
    forms = {unicodedata.normalize(form, character) for form in FORMS}
    single = (character.encode(page, "ignore") for page in CODE_PAGES)
    return forms | {each.decode() for each in single if len(each) == 1 and each.isascii()}


def test_data_is_data_in_every_form() -> None:
    """K2: the Greek question mark is a semicolon, a yen sign is a backslash, to somebody."""
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x20000)):  # behind it are letters alone
        character = chr(code)
        if data(f"a{character}b") == "a b":
            continue
        for made in in_other_hands(character):
            assert {c for c in made if c.isascii()} <= KEPT, hex(code)
            assert not made.startswith(("-", "+")), hex(code)


@pytest.mark.parametrize(
    "quote", "\u2018\u201c\u201e\u2039\u00ab\u00b4\u02dc\u2032\u300c\uff62\uff02"
)
def test_quotes_are_no_data(quote: str) -> None:
    """K2: whatever looks like one."""
    assert data(f"a{quote}b") == "a b"


def test_the_end_of_what_is_cut() -> None:
    assert line("a" * 300, 10) == "aaaaaaa..."
    assert line("é" * 300, 10) == "ééé..."
    assert line("word after word", 11) == "word aft..."
    assert line("word after word", 8) == "word..."
    assert line("abc", 3) == "abc"
    assert line("abcd", 3) == "..."
    assert line("a\ud800b") == "a?b"

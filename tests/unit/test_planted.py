"""The search for planted credentials finds each, in whatever form, and only those."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import planted
from tests.planted import AUDIO, LEFT, SECRETS, Allowed, Search, key, left_of, main, secret

OF_THE_MOCK = "cvtkn_" + "kdUe-2_x8"
"""As its signed URLs have; in two pieces, for this file is searched as well."""

FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "in a URL": lambda text: f"wss://h/x?signature={quote(text)}&y".encode(),
    "in JSON": lambda text: json.dumps({"text": f'"{text}\n'}).encode(),
    "in base64": lambda text: base64.b64encode(text.encode()),
    "in base64, one byte on": lambda text: base64.b64encode(b"k" + text.encode()),
    "in base64, two bytes on": lambda text: base64.urlsafe_b64encode(b"k=" + text.encode() + b";"),
    "in hexadecimal": lambda text: text.encode().hex().encode(),
    "in UTF-16": lambda text: text.encode("utf-16"),
    "the first half": lambda text: text[: len(text) // 2].encode(),
    "the last half": lambda text: text[-(len(text) // 2) :].encode(),
    "cut within": lambda text: text[5:30].encode(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """What these tests leave on purpose does not stay."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_each_is_found(name: str, form: str) -> None:
    data = b"one line\nand " + FORMS[form](key(name)) + b" in it\n"
    (found,) = Search().data(data, "x")
    assert (found.what, found.where, found.number) == (name, "x", 2)


@pytest.mark.parametrize(
    "form", [form for form in FORMS if "half" not in form and "cut" not in form]
)
def test_digits_are_found(form: str) -> None:
    (found,) = Search().data(FORMS[form](planted.digits(planted.PIN)), "x")
    assert found.what == planted.PIN


def test_any_signature_of_the_mock_is_found() -> None:
    """Those of all other tests: they are made up for each call."""
    (found,) = Search().text(f"Sent ?conversation_signature={OF_THE_MOCK} to it", "x")
    assert found.what == "signature"


def test_nothing_else_is_found() -> None:
    text = f"sk_1234567890abcdef cvtkn_... {planted.mark('another')} 4711"
    assert not Search().text(text, "x")


def test_no_source_holds_a_mark() -> None:
    """So that neither sources nor their byte code have to be allowed."""
    checkout = Path(planted.__file__).parents[1]
    assert not Search(allowed=planted.SOURCES).files(checkout / "tests", AUDIO, base=checkout)


def test_what_is_allowed_is_allowed_there_alone() -> None:
    search = Search(allowed=[Allowed(r"log", r"^Executing ", "Asterisk's own")])
    assert not search.text(f"Executing Set({secret('token')})", "log")
    assert search.text(f"Executing Set({secret('token')})", "another")
    assert search.text(f"It is {secret('token')}", "log")


@pytest.mark.parametrize(
    "file",
    ["log/full.log", "console.log", "core", "spool/outgoing/x", "tmp/x.new", "__pycache__/x.pyc"],
)
def test_a_file_that_a_call_has_left_is_found(folder: Path, file: str) -> None:
    """What fails the module of a test whose Asterisk has it."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\0\n" + key("key").encode() + b"\0")
    (found,) = left_of(folder)
    assert str(found).startswith(f"{file}:2: key: sk_")


@pytest.mark.parametrize("file", ["etc/elevenlabs.conf", "etc/elevenlabs.key", "other/x.conf"])
def test_the_configuration_is_where_a_key_belongs(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(f"api_key = {key('key')}\n")
    assert not left_of(tmp_path)


def test_the_record_of_the_mock_is_to_have_tokens_but_no_key() -> None:
    search = Search(allowed=LEFT)
    report = "testbed/mock/1-1/report.json"
    assert not search.text(f'"token": "{secret("token")}"', report)
    assert search.text(f'"text": "{key("key")}"', report)
    assert search.text(f'"path": "?conversation_signature={OF_THE_MOCK}"', report)


def test_the_program(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted.tempfile, "gettempdir", lambda: str(folder / "tmp"))
    (folder / "build" / "venv").mkdir(parents=True)
    (folder / "build" / "venv" / "skipped").write_text(key("key"))
    assert main([str(folder / "build")]) == 0
    left = folder / "tmp" / "pytest-of-me" / "1" / "x.log"
    left.parent.mkdir(parents=True)
    left.write_text(f"\n{key('token')}")
    assert main([str(folder / "build")]) == 0
    assert main([str(folder / "build"), "--temporary"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == [planted.OK] * 2
    assert "pytest-of-me/1/x.log:2: token: sk_" in shown[2]
    assert len(shown) == 4

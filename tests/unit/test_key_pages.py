"""Every key of elevenlabs.conf is where it has to be: documented, and known to who uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyconvai.service.settings import Settings

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "app_elevenlabs_convai"
ROW = re.compile(r"^\t\[KEY_(\w+)\] = \{\n(.*?)^\t\},", re.DOTALL | re.MULTILINE)
KEYS = {
    name.lower(): text
    for name, text in ROW.findall((MODULE / "config" / "keys.c").read_text(encoding="utf-8"))
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (MODULE / "elevenlabs.conf.example").read_text(encoding="utf-8")


def test_the_table_is_read() -> None:
    assert len(KEYS) > 25


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_documented(name: str) -> None:
    table = README.partition("| key | default | meaning |")[2].partition("\n\n")[0]
    assert re.search(rf"^\|[^|]*`{name}`", table, re.MULTILINE), "no row in README.md"
    assert re.search(rf"^;?{name} =", EXAMPLE, re.MULTILINE), "not in elevenlabs.conf.example"


@pytest.mark.parametrize("name", [key for key, text in KEYS.items() if "KEY_TO_ENGINE" in text])
def test_the_engine_knows_what_it_is_told(name: str) -> None:
    assert name in Settings.__dataclass_fields__


@pytest.mark.parametrize("name", list(Settings.__dataclass_fields__))
def test_the_engine_is_told_what_it_wants_to_know(name: str) -> None:
    assert "KEY_TO_ENGINE" in KEYS[name]


PREFIXES = ("var_", "json_", "override_")
"""Of keys whose names are the operator's own."""


def test_the_example_shows_no_other_key() -> None:
    shown = set(re.findall(r"^;?(\w+) = ?", EXAMPLE, re.MULTILINE))
    assert {name for name in shown if not name.startswith(PREFIXES)} == set(KEYS)


def test_the_example_names_every_older_name() -> None:
    aliases = [alias for text in KEYS.values() for alias in re.findall(r'\.alias = "(\w+)"', text)]
    assert aliases
    assert [alias for alias in aliases if alias not in EXAMPLE] == []


def test_the_example_names_each_key_once() -> None:
    """In [general]; base_url, twice, shows two forms."""
    general = EXAMPLE.partition("\n[general]\n")[2].partition("\n;[")[0]
    names = re.findall(r"^;?(\w+) = ?", general, re.MULTILINE)
    assert sorted({name for name in names if names.count(name) > 1}) == ["base_url"]


@pytest.mark.parametrize("name", ["max_sessions", "max_duration", "silence_timeout"])
def test_the_example_limits_calls(name: str) -> None:
    """K13."""
    found = re.search(rf"^{name} = (\d+)$", EXAMPLE, re.MULTILINE)
    assert found, "not set"
    assert int(found[1]) > 0


def test_the_key_s_own_file_comes_first() -> None:
    """K1: of the three places of a key the one that nobody else can read."""
    for text in (README, EXAMPLE):
        places = [text.index(f"api_key{end}") for end in ("_file = /", " = sk_", "_env")]
        assert places[0] == min(places)

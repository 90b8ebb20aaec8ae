"""elevenlabs.conf.example and the README's table against the keys that the module knows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "app_elevenlabs_convai"
KEY = re.compile(r'\.name = "(\w+)",(.*?)\n\t\}', re.DOTALL)
PREFIXES = ("var_", "json_", "override_")
"""Of keys whose names are the operator's own."""

ALIAS = re.compile(r'\.alias = "(\w+)"')


def keys() -> dict[str, str]:
    """What config_keys.c says of each key; those that are only reserved have no effect yet."""
    found = dict(KEY.findall((MODULE / "config_keys.c").read_text(encoding="utf-8")))
    assert len(found) > 20
    return {name: text for name, text in found.items() if "KEY_WITHOUT_EFFECT" not in text}


def example() -> str:
    return (MODULE / "elevenlabs.conf.example").read_text(encoding="utf-8")


def test_the_example_shows_every_key_and_no_other() -> None:
    shown = set(re.findall(r"^;?(\w+) = ?", example(), re.MULTILINE))
    assert {name for name in shown if not name.startswith(PREFIXES)} == set(keys())


def test_the_example_names_every_older_name() -> None:
    for text in keys().values():
        for alias in ALIAS.findall(text):
            assert alias in example()


def test_the_readme_explains_every_key() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| key | default | meaning |")[2].partition("\n\n")[0]
    first_cells = " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    assert set(re.findall(r"`(\w+)`", first_cells)) == set(keys())

"""The files of the live page: whole, nothing from elsewhere, nothing that makes HTML of texts."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import engine_store as store  # noqa: E402

FOLDER = ROOT / "pyconvai" / "page"
FRAME = (FOLDER / "index.html").read_text(encoding="utf-8")
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in {".html", ".css", ".js"})
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
MAKES_HTML = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    r"|createContextualFragment|setHTML|srcdoc|javascript:"
)
ELSEWHERE = re.compile(r"(?:https?:)?//[\w.-]+\.\w+|@import|url\(")
NAMESPACE = "http://www.w3.org/2000/svg"


class Elements(HTMLParser):
    """All elements of the frame, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(FRAME)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


ELEMENTS = Elements().found
IDS = {attributes["id"] for _, attributes in ELEMENTS if "id" in attributes}


def test_the_frame_names_every_file_once() -> None:
    named = re.findall(r"\{\{([\w.]+)\}\}", FRAME)
    assert sorted(name for name in named if name != "nonce") == [
        path.name for path in FILES if path.name != "index.html"
    ]


def test_what_the_policy_lets_run() -> None:
    """Style and scripts have the nonce; nothing else is inline."""
    for tag, attributes in ELEMENTS:
        if tag in {"script", "style"}:
            assert attributes == {"nonce": "{{nonce}}"}
        assert "style" not in attributes
        assert [name for name in attributes if name.startswith("on")] == []
    assert not any("</script" in path.read_text(encoding="utf-8") for path in SCRIPTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(NAMESPACE, "")
    assert ELSEWHERE.findall(text) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_text_becomes_html(path: Path) -> None:
    assert MAKES_HTML.findall(path.read_text(encoding="utf-8")) == []


def test_what_is_named_is_there() -> None:
    """By scripts, labels and links within the page."""
    scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    named = set(re.findall(r"\$\(\"([\w-]+)\"\)", scripts))
    for _, attributes in ELEMENTS:
        named |= {attributes[name] or "" for name in ("aria-labelledby",) if name in attributes}
        if (attributes.get("href") or "").startswith("#"):
            named.add((attributes["href"] or "")[1:])
    assert named - IDS == set()


def test_everything_has_a_name_for_who_does_not_see_it() -> None:
    for tag, attributes in ELEMENTS:
        if tag == "section":
            assert {"aria-label", "aria-labelledby"} & attributes.keys(), attributes
        if tag == "svg":
            assert {"aria-hidden", "aria-labelledby"} & attributes.keys(), attributes
        if tag == "button" and attributes.get("class") == "icon":
            assert attributes.get("aria-label")


def test_an_engine_brings_them_along(tmp_path: Path) -> None:
    package = tmp_path / "pyconvai"
    (package / "page").mkdir(parents=True)
    core = package / store.core_name()
    core.parent.mkdir()
    core.write_bytes(b"core")
    for path in [*FILES, FOLDER / "README.md"]:
        (package / "page" / path.name).write_bytes(path.read_bytes())
    brought = {path.name for path in store.engine_files(package) if path.parts[0] == "page"}
    assert brought == {path.name for path in FILES}

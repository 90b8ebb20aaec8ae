"""docs/security.md names tests that exist, and every finding of the review has one."""

from __future__ import annotations

import re

import pytest

from tests.security import PAGE, ROOT, ROWS, TESTS, named, proven

pytestmark = pytest.mark.slow

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_read() -> None:
    assert len(named()) > 30


@pytest.mark.parametrize(("file", "test"), named())
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    path = TESTS / file
    assert path.exists(), f"{file}: there is none, or there are several"
    definition = f"TEST({test})" if path.suffix == ".c" else f"def {test}("
    assert not test or definition in path.read_text(encoding="utf-8"), test


@pytest.mark.parametrize("row", sorted(ROWS, key=lambda row: int(row[1:])))
def test_every_row_has_a_test(row: str) -> None:
    assert proven()[row]


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for page in ("README.md", "SECURITY.md", "docs/security.md", "docs/testing.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for file, place in re.findall(r"\]\(([\w./]*?)#([\w-]+)\)", text):
            if file.endswith("security.md") or (not file and page.endswith("docs/security.md")):
                assert place in headings, f"{page}: #{place}"


def test_every_attacker_of_the_drawing_has_a_section() -> None:
    letters = re.findall(r"\[([A-H])\]", TEXT.partition("What there is to lose")[0])
    assert sorted(letters) == [heading[0] for heading in re.findall(r"^## ([A-H]): ", TEXT, re.M)]


def test_the_readme_and_the_archive_have_it() -> None:
    assert "(docs/security.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "SECURITY.md" in (ROOT / "MANIFEST.in").read_text(encoding="utf-8")

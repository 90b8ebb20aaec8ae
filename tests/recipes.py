"""The changes of docs/recipes.md, made from the page and these sources.

python3 tests/recipes.py        lists them
python3 tests/recipes.py 3      prints one as a diff, for `git apply` and `git apply -R`

The page says where its lines go by names (tests/places.py), each block under one of these:

In `FILE`, `NAME`, behind `WORDS`:    in what is named so, behind the line or row that begins so
In `FILE`, `NAME`, before `WORDS`:    before it; without `NAME`, in all of the file
In `FILE`, behind all of `NAME`:      a definition behind another one
In `FILE`, at the end:                a definition at the file's end
In `FILE`, `NAME`:                    what is there (-) becomes something else (+)
"""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.places import PYTHON, PlaceError, Span, definition, entry, fragment  # noqa: E402

PAGE = PROJECT / "docs" / "recipes.md"
_RECIPE = re.compile(r"^## (\d+)\. ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_CHANGE = re.compile(
    r"^In `(?P<file>[^`\n]+)`(?:, `(?P<name>[^`\n]+)`)?"
    r"(?:, (?P<how>behind all of|behind|before|at the end)(?: `(?P<words>[^`\n]+)`)?)?:\n\n"
    r"```\w+\n(?P<block>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class DoesNotApply(Exception):
    """Says which change of which recipe, what it looks for, and what to do."""


@dataclass(frozen=True)
class Change:
    """A block of a recipe, and where it belongs."""

    file: str
    name: str | None
    how: str | None
    words: str
    block: str

    def applied(self, text: str, *, back: bool = False) -> str:
        """The text of its file with the block put in; back: taken out. PlaceError."""
        if self.how is None:
            lines = self.block.splitlines(keepends=True)
            sides = ["".join(each[1:] for each in lines if each[0] == sign) for sign in "-+"]
            old, new = reversed(sides) if back else sides
            start, end = fragment(text, self._within(text), old)
            return text[:start] + new + text[end:]
        edge, added = self._edge(text)
        if not back:
            return text[:edge] + added + text[edge:]
        start = edge if self.how.startswith("behind") else edge - len(added)
        if start < 0 or not text.startswith(added, start):
            raise PlaceError("these lines are not there")
        return text[:start] + text[start + len(added) :]

    def _within(self, text: str) -> Span:
        suffix = Path(self.file).suffix
        return definition(text, suffix, self.name) if self.name else Span(0, len(text))

    def _edge(self, text: str) -> tuple[int, str]:
        """Where lines go, and what: a definition has blank lines before it."""
        suffix = Path(self.file).suffix
        if self.how in ("behind", "before"):
            start, end = entry(text, suffix, self._within(text), self.words)
            return end if self.how == "behind" else start, self.block
        gap = "\n\n" if suffix in PYTHON and not self.block.startswith(" ") else "\n"
        edge = definition(text, suffix, self.words).end if self.words else len(text)
        return edge, gap + self.block


class Recipe(NamedTuple):
    """One change of the page's, in all its files."""

    number: int
    title: str
    changes: list[Change]


def recipes() -> list[Recipe]:
    """All of the page, in its order."""
    found = _RECIPE.findall(PAGE.read_text(encoding="utf-8"))
    return [
        Recipe(
            int(number),
            title,
            [
                Change(each["file"], each["name"], each["how"], each["words"] or "", each["block"])
                for each in _CHANGE.finditer(body)
            ],
        )
        for number, title, body in found
    ]


def changed(recipe: Recipe, folder: Path, *, back: bool = False) -> dict[str, tuple[str, str]]:
    """Of each file: its text, and what becomes of it by the recipe, or without it (back)."""
    found: dict[str, tuple[str, str]] = {}
    for change in reversed(recipe.changes) if back else recipe.changes:
        try:
            if change.file not in found:
                text = (folder / change.file).read_text(encoding="utf-8")
                found[change.file] = text, text
            text, so_far = found[change.file]
            found[change.file] = text, change.applied(so_far, back=back)
        except (PlaceError, FileNotFoundError) as error:
            place = ", ".join(filter(None, (change.file, change.name)))
            raise DoesNotApply(
                f"recipe {recipe.number} ({recipe.title}): {place}: {error}.\n"
                f"Remedy: write into docs/{PAGE.name} what it is called now, and where it is."
            ) from None
    return found


def apply(recipe: Recipe, folder: Path) -> None:
    """Change the sources in a folder."""
    for file, (_, text) in changed(recipe, folder).items():
        (folder / file).write_text(text, encoding="utf-8")


def diff(recipe: Recipe, folder: Path) -> str:
    """What applies the recipe to the sources in a folder; if it is in them, what has applied it."""
    try:
        pairs = {f: (old, new) for f, (new, old) in changed(recipe, folder, back=True).items()}
    except DoesNotApply:
        pairs = changed(recipe, folder)
    lines: list[str] = []
    for file, texts in sorted(pairs.items()):
        old, new = (text.splitlines(keepends=True) for text in texts)
        lines += difflib.unified_diff(old, new, f"a/{file}", f"b/{file}")
    return "".join(lines)


def main() -> None:
    """List the recipes, or print one."""
    for recipe in recipes():
        if len(sys.argv) < 2:
            print(f"{recipe.number}  {recipe.title}")
        elif sys.argv[1] == str(recipe.number):
            try:
                sys.stdout.write(diff(recipe, PROJECT))
            except DoesNotApply as error:
                sys.exit(str(error))


if __name__ == "__main__":
    main()

"""The changes of docs/recipes.md, taken out of the page.

python3 tests/recipes.py        lists them
python3 tests/recipes.py 3      prints one, for `git apply`
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "recipes.md"
_RECIPE = re.compile(r"^## (\d+)\. ([^\n]+)\n(.*?)^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
APPLY_SECONDS = 10.0


class Recipe(NamedTuple):
    """One change."""

    number: int
    title: str
    diff: str


class DoesNotApply(Exception):
    """Says which hunk of which recipe, and what it looks for."""


def recipes() -> list[Recipe]:
    """All of the page, in its order."""
    found = _RECIPE.findall(PAGE.read_text(encoding="utf-8"))
    return [Recipe(int(number), title, diff) for number, title, _, diff in found]


def apply(recipe: Recipe, folder: Path, *, only_check: bool = False) -> None:
    """Apply a recipe to the sources in a folder; or see whether it can be."""
    # The folder may be inside a repository, and is then no part of it.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent), "LC_ALL": "C"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(name, None)
    done = subprocess.run(
        ["git", "apply", "--verbose", *(["--check"] if only_check else []), "-"],
        cwd=folder,
        env=environment,
        input=recipe.diff,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=APPLY_SECONDS,
        check=False,
    )
    if done.returncode:
        said = done.stdout
        raise DoesNotApply(f"recipe {recipe.number} ({recipe.title}) of {PAGE.name}:\n{said}")


def main() -> None:
    """List the recipes, or print one."""
    for recipe in recipes():
        if len(sys.argv) < 2:
            print(f"{recipe.number}  {recipe.title}")
        elif sys.argv[1] == str(recipe.number):
            sys.stdout.write(recipe.diff)


if __name__ == "__main__":
    main()

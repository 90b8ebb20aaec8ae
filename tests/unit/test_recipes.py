"""Each recipe of docs/recipes.md finds its places in these sources, and can be taken out again.

That it works, too, is shown in tests/asterisk/test_recipes.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.recipes import PAGE, PROJECT, Change, DoesNotApply, Recipe, apply, diff, recipes
from tests.timing import EVENT

GIT_SECONDS = EVENT
each_recipe = pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: str(recipe.number))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that recipes change."""
    for change in (change for recipe in recipes() for change in recipe.changes):
        target = tmp_path / change.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / change.file, target)
    return tmp_path


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


def git_apply(folder: Path, patch: str, *options: str) -> None:
    subprocess.run(
        ["git", "apply", *options, "-"],
        cwd=folder,
        env={"GIT_CEILING_DIRECTORIES": str(folder.parent), "PATH": "/usr/bin:/bin"},
        input=patch,
        text=True,
        timeout=GIT_SECONDS,
        check=True,
    )


def test_every_recipe_and_every_block_is_found() -> None:
    page = PAGE.read_text(encoding="utf-8")
    titles = re.findall(r"^## (\d+)\. (.+)$", page, re.MULTILINE)
    assert [(str(recipe.number), recipe.title) for recipe in recipes()] == titles
    assert len(titles) == 5
    blocks = re.findall(r"^```(?!sh$)\w+$", page, re.MULTILINE)
    assert sum(len(recipe.changes) for recipe in recipes()) == len(blocks)


@each_recipe
def test_git_applies_a_recipe_and_takes_it_out_again(recipe: Recipe, copy: Path) -> None:
    before = contents(copy)
    git_apply(copy, diff(recipe, copy))
    after = contents(copy)
    changed = {str(path.relative_to(copy)) for path in before if after[path] != before[path]}
    assert changed == {change.file for change in recipe.changes}
    for change in recipe.changes:
        added = re.sub(r"^(-.*\n|\+)", "", change.block, flags=re.M) if not change.how else ""
        assert (added or change.block) in after[copy / change.file]
    git_apply(copy, diff(recipe, copy), "-R")
    assert contents(copy) == before


def test_all_recipes_apply_together_and_go_in_any_order(copy: Path) -> None:
    before = contents(copy)
    for recipe in recipes():
        apply(recipe, copy)
    for recipe in recipes():
        git_apply(copy, diff(recipe, copy), "-R")
    assert contents(copy) == before


CHANGE = Change("a.c", "table", "behind", "FIRST", "\tSECOND,\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("int other[] = {\n\tFIRST,\n};\n", "a.c, table: a definition of table is not there"),
        ("int table[] = {\n\tOTHER,\n};\n", "a line that begins with 'FIRST' is not there"),
        ("int table[] = {\n\tFIRST,\n\tFIRST,\n};\n", "begins with 'FIRST' is there 2 times"),
        (None, "a.c, table: "),
    ],
)
def test_a_place_that_is_not_there_is_told(tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "a.c").write_text(text)
    with pytest.raises(DoesNotApply) as error:
        diff(Recipe(1, "A row", [CHANGE]), tmp_path)
    assert "recipe 1 (A row)" in str(error.value)
    assert told in str(error.value)
    assert "Remedy: write into docs/recipes.md" in str(error.value)

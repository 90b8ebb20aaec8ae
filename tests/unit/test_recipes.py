"""Each recipe of docs/recipes.md applies to these sources, by itself.

That it works, too, is shown in tests/asterisk/test_recipes.py.
"""

from __future__ import annotations

import re

import pytest

from tests.recipes import PAGE, PROJECT, DoesNotApply, Recipe, apply, recipes


def test_every_recipe_is_found() -> None:
    titles = re.findall(r"^## (\d+)\. (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(str(recipe.number), recipe.title) for recipe in recipes()] == titles
    assert len(titles) == 5


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: str(recipe.number))
def test_a_recipe_applies_by_itself(recipe: Recipe) -> None:
    apply(recipe, PROJECT, only_check=True)


def test_what_does_not_apply_is_told_by_its_hunk() -> None:
    recipe = recipes()[0]
    outdated = recipe.diff.replace("\tKEY_SEND_CALLER_NUMBER,", "\tKEY_OF_LONG_AGO,")
    with pytest.raises(DoesNotApply) as told:
        apply(recipe._replace(diff=outdated), PROJECT, only_check=True)
    assert "recipe 1 (A configuration key)" in str(told.value)
    assert "config/keys.h" in str(told.value)
    assert "KEY_OF_LONG_AGO" in str(told.value)

"""tests/places.py finds what is named, and nothing else."""

from __future__ import annotations

import pytest

from tests.places import PlaceError, Span, definition, entry, fragment

C = """\
/* table { */
#define LIST(x) static int x[] = { \\
	1 }

struct thing {
	int member;
};

static int count(void);

COMMAND(show, "usage {", NULL)

/*! \\brief Counts: "}" */
static int __attribute__((format(printf, 1, 2))) count(const char *text,
	int more)
{
	return text[0] == '{' ? sizeof("}") : more;	/* } */
}

const struct thing table[LAST] = {
	[ONE] = {
		.member = count("]", 1),
	},
	{ "two", 2 },
	three,
	threefold,
};

TEST(it_counts)
{
	CHECK(count("", 0));
}
"""
PYTHON = '''\
from there import (
    First,
    Second,
)

ROWS: dict[str, str] = {
    "one": "a",  # (
}
"""What it is."""


@decorated
class Thing:
    def act(self) -> None:
        """Act."""
        if self:
            act()

    async def wait(self) -> None:
        await self.act(
            "(",
        )


def act() -> None:
    """)"""
'''
MARKDOWN = """\
# Top

## One

| `a` | `b` |

```sh
# Two
```

### Below

## Two

last
"""


@pytest.mark.parametrize(
    ("text", "suffix", "name", "first", "last"),
    [
        (C, ".c", "thing", "struct thing {", "};"),
        (C, ".h", "count", "static int __attribute__((format(printf, 1, 2))) count(", "}"),
        (C, ".c", "table", "const struct thing table[LAST] = {", "};"),
        (C, ".c", "it_counts", "TEST(it_counts)", "}"),
        (PYTHON, ".py", "ROWS", "ROWS: ", "}"),
        (PYTHON, ".py", "Thing", "@decorated", "        )"),
        (PYTHON, ".py", "Thing.act", "    def act", "            act()"),
        (PYTHON, ".py", "Thing.wait", "    async def wait", "        )"),
        (PYTHON, ".py", "act", "def act", '    """)"""'),
        (MARKDOWN, ".md", "One", "## One", ""),
        (MARKDOWN, ".md", "Below", "### Below", ""),
        (MARKDOWN, ".md", "Two", "## Two", "last"),
    ],
)
def test_a_definition_is_found(text: str, suffix: str, name: str, first: str, last: str) -> None:
    span = definition(text, suffix, name)
    found = text[slice(*span)]
    assert found.startswith(first)
    assert found.endswith(f"\n{last}\n")
    assert found.count(first) == 1


@pytest.mark.parametrize(
    ("text", "suffix", "name", "words", "found"),
    [
        (C, ".c", "table", "ONE", '\t[ONE] = {\n\t\t.member = count("]", 1),\n\t},\n'),
        (C, ".c", "table", "two", '\t{ "two", 2 },\n'),
        (C, ".c", "table", "three", "\tthree,\n"),
        (C, ".c", None, "COMMAND(show", 'COMMAND(show, "usage {", NULL)\n'),
        (PYTHON, ".py", None, "Second", "    Second,\n"),
        (PYTHON, ".py", "ROWS", "one", '    "one": "a",  # (\n'),
        (
            PYTHON,
            ".py",
            "Thing.wait",
            "await",
            '        await self.act(\n            "(",\n        )\n',
        ),
        (MARKDOWN, ".md", "One", "a", "| `a` | `b` |\n"),
        ("[one]\n;key = (\nkey = 1\n", ".conf", None, ";key", ";key = (\n"),
    ],
)
def test_an_entry_is_found_whole(
    text: str, suffix: str, name: str | None, words: str, found: str
) -> None:
    within = definition(text, suffix, name) if name else Span(0, len(text))
    assert text[slice(*entry(text, suffix, within, words))] == found


def test_a_fragment_is_found_where_it_is_sought() -> None:
    within = definition(C, ".c", "it_counts")
    assert C[slice(*fragment(C, within, "count("))] == "count("
    assert fragment(C, within, "count(").start > within.start


@pytest.mark.parametrize("name", ["LIST", "show", "member", "One", "it"])
def test_what_is_not_defined_is_not_there(name: str) -> None:
    with pytest.raises(PlaceError, match=f"a definition of {name} is not there"):
        definition(C, ".c", name)


def test_a_file_of_another_kind_has_no_definitions() -> None:
    with pytest.raises(PlaceError, match="a definition of f is not there"):
        definition("cdef f():\n    pass\n", ".pyx", "f")


def test_what_is_there_twice_is_told() -> None:
    with pytest.raises(PlaceError, match="a definition of f is there 2 times"):
        definition("def f(): ...\ndef f(): ...\n", ".py", "f")
    whole = Span(0, len(C))
    with pytest.raises(PlaceError, match="begins with 'int' is there 2 times"):
        entry(C, ".c", whole, "int")
    with pytest.raises(PlaceError, match=r"the text 'count\(' is there 4 times"):
        fragment(C, whole, "count(")

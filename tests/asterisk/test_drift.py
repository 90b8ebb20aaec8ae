"""The mock headers say what Asterisk's own say, and a build against them is told apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.host import drift
from tests.host.programs import build_shared


@pytest.fixture(scope="module")
def real(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Asterisk's headers alone: the root's C library is not that of the compiler used here."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("asterisk.h", "asterisk"):
        (folder / name).symlink_to(root.host(f"/usr/include/{name}"))
    return folder


def test_every_declaration_is_asterisks(real: Path, tmp_path: Path) -> None:
    """Types with their members, signatures, constants and macros."""
    assert drift.compare(drift.MOCK, real, tmp_path) == []


def test_nothing_is_left_uncompared(tmp_path: Path) -> None:
    """What the mock headers declare has been found: by kind, at least so many."""
    names = drift.Names(drift.MOCK, tmp_path)
    assert len(names.functions) > 70
    assert len(names.records) > 25
    assert len(names.constants) > 60
    assert len(names.macros) > 25
    assert len(names.function_macros) > 60
    assert "ast_waitfor_nandfds" in names.functions
    assert "ao2_destructor_fn" in names.typedefs
    assert {"AST_FRAME_VOICE", "AST_SOFTHANGUP_DEV"} <= {*names.constants}


@pytest.fixture(scope="module")
def theirs(real: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What the module comes to by Asterisk's own headers."""
    folder = tmp_path_factory.mktemp("real")
    return drift.references(drift.without_test_framework(real, folder / "plain"), folder / "built")


def test_the_module_comes_to_the_same_functions(
    theirs: dict[str, set[str]], tmp_path: Path
) -> None:
    """Macros of either set lead each function of the module to the same places in Asterisk."""
    ours = drift.references(drift.MOCK, tmp_path / "mock")
    assert len(ours) > 100
    assert "ast_write" in ours["media.c:media_write"]
    differences = {
        name: (sorted(ours.get(name, set()) - other), sorted(other - ours.get(name, set())))
        for name, other in theirs.items()
        if other != ours.get(name)
    }
    assert differences == {}, "function: (only with the mock headers, only with Asterisk's)"


MUTATIONS = {
    "value of an enum": ("frame.h", "AST_FRAME_DTMF_END = 1", "AST_FRAME_DTMF_END = 2"),
    "order of an enum": ("channelstate.h", "AST_STATE_DOWN,\n\tAST_STATE_RESERVED",
                         "AST_STATE_RESERVED,\n\tAST_STATE_DOWN"),
    "value without a name": ("channel.h", "DEV = 1 << 0", "DEV = 1 << 6"),
    "type of a member": ("frame.h", "int datalen", "long datalen"),
    "sign of a member": ("frame.h", "unsigned int flags;", "int flags;"),
    "order of members": ("frame.h", "int datalen;\t/*!< bytes */\n\tint samples;",
                         "int samples;\n\tint datalen;"),
    "member left out": ("config.h", "\tint inherited;\n", ""),
    "type of a parameter": ("translate.h", "int consume", "long consume"),
    "result of a function": ("channel.h", "int ast_raw_answer", "void ast_raw_answer"),
    "one parameter more": ("utf8.h", "(const char *str)", "(const char *str, int strict)"),
    "qualifier": ("channel.h", "ast_channel_name(const struct", "ast_channel_name(struct"),
    "type of a variable": ("options.h", "extern int option_debug", "extern long option_debug"),
    "value of a macro": ("frame.h", "AST_FRIENDLY_OFFSET 64", "AST_FRIENDLY_OFFSET 32"),
    "text of a macro": ("module.h", "2006 by", "2007 by"),
    "name of a macro": ("cli.h", "#define ESS(", "#define ESSES("),
    "arguments of a macro": ("cli.h", "ESS(x)", "ESS(x, y)"),
    "type behind a typedef": ("astobj2.h", "(*ao2_destructor_fn)(void *object)",
                              "(*ao2_destructor_fn)(char *object)"),
    "length of an array": ("module.h", "buildopt_sum[33]", "buildopt_sum[32]"),
    "same sum": ("buildopts.h", '"mock-headers-not-a-real-asterisk"', "SUM"),
}  # fmt: skip


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_change_of_the_mock_headers_is_found(what: str, real: Path, tmp_path: Path) -> None:
    """Each kind of drift, put in on purpose."""
    name, before, after = MUTATIONS[what]
    mock = tmp_path / "include"
    shutil.copytree(drift.MOCK, mock)
    if after == "SUM":
        text = (real / "asterisk" / "buildopts.h").read_text()
        after = text.split("AST_BUILDOPT_SUM ")[1].split("\n")[0]
    header = mock / "asterisk" / name
    assert header.read_text().count(before) == 1
    header.write_text(header.read_text().replace(before, after))
    try:
        found = drift.compare(mock, real, tmp_path / "work")
    except AssertionError as error:
        # Asterisk's headers have no such name, or not with these arguments.
        found = [str(error)]
    assert found


def test_a_macro_that_leads_elsewhere_is_found(theirs: dict[str, set[str]], tmp_path: Path) -> None:
    """A macro with arguments has no value: what the module comes to by it is compared."""
    mock = tmp_path / "include"
    shutil.copytree(drift.MOCK, mock)
    header = mock / "asterisk" / "channel.h"
    header.write_text(
        header.read_text().replace(
            "ast_channel_lock(chan) ao2_lock", "ast_channel_lock(chan) ao2_trylock"
        )
    )
    ours = drift.references(mock, tmp_path / "mock")
    assert any(ours[name] != theirs[name] for name in ours)


def test_asterisk_refuses_a_build_against_the_mock_headers(
    asterisk: StartAsterisk, tmp_path: Path
) -> None:
    """It says so in one line, and nothing of the module is run."""
    pbx = asterisk(module=False)
    shared = build_shared(tmp_path)
    shutil.copy(shared, pbx.module_folder / shared.name)
    pbx.cli(f"module load {shared.name}")
    pbx.wait_log(
        "Module 'app_elevenlabs_convai.* was not compiled with the same compile-time options"
    )
    assert "No such command" in pbx.cli("elevenlabs show version")
    assert "0 modules loaded" in pbx.cli("module show like app_elevenlabs_convai")

"""Every fault of tests/mutations finds its place. That tests catch it is seen when it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutations.run import ROOT, BrokenError, Fault, faults

FAULT = Fault("a fault", "module", old="return 0", new="return 1", place="answer")


@pytest.mark.parametrize("fault", faults(""), ids=lambda fault: fault.name)
def test_a_fault_finds_its_place(fault: Fault) -> None:
    path, faulty = fault.put(ROOT)
    assert faulty != path.read_text(encoding="utf-8")
    for tests in fault.tests:
        assert (ROOT / tests.partition("::")[0]).exists()
    for suite in fault.suites:
        folder, _, name = suite.rpartition("/")
        assert (ROOT / "tests" / "host" / folder / f"test_{name}.c").exists()


def test_names_of_faults_differ() -> None:
    names = [fault.name for fault in faults("")]
    assert sorted(set(names)) == sorted(names)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two files of a module, and one of its tests."""
    answer = "int answer(void)\n{\n\treturn 0;\n}\n"
    folder = tmp_path / "app_elevenlabs_convai"
    (folder / "call").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "call" / "call.c").write_text(f"{answer}\nint other(void)\n{{\n\treturn 0;\n}}\n")
    (folder / "call" / "other.c").write_text("int other(void)\n{\n\treturn 0;\n}\n")
    (folder / "tests" / "test.c").write_text(answer)
    return tmp_path


def test_a_fault_is_put_into_its_place_alone(tree: Path) -> None:
    path, faulty = FAULT.put(tree)
    assert path == tree / "app_elevenlabs_convai" / "call" / "call.c"
    assert faulty == path.read_text().replace("0", "1", 1)


def test_a_file_tells_definitions_of_one_name_apart(tree: Path) -> None:
    path, _ = replace(FAULT, place="other", file="other.c").put(tree)
    assert path.name == "other.c"
    path, _ = replace(FAULT, place="", file="other.c").put(tree)
    assert path.name == "other.c"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"place": "gone"}, "module, gone: gone is in no file"),
        ({"place": "other"}, "module, other: other is in call.c and other.c"),
        ({"file": "gone.c"}, "module, gone.c, answer: answer is in no file"),
        ({"old": "return 2"}, "module, answer: the text 'return 2' is not there"),
        ({"old": "r"}, "module, answer: the text 'r' is there 3 times"),
    ],
)
def test_an_outdated_fault_is_told(tree: Path, change: dict[str, str], told: str) -> None:
    with pytest.raises(BrokenError) as error:
        replace(FAULT, **change).put(tree)
    assert str(error.value).startswith(told)
    assert "faults.toml has to follow the code" in str(error.value)

"""What is installed from indexes of packages: just what was tried, by its hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.timing import PROGRAM

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "requirements" / "locked"
RANGES = {
    "run": ROOT / "requirements.txt",
    "conformance": ROOT / "tests" / "conformance" / "requirements.txt",
}
NAMES = ("browser", "conformance", "lint", "maintain", "oldest", "run", "test")
PIN = re.compile(r"^([\w.-]+)==([^ ]+)(?: ; [^\\]+)? \\$((?:\n    --hash=.*)+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
# Installed from what PyPI calls by another name, or named by the row of another package.
CALLED = {"cython": "Cython", "pyyaml": "PyYAML"}


def ranges(path: Path) -> list[Requirement]:
    """What a file of requirements asks for, with the files that it includes."""
    found = []
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            found += ranges(path.parent / line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


def pins(name: str) -> dict[str, tuple[str, str]]:
    """Versions and hashes of a lock, by package."""
    text = (LOCKED / f"{name}.txt").read_text()
    return {each[1]: (each[2], each[3]) for each in PIN.finditer(text)}


def test_every_lock_is_known() -> None:
    assert sorted(path.stem for path in LOCKED.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_holds_what_the_ranges_allow(name: str) -> None:
    """K14: and a change of the ranges is locked as well."""
    locked = pins(name)
    for wanted in ranges(RANGES.get(name, ROOT / "requirements" / f"{name}.txt")):
        version, _ = locked[wanted.name.lower()]
        assert wanted.specifier.contains(version), f"make lock: {wanted} is locked at {version}"


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_hashes_and_names_no_index(name: str) -> None:
    """K14: every line is a pin, a hash or a comment."""
    text = (LOCKED / f"{name}.txt").read_text()
    left = [line for line in PIN.sub("", text).splitlines() if line.strip()]
    assert [line for line in left if not line.lstrip().startswith("#")] == []
    assert "://" not in text
    for package, (_, hashes) in pins(name).items():
        assert len(HASH.findall(hashes)) == len(hashes.strip().splitlines()), package


def test_locks_agree() -> None:
    """What is in the environment of the tests has one version."""
    lint = {package: version for package, (version, _) in pins("lint").items()}
    for name in ("run", "test"):
        assert {package: version for package, (version, _) in pins(name).items()}.items() <= (
            lint.items()
        )


def test_npm_s_packages_are_locked() -> None:
    """K14: by their hashes; a script of theirs is not needed, and where they come from not said."""
    folder = ROOT / "tests" / "conformance"
    locked = json.loads((folder / "package-lock.json").read_text())
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert locked["packages"].pop("")["dependencies"] == wanted
    for package, facts in locked["packages"].items():
        assert facts["integrity"].startswith("sha512-"), package
        assert "resolved" not in facts
        assert "hasInstallScript" not in facts
    assert "npm ci --ignore-scripts" in (folder / "install.sh").read_text()


def test_every_package_is_in_the_table_of_licences() -> None:
    """K18: dependencies.md names them all, those that are brought along as well."""
    table = re.sub(r"[`\[\]]", "", (ROOT / "dependencies.md").read_text()).lower()
    rows = "\n".join(line for line in table.splitlines() if line.startswith("|"))
    wanted = json.loads((ROOT / "tests" / "conformance" / "package.json").read_text())
    packages = {*wanted["dependencies"], *(package for name in NAMES for package in pins(name))}
    missing = [each for each in packages if not re.search(rf"(?<![\w-]){each}(?![\w-])", rows)]
    assert missing == []


def test_the_licence_allows_openssl() -> None:
    """K18: Python's ssl brings it; the licence itself is as its authors have it."""
    exception, _, licence = (ROOT / "LICENSE").read_text().partition("-" * 70 + "\n\n")
    assert "OpenSSL" in exception
    digest = hashlib.sha256(licence.encode()).hexdigest()
    assert digest.startswith("8177f97513213526")
    assert "| OpenSSL, " in (ROOT / "dependencies.md").read_text()


# --- the script ---


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose one package is in a folder, and no network is asked."""
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    (project / "requirements" / "locked").mkdir(parents=True)
    shutil.copy2(ROOT / "scripts" / "pip-locked.sh", project / "scripts")
    (project / "wheels").mkdir()
    with zipfile.ZipFile(project / "wheels" / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr(
            "tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        )
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    (project / "requirements" / "test.txt").write_text("tiny\n")
    return project


def pip_locked(project: Path, status: int, **environment: str) -> str:
    done = subprocess.run(
        [project / "scripts" / "pip-locked.sh", sys.executable, "test", "--target", project / "x"],
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(project / "wheels"),
             "PIP_CONFIG_FILE": os.devnull, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=PROGRAM,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


def test_a_file_that_was_not_tried_is_not_installed(project: Path) -> None:
    """K14: one with another hash, whatever it is called; and it is said what can be done."""
    wheel = project / "wheels" / "tiny-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = project / "requirements" / "locked" / "test.txt"
    lock.write_text("tiny==1.0\n")
    pip_locked(project, 1)
    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    said = pip_locked(project, 1)
    assert "LOCKED=0 takes what requirements/test.txt" in said
    assert "make lock" in said
    assert not (project / "x" / "tiny.py").exists()
    lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    pip_locked(project, 0)
    assert (project / "x" / "tiny.py").exists()
    shutil.rmtree(project / "x")
    lock.unlink()
    pip_locked(project, 0, LOCKED="0")
    assert (project / "x" / "tiny.py").exists()


AUDIT = """\
#!/bin/sh
case "$*" in
    *{holes}*) echo "Found 1 known vulnerability in 1 package"; exit 1 ;;
    *{silent}*) echo "ConnectionError"; exit 1 ;;
esac
echo "No known vulnerabilities found"
"""


@pytest.mark.parametrize(
    ("holes", "silent", "status", "words"),
    [
        ("nowhere", "nowhere", 0, "run.txt: no known hole"),
        ("run.txt", "nowhere", 1, "run.txt: HOLES"),
        ("nowhere", "run.txt", 2, "run.txt: NOT CHECKED"),
        ("run.txt", "test.txt", 1, "test.txt: NOT CHECKED"),
        ("package-lock-only", "nowhere", 1, "package-lock.json: HOLES"),
    ],
)
def test_an_audit_is_not_clean_where_nobody_answers(
    tmp_path: Path, holes: str, silent: str, status: int, words: str
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("pip-audit", "npm"):
        (tmp_path / "bin" / name).write_text(AUDIT.format(holes=holes, silent=silent))
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "audit.sh", tmp_path],
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=PROGRAM,
    )  # fmt: skip
    assert (done.returncode, words in done.stdout) == (status, True), done.stdout

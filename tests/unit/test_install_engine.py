"""The installer: what it leaves in the directory of the engines, whatever happens to it."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.timing import SECOND
from tests.unit.nobody import NOBODY, holds, only_root

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "install_engine.py"
KILLED = Path(__file__).with_name("killed_installer.py")

# The scripts are no package: they import each other as programs do.
sys.path.insert(0, str(SCRIPT.parent))

import engine_store as store  # noqa: E402
import install_engine  # noqa: E402


def make_package(folder: Path, text: str) -> Path:
    """A package like pyconvai, whose build depends on the text."""
    package = folder / text / "pyconvai"
    (package / "sub").mkdir(parents=True)
    (package / "mock").mkdir()
    (package / "__init__.py").write_text(f'"""{text}"""\n')
    (package / "sub" / "part.py").write_text("WHOLE = True\n")
    (package / "mock" / "left_out.py").write_text("")
    (package / "core").mkdir()
    (package / store.core_name()).write_bytes(b"no real core")
    return package


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "modules" / "app_elevenlabs_convai.d"


def run(*words: str | Path, status: int = 0) -> str:
    """Run the installer; what it prints."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        found = install_engine.main([str(word) for word in words])
    assert found == status, out.getvalue()
    return out.getvalue()


def install(target: Path, package: Path) -> str:
    """Install a package; the name of its build."""
    run("install", "--package", package, target)
    return link(target, "current")


def link(target: Path, name: str) -> str:
    return str((target / name).readlink())


def content(target: Path) -> set[str]:
    """What is in the directory, but for the lock."""
    return {path.name for path in target.iterdir()} - {".lock"}


@contextmanager
def running(target: Path, build: str) -> Iterator[None]:
    """An engine that runs from a build."""
    with (target / build / "in-use").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@pytest.fixture
def builds(target: Path, tmp_path: Path) -> list[str]:
    """Three builds, installed one after the other; the first is in use."""
    names = [install(target, make_package(tmp_path, "one"))]
    with running(target, names[0]):
        names += [install(target, make_package(tmp_path, text)) for text in ("two", "three")]
    return names


# --- install ---


def test_a_build_is_complete(target: Path, tmp_path: Path) -> None:
    name = install(target, make_package(tmp_path, "one"))
    build = target / name
    assert store.is_whole(build)
    assert (build / "pyconvai" / "_build_id.txt").read_text() == f"{name}\n"
    assert not (build / "pyconvai" / "mock").exists()
    assert (build / "in-use").stat().st_mode & 0o777 == 0o644
    assert (build / "in-use").stat().st_size == 0
    assert content(target) == {name, "current"}
    for path in (build, *build.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_any_umask(tmp_path: Path) -> None:
    """H6: what root installs, Asterisk's user can read, down to the folders on the way."""
    target = tmp_path / "usr" / "lib" / "modules" / "app_elevenlabs_convai.d"
    module = tmp_path / "module.so"
    module.touch(0o700)
    document = tmp_path / "usr" / "share" / "documentation" / "x.xml"
    package = make_package(tmp_path, "one")
    for path in (package, *package.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    subprocess.run(
        [sys.executable, SCRIPT, "install", "--package", package, "--file", module, document,
         "--file", module, target.parent / "module.so", target],
        umask=0o077, check=True, timeout=20 * SECOND,
    )  # fmt: skip
    for path in (tmp_path / "usr").rglob("*"):
        bits = 0o005 if path.is_dir() else 0o004
        assert path.stat().st_mode & bits == bits or path.name == ".lock", path


@pytest.mark.parametrize("name", ["Größe", "two words", os.fsdecode(b"Gr\xf6sse"), "a'b", "$HOME"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_any_name(tmp_path: Path, name: str, locale: str) -> None:
    """H5: of folders on the way; said as it is, in every locale."""
    target = tmp_path / name / "app_elevenlabs_convai.d"
    package = make_package(tmp_path, "one")
    done = subprocess.run(
        [sys.executable, SCRIPT, "install", "--package", package, target],
        env={"LC_ALL": locale}, capture_output=True, check=True, timeout=20 * SECOND,
    )  # fmt: skip
    assert os.fsencode(target) in done.stdout
    assert store.is_whole(target / link(target, "current"))


def test_asterisk_s_directories_have_any_name(tmp_path: Path) -> None:
    """H5: what asterisk.conf names, byte for byte."""
    conf = tmp_path / "asterisk.conf"
    name = "/srv/Größe ".encode() + b"\xf6/modules"
    conf.write_bytes(b"[directories]\nastmoddir => " + name + b" ; here\n")
    done = subprocess.run(
        [sys.executable, SCRIPT.with_name("asterisk_dirs.py"), "--conf", conf, "astmoddir"],
        env={"LC_ALL": "C", "PATH": "/nowhere"}, capture_output=True, check=True,
        timeout=20 * SECOND,
    )  # fmt: skip
    assert done.stdout == name + b"\n"


def test_byte_code_is_there_and_is_used(target: Path, tmp_path: Path) -> None:
    """Checked against the source's hash, so that neither dates nor edits mislead."""
    package = target / install(target, make_package(tmp_path, "one")) / "pyconvai"
    code = next((package / "sub").rglob("*.pyc"))
    assert int.from_bytes(code.read_bytes()[4:8], "little") == 0b11  # by hash, and checked
    os.utime(package / "sub" / "part.py", (1, 1))
    script = "import sys; sys.dont_write_bytecode = True; import sub.part; print(sub.part.WHOLE)"
    found = subprocess.run(
        [sys.executable, "-v", "-c", script],
        cwd=package,
        capture_output=True,
        text=True,
        timeout=20 * SECOND,
        check=True,
    )
    assert "True" in found.stdout
    assert f"code object from '{code}'" in found.stderr or f"matches {code}" in found.stderr


def test_byte_code_is_no_part_of_the_build_id(target: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path, "one")
    name = install(target, package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.py").write_text("")
    assert install(target, package) == name


def test_the_same_build_again_changes_nothing(target: Path, builds: list[str]) -> None:
    install(target, target / builds[2] / "pyconvai")  # clears up, now that the first is not in use
    before = {path: path.lstat().st_ino for path in target.rglob("*")}
    assert install(target, target / builds[2] / "pyconvai") == builds[2]
    assert {path: path.lstat().st_ino for path in target.rglob("*")} == before
    assert link(target, "previous") == builds[1]


def test_another_build_makes_the_current_one_previous(target: Path, builds: list[str]) -> None:
    assert len(set(builds)) == 3
    assert (link(target, "current"), link(target, "previous")) == (builds[2], builds[1])
    assert install(target, target / builds[1] / "pyconvai") == builds[1]
    assert link(target, "previous") == builds[2]


def test_files_come_along_by_rename(target: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path, "one")
    source, installed = tmp_path / "module", tmp_path / "lib" / "module.so"
    source.write_text("new")
    installed.parent.mkdir()
    installed.write_text("old")
    with installed.open() as mapped:
        run("install", "--package", package, "--file", source, installed, target)
        assert mapped.read() == "old"
    assert installed.read_text() == "new"
    assert list(installed.parent.iterdir()) == [installed]


def test_broken_source_is_refused_and_nothing_changes(target: Path, tmp_path: Path) -> None:
    name = install(target, make_package(tmp_path, "one"))
    broken = make_package(tmp_path, "two")
    (broken / "sub" / "part.py").write_text("def f(:\n")
    said = run("install", "--package", broken, target, status=1)
    assert "source is broken" in said
    assert "part.py" in said
    assert content(target) == {name, "current"}


def test_a_package_without_its_core_is_refused(target: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path, "one")
    (package / store.core_name()).unlink()
    assert "build it:" in run("install", "--package", package, target, status=1)


def test_a_build_that_was_changed_by_hand_is_put_right(target: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path, "one")
    name = install(target, package)
    (target / name / "pyconvai" / "__init__.py").write_text("changed")
    with running(target, name):
        assert "module unload" in run("install", "--package", package, target, status=1)
    install(target, package)
    assert store.is_whole(target / name)


# --- what is cleared up ---


def test_builds_in_use_are_kept_and_named(target: Path, builds: list[str], tmp_path: Path) -> None:
    """The first is neither current nor previous: it stayed because it was in use."""
    assert content(target) == {*builds, "current", "previous"}
    four = make_package(tmp_path, "four")
    with running(target, builds[0]):
        said = run("install", "--package", four, target)
    in_use = next(line for line in said.splitlines() if "IN USE" in line)
    assert builds[0] in in_use
    assert builds[1] not in in_use
    assert content(target) == {builds[0], builds[2], link(target, "current"), "current", "previous"}


def test_builds_out_of_use_are_removed(target: Path, builds: list[str]) -> None:
    said = run("install", "--package", target / builds[2] / "pyconvai", target)
    assert "IN USE" not in said
    assert content(target) == {*builds[1:], "current", "previous"}


def test_a_build_of_an_older_installer_is_not_in_use(target: Path, builds: list[str]) -> None:
    for build in builds:
        (target / build / "in-use").unlink()
    install(target, target / builds[2] / "pyconvai")
    assert content(target) == {*builds[1:], "current", "previous"}
    assert (target / builds[2] / "in-use").exists(), "the engine will look for it"


def test_leftovers_are_removed_and_strange_things_stay(target: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path, "one")
    name = install(target, package)
    shutil.copytree(target / name, target / ".tmp-half")
    (target / ".tmp-current").symlink_to("nowhere")
    (target / "notes").mkdir()
    install(target, package)
    assert content(target) == {name, "current", "notes"}


# --- one at a time ---


def test_an_installer_waits_for_another(target: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path, "one")
    command = [sys.executable, SCRIPT, "install", "--package", package, target]
    with store.locked(target):
        second = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.5)
        assert content(target) == set()
    assert second.wait(20 * SECOND) == 0
    assert store.is_whole(target / link(target, "current"))


def test_a_lock_that_is_never_let_go_is_named(target: Path) -> None:
    with store.locked(target):
        with pytest.raises(store.StoreError, match=r"\.lock"):
            with store.locked(target, limit=0.1):
                pass


# --- rollback and restore ---


def test_rollback_swaps_and_swaps_again(target: Path, builds: list[str]) -> None:
    said = run("rollback", target)
    assert builds[1] in said
    assert "module reload app_elevenlabs_convai" in said
    assert (link(target, "current"), link(target, "previous")) == (builds[1], builds[2])
    run("rollback", target)
    assert (link(target, "current"), link(target, "previous")) == (builds[2], builds[1])


def test_rollback_without_a_previous_build(target: Path, tmp_path: Path) -> None:
    assert "make install" in run("rollback", target, status=1)
    name = install(target, make_package(tmp_path, "one"))
    assert "only one" in run("rollback", target, status=1)
    assert link(target, "current") == name


def test_rollback_to_a_build_that_is_gone(target: Path, builds: list[str]) -> None:
    shutil.rmtree(target / builds[1])
    assert f"{builds[1]}, which is gone" in run("rollback", target, status=1)
    assert link(target, "current") == builds[2]


def test_restore_brings_back_what_a_backup_names(
    target: Path, builds: list[str], tmp_path: Path
) -> None:
    saved, module = tmp_path / "saved", tmp_path / "module.so"
    saved.write_text("as it was")
    words = ["restore", "--current", builds[1], "--previous", "0123456789ab"]
    run(*words, "--file", saved, module, target)
    assert module.read_text() == "as it was"
    assert content(target) == {builds[1], "current"}
    gone = run("restore", "--current", builds[2], target, status=1)
    assert builds[2] in gone


# --- uninstall ---


def test_uninstall_leaves_nothing(target: Path, builds: list[str], tmp_path: Path) -> None:
    module, half = tmp_path / "module.so", tmp_path / "module.so.new"
    module.touch()
    half.touch()
    run("uninstall", "--file", module, target)
    assert not module.exists()
    assert not half.exists()
    assert not target.exists()
    assert len(builds) == 3
    run("uninstall", "--file", module, target)


def test_uninstall_leaves_what_is_in_use(target: Path, builds: list[str]) -> None:
    with running(target, builds[1]):
        said = run("uninstall", target)
        assert builds[1] in said
        assert "module unload" in said
        assert content(target) == {builds[1]}
    run("uninstall", target)
    assert not target.exists()


# --- kill -9 ---


@pytest.mark.parametrize("command", ["install", "rollback", "restore"])
def test_killed_at_any_step(target: Path, builds: list[str], tmp_path: Path, command: str) -> None:
    """`current` names a whole engine at any time, and the next install clears up."""
    package, victim = make_package(tmp_path, "four"), tmp_path / "victim"
    arguments = {
        "install": ["--package", package],
        "rollback": [],
        "restore": ["--current", builds[1], "--previous", builds[0]],
    }
    done = subprocess.run(
        [sys.executable, KILLED, package, target, victim, command, *arguments[command], victim],
        capture_output=True,
        text=True,
        timeout=60 * SECOND,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5

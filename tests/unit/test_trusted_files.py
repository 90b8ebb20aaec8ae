"""What root writes where others may write as well."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import locks
from testbed.errors import TestbedError
from tests.timing import PROGRAM
from tests.unit.nobody import NOBODY, holds, only_root

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "trusted_files.py"
sys.path.insert(0, str(SCRIPT.parent))

import engine_store as store  # noqa: E402
import trusted_files  # noqa: E402
from trusted_files import UntrustedError, doubts, put, remove  # noqa: E402

SECRET = "root's own"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that nobody but root is to read, and nobody at all is to change."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("new")
    return path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory of Asterisk's user's, who is nobody here."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def link(path: Path, target: Path) -> None:
    """Make a link as its folder's owner would."""
    path.symlink_to(target)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def assert_untouched(secret: Path) -> None:
    assert secret.read_text() == SECRET
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["module.so", "module.so.new", ".module.so.new-0"])
def test_no_link_is_written_through(tmp_path: Path, source: Path, secret: Path, name: str) -> None:
    """K3: in the place of the file, of the name it had while it was written, and of today's."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / name).symlink_to(secret)
    put(source, folder / "module.so")
    assert_untouched(secret)
    assert [path.name for path in folder.iterdir()] == ["module.so"]
    assert not (folder / "module.so").is_symlink()
    assert (folder / "module.so").read_text() == "new"
    assert (folder / "module.so").stat().st_mode & 0o777 == 0o644


def test_no_link_is_read_through(tmp_path: Path, secret: Path) -> None:
    """K3: of a file that is put into a backup, and would be put back for all to read."""
    (tmp_path / "module.so").symlink_to(secret)
    with pytest.raises(OSError, match="a link, where a plain file should be"):
        put(tmp_path / "module.so", tmp_path / "backup")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        put(tmp_path / "pipe", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


@only_root
def test_no_link_of_others_is_followed_on_the_way(
    tmp_path: Path, theirs: Path, source: Path
) -> None:
    """K3: root's own links are; Debian has some."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link(theirs / "documentation", elsewhere)
    with pytest.raises(UntrustedError, match="is a link that nobody has made"):
        put(source, theirs / "documentation" / "x" / "file.xml")
    (tmp_path / "file.xml").write_text("old")
    link(theirs / "up", tmp_path)
    with pytest.raises(UntrustedError):
        remove(theirs / "up" / "file.xml")
    assert (tmp_path / "file.xml").exists()
    assert list(elsewhere.iterdir()) == []
    (tmp_path / "ours").symlink_to("elsewhere")
    put(source, tmp_path / "ours" / "x" / "file.xml")
    assert (elsewhere / "x" / "file.xml").exists()


def test_links_in_a_circle(tmp_path: Path, source: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        put(source, tmp_path / "a" / "file")


def test_a_file_is_whole_or_not_there(tmp_path: Path, source: Path) -> None:
    """And readable for those it is for only once it is complete."""
    seen: list[tuple[int, int]] = []
    copy = shutil.copyfileobj

    def look(old: object, new: object) -> None:
        (staged,) = (tmp_path / "to").iterdir()
        seen.append((staged.stat().st_mode & 0o777, staged.stat().st_size))
        raise OSError("disk full")

    shutil.copyfileobj = look  # type: ignore[assignment]
    try:
        with pytest.raises(OSError, match="disk full"):
            put(source, tmp_path / "to" / "file")
    finally:
        shutil.copyfileobj = copy
    assert seen == [(0o600, 0)]
    assert list((tmp_path / "to").iterdir()) == []


# --- who may change something ---


@only_root
def test_who_may_change_a_file_is_named(tmp_path: Path, theirs: Path) -> None:
    """K3, K15: the owners and writers of every folder and link on the way."""
    file = theirs / "ours" / "file"
    file.parent.mkdir()
    file.touch(0o644)
    assert doubts(file) == [f"{theirs} belongs to nobody"]
    os.chown(theirs, 0, 0)
    assert doubts(file) == []
    file.parent.chmod(0o777)
    assert doubts(file) == [f"everybody may write to {file.parent}"]
    file.parent.chmod(0o1777)  # as /tmp
    assert doubts(file) == []
    file.chmod(0o664)
    assert doubts(file) == []  # root's group, which is root alone
    os.chown(file, 0, 54321)
    assert doubts(file) == [f"group 54321 may write to {file}"]
    link(tmp_path / "link", file.parent)
    assert f"{tmp_path}/link belongs to nobody" in doubts(tmp_path / "link" / "file")


@only_root
def test_the_program_says_it(theirs: Path, tmp_path: Path, secret: Path) -> None:
    def run(*words: str | Path) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, SCRIPT, *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=PROGRAM,
        )  # fmt: skip
        return done.returncode, done.stdout

    assert run("check", tmp_path) == (0, "")
    assert run("check", tmp_path, theirs) == (1, f"{theirs} belongs to nobody\n")
    assert run("copy", secret, tmp_path / "copy") == (0, "")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    module, document = tmp_path / "lib" / "module.so", tmp_path / "doc" / "module.xml"
    told = f"  FILE     {module}\n  FILE     {document}\n"
    assert run("put", secret, module, secret, document) == (0, told)
    assert document.stat().st_mode & 0o777 == 0o644
    assert run("put", secret, module, secret)[0] == 2
    assert run("remove", module, module, document) == (0, told.replace("FILE    ", "REMOVED "))
    assert not module.exists()
    link(theirs / "link", secret)
    status, said = run("copy", theirs / "link", tmp_path / "copy")
    assert status == 1
    assert "a link" in said
    assert run("sing")[0] == 2


# --- locks ---


@only_root
def test_nobody_keeps_installations_out(tmp_path: Path) -> None:
    """K5: by no lock on what it may open."""
    target = tmp_path / "app_elevenlabs_convai.d"
    with store.locked(target):
        pass
    with holds(target / ".lock") as (_, count):
        assert count == 0
        with store.locked(target, limit=0.1):
            pass


@only_root
def test_the_holder_of_a_lock_is_named(tmp_path: Path) -> None:
    """K5: one that had the file open before it was closed to all, as an earlier version left it."""
    target = tmp_path / "app_elevenlabs_convai.d"
    target.mkdir()
    (target / ".lock").touch(0o644)
    with holds(target / ".lock") as (pid, count):
        assert count > 0
        with pytest.raises(store.StoreError, match=rf"process {pid} \(.*, of nobody\) holds"):
            with store.locked(target, limit=0.1):
                pass
    assert (target / ".lock").stat().st_mode & 0o777 == 0o600
    with store.locked(target, limit=0.1):
        pass


def test_a_lock_is_a_plain_file(tmp_path: Path, secret: Path) -> None:
    """K3, K5: no link is followed, and nobody waits at a pipe."""
    target = tmp_path / "app_elevenlabs_convai.d"
    target.mkdir()
    (target / ".lock").symlink_to(secret)
    with pytest.raises(OSError, match="a link"), store.locked(target, limit=0.1):
        pass
    (target / ".lock").unlink()
    os.mkfifo(target / ".lock")
    with pytest.raises(OSError, match="not a plain file"), store.locked(target, limit=0.1):
        pass
    assert_untouched(secret)


@only_root
def test_nobody_holds_builds_up(tmp_path: Path) -> None:
    """K5: of the testbed."""
    folder, waited = tmp_path / "cache", []
    folder.mkdir(0o755)
    file = folder / "lock"
    file.touch(0o644)
    with holds(file) as (_, count):
        assert count > 0
        with pytest.raises(TestbedError, match=f"fuser {file}"):
            with locks.locked(file, 0.1, lambda: waited.append(1)):
                pass
    assert waited == [1]
    with holds(file) as (_, count):
        assert count == 0
        with locks.locked(file, 0.1, lambda: waited.append(1)):
            pass
    assert waited == [1]


def test_holders_of_what_nobody_holds(secret: Path) -> None:
    assert trusted_files.holders(secret) == "a process that cannot be seen from here"

"""The installer: what it leaves in the directory of the engines, whatever happens to it."""

from __future__ import annotations

import fcntl
import grp
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.timing import EVENT, PROGRAM
from tests.unit.nobody import NOBODY, holds, only_root

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "install_engine.py"
KILLED = Path(__file__).with_name("killed_installer.py")

# The scripts are no package: they import each other as programs do.
sys.path.insert(0, str(SCRIPT.parent))

import engine_store as store  # noqa: E402
import install_engine  # noqa: E402

pytestmark = pytest.mark.slow

READ_LOCK = struct.pack("@hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)


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


def inodes(target: Path) -> dict[Path, int]:
    """Which files there are; byte code is made anew each time."""
    return {path: path.lstat().st_ino for path in target.rglob("*") if path.suffix != ".pyc"}


@contextmanager
def running(target: Path, build: str) -> Iterator[None]:
    """An engine that runs from a build."""
    with (target / build / "in-use").open("rb") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, READ_LOCK)
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
        umask=0o077, check=True, timeout=PROGRAM,
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
        env={"LC_ALL": locale}, capture_output=True, check=True, timeout=PROGRAM,
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
        timeout=PROGRAM,
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
        timeout=PROGRAM,
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
    before = inodes(target)
    assert install(target, target / builds[2] / "pyconvai") == builds[2]
    assert inodes(target) == before
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


@pytest.mark.parametrize("name", ["sub/part.so", "sub/more.txt", "more/__init__.so"])
def test_a_file_that_was_added_is_removed(target: Path, tmp_path: Path, name: str) -> None:
    """Python would take an extension module before the source beside it."""
    package = make_package(tmp_path, "one")
    build = target / install(target, package)
    (build / "pyconvai" / name).parent.mkdir(exist_ok=True)
    (build / "pyconvai" / name).write_text("changed")
    install(target, package)
    assert not (build / "pyconvai" / name).exists()
    assert store.is_whole(build)


def test_a_link_in_the_place_of_a_file_is_removed(target: Path, tmp_path: Path) -> None:
    """Whoever it leads to could change it later."""
    package = make_package(tmp_path, "one")
    part = target / install(target, package) / "pyconvai" / "sub" / "part.py"
    shutil.copy(part, tmp_path)
    part.unlink()
    part.symlink_to(tmp_path / "part.py")
    install(target, package)
    assert not part.is_symlink()


def test_byte_code_that_was_changed_is_made_anew(target: Path, tmp_path: Path) -> None:
    """Also beside calls: the build stays."""
    package = make_package(tmp_path, "one")
    name = install(target, package)
    code = store.code_of(target / name / "pyconvai" / "sub" / "part.py")
    before = code.read_bytes()
    code.write_bytes(before + b"changed")
    with running(target, name):
        install(target, package)
    assert code.read_bytes() == before


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


def test_what_a_module_of_an_earlier_version_uses_is_kept(
    target: Path, builds: list[str], tmp_path: Path
) -> None:
    """It holds another kind of lock."""
    with (target / builds[0] / "in-use").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        install(target, make_package(tmp_path, "four"))
        assert builds[0] in content(target)


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
    assert second.wait(EVENT) == 0
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


def mark_contracts(target: Path, engine: str, module: str) -> None:
    """Let the previous build and the module's file say which contract they are for."""
    core = target / link(target, "previous") / "pyconvai" / store.core_name()
    for file, version in ((core, engine), (target.with_suffix(".so"), module)):
        file.write_bytes(f"x\0convai contract {version}\0".encode() if version else b"x")


def test_rollback_across_the_contract_is_refused(target: Path, builds: list[str]) -> None:
    """The module stays: Asterisk would load nothing when it is started next."""
    mark_contracts(target, engine="6", module="7")
    said = run("rollback", target, status=1)
    assert f"{builds[1]} is for version 6" in said
    assert "for version 7" in said
    assert "make install" in said
    assert link(target, "current") == builds[2]


@pytest.mark.parametrize(("before", "told"), [(None, False), ("7", False), ("6", True), ("", True)])
def test_an_install_across_the_contract_is_told(
    target: Path, tmp_path: Path, before: str | None, told: bool
) -> None:
    """What is loaded goes on until it is unloaded: a reload would be refused."""
    module, new = target.with_suffix(".so"), tmp_path / "new.so"
    target.parent.mkdir()
    if before is not None:
        module.write_bytes(f"x\0convai contract {before}\0".encode() if before else b"x")
    new.write_bytes(b"x\0convai contract 7\0")
    said = run("install", "--package", make_package(tmp_path, "one"), "--file", new, module, target)
    assert ("module unload app_elevenlabs_convai" in said) == told


@pytest.mark.parametrize(("engine", "told"), [("7", False), ("", True)])
def test_rollback_beside_a_module(target: Path, builds: list[str], engine: str, told: bool) -> None:
    """An earlier version does not say which contract it is for, so the operator is told."""
    mark_contracts(target, engine=engine, module="7")
    tap = target.with_name("app_forkstream.so")
    tap.write_text("needs no engine")
    said = run("rollback", target)
    assert link(target, "current") == builds[1]
    assert ("NOTE" in said) == told
    assert ("make install" in said) == told
    assert f"{target.with_suffix('.so')} and {tap}: the engine alone goes back" in said


@pytest.mark.parametrize("name", ["module", "core"])
def test_both_sides_say_their_contract(name: str) -> None:
    """As they are in their sources, so that neither is forgotten."""
    header = (ROOT / "app_elevenlabs_convai" / "convai_ops.h").read_text()
    (version,) = re.findall(r"#define CONVAI_ABI_VERSION (\d+)$", header, re.MULTILINE)
    core = ROOT / "pyconvai" / store.core_name()
    if name == "core":
        assert store.contract_of(core) == version
        return
    program = subprocess.run(
        ["gcc", "-E", "-I", ROOT / "app_elevenlabs_convai", "-include", "convai_ops.h", "-xc", "-"],
        input="CONVAI_CONTRACT_MARK\n",
        capture_output=True, text=True, check=True, timeout=PROGRAM,
    )  # fmt: skip
    assert f'"convai contract " "{version}"' in program.stdout
    source = ROOT / "app_elevenlabs_convai" / "app_elevenlabs_convai.c"
    assert "__attribute__((used)) = CONVAI_CONTRACT_MARK" in source.read_text()


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


# --- what belongs to others ---


@only_root
def test_folders_that_others_may_write_are_told_of(target: Path, tmp_path: Path) -> None:
    """K3: and installed into, for there are such sites."""
    package = make_package(tmp_path, "one")
    assert "NOTE" not in run("install", "--package", package, target)
    os.chown(target.parent, NOBODY, NOBODY)
    said = run("install", "--package", package, target)
    assert f"{target.parent} belongs to nobody: whoever that is can replace" in said


@only_root
def test_a_staging_folder_of_somebody_else_is_not_used(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K3: one that has taken the name of ours."""
    package, elsewhere = make_package(tmp_path, "one"), tmp_path / "elsewhere"
    make = tempfile.mkdtemp

    def swapped(**words: str) -> str:
        staging = Path(make(**words))
        staging.rmdir()
        if elsewhere.exists():
            staging.symlink_to(elsewhere)
        else:
            staging.mkdir(0o700)
            os.chown(staging, NOBODY, NOBODY)
        return str(staging)

    monkeypatch.setattr(tempfile, "mkdtemp", swapped)
    assert "somebody else" in run("install", "--package", package, target, status=1)
    elsewhere.mkdir()
    run("install", "--package", package, target, status=1)
    assert list(elsewhere.iterdir()) == []


def test_no_link_in_a_build_is_followed(target: Path, tmp_path: Path) -> None:
    """K3: nothing is made where it leads."""
    package = make_package(tmp_path, "one")
    name = install(target, package)
    (target / name / "in-use").unlink()
    (target / name / "in-use").symlink_to(tmp_path / "made")
    install(target, package)
    assert not (tmp_path / "made").exists()
    install(target, make_package(tmp_path, "two"))
    run("install", "--package", make_package(tmp_path, "three"), target, status=1)
    assert not (tmp_path / "made").exists()


def test_a_link_with_the_name_of_a_build_is_none(target: Path, tmp_path: Path) -> None:
    """K3: neither is it removed as one, nor does an install end over it."""
    name = install(target, make_package(tmp_path, "one"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (target / "0123456789ab").symlink_to(elsewhere)
    assert store.builds(target) == [target / name]
    install(target, make_package(tmp_path, "two"))
    assert elsewhere.is_dir()


@pytest.mark.parametrize(
    "what", ["modules/app_elevenlabs_convai.d/.lock", "modules/app_elevenlabs_convai.d/current",
             "modules/module.so"],
)  # fmt: skip
def test_a_folder_in_the_place_of_a_file_is_named(target: Path, tmp_path: Path, what: str) -> None:
    """By its whole path, not by a descriptor or a part of its name."""
    (tmp_path / what / "x").mkdir(parents=True)
    source = tmp_path / "built.so"
    source.touch()
    package = make_package(tmp_path, "one")
    said = run(
        *("install", "--package", package, "--file", source, target.parent / "module.so", target),
        status=1,
    )
    assert str(tmp_path / what) in said
    assert "/proc/" not in said


@pytest.mark.parametrize("what", ["documents", "modules/app_elevenlabs_convai.d"])
def test_a_file_in_the_place_of_a_folder_is_named(target: Path, tmp_path: Path, what: str) -> None:
    """And nothing is put beside it instead."""
    (tmp_path / "modules").mkdir()
    (tmp_path / what).touch()
    source = tmp_path / "built.xml"
    source.touch()
    package = make_package(tmp_path, "one")
    said = run(
        *("install", "--package", package, "--file", source, tmp_path / "documents" / "x.xml"),
        target,
        status=1,
    )
    assert f"Not a directory: '{tmp_path / what}'" in said
    assert not (tmp_path / "x.xml").exists()
    assert not (target.parent / ".lock").exists()


@only_root
def test_nobody_can_only_have_a_build_kept(target: Path, tmp_path: Path) -> None:
    """K5: who holds the file of one that was damaged is named."""
    package = make_package(tmp_path, "one")
    name = install(target, package)
    with holds(target / name / "in-use") as (pid, _):
        install(target, package)
        install(target, make_package(tmp_path, "two"))
        (target / name / "pyconvai" / "__init__.py").write_text("changed")
        said = run("install", "--package", package, target, status=1)
        assert f"process {pid} (" in said
        assert "of nobody) uses it" in said
    install(target, package)


def test_the_configuration_is_the_group_s_to_read(tmp_path: Path) -> None:
    """K3: its group is set before it has its name; what a link there leads to is left alone."""
    secret, example, conf = tmp_path / "secret", tmp_path / "example", tmp_path / "etc" / "e.conf"
    secret.write_text("root's own")
    secret.chmod(0o600)
    example.write_text("; example\n")
    group = grp.getgrgid(os.getegid()).gr_name
    conf.parent.mkdir()
    conf.symlink_to(tmp_path / "nothing")
    assert "CONF" in run("configure", "--source", example, "--group", group, conf)
    assert conf.read_text() == "; example\n"
    assert not conf.is_symlink()
    assert conf.stat().st_mode & 0o777 == 0o640
    assert conf.stat().st_gid == os.getegid()
    conf.write_text("[mine]\n")
    assert "KEEP" in run("configure", "--source", example, conf)
    assert conf.read_text() == "[mine]\n"
    conf.unlink()
    conf.symlink_to(secret)
    run("configure", "--source", example, "--group", group, conf)
    assert secret.stat().st_mode & 0o777 == 0o600


def test_an_example_is_replaced_and_removed_unless_it_was_changed(tmp_path: Path) -> None:
    """What people have written is theirs, also under our name; an earlier version's is not."""
    source, there = tmp_path / "example", tmp_path / "etc" / "e.conf.example"
    source.write_text("[one]\n")
    assert "EXAMPLE" in run("example", "--source", source, there)
    assert there.read_text().startswith("[one]\n; as installed: sha256 ")
    assert there.stat().st_mode & 0o777 == 0o644
    source.write_text("[two]\n")
    run("example", "--source", source, there)
    assert there.read_text().startswith("[two]\n; as installed: ")
    mine = there.read_text().replace("two", "mine")
    for text in (mine, "[mine]\n"):
        there.write_text(text)
        assert f"KEEP     {there}: changed" in run("example", "--source", source, there)
        assert "KEEP" in run("example", there)
        assert there.read_text() == text
    there.unlink()
    run("example", "--source", source, there)
    assert "REMOVED" in run("example", there)
    assert not there.exists()
    assert run("example", there) == ""


@only_root
def test_a_python_of_others_is_refused(target: Path, tmp_path: Path) -> None:
    """K15: a virtual environment in a home directory, and what is in one of root's."""
    home, package = tmp_path / "home", make_package(tmp_path, "one")
    venv = home / "venv"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    (site / "orjson" / "inside").mkdir(parents=True)
    added, linked = tmp_path / "added", tmp_path / "linked.py"
    added.mkdir()
    linked.touch()
    (site / "added.pth").write_text(f"{added}\n")
    (site / "linked.py").symlink_to(linked)

    def install_by(python: Path, *words: str) -> tuple[int, str]:
        command = [python, SCRIPT, "install", *words, "--package", package, target]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=PROGRAM, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    python = venv / "bin" / "python"
    assert install_by(python, "--check-python")[0] == 0
    shutil.rmtree(target)
    for path in (
        home,
        site / "orjson",
        site / "orjson" / "inside",
        site / "added.pth",
        added,
        linked,
    ):
        os.chown(path, NOBODY, NOBODY)
        status, said = install_by(python, "--check-python")
        assert status == 1
        assert f"{path} belongs to nobody" in said
        assert "TRUST_PYTHON=1" in said
        assert not target.exists()
        os.chown(path, 0, 0)
    os.chown(home, NOBODY, NOBODY)
    assert install_by(python)[0] == 0


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
        timeout=PROGRAM,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5

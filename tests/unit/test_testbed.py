"""The parts of the testbed that need no Asterisk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from testbed import config, mirror, rootfolder
from testbed import ports as ports_module
from testbed.claims import claim
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.measure import CpuWindow, process_counters
from testbed.paths import BUILD, PROJECT
from testbed.ports import BLOCK, PortBlock
from testbed.root import Root
from testbed.rtp import CODECS, EVENT_TYPE, RECORD, Recording
from testbed.speech import decode_ulaw, loud_parts, read_wav, write_wav
from tests.timing import PROGRAM, SECOND
from tests.unit.nobody import only_root

ULAW = CODECS["ulaw"]

DEB822 = """\
# A comment
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb http://tools.example/apt stable main
deb [arch=amd64 signed-by=/x.gpg] http://list.example/debian bookworm main contrib # why
"""


# --- the mirror ---


def test_the_mirror_is_that_of_the_machines_own_suite(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    assert mirror.find_mirror(tmp_path, "bookworm") == "http://mirror.example/debian"


def test_the_mirror_from_the_one_line_format(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert mirror.find_mirror(tmp_path, "bookworm") == "http://list.example/debian"


def test_a_disabled_source_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    disabled = DEB822.replace("Types: deb deb-src", "Enabled: no\nTypes: deb deb-src")
    (tmp_path / "sources.list.d/debian.sources").write_text(disabled)
    with pytest.raises(TestbedError, match="TESTBED_MIRROR"):
        mirror.find_mirror(tmp_path, "bookworm")


def test_a_list_of_mirrors_stands_for_its_first(tmp_path: Path) -> None:
    names = tmp_path / "mirrors"
    names.write_text("# ours\nhttp://first.example/debian\thigh\nhttp://second.example/debian\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{names} bookworm main\n")
    assert mirror.find_mirror(tmp_path, "bookworm") == "http://first.example/debian"


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TESTBED_MIRROR", "http://chosen.example/debian")
    assert mirror.find_mirror(tmp_path, "bookworm") == "http://chosen.example/debian"


@pytest.mark.parametrize(
    ("uri", "configured", "why"),
    [
        ("http://mirror.example/debian", [], ""),
        ("http://mirror.example/debian", ['Acquire::Check-Valid-Until "true";'], ""),
        ("http://mirror.example/debian", ['Acquire::Check-Valid-Until "false";'], "this machine"),
        ("http://snapshot.example/archive/debian/20261101T083000Z", [], "is a snapshot"),
        ("http://snapshot.example/archive/debian/20261101T083000Z/", [], "is a snapshot"),
    ],
)
def test_old_lists_of_packages_are_taken_from_snapshots(
    monkeypatch: pytest.MonkeyPatch, uri: str, configured: list[str], why: str
) -> None:
    """K14: for one that is past its date may be played back; and it is said."""
    said: list[str] = []
    monkeypatch.setattr(mirror, "_configuration", lambda: ['Acquire::x "1";', *configured])
    options = mirror.apt_options(uri, said.append)
    assert options == ([mirror.OLD_LISTS] if why else [])
    assert (why in said[0]) if why else not said


# --- the root folder ---


def test_the_folders_name_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rootfolder.name()
    assert before == rootfolder.name()
    monkeypatch.setattr(rootfolder, "PACKAGES", (*rootfolder.PACKAGES, "one-more"))
    assert before != rootfolder.name()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_folder_with_a_mount_in_it_is_not_removed(tmp_path: Path) -> None:
    """In a mount namespace of its own, so that the mount vanishes whatever happens."""
    (tmp_path / "root/dev").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    script = (
        "from pathlib import Path; from testbed.rootfolder import remove;"
        f"remove(Path({str(tmp_path / 'root')!r}))"
    )
    mount = f"mount --bind {tmp_path}/precious {tmp_path}/root/dev && exec '{sys.executable}' -c "
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mount} "$0"', script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PROGRAM,
        check=False,
    )
    assert "not removed" in done.stderr
    assert (tmp_path / "precious/file").exists()


# --- claims and ports ---


def test_a_name_is_held_once_until_it_is_let_go() -> None:
    name = f"test-{os.getpid()}"
    held = claim(name)
    assert held is not None
    assert claim(name) is None
    held.close()
    again = claim(name)
    assert again is not None
    again.close()


def test_two_blocks_of_ports_do_not_meet() -> None:
    one, two = PortBlock(), PortBlock()
    try:
        assert not set(one.rtp) & set(two.rtp)
        assert one.sip != two.sip
        media = one.take_rtp(200)
        assert len(set(media)) == 200
        assert all(port % 2 == 0 and port not in one.rtp for port in media)
        with pytest.raises(TestbedError, match="at once"):
            one.take_rtp(1000)
    finally:
        one.release()
        two.release()


def test_a_block_that_is_given_back_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes when there is none waits for it, but not for ever."""
    monkeypatch.setattr(ports_module, "FIRST_PORT", 8400)
    monkeypatch.setattr(ports_module, "LAST_PORT", 8400 + BLOCK)
    one = PortBlock()
    giving_back = threading.Timer(0.3 * SECOND, one.release)
    giving_back.start()
    other = PortBlock()
    giving_back.join()
    assert other.first == one.first == 8400
    monkeypatch.setattr(ports_module, "FREE_SECONDS", 0.0)
    with pytest.raises(TestbedError, match="no free block"):
        PortBlock()
    other.release()


# --- instances ---


def test_a_deep_checkout_still_has_a_socket_that_fits(tmp_path: Path) -> None:
    shallow, deep = (Instance(Root(Path("/")), "x") for _ in range(2))
    shallow.folder = Path("/p/build/testbed/x")
    deep.folder = tmp_path / ("d" * 100)
    assert shallow.rundir == "/p/build/testbed/x/run"
    assert len(f"{deep.rundir}/asterisk.ctl") < 108


@only_root
def test_nobody_is_given_the_socket_of_a_deep_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K3: its folder is in /tmp, under a name that can be guessed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    instance = Instance(Root(Path("/")), "x")
    instance.folder = tmp_path / ("d" * 100)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    Path(instance.rundir).symlink_to(theirs)
    with pytest.raises(TestbedError, match="somebody else has made it"):
        instance.start()
    Path(instance.rundir).unlink()
    Path(instance.rundir).mkdir(0o777)  # left behind by us
    with pytest.raises(FileNotFoundError):  # no instance.prepare()
        instance.start()
    assert Path(instance.rundir).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 41])
def test_a_name_that_is_no_folders_name_is_refused(name: str) -> None:
    with pytest.raises(TestbedError, match="instance name"):
        Instance(Root(Path("/")), name)


@pytest.mark.parametrize("contained", [False, True])
def test_a_key_is_on_no_command_line(contained: bool) -> None:
    """K16: make test-live gives Asterisk the key by the environment, and by nothing else."""
    key, rest = "sk_never_to_be_seen", "two lines\nof $HOME and 'quotes\" "
    show = ["sh", "-c", 'env; printf "%s|" "$REST" ready; exec sleep 60']
    process = Root(Path("/")).popen(
        show, env={"KEY": key, "REST": rest}, contained=contained, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        said = b""
        while not said.endswith(b"ready|"):
            said += os.read(process.stdout.fileno(), 4096)
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                assert key.encode() not in (each / "cmdline").read_bytes(), each
        text = said.decode()
        assert f"KEY={key}\n" in text
        assert text.endswith(f"{rest}|ready|")
        assert "testbed_inside" not in text
    finally:
        process.kill()
        process.communicate()


def test_paths_are_translated_into_the_root_and_back() -> None:
    root = Root(Path("/some/root"))
    assert root.path(PROJECT / "build/x") == "/project/build/x"
    assert root.path("/some/root/usr/lib/y") == "/usr/lib/y"
    assert root.host("/project/build/x") == PROJECT / "build/x"
    assert root.host("/usr/lib/y") == Path("/some/root/usr/lib/y")
    with pytest.raises(TestbedError, match="outside"):
        root.path("/elsewhere")
    assert Root(Path("/")).path("/elsewhere") == "/elsewhere"


# --- ports ---


@pytest.fixture
def ports() -> Iterator[PortBlock]:
    """A block of them."""
    block = PortBlock()
    yield block
    block.release()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_port_that_is_in_use_is_not_handed_out(
    ports: PortBlock, family: socket.AddressFamily, kind: socket.SocketKind
) -> None:
    with socket.socket(family, kind) as used:
        used.bind(("", ports.take() + 1))
        if kind == socket.SOCK_STREAM:
            used.listen()
        assert ports.take() == used.getsockname()[1] + 1


# --- configuration ---


def test_everything_listens_on_loopback_only(ports: PortBlock) -> None:
    directories = dict.fromkeys(config.DIRECTORIES, "/x")
    texts = config.render(config.Settings(directories, ports, files={"extra.conf": "mine"}))
    binds = [
        line.split("=")[1].strip()
        for text in texts.values()
        for line in text.splitlines()
        if line.startswith("bind") and "port" not in line
    ]
    assert len(binds) == 3
    assert all(bind.startswith("127.0.0.1") for bind in binds)
    assert texts["extra.conf"] == "mine"
    assert "elevenlabs.conf" not in texts


# --- recordings ---


def _record(
    path: Path, packets: list[tuple[int, int, bytes]], *, ssrc: int = 7, kind: int = 0
) -> Recording:
    """Append received packets (sequence, timestamp, payload) to a record file and read it."""
    with path.open("ab") as file:
        for sequence, timestamp, payload in packets:
            size = len(payload)
            file.write(RECORD.pack(10**9, timestamp, ssrc, sequence, size, 0, kind, 0) + payload)
    return Recording.read(path, ULAW)


def _packets(*sequences: int) -> list[tuple[int, int, bytes]]:
    return [(n % 65536, (n * 160) % 2**32, bytes([n % 256]) * 160) for n in sequences]


def test_packets_in_order_are_heard_as_they_came(tmp_path: Path) -> None:
    heard = _record(tmp_path / "r", _packets(65534, 65535, 65536, 65537))
    assert heard.heard == b"".join(bytes([n]) * 160 for n in (254, 255, 0, 1))
    assert (heard.lost, heard.reordered, heard.duplicated, heard.gaps) == (0, 0, 0, [])


def test_what_is_late_is_put_right_and_counted(tmp_path: Path) -> None:
    heard = _record(tmp_path / "r", _packets(65535, 65537, 65536, 65538))
    assert heard.heard == b"".join(bytes([n]) * 160 for n in (255, 0, 1, 2))
    assert (heard.lost, heard.reordered, heard.gaps) == (0, 1, [])


def test_what_is_lost_leaves_a_gap(tmp_path: Path) -> None:
    heard = _record(tmp_path / "r", _packets(1, 2, 5))
    assert heard.lost == 2
    assert [(gap.at_byte, gap.ms) for gap in heard.gaps] == [(320, 40.0)]


def test_what_was_never_sent_is_a_gap_without_loss(tmp_path: Path) -> None:
    heard = _record(tmp_path / "r", [(1, 0, bytes(160)), (2, 160 + 800, bytes(160))])
    assert heard.lost == 0
    assert [gap.ms for gap in heard.gaps] == [100.0]


def test_what_comes_twice_is_heard_once(tmp_path: Path) -> None:
    heard = _record(tmp_path / "r", _packets(1, 2, 2, 3))
    assert len(heard.heard) == 3 * 160
    assert heard.duplicated == 1


def test_a_change_of_source_is_seen(tmp_path: Path) -> None:
    _record(tmp_path / "r", _packets(1, 2), ssrc=7)
    heard = _record(tmp_path / "r", _packets(900, 901), ssrc=8)
    assert heard.ssrcs == [7, 8]
    assert (heard.lost, heard.gaps, len(heard.heard)) == (0, [], 640)


def test_digits_are_not_audio(tmp_path: Path) -> None:
    _record(tmp_path / "r", _packets(1))
    events = [(2, 320, b"\x05\x0a\x00\xa0"), (3, 320, b"\x05\x8a\x01\x40")]
    _record(tmp_path / "r", events, kind=EVENT_TYPE)
    heard = _record(tmp_path / "r", _packets(4))
    assert heard.digits == "5"
    assert len(heard.heard) == 320
    assert heard.lost == 0


def test_a_record_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    _record(tmp_path / "r", _packets(1, 2))
    with (tmp_path / "r").open("r+b") as file:
        file.truncate(2 * RECORD.size + 160 + 80)
    assert len(Recording.read(tmp_path / "r", ULAW).heard) == 160


# --- speech and measures ---


def test_loud_parts_are_found_and_short_pauses_bridged() -> None:
    loud, quiet = b"\x00\x20" * 1600, bytes(3200)
    parts = loud_parts(quiet + loud + quiet[:1600] + loud + quiet * 2 + loud)
    assert parts == [(0.2, 0.7), (1.1, 1.3)]


def test_ulaw_is_decoded_by_the_book() -> None:
    assert decode_ulaw(b"\xff\x7f\x80\x00") == b"\x00\x00" * 2 + b"\x7c\x7d" + b"\x84\x82"


def test_a_wav_file_of_another_form_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", bytes(320), rate=16000)
    with pytest.raises(TestbedError, match="8000 Hz"):
        read_wav(tmp_path / "a.wav")
    assert read_wav(tmp_path / "a.wav", rate=16000) == bytes(320)


def test_counters_see_a_descriptor_and_busy_time() -> None:
    before = process_counters(os.getpid())
    window = CpuWindow(os.getpid())
    with Path(os.devnull).open("rb"):
        assert process_counters(os.getpid()).grown_since(before) == {"descriptors": 1}
        while window.percent() == 0:
            pass
    assert before.pss_kb > 0


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    """As in `python3 -m testbed log | head -1`."""
    folder = BUILD / "testbed" / f"unit-{os.getpid()}"
    (folder / "log").mkdir(parents=True)
    (folder / "log" / "full.log").write_text("a line of the log\n" * 20_000)
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "testbed", "log", "--name", folder.name],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            said = process.stderr.read()
    finally:
        shutil.rmtree(folder)
    assert (process.returncode, said) == (128 + signal.SIGPIPE, b"")

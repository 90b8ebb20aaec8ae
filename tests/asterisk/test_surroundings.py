"""An Asterisk in odd surroundings: names of folders and files, locale, and a clock that jumps."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.tls import Certificate
from tests.asterisk.phone import DIALPLAN, section, talk, wait_result
from tests.planted import KEY

FOLDER = "Größe 1"
"""Of Asterisk's directories, with a letter that is not ASCII, and a blank."""

NO_UTF8 = os.fsdecode(b"Schl\xfcssel")


class Abroad(Instance):
    """An instance whose modules and data are elsewhere."""

    @property
    def module_folder(self) -> Path:
        return self.folder / FOLDER / "modules"

    @property
    def data_folder(self) -> Path:
        return self.folder / FOLDER / "data"

    def _directories(self) -> dict[str, str]:
        places = {"astmoddir": self.module_folder, "astdatadir": self.data_folder}
        moved = {name: self.root.path(place) for name, place in places.items()}
        return super()._directories() | moved


@pytest.fixture(scope="module")
def pbx(root: Root) -> Iterator[Instance]:
    folder = Path(__file__).parents[2] / "build" / "testbed"
    clock = folder / "wrong_clock.so"
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).with_name("wrong_clock.c")
    root.run(["gcc", "-shared", "-fPIC", "-o", root.path(clock), root.path(source)])
    env = {"LC_ALL": "C", "LD_PRELOAD": root.path(clock)}
    instance = Abroad(root, "surroundings", dialplan=DIALPLAN, elevenlabs="[general]\n", env=env)
    instance.prepare()
    instance.build_and_install()
    instance.start()
    yield instance
    assert instance.stop() == 0


def test_the_module_is_loaded(pbx: Instance) -> None:
    """H3: at boot, with a clock that was set meanwhile. H5: and from such a folder."""
    shown = pbx.cli("elevenlabs show version")
    assert f"/{FOLDER}/modules/app_elevenlabs_convai.d/" in shown
    assert "in service" in shown


def test_files_of_any_name(pbx: Instance, root: Root, tls: Certificate) -> None:
    """H5: key and certificate in files whose names are not even UTF-8."""
    place = pbx.etc / "Zürich 2"
    place.mkdir()
    key, ca = place / NO_UTF8, place / f"{NO_UTF8}.pem"
    key.write_text(f"{KEY}\n")
    key.chmod(0o640)
    shutil.copy(tls.ca, ca)
    keys: dict[str, Any] = {"api_key": "", "api_key_file": root.path(key), "ca_file": root.path(ca)}
    with MockAgent(root, "default", tls=tls) as mock:
        text = section("default", mock.url, **keys)
        (pbx.etc / "elevenlabs.conf").write_bytes(os.fsencode(text))
        assert "1 agent" in pbx.cli("elevenlabs reload")
        start = len(pbx.log())
        talk(pbx, "default")
        assert wait_result(pbx, start).status == "HANGUP"
    (session,) = mock.report["sessions"]
    assert session["violations"] == []

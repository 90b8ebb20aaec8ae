"""The tests that are compiled into the module, where Asterisk has its test framework."""

from __future__ import annotations

import re

import pytest

from testbed.instance import Instance
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import settled

CATEGORY = "/apps/elevenlabs/"

TESTS = 13
"""As many there are in test_elevenlabs.c and test_call.c; fewer means that some were lost."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    pbx = asterisk(elevenlabs="[general]\n")
    if "No such command" in pbx.cli("test show registered all"):
        pytest.skip("SKIPPED: this Asterisk was built without its test framework")
    return pbx


def test_all_pass(pbx: Instance) -> None:
    before = pbx.counters()
    answer = pbx.cli(f"test execute category {CATEGORY}")
    results = re.findall(r"^END .* - (\w+) .* Result: \S*?([A-Z]{4})", answer, re.MULTILINE)
    assert [name for name, result in results if result != "PASS"] == [], answer
    assert len(results) == TESTS, answer
    assert not settled(pbx, before)


def test_they_go_with_the_module(pbx: Instance) -> None:
    """A test that stayed would be a pointer into code that is gone."""
    pbx.cli("module unload app_elevenlabs_convai.so")
    assert CATEGORY not in pbx.cli("test show registered all")
    pbx.cli("module load app_elevenlabs_convai.so")
    assert CATEGORY in pbx.cli("test show registered all")

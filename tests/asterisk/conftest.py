r"""A real Asterisk with the module in it, and an agent to talk to, as fixtures.

    def test_something(asterisk, agent):
        with agent("default") as mock:
            pbx = asterisk(dialplan=..., elevenlabs=f"[general]\nbase_url = {mock.url}\n...")
            call = place_call(pbx, "100", send=..., hangup_after=3)
        print(mock.report)

`asterisk` lives as long as the test module and cleans up after itself; an Asterisk that did not end
by itself, with status 0, fails its module, and so does one that leaves a key or a signature in its
files (tests/planted.py). A test that fails leaves the report of the last call in build/reports.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.tls import Certificate, certificate
from tests.asterisk.reporting import leave
from tests.planted import left_of

StartAsterisk = Callable[..., Instance]
StartAgent = Callable[..., MockAgent]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def root() -> Root:
    """Where Asterisk and its tools are; `make root` makes it beforehand, which takes a minute."""
    return Root.find(lambda line: print(line, flush=True))


@pytest.fixture(scope="session")
def tls(root: Root) -> Certificate:
    """A server certificate for 127.0.0.1, and the authority that signed it."""
    return certificate(root, f"tls-{os.environ.get('PYTEST_XDIST_WORKER', 'tests')}")


INSTALLED = (
    *("lib/app_elevenlabs_convai.*", "lib/app_forkstream.so", "data/documentation/thirdparty/*"),
    *("etc/elevenlabs*", "etc/forkstream*"),
)
"""All that `make install` leaves in the folder of an instance."""


@pytest.fixture(scope="module")
def asterisk(root: Root, request: pytest.FixtureRequest) -> Iterator[StartAsterisk]:
    """Start an Instance: takes its arguments, and `module=False` to leave the product out.

    Otherwise the product is built and installed into it before it starts.
    """
    started: list[Instance] = []

    def start(*, module: bool = True, **arguments: Any) -> Instance:
        name = f"{Path(request.node.name).stem}-{next(_numbers)}"
        instance = Instance(root, name, **arguments)
        started.append(instance)
        instance.prepare()
        if module:
            instance.build_and_install()
        instance.start()
        return instance

    yield start
    ends = {instance.name: instance.stop() for instance in started}
    failed = {name: status for name, status in ends.items() if status != 0}
    assert not failed, f"Asterisk ended with other than 0 (see build/testbed): {failed}"


@pytest.fixture
def agent(root: Root) -> StartAgent:
    """A mock agent: `with agent(scenario, **arguments of MockAgent) as mock`."""
    return partial(MockAgent, root)

"""The one unit of time of all tests: every wait is a multiple of it.

A loaded or instrumented machine (sanitizers, emulation) is slower by a factor, not by a constant,
so ``CONVAI_TIME_SCALE=5`` makes every limit five times as long and changes nothing else.  Limits
are not measurements: a test that passes never waits for one to run out, except to prove that
nothing happens.
"""

import os
from collections.abc import Callable

import pytest

SCALE = float(os.environ.get("CONVAI_TIME_SCALE", "1"))
SECOND = 1.0 * SCALE
MS = 0.001 * SCALE

# What is done at once may take so long on a machine that does other things as well, or stalls: far
# less than whatever such a test tells it from.
PROMPT = 5 * SECOND

# What is waited for comes by itself, in a moment: on some machines that is a long one.
EVENT = 30 * SECOND

# In the place of a limit of the engine's that is not to be reached: what waits for it by mistake is
# still waiting when a test has waited for that.
NEVER = 4 * EVENT

# A program that is run to its end; some take a second or two.
PROGRAM = 200 * SECOND

# One phase (setup, call, teardown) of one test. A real call with its Asterisk takes some 20 s; the
# rest is for a machine that does other things as well. A test that needs more says so:
# @pytest.mark.limit.
TEST_LIMIT = 240 * SECOND

FULL = os.environ.get("CONVAI_FULL") == "1"
"""Whether the long tests run as well, and the short ones with all their cases: make test-full."""


def only_in_full(why: str) -> pytest.MarkDecorator:
    """Skip a test in `make test`, and say why."""
    return pytest.mark.skipif(not FULL, reason=f"{why}: make test-full")


def soon_enough(measure: Callable[[], float], below: float, tries: int = 5) -> None:
    """Measure until once it is below this. Times, of the clock or of a processor.

    A machine that is busy makes some of them longer, and none shorter: what is too slow by itself
    is so every time.
    """
    found = list[float]()
    while not found or found[-1] >= below:
        assert len(found) < tries, f"{found} where less than {below:g} is wanted"
        found.append(measure())

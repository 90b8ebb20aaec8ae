"""What a call costs in Echo(): the yardstick for what it costs in the module.

    cost = cpu_per_call(asterisk, "echo", calls=40, seconds=20)     # percent of a core
    ours = cpu_per_call(asterisk, "agent", calls=40, seconds=20)
    print(ours.percent / cost.percent)            # only this ratio means something

The extension must answer and keep the call for the whole time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.measure import Counters, CpuWindow
from testbed.rtp import CODECS

SETTLE_SECONDS = 1.0
"""Between the last answer and the window: set-up is not what is measured."""


@dataclass(frozen=True)
class Cost:
    """What one call costs in Asterisk's process."""

    calls: int
    percent: float
    """CPU of one call, in percent of one core."""
    pss_kb: float
    """Memory of one call above the idle process."""
    threads: float
    """Threads of one call above the idle process."""
    descriptors: float


def cpu_per_call(
    instance: Instance, extension: str, *, calls: int, seconds: float, codec: str = "ulaw"
) -> Cost:
    """Place that many calls, wait until all are up, and measure for a window of so many seconds."""
    noise = CODECS[codec].noise
    before = instance.counters()
    with Callers(
        instance, calls, extension, codec=codec, send=lambda i: noise(seconds, i)
    ) as callers:
        callers.wait_up()
        time.sleep(SETTLE_SECONDS)
        window = CpuWindow(instance.pid)
        time.sleep(seconds)
        percent = window.percent()
        during = instance.counters()
    callers.delete_files()
    return _per_call(calls, percent, before, during)


def _per_call(calls: int, percent: float, before: Counters, during: Counters) -> Cost:
    return Cost(
        calls=calls,
        percent=percent / calls,
        pss_kb=(during.pss_kb - before.pss_kb) / calls,
        threads=(during.threads - before.threads) / calls,
        descriptors=(during.descriptors - before.descriptors) / calls,
    )

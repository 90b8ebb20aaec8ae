"""When the loop's ticks are: at multiples of their length. Any thread. No I/O.

So all that is due on a tick, whosever it is, is due at the same moment, and the loop wakes once.
"""

import math

_SAME = 0.01
"""This share of a tick's length before a tick is the tick: floating-point numbers are not exact."""


def after(seconds: float, length: float) -> float:
    """The first tick behind this moment, of ticks that are so many seconds long."""
    return (math.floor(seconds / length + _SAME) + 1) * length

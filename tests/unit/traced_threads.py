"""A pytest plugin (``-p``): lets coverage see the engine's loop thread.

The engine starts it with ``_thread``, which does not hand on what ``threading.settrace`` was given.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Any

_start = _thread.start_new_thread


def _start_traced(function: Callable[..., object], arguments: tuple[Any, ...]) -> int:
    def traced() -> None:
        sys.settrace(threading.gettrace())
        function(*arguments)

    return _start(traced, ())


_thread.start_new_thread = _start_traced

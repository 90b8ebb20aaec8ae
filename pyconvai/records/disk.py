"""The disk's thread: what may wait for as long as a disk does, one job after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from ..core._core import name_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Disk:
    """One thread, from the first job on.

    One that a disk holds for ever is left behind: it has descriptors below the spool
    directory, and nothing else.
    """

    def __init__(self, name: str = "convai-disk") -> None:
        """``name``: of the thread, 15 characters at most."""
        self._pool = ThreadPoolExecutor(1, name, initializer=name_thread, initargs=(name,))

    async def run(self, job: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Have a job done. It is done also when the task that waits for it is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, job, *arguments)

    def close(self) -> None:
        """Take no more jobs; those that wait are not done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

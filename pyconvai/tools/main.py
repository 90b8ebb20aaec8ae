"""The worker's program: ``python -I -B -u -X utf8 main.py SOCKET LIFELINE``, both descriptors.

It is a child of Asterisk's, and inherits what is Asterisk's own: blocked signals, a real-time
schedule, a share of the machine. All that is given back before a tool is loaded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))  # isolated: only what is here, and Python's own

from pyconvai import limits
from pyconvai.tools import worker


def die_with(lifeline: int) -> None:
    """Have the kernel kill this process, and those it has forked, when the engine's end closes.

    That needs nobody's GIL: it also ends what hangs, should Asterisk have crashed.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if not os.read(lifeline, 1):  # it was closed before
            os.killpg(0, signal.SIGKILL)


def become_harmless() -> None:
    """Signals as in any program; behind all that carries calls; no more memory than is allowed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(limits.WORKER_NICE)
    with contextlib.suppress(OSError):  # the first to go when the machine's memory is at its end
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for which, most in (
        (resource.RLIMIT_AS, limits.WORKER_MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, limits.WORKER_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (limit, limit))
    os.umask(0o077)


def main() -> None:
    """Serve until the engine closes its end."""
    connection, lifeline = (int(word) for word in sys.argv[1:3])
    process = os.getpid()
    die_with(lifeline)
    become_harmless()
    for descriptor in (connection, lifeline):
        os.set_inheritable(descriptor, False)
    try:
        worker.serve(socket.socket(fileno=connection))
    finally:
        if os.getpid() == process:  # not what a tool has forked
            os.killpg(0, signal.SIGKILL)  # threads that hang would be waited for
        os._exit(0)


if __name__ == "__main__":
    main()

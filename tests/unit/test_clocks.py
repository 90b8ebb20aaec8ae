"""H3: whatever waits, waits on a clock that nobody sets. The time of day is only shown."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORDS = {
    "C": (
        "CLOCK_REALTIME|gettimeofday|ast_tvnow|ast_tvdiff|ast_remaining_ms|ast_safe_sleep"
        "|ast_waitfordigit|ast_sched_\\w+|ast_channel_setwhentohangup\\w*|\\bTIMER_ABSTIME"
        "|(?:pthread_cond|ast_cond|sem|pthread_mutex|ast_mutex|mq|pthread_rwlock)_timed\\w+"
        "|pthread_timedjoin_np|\\btime\\((?:NULL|0|&\\w+)\\)|\\blocaltime\\w*|\\bgmtime\\w*|\\bftime\\b"
    ),
    "Python": r"\btime\.(?:time|time_ns|localtime|gmtime|ctime|strftime)\b|\bdatetime\b"
    r"|CLOCK_REALTIME|from time import",
    "shell": r"\$\(?\(?SECONDS\b|\"\$SECONDS\"|\bdate \+%s|EPOCHSECONDS|EPOCHREALTIME",
}
"""What reads the time of day, or waits on it. Asterisk's own timers are of that kind."""

SUFFIXES = {".c": "C", ".h": "C", ".pyx": "C", ".pxi": "C", ".pxd": "C", ".py": "Python",
            ".sh": "shell"}  # fmt: skip

FOLDERS = ("app_elevenlabs_convai", "app_forkstream", "pyconvai", "scripts")

SHOWN = {
    "app_elevenlabs_convai/call/events.c": "when something happened, for programs",
    "app_elevenlabs_convai/call/feed.c": "the same, for the live page",
    "app_elevenlabs_convai/control/request.c": "Asterisk's streams take a limit from then on",
    "app_elevenlabs_convai/control/page_status.c": "what time it is here, for the live page",
    "pyconvai/conversation/events.py": "the same, of what the engine knows",
    "app_elevenlabs_convai/call/beside.c": "a channel's limit, behind the engine's own",
    "app_elevenlabs_convai/call/agent_state.c": "Asterisk's scheduler; see OVERDUE_US",
    "app_elevenlabs_convai/call/recording.c": "when a call began and ended, in its record",
    "pyconvai/conversation/account.py": "when a conversation began, in the record",
    "pyconvai/mock/record.py": "when a conversation began, in the report",
    "pyconvai/records/folder.py": "how old records are; the spool's are offered some times besides",
    "pyconvai/records/record.py": "when things happened",
    "pyconvai/records/webhook.py": "of a signature; how old a record is, as above",
    "pyconvai/service/backoff.py": "a Retry-After that is a date; what comes of it is bounded",
    "pyconvai/tools/worker.py": "what a tool returns may be a date",
    "app_elevenlabs_convai/door.c": "when a line went to the log, in a bundle",
    "scripts/dev.py": "how long ago a file was saved",
}
"""Where the time of day is what is meant."""


def found_in(kind: str, text: str) -> list[str]:
    """What a source has of it, outside of comments."""
    if kind == "C":
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    else:
        text = re.sub(r"(?m)#.*$", "", text)
    return re.findall(WORDS[kind], text)


def sources() -> list[Path]:
    return sorted(
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES and "tests" not in path.relative_to(ROOT).parts
    )


def test_nothing_waits_on_the_time_of_day() -> None:
    """H3: all places where it is read are listed here, with what for."""
    found = {}
    for path in sources():
        words = found_in(SUFFIXES[path.suffix], path.read_text(encoding="utf-8"))
        if words:
            found[str(path.relative_to(ROOT))] = words
    assert found.keys() == SHOWN.keys(), found


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("C", "clock_gettime(CLOCK_REALTIME, &until);"),
        ("C", "pthread_timedjoin_np(thread, NULL, &until);"),
        ("C", "ast_cond_timedwait(&cond, &lock, &until);"),
        ("C", "sem_timedwait(&sem, &until);"),
        ("C", "start = ast_tvnow();"),
        ("C", "ast_safe_sleep(channel, 100);"),
        ("C", "now = time(NULL);"),
        ("Python", "until = time.time() + 5"),
        ("Python", "from time import time"),
        ("Python", "datetime.now(UTC)"),
        ("shell", "deadline=$((SECONDS + 5))"),
        ("shell", "now=$(date +%s)"),
    ],
)
def test_such_a_line_would_be_found(kind: str, line: str) -> None:
    """H3."""
    assert found_in(kind, line)


def test_a_wait_of_python_s_own_does_not_either() -> None:
    """H3: threading waits on the monotonic clock where the C library can."""
    assert sysconfig.get_config_var("HAVE_SEM_CLOCKWAIT")

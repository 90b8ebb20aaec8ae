"""What the mock demands of its client, rule by rule, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyconvai.mock.audio import FORMATS
from pyconvai.mock.checks import Checks
from pyconvai.mock.scenario import Limits

FMT = FORMATS["ulaw_8000"]
INIT = "conversation_initiation_client_data"


def begun() -> Checks:
    checks = Checks(Limits())
    checks.message(INIT, 5)
    checks.metadata(10)
    return checks


def talk(checks: Checks, start: float = 20, seconds: float = 5, step: float = 20) -> float:
    at = start
    while at < start + seconds * 1000:
        checks.audio(160, FMT, at)
        at += step
    return at


def correct(checks: Checks) -> None:
    checks.ping(1, 100)
    checks.pong(1, 120)
    checks.tool_call("c")
    checks.tool_result({"tool_call_id": "c", "result": "", "is_error": False}, 150)
    checks.closed(talk(checks), "client", 1000)


def preroll(checks: Checks) -> None:
    for _ in range(150):  # 3 s at once, then real time
        checks.audio(160, FMT, 20)
    checks.closed(talk(checks, 40), "agent", 1008)


def jitter(checks: Checks) -> None:
    at = talk(checks)
    for _ in range(20):  # 400 ms late, then caught up at once
        checks.audio(160, FMT, at + 400)
    checks.closed(talk(checks, at + 420), "client", 1000)


@pytest.mark.parametrize("story", [correct, preroll, jitter])
def test_a_correct_client_violates_nothing(story: Callable[[Checks], None]) -> None:
    checks = begun()
    story(checks)
    assert checks.violations == []


def too_fast(checks: Checks) -> None:
    talk(checks, seconds=10, step=18)


def huge_preroll(checks: Checks) -> None:
    for _ in range(170):
        checks.audio(160, FMT, 20)


def second_burst(checks: Checks) -> None:
    at = talk(checks)
    for _ in range(50):
        checks.audio(160, FMT, at)


def gap(checks: Checks) -> None:
    talk(checks, talk(checks) + 600)


def stopped(checks: Checks) -> None:
    checks.closed(talk(checks) + 600, "client", 1000)


def slow(checks: Checks) -> None:
    talk(checks, seconds=10, step=30)


def never_answered(checks: Checks) -> None:
    checks.ping(3, 100)
    checks.closed(5000, "client", 1000)


def pong(event_id: object, at: float = 110) -> Callable[[Checks], None]:
    def story(checks: Checks) -> None:
        checks.ping(3, 100)
        checks.pong(event_id, at)

    return story


def twice(checks: Checks) -> None:
    pong(3)(checks)
    checks.pong(3, 120)


def result(call_id: str, value: object = "x", times: int = 1) -> Callable[[Checks], None]:
    def story(checks: Checks) -> None:
        checks.tool_call("c")
        for _ in range(times):
            message = {"tool_call_id": call_id, "result": value, "is_error": False}
            checks.tool_result(message, 100)

    return story


WRONG: list[tuple[str, Callable[[Checks], object]]] = [
    ("audio_fast", too_fast),
    ("audio_fast", huge_preroll),
    ("audio_fast", second_burst),
    ("audio_gap", gap),
    ("audio_gap", stopped),
    ("audio_lag", slow),
    ("audio_start", lambda checks: checks.audio(160, FMT, 4000)),
    ("audio_empty", lambda checks: checks.audio(0, FMT, 20)),
    ("audio_size", lambda checks: checks.audio(321, FORMATS["pcm_16000"], 20)),
    ("init_once", lambda checks: checks.message(INIT, 20)),
    ("pong_missing", never_answered),
    ("pong_id", pong(4)),
    ("pong_id", pong(None)),
    ("pong_id", twice),
    ("pong_late", pong(3, 1200)),
    ("tool_result_unknown", result("d")),
    ("tool_result_twice", result("c", times=2)),
    ("tool_result_shape", result("c", {"a": 1})),
    ("close_code", lambda checks: checks.closed(30, "client", 1011)),
    ("close_missing", lambda checks: checks.closed(30, "network", None)),
]


@pytest.mark.parametrize(("rule", "story"), WRONG, ids=[f"{n}-{w[0]}" for n, w in enumerate(WRONG)])
def test_each_rule_finds_its_violation(rule: str, story: Callable[[Checks], object]) -> None:
    checks = begun()
    story(checks)
    assert set(checks.counts) == {rule}


def test_the_initiation_comes_first() -> None:
    checks = Checks(Limits())
    checks.message("user_audio_chunk", 5)
    checks.message("user_audio_chunk", 6)
    assert checks.counts == {"init_first": 1}


def test_a_late_initiation_is_found() -> None:
    checks = Checks(Limits())
    checks.message(INIT, 3500)
    assert checks.counts == {"init_late": 1}


def test_a_flood_of_violations_is_counted_not_kept() -> None:
    checks = begun()
    for _ in range(1000):
        checks.audio(0, FMT, 20)
    assert checks.counts == {"audio_empty": 1000}
    assert len(checks.violations) == 20


def test_a_pong_as_text_for_a_number_is_an_echo() -> None:
    checks = begun()
    checks.ping(7, 100)
    assert checks.pong("7", 103) == 3
    assert checks.violations == []

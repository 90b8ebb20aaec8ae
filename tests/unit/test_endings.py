"""Each cause has one status and a reason to act on; words of the service win over its codes."""

from __future__ import annotations

import json

import pytest

from pyconvai import limits
from pyconvai.service.endings import (
    TABLE,
    Cause,
    Ending,
    SetupFailed,
    Status,
    from_close,
    from_http,
    http_error_words,
    no_agent,
    one_line,
)
from tests.specs import schemas


@pytest.mark.parametrize(
    ("code", "words", "talking", "status", "play_out", "retry"),
    [
        (1000, "", True, Status.AGENT_ENDED, True, False),
        (1000, "", False, Status.REJECTED, False, False),
        (1000, "max_duration_exceeded", True, Status.TIMEOUT, True, False),
        (1002, "LLM timeout", True, Status.ERROR, False, False),
        (1002, "This request exceeds your quota limit.", False, Status.LIMIT, False, False),
        (1008, "Override for field 'x' is not allowed", False, Status.REJECTED, False, False),
        (1011, "crash", False, Status.ERROR, False, True),
        (3000, "Could not authorize the conversation.", False, Status.AUTH, False, False),
        (3000, "The AI agent does not exist.", False, Status.REJECTED, False, False),
        (3008, "", False, Status.LIMIT, False, False),
        (4300, "", False, Status.LIMIT, False, False),
        (4999, "", True, Status.ERROR, False, False),
        (1006, "", True, Status.ERROR, False, False),
        (1006, "", False, Status.UNREACHABLE, False, True),
        (None, "keepalive ping timeout", True, Status.ERROR, False, False),
    ],
)
def test_close_codes(
    code: int | None, words: str, talking: bool, status: Status, play_out: bool, retry: bool
) -> None:
    ending = from_close(code, words, talking=talking)
    assert (ending.status, ending.play_out, ending.retry) == (status, play_out, retry)
    assert words in ending.reason
    assert ending.reason


@pytest.mark.parametrize(
    ("code", "words", "error", "status"),
    [
        (1000, "", "max_duration_exceeded", Status.TIMEOUT),
        (1002, "", "max_duration_exceeded", Status.TIMEOUT),
        (1008, "", "invalid_message", Status.REJECTED),
        (1002, "your quota", "http_exception", Status.LIMIT),
        (1002, "", "llm_timeout", Status.ERROR),
        (1011, "", "of_tomorrow", Status.ERROR),
        (1002, "not found", "queue_timed_out", Status.LIMIT),
    ],
)
def test_the_type_of_an_error_decides_first(
    code: int, words: str, error: str, status: Status
) -> None:
    assert from_close(code, words, talking=True, error=error).status is status


def test_the_tool_that_ended_the_call_is_named() -> None:
    ending = from_close(1000, "", talking=True, tool="voicemail_detection")
    assert ending.status is Status.AGENT_ENDED
    assert ending.reason.endswith("with its tool voicemail_detection")
    assert "tool" not in from_close(1002, "", talking=True, tool="end_call").reason


def test_every_error_type_of_the_description_is_in_the_table() -> None:
    described = schemas.specifications()[0].document["components"]["schemas"]["ErrorType"]["enum"]
    assert set(described) <= {row.key for row in TABLE if row.cause is Cause.ERROR}


def test_no_row_hides_another() -> None:
    assert len({(row.cause, row.key) for row in TABLE}) == len(TABLE)


def test_rows_that_match_together_have_one_winner() -> None:
    """Each precedence is of one cause; words that share one mean the same. HTTP meets nobody."""
    rows = [row for row in TABLE if row.cause is not Cause.HTTP]
    numbers = {row.precedence for row in rows}
    assert len({(row.precedence, row.cause) for row in rows}) == len(numbers)
    words = {(row.precedence, row.status) for row in rows if row.cause is Cause.WORDS}
    assert len(words) == len({number for number, _ in words})


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("max_duration: quota", Status.TIMEOUT),
        ("not found: max duration", Status.TIMEOUT),
        ("quota: does not exist", Status.REJECTED),
        ("quota: could not authorize, not found", Status.REJECTED),
        ("quota: could not authorize", Status.AUTH),
    ],
)
def test_which_words_decide(words: str, status: Status) -> None:
    assert from_close(1002, words, talking=True).status is status


@pytest.mark.parametrize("talking", [False, True])
def test_nothing_that_was_said_tells_why_a_connection_broke(talking: bool) -> None:
    ending = from_close(None, "quota", talking=talking, error="override_error")
    assert ending.status is (Status.ERROR if talking else Status.UNREACHABLE)


@pytest.mark.parametrize(
    ("code", "words", "status", "retry"),
    [
        (400, "", Status.REJECTED, False),
        (401, "Invalid API key", Status.AUTH, False),
        (401, "quota_exceeded", Status.LIMIT, False),
        (401, "not found: quota", Status.AUTH, False),
        (403, "quota_exceeded", Status.LIMIT, False),
        (404, "quota_exceeded", Status.REJECTED, False),
        (402, "", Status.LIMIT, False),
        (403, "", Status.AUTH, False),
        (404, "Agent not found", Status.REJECTED, False),
        (418, "", Status.ERROR, False),
        (422, "Field required", Status.REJECTED, False),
        (429, "rate_limit_exceeded", Status.LIMIT, False),
        (500, "", Status.UNREACHABLE, True),
        (503, "", Status.UNREACHABLE, True),
        (302, "", Status.ERROR, False),
    ],
)
def test_http_codes(code: int, words: str, status: Status, retry: bool) -> None:
    ending = from_http(code, words.encode(), "the request")
    assert (ending.status, ending.retry) == (status, retry)
    assert f"HTTP {code}" in ending.reason
    assert words in ending.reason


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        (
            {"type": "authentication_error", "code": "invalid_api_key", "message": "Invalid key"},
            "Invalid key (invalid_api_key)",
        ),
        ({"status": "invalid_api_key", "message": "Invalid key"}, "Invalid key (invalid_api_key)"),
        ({"message": "only words"}, "only words"),
        ({"type": "only_a_name"}, "(only_a_name)"),
        (
            [{"loc": ["query", "agent_id"], "msg": "Field required", "type": "missing"}],
            "query.agent_id Field required (missing)",
        ),
        ("Not Found", "Not Found"),
        (7, ""),
        ({}, ""),
    ],
)
def test_error_bodies(detail: object, words: str) -> None:
    assert http_error_words(json.dumps({"detail": detail}).encode()) == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "no detail"}', "no detail"),
        (b'["a", "b"]', "a, b"),
        (b"plain words", "plain words"),
        (b"<html>page</html>", ""),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_bodies_without_detail(body: bytes, words: str) -> None:
    assert http_error_words(body) == words


def test_a_failed_set_up_carries_its_ending() -> None:
    ending = from_close(3000, "Could not authorize the conversation.", talking=False)
    failed = SetupFailed(ending)
    assert failed.ending is ending
    assert str(failed) == ending.reason


def test_a_reason_is_one_short_line() -> None:
    assert one_line("two\r\nlines\x1b[31m") == "two lines [31m"
    assert len(one_line("x" * 10_000)) == limits.MAX_REASON_CHARACTERS


def test_no_agent_was_free() -> None:
    assert no_agent("no agent is free") == Ending(Status.LIMIT, "no agent is free")
    remedied = no_agent("no agent was free in time", remedy=True)
    assert remedied.reason.endswith("; check the plan's quota and concurrency")

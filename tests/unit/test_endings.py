"""Each cause has one status and a reason to act on; words decide where the service uses them."""

from __future__ import annotations

import json

import pytest

from pyconvai import limits
from pyconvai.service.endings import (
    LAST,
    SPEAKING,
    TABLE,
    Cause,
    Ending,
    PlayOut,
    Row,
    SetupFailed,
    Status,
    from_close,
    from_http,
    http_error_words,
    no_agent,
)
from tests.specs import schemas


@pytest.mark.parametrize(
    ("code", "words", "talking", "status", "retry"),
    [
        (1000, "", True, Status.AGENT_ENDED, False),
        (1000, "", False, Status.REJECTED, False),
        (1000, "max_duration_exceeded", True, Status.TIMEOUT, False),
        (1002, "LLM timeout", True, Status.ERROR, False),
        (1002, "This request exceeds your quota limit.", False, Status.LIMIT, False),
        (1008, "Override for field 'x' is not allowed", False, Status.REJECTED, False),
        (1011, "crash", False, Status.ERROR, True),
        (3000, "Could not authorize the conversation.", False, Status.AUTH, False),
        (3000, "The AI agent does not exist.", False, Status.REJECTED, False),
        (3008, "", False, Status.LIMIT, False),
        (4300, "", False, Status.LIMIT, False),
        (4999, "", True, Status.ERROR, False),
        (1006, "", True, Status.ERROR, False),
        (1006, "", False, Status.UNREACHABLE, True),
        (None, "keepalive ping timeout", True, Status.ERROR, False),
    ],
)
def test_close_codes(
    code: int | None, words: str, talking: bool, status: Status, retry: bool
) -> None:
    """S21: what is queued is heard, to its end where the agent meant it to be."""
    ending = from_close(code, words, talking=talking)
    assert (ending.status, ending.retry) == (status, retry)
    heard = PlayOut.ALL if code == 1000 else PlayOut.BRIEFLY
    assert ending.play_out is (heard if talking else PlayOut.NONE)
    assert words == ending.detail
    assert ending.reason


# ---- Words ----

PHRASES = [row.key for row in TABLE if row.cause is Cause.WORDS]
CLOSES = [(row.key, row) for row in TABLE if row.cause is Cause.CLOSE and row.key.isdigit()]


@pytest.mark.parametrize("words", [f"{phrase}." for phrase in PHRASES])
@pytest.mark.parametrize(("code", "row"), [*CLOSES, ("4242", None), ("1001", None)])
@pytest.mark.parametrize("how", ["closed", "said"])
def test_words_decide_where_the_service_uses_words(
    code: str, row: Row | None, words: str, how: str
) -> None:
    """S3: what a crash happens to mention is no limit, whether the frame says it or a message."""
    reason = {"closed": (words, ""), "said": ("", words)}[how]
    ending = from_close(int(code), reason[0], said=reason[1], talking=True)
    alone = from_close(int(code), "", talking=True)
    if int(code) in SPEAKING:
        phrase = words.rstrip(".").lower()
        assert ending.status is next(row.status for row in TABLE if row.key == phrase)
    else:
        assert (ending.status, ending.retry, ending.busy) == (
            alone.status, alone.retry, alone.busy,
        )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        "Unexpected error in websocket endpoint: concurrent.futures._base.CancelledError",
        "quota", "too many concurrent requests", "Maximum duration", "not found",
    ],
)  # fmt: skip
def test_a_crash_is_a_crash(words: str) -> None:
    """S3: worth another attempt, and no reason to leave the service alone."""
    ending = from_close(1011, words, talking=False)
    assert (ending.status, ending.retry, ending.busy) == (Status.ERROR, True, False)


@pytest.mark.parametrize(
    "words",
    [
        "concurrent.futures.TimeoutError", "concurrency", "a timed_out request", "quotation",
        "quotas_enabled", "my_quota", "notfound", "limit", "LLM limit", "author", "auth",
        "maximum durations", "max_durations", "rate limit of the LLM",
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", SPEAKING)
def test_words_are_whole(code: int, words: str) -> None:
    """S3: a word within another one is another word."""
    ending = from_close(code, words, talking=True)
    assert ending.status is from_close(code, "", talking=True).status
    assert not ending.busy
    assert from_http(401, words.encode(), "the request").status is Status.AUTH


@pytest.mark.parametrize(
    ("code", "words", "busy"),
    [
        (3008, "", True), (4300, "", True), (1002, "Too many concurrent requests", True),
        (1008, "too_many_concurrent_requests", True), (3000, "(system_busy)", True),
        (1002, "your quota", False), (1011, "system_busy", False), (1002, "", False),
    ],
)  # fmt: skip
def test_who_is_busy(code: int, words: str, busy: bool) -> None:
    """S3: what has no room is left alone for a while; of a quota nobody knows when it passes."""
    ending = from_close(code, words, talking=False)
    assert ending.busy is busy
    assert ending.status is Status.LIMIT or not busy


@pytest.mark.parametrize(("code", "busy"), [(429, True), (402, False), (503, False), (403, False)])
def test_which_http_answer_is_busy(code: int, busy: bool) -> None:
    """S3."""
    assert from_http(code, b"system_busy", "the request").busy is busy


# ---- Errors before the end ----


@pytest.mark.parametrize(
    "error",
    ["", *(row.key for row in TABLE if row.cause is Cause.ERROR and row.key not in LAST)],
)
def test_an_error_that_was_survived(error: str) -> None:
    """S2: neither its type nor its words say anything about a farewell, nor stand in the reason."""
    for said in ("Tool 'crm_log' not found", "quota", "Maximum duration", "could not authorize"):
        ending = from_close(1000, "", talking=True, error=error, said=said, tool="end_call")
        assert ending.status is Status.AGENT_ENDED
        assert said not in ending.reason
        assert ending.reason.endswith("with its tool end_call")


@pytest.mark.parametrize(
    ("words", "status"),
    [("LLM timeout", Status.ERROR), ("your quota", Status.LIMIT), ("", Status.REJECTED)],
)
def test_a_close_with_words_needs_no_error_to_explain_it(words: str, status: Status) -> None:
    """S2: an error decides only where nothing else was said."""
    said = "Tool 'crm_log' not found"
    ending = from_close(1002, words, talking=True, error="value_error", said=said)
    assert ending.status is status
    assert from_close(1002, words, talking=True, said=said).status is status


@pytest.mark.parametrize(
    ("code", "words", "error", "status"),
    [
        (1000, "", "max_duration_exceeded", Status.TIMEOUT),
        (1002, "", "max_duration_exceeded", Status.TIMEOUT),
        (1008, "", "invalid_message", Status.REJECTED),
        (1002, "your quota", "http_exception", Status.LIMIT),
        (4300, "", "queue_timed_out", Status.LIMIT),
        (1011, "", "missing_fields", Status.REJECTED),
        (1002, "", "llm_timeout", Status.ERROR),
        (1011, "", "of_tomorrow", Status.ERROR),
        (1002, "not found", "queue_timed_out", Status.LIMIT),
    ],
)
def test_the_type_of_an_error_decides_first(
    code: int, words: str, error: str, status: Status
) -> None:
    ending = from_close(code, words, talking=True, error=error)
    assert ending.status is status
    assert ending.retry is (status is Status.ERROR and code == 1011)


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
    ending = from_close(None, "quota", talking=talking, error="override_error", said="quota")
    assert ending.status is (Status.ERROR if talking else Status.UNREACHABLE)


@pytest.mark.parametrize(
    ("code", "words", "status", "retry"),
    [
        (400, "", Status.REJECTED, False),
        (401, "Invalid API key", Status.AUTH, False),
        (401, "quota_exceeded", Status.LIMIT, False),
        (401, "not found: quota", Status.LIMIT, False),
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
    assert words == ending.detail


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
        ([{"loc": 5}, {"loc": [{}, "query"], "msg": ["no words"]}], "query"),
        ({"message": {"api_key": "sk_secret"}, "code": 7}, "(7)"),
        ([[[["deep"]]]], "deep"),
        ([[[[["too deep"]]]]], ""),
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
        ("plain words".encode("utf-16-be"), ""),
        ('{"detail": "words"}'.encode("utf-16"), ""),
        (b"\x89PNG\r\n\x1a\n\0\0", ""),
        (b"<html>page</html>", ""),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 900 + b"]" * 900, ""),
        (b'{"detail":' * 900 + b"7" + b"}" * 900, ""),
    ],
)
def test_bodies_without_detail(body: bytes, words: str) -> None:
    """S12: whatever an error holds."""
    assert http_error_words(body) == words


def test_what_the_service_says_is_no_part_of_the_reason() -> None:
    """K2: it is the detail, cut; S20: what to do about it stays."""
    ending = from_close(3000, 'bye"; $(id)' + "x" * 10_000, talking=False)
    assert ending.reason.endswith("; check api_key and the agent's authentication setting")
    assert "bye" not in ending.reason
    assert ending.detail.startswith('bye"; $(id)xx')
    assert len(ending.detail) == limits.MAX_REASON_BYTES


def test_a_failed_set_up_carries_its_ending() -> None:
    ending = from_close(3000, "Could not authorize the conversation.", talking=False)
    failed = SetupFailed(ending)
    assert failed.ending is ending
    assert str(failed) == f"{ending.reason} [{ending.detail}]"


def test_a_reason_is_one_short_line() -> None:
    """K2, K10: whoever makes an ending, and of whatever."""
    ending = Ending(Status.ERROR, 'a "b"\r\n$(c)\x1b[31m', detail='a "b"\r\n$(c)\x1b[31m')
    assert ending.reason == "a 'b' (c) [31m"
    assert ending.detail == 'a "b" $(c) [31m'
    ending = Ending(Status.ERROR, "x" * 10_000, detail="x" * 10_000)
    assert len(ending.reason) == len(ending.detail) == limits.MAX_REASON_BYTES


def test_no_agent_was_free() -> None:
    assert no_agent("no agent is free") == Ending(Status.LIMIT, "no agent is free")
    remedied = no_agent("no agent was free in time", remedy=True)
    assert remedied.reason.endswith("; check the plan's quota and concurrency")


@pytest.mark.parametrize("words", ["value_error", "missing_fields", "invalid_message"])
def test_a_crash_that_gives_the_type_of_an_error_is_a_crash(words: str) -> None:
    """S3: its words decide nothing, also where they are all that an error has."""
    ending = from_close(1011, words, talking=False)
    assert (ending.status, ending.retry) == (Status.ERROR, True)
    assert from_close(1008, words, talking=False).status is Status.REJECTED

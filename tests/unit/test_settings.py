"""What the C module hands over, and what the dialplan may get wrong."""

from __future__ import annotations

import json
from traceback import TracebackException

import pytest

from pyconvai import limits
from pyconvai.conversation.sent import opening
from pyconvai.secret import Secret, scrub
from pyconvai.service.endings import SetupFailed, Status
from pyconvai.service.settings import OVERRIDES, Call, PairKind, Settings, arguments

AGENT = (PairKind.SETTING, "agent_id", "agent_x")


def test_defaults() -> None:
    call = Call.from_pairs([AGENT])
    assert call.settings == Settings("agent_x")
    assert call.dynamic_variables == {}
    assert call.overrides == {}


def test_every_setting_has_its_type() -> None:
    texts = {
        "api_key": "sk",
        "base_url": "http://127.0.0.1:1",
        "auth": "none",
        "signed_url_endpoint": "/x",
        "chunk_ms": "40",
        "connect_timeout": "3",
        "connect_attempts": "1",
        "max_duration": "600",
        "ca_file": "/ca.pem",
        "tls_verify": "no",
        "debug": "yes",
        "branch_id": "b",
        "version_id": "v",
        "environment": "e",
        "a_key_of_another_layer": "left out",
    }
    pairs = [AGENT, *((PairKind.SETTING, name, text) for name, text in texts.items())]
    assert Call.from_pairs(pairs).settings == Settings(
        agent_id="agent_x",
        base_url="http://127.0.0.1:1",
        api_key=Secret("sk"),
        auth="none",
        signed_url_endpoint="/x",
        chunk_ms=40,
        connect_timeout=3,
        connect_attempts=1,
        max_duration=600,
        ca_file="/ca.pem",
        tls_verify=False,
        debug=True,
        branch_id="b",
        version_id="v",
        environment="e",
    )


def test_the_key_is_not_in_a_printed_settings() -> None:
    """Nor in a traceback, which may show what each function had."""
    pairs = [
        (PairKind.SETTING, "api_key", "sk_secret"),
        AGENT,
        (PairKind.OVERRIDE, "language", "de"),
        (PairKind.JSON, "visits", "{"),
    ]
    with pytest.raises(SetupFailed) as caught:
        Call.from_pairs(iter(pairs))
    assert "sk_secret" not in told(caught.value)
    settings = Call.from_pairs(pairs[:2]).settings
    assert settings.api_key.reveal() == "sk_secret"
    assert "sk_secret" not in f"{settings} {settings!r}"


def test_whether_anything_on_the_way_is_encrypted() -> None:
    """K4: the address of the service, or that of the request; not a word within one."""
    assert Settings("a").is_secure
    assert Settings("a", signed_url_endpoint="http://h/sign").is_secure
    assert Settings("a", base_url="http://h", signed_url_endpoint="https://h/sign").is_secure
    assert not Settings(
        "a", base_url="http://h", signed_url_endpoint="/sign?for=https://h"
    ).is_secure


def test_a_secret_variable_is_held_as_one() -> None:
    """K7: what echoes it is scrubbed as long as the call is there; it is sent as it is."""
    call = Call.from_pairs(
        [
            AGENT,
            (PairKind.VARIABLE, "secret__token", "hush-hush-hush"),
            (PairKind.JSON, "secret__other", '"quiet-quiet"'),
            (PairKind.JSON, "secret__number", "12345678"),
        ]
    )
    assert call.dynamic_variables["secret__token"] == "hush-hush-hush"
    assert scrub("bad header hush-hush-hush quiet-quiet") == "bad header *** ***"
    del call
    assert scrub("hush-hush-hush") == "hush-hush-hush"


def test_a_token_for_somebody_elses_model_is_held_as_a_secret() -> None:
    """K7: at any depth, and without the scheme before it; short words and sentences are none."""
    body = {
        "model": "small-model",
        "headers": {"Authorization": "Bearer hush-hush-hush-hush"},
        "more": [{"x": "quiet-quiet-quiet"}, 1234567890123456789, None],
        "prompt": "a sentence without responsibilities",
    }
    call = Call.from_pairs(
        [
            AGENT,
            (PairKind.OVERRIDE, "custom_llm_extra_body", json.dumps(body)),
            (PairKind.JSON, "secret__list", '["silent-silent", 5, true]'),
        ]
    )
    assert call.overrides["custom_llm_extra_body"] == body
    echo = "hush-hush-hush-hush, quiet-quiet-quiet, silent-silent; "
    left = "small-model: a sentence without responsibilities"
    assert scrub(echo + left) == f"***, ***, ***; {left}"
    del call
    assert scrub(echo) == echo


def told(fault: BaseException) -> str:
    """A traceback with all that each function of the engine had; not this file's."""
    trace = TracebackException.from_exception(fault, capture_locals=True)
    trace.stack[:] = [frame for frame in trace.stack if frame.filename != __file__]
    return "".join(trace.format())


def test_variables_keep_their_kind() -> None:
    call = Call.from_pairs(
        [
            AGENT,
            (PairKind.VARIABLE, "postcode", "01234"),
            (PairKind.JSON, "visits", "3"),
            (PairKind.JSON, "tags", '["a", 1, true, null]'),
            (99, "of_tomorrow", "ignored"),
        ]
    )
    assert call.dynamic_variables == {
        "postcode": "01234",
        "visits": 3,
        "tags": ["a", 1, True, None],
    }


VALUES = {str: "text", float: "7", int: "7", bool: "yes", list: '["a"]', dict: '{"a": 1}'}


def test_every_override_finds_its_place() -> None:
    texts = {name: VALUES[kind] for name, (_, kind) in OVERRIDES.items()}
    overrides = Call.from_pairs(
        [AGENT, *((PairKind.OVERRIDE, name, text) for name, text in texts.items())]
    ).overrides
    for path, kind in OVERRIDES.values():
        node = overrides
        for step in path:
            node = node[step]
        assert type(node) is kind


def test_an_empty_override_is_left_out() -> None:
    assert Call.from_pairs([AGENT, (PairKind.OVERRIDE, "language", "")]).overrides == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("True", True), ("on", True), ("no", False), ("false", False), ("0", False)],
)
def test_flags(text: str, value: bool) -> None:
    """The words that Asterisk knows."""
    call = Call.from_pairs([AGENT, (PairKind.OVERRIDE, "text_only", text)])
    assert call.overrides == {
        "conversation_config_override": {"conversation": {"text_only": value}}
    }


def test_branch_and_environment_of_the_call_go_before_the_agent_s() -> None:
    """Into the address and into the first message, both."""
    agent = [AGENT, (PairKind.SETTING, "branch_id", "b"), (PairKind.SETTING, "environment", "e")]
    call = Call.from_pairs(agent)
    assert call.overrides == {"branch_id": "b", "environment": "e"}
    assert call.settings.public_url.endswith("?agent_id=agent_x&branch_id=b&environment=e")
    call = Call.from_pairs([*agent, (PairKind.OVERRIDE, "branch_id", "c&")])
    assert call.overrides == {"branch_id": "c&", "environment": "e"}
    assert call.settings.signed_url_request.endswith("&branch_id=c%26&environment=e")


@pytest.mark.parametrize(
    ("kind", "name", "text", "words"),
    [
        (PairKind.JSON, "n", '{"a": 1}', "ELEVENLABS_JSON_n is a JSON object"),
        (PairKind.OVERRIDE, "speed", "nan", "must be a number"),
        (PairKind.OVERRIDE, "max_duration_seconds", "1.5", "must be a whole number"),
        (PairKind.OVERRIDE, "text_only", "maybe", "must be yes or no"),
        (PairKind.OVERRIDE, "tool_ids", "{}", "must be a JSON list"),
        (PairKind.OVERRIDE, "tool_ids", "a,b", "must be a JSON list"),
        (PairKind.OVERRIDE, "custom_llm_extra_body", "[]", "must be a JSON object"),
        (PairKind.JSON, "n", "{", "ELEVENLABS_JSON_n is not JSON"),
        (PairKind.OVERRIDE, "colour", "red", "there are: branch_id"),
        (PairKind.OVERRIDE, "speed", "fast", r"must be a number \[it is 'fast'\]"),
        (PairKind.OVERRIDE, "max_duration_seconds", "9" * 20, "must be a whole number"),
        (PairKind.OVERRIDE, "max_duration_seconds", "9" * 5000, "must be a whole number"),
        (PairKind.OVERRIDE, "tool_ids", "[" * 200 + "]" * 200, "must be a JSON list"),
        (PairKind.JSON, "n", "[" * 200 + "]" * 200, "nested too deep"),
        (PairKind.OVERRIDE, "speed", "fast\r\n\x1bor not", "it is 'fast or not'"),
        (PairKind.OVERRIDE, "fast\nor", "x", r"_OVERRIDE_\? names no.*\[fast or\]"),
    ],
)
def test_mistakes_of_the_dialplan(kind: PairKind, name: str, text: str, words: str) -> None:
    with pytest.raises(SetupFailed, match=words) as failed:
        Call.from_pairs([AGENT, (kind, name, text)])
    assert failed.value.ending.status is Status.REJECTED
    assert failed.value.ending.reason.isprintable()
    assert len(failed.value.ending.reason) < 511


def test_json_can_be_nested() -> None:
    text = "[" * limits.JSON_DEPTH_MAX + "]" * limits.JSON_DEPTH_MAX
    call = Call.from_pairs(
        [AGENT, (PairKind.JSON, "n", text), (PairKind.OVERRIDE, "keywords", text)]
    )
    assert text in opening(call)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (
            Settings("agent x"),
            "https://api.elevenlabs.io/v1/convai/conversation/get-signed-url?agent_id=agent%20x",
        ),
        (
            Settings("a", "http://h:1/"),
            "http://h:1/v1/convai/conversation/get-signed-url?agent_id=a",
        ),
        (Settings("a", signed_url_endpoint="/own"), "https://api.elevenlabs.io/own?agent_id=a"),
        (
            Settings("a", signed_url_endpoint="https://proxy/sign?tenant=1"),
            "https://proxy/sign?tenant=1&agent_id=a",
        ),
    ],
)
def test_where_the_signed_url_comes_from(settings: Settings, address: str) -> None:
    assert settings.signed_url_request == address


def test_the_version_goes_into_the_request_for_the_signed_url_alone() -> None:
    """S22: neither the public address nor the first message has a place for it."""
    pairs = [AGENT, (PairKind.SETTING, "version_id", "v 1"), (PairKind.SETTING, "branch_id", "b")]
    call = Call.from_pairs(pairs)
    assert call.settings.signed_url_request.endswith(
        "?agent_id=agent_x&branch_id=b&version_id=v%201"
    )
    assert "v%201" not in call.settings.public_url
    assert call.overrides == {"branch_id": "b"}


def test_the_overrides_of_autumn_2026() -> None:
    """S22: each at its place, with its type."""
    texts = {
        "supported_voices": '[{"label": "Ann", "voice_id": "v"}]',
        "clone_strength": "0.5",
        "tool_ids": '["t"]',
        "tool_ids_strict": "yes",
        "reasoning_effort": "low",
        "soft_timeout_config": '{"additional_soft_timeout_messages": ["Well?"]}',
        "noisy_environment_message": "Pardon?",
        "max_duration_seconds": "60",
        "procedure_ids": '["p"]',
        "start_procedure_ids": '["q"]',
    }
    pairs = [AGENT, *((PairKind.OVERRIDE, name, text) for name, text in texts.items())]
    assert Call.from_pairs(pairs).overrides == {
        "conversation_config_override": {
            "tts": {
                "supported_voices": [{"label": "Ann", "voice_id": "v"}],
                "clone_strength": 0.5,
            },
            "agent": {
                "prompt": {"tool_ids": ["t"], "tool_ids_strict": True, "reasoning_effort": "low"}
            },
            "turn": {
                "soft_timeout_config": {"additional_soft_timeout_messages": ["Well?"]},
                "noisy_environment_message": "Pardon?",
            },
            "conversation": {"max_duration_seconds": 60},
        },
        "procedure_ids": ["p"],
        "start_procedure_ids": ["q"],
    }


def test_public_address() -> None:
    assert Settings("a&b").public_url == (
        "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=a%26b"
    )
    assert Settings("a", "http://127.0.0.1:1").public_url.startswith("ws://127.0.0.1:1/")


@pytest.mark.parametrize(("auth", "scheme"), [("signed_url", "https"), ("none", "wss")])
def test_what_a_call_begins_with(auth: str, scheme: str) -> None:
    settings = Settings("a", auth=auth)
    assert settings.first_url.startswith(f"{scheme}://api.elevenlabs.io/v1/convai/conversation")
    assert ("signed" in settings.first_url) == (auth == "signed_url")


@pytest.mark.parametrize("base", ["https://[::1", "https://api..x"])
def test_an_address_that_cannot_be_read_is_passed_on(base: str) -> None:
    """S12: whoever asks there says what is wrong with it."""
    settings = Settings("a", base_url=base)
    assert settings.signed_url_request.startswith(base)
    assert settings.public_url


def test_each_address_of_base_url_in_turn() -> None:
    settings = Settings("a", base_url="https://one,http://two:1/x", api_key=Secret("k"))
    assert [host.base_url for host in settings.hosts] == ["https://one", "http://two:1/x"]
    assert settings.hosts[1].signed_url_request == (
        "http://two:1/x/v1/convai/conversation/get-signed-url?agent_id=a"
    )
    assert [host.api_key for host in settings.hosts] == [Secret("k")] * 2


@pytest.mark.parametrize("where", ["none", "events", "records", "all"])
def test_who_is_told_what_is_said(where: str) -> None:
    settings = Settings("agent_x", transcripts=where)
    assert settings.tells_words is (where in ("events", "all"))
    assert settings.records_words is (where in ("records", "all"))


@pytest.mark.parametrize(("queue", "seconds"), [("wait", 0), ("refuse", 0), ("30", 30)])
def test_how_long_a_caller_may_be_queued(queue: str, seconds: int) -> None:
    assert Settings("agent_x", queue=queue).queue_seconds == seconds


def test_where_the_settings_of_an_agent_are_told() -> None:
    """At its first host, for its branch and version; its id is one part of the path."""
    settings = Settings("agent x/y", base_url="https://a.example/,https://b.example")
    assert settings.agent_url == "https://a.example/v1/convai/agents/agent%20x%2Fy"
    settings = Settings("agent_x", branch_id="b 1", version_id="v", environment="staging")
    assert settings.agent_url.endswith("/v1/convai/agents/agent_x?branch_id=b%201&version_id=v")


def test_the_arguments_of_an_inquiry() -> None:
    """Names repeat, and what has another kind is none."""
    pairs = [
        (PairKind.ARGUMENT, "step", "pay"),
        (PairKind.SETTING, "step", "no"),
        (PairKind.ARGUMENT, "step", "hours"),
        (PairKind.ARGUMENT, "other", "x"),
    ]
    assert arguments(pairs, "step") == ["pay", "hours"]

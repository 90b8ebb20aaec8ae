"""What the C module hands over, and what the dialplan may get wrong."""

from __future__ import annotations

import pytest

from pyconvai.endings import SetupFailed, Status
from pyconvai.settings import OVERRIDES, Call, PairKind, Settings

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
        "a_key_of_another_layer": "left out",
    }
    pairs = [AGENT, *((PairKind.SETTING, name, text) for name, text in texts.items())]
    assert Call.from_pairs(pairs).settings == Settings(
        "agent_x", "http://127.0.0.1:1", "sk", "none", "/x", 40, 3, 1, 600, "/ca.pem", False, True
    )


def test_the_key_is_not_in_a_printed_settings() -> None:
    assert "sk_secret" not in repr(Settings("agent_x", api_key="sk_secret"))


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


def test_every_override_finds_its_place() -> None:
    texts = {name: "7" if kind is not str else "text" for name, (_, kind) in OVERRIDES.items()}
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
    ("kind", "name", "text", "words"),
    [
        (PairKind.JSON, "n", "{", "ELEVENLABS_JSON_n is not JSON"),
        (PairKind.OVERRIDE, "colour", "red", "there are: first_message"),
        (PairKind.OVERRIDE, "speed", "fast", "must be a number, it is 'fast'"),
    ],
)
def test_mistakes_of_the_dialplan(kind: PairKind, name: str, text: str, words: str) -> None:
    with pytest.raises(SetupFailed, match=words) as failed:
        Call.from_pairs([AGENT, (kind, name, text)])
    assert failed.value.ending.status is Status.REJECTED


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


def test_public_address() -> None:
    assert Settings("a&b").public_url == (
        "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=a%26b"
    )
    assert Settings("a", "http://127.0.0.1:1").public_url.startswith("ws://127.0.0.1:1/")


def test_each_address_of_base_url_in_turn() -> None:
    settings = Settings("a", base_url="https://one,http://two:1/x", api_key="k")
    assert [host.base_url for host in settings.hosts] == ["https://one", "http://two:1/x"]
    assert settings.hosts[1].signed_url_request == (
        "http://two:1/x/v1/convai/conversation/get-signed-url?agent_id=a"
    )
    assert [host.api_key for host in settings.hosts] == ["k", "k"]

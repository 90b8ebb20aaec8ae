"""Scenario files: what they say, and the errors of wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyconvai.mock.caller import caller_track
from pyconvai.mock.faults import CATALOGUE, SOCKET_STAGES
from pyconvai.mock.misbehave import _ACTIONS
from pyconvai.mock.scenario import ScenarioError, load, shipped
from pyconvai.mock.voice import Voice


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenarios_are_valid(name: str) -> None:
    assert load(name).agents


def test_the_examples_show_every_fault() -> None:
    used = {fault.name for agent in load("faults").agents.values() for fault in agent.faults}
    assert used == set(CATALOGUE)


def test_every_fault_of_the_socket_can_be_acted_out() -> None:
    on_socket = {name for name, (places, _, _) in CATALOGUE.items() if "socket" in places}
    assert set(_ACTIONS) == on_socket
    assert SOCKET_STAGES[0] == "open"


def test_any_agent_id_falls_back_to_the_default_section() -> None:
    scenario = load({"agents": {"default": {}, "sales": {"format": "ulaw_8000"}}})
    sales, other = scenario.agent("sales"), scenario.agent("agent_123")
    assert sales is not None
    assert sales.output_format.name == "ulaw_8000"
    assert other is not None
    assert other.name == "default"
    assert load({"agents": {"sales": {}}}).agent("agent_123") is None


def test_like_takes_over_what_is_not_said() -> None:
    agents = {
        "a": {"format": "ulaw_8000", "first_message": "Hi"},
        "b": {"like": "a", "output_format": "pcm_24000"},
    }
    agent = load({"agents": agents}).agents["b"]
    assert agent.first_message is not None
    assert agent.first_message.text == "Hi"
    assert (agent.output_format.name, agent.input_format.name) == ("pcm_24000", "ulaw_8000")


def test_transfer_is_short_for_its_tool() -> None:
    agent = load({"agents": {"a": {"turns": [{"transfer": "200"}]}}}).agents["a"]
    tool = agent.turns[0].tool
    assert tool is not None
    assert (tool.name, tool.parameters) == ("transfer_call", {"destination": "200"})


FAULT = {"name": "close", "stage": "init"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "(scenario): agents: missing; add a section [agents.default]"),
    ({"agents": {"a": 5}}, "(scenario): agents.a: expected a table, found 5"),
    ({"agents": {"a": {"fromat": "x"}}}, "a.fromat: unknown key; did you mean 'format'?"),
    ({"agents": {"a": {"format": "alaw_8000"}}}, "did you mean 'ulaw_8000'? allowed: pcm_8000,"),
    ({"agents": {"a": {"pace": "fast"}}}, "a.pace: expected a number not below 0, found 'fast'"),
    ({"agents": {"a": {"chunk_ms": 0}}}, "a.chunk_ms: expected a whole number 1..60000, found 0"),
    ({"agents": {"a": {"is_final": 1}}}, "a.is_final: expected true or false, found 1"),
    ({"agents": {"a": {"api_keys": "k"}}}, "a.api_keys: expected a list of texts"),
    ({"agents": {"a": {"client_events": ["odio"]}}}, "'odio' is not known; did you mean 'audio'?"),
    ({"agents": {"a": {"first_message": 3}}}, "a.first_message: expected a table, found 3"),
    ({"agents": {"a": {"turns": {}}}}, "a.turns: expected a list of tables"),
    ({"agents": {"a": {"turns": [{"say": "x"}, {"sya": "x"}]}}}, "a.turns[2].sya: unknown key"),
    ({"agents": {"a": {"turns": [{"tool": {}}]}}}, "a.turns[1].tool.name: missing; write tool ="),
    ({"agents": {"a": {"first_message": {"sound": "noise:x"}}}}, "write noise:SEED:MILLISECONDS"),
    ({"agents": {"a": {"first_message": {"sound": "tone:1+2"}}}}, "write tone:HZ:MILLISECONDS"),
    ({"agents": {"a": {"first_message": {"sound": "tone:1+2+3+4+5:9"}}}}, "up to 4 tones"),
    ({"agents": {"a": {"first_message": {"sound": "no.wav"}}}}, "no file"),
    ({"agents": {"a": {"like": "b"}}}, "a.like: no section [agents.b]; there are: a"),
    ({"agents": {"a": {"like": "b"}, "b": {"like": "a"}}}, "goes round in a circle: a -> b -> a"),
    ({"agents": {"a": {"faults": [{}]}}}, "a.faults[1].name: missing; allowed: http_status,"),
    ({"agents": {"a": {"faults": [{"name": "clos"}]}}}, "did you mean 'close'?"),
    ({"agents": {"a": {"faults": [{"name": "close"}]}}}, "stage: missing; allowed for close: open"),
    ({"agents": {"a": {"faults": [{"name": "close", "stage": "signed_url"}]}}}, "'signed_url' is"),
    ({"agents": {"a": {"faults": [{**FAULT, "code": 5}]}}}, "whole number 1000..4999, found 5"),
    ({"agents": {"a": {"faults": [{**FAULT, "ms": 5}]}}}, "faults[1].ms: unknown key"),
    (
        {"agents": {"a": {}}, "limits": {"gap": 1}},
        "limits.gap: unknown key; did you mean 'gap_ms'?",
    ),
    ({"agents": {"a": {}}, "agent": {}}, "(scenario): agent: unknown key; did you mean 'agents'?"),
]


@pytest.mark.parametrize(("raw", "message"), WRONG, ids=range(len(WRONG)))
def test_a_fault_in_a_scenario_is_named_with_its_remedy(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load(raw)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fault_of_syntax_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[agents.a]\nformat = ulaw\n")
    with pytest.raises(ScenarioError, match=r"bad\.toml: not valid TOML: .*line 2.*quotes"):
        load(path)


def test_a_missing_file_names_the_shipped_ones() -> None:
    with pytest.raises(ScenarioError, match="shipped ones: default, demo, faults"):
        load("nowhere.toml")


def test_sounds_are_found_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "hello.raw").write_bytes(b"\xff" * 800)
    path = tmp_path / "s.toml"
    path.write_text('[agents.a]\nformat = "ulaw_8000"\nfirst_message = {sound = "hello.raw"}\n')
    said = load(path).agents["a"].first_message
    assert said is not None
    assert said.sound == str(tmp_path / "hello.raw")
    assert Voice(tmp_path).render(said.text, said.sound, "en", load(path).agents["a"].output_format)


def test_the_callers_track_follows_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # tones: no speech needed
    agent = load({
        "agents": {"a": {
            "first_message": {"sound": "noise:1:1000"},
            "turns": [
                {"caller": "one", "say": {"sound": "noise:2:5000"}},
                {"caller": "two", "caller_after_ms": 1500, "say": {"sound": "noise:2:300"}},
                {"caller": "three", "end": True},
            ],
        }}
    }).agents["a"]  # fmt: skip
    track, lines = caller_track(agent, Voice(tmp_path, lambda text: None), 8000, 2000, 500)
    assert [line.text for line in lines] == ["one", "two", "three"]
    assert [line.interrupts for line in lines] == [False, True, False]
    assert lines[0].start_ms == 2000 + 1000 + 500
    assert lines[1].start_ms == lines[0].end_ms + 700 + 1500
    assert lines[2].start_ms == lines[1].end_ms + 700 + 300 + 500
    assert not any(track[: 8 * lines[0].start_ms])
    assert any(track[8 * lines[0].start_ms : 8 * lines[0].end_ms])

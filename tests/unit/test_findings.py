"""What of an agent's settings will not work here: each finding, and none where all is well."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.checking.agent import find, here_of, verdict
from pyconvai.checking.findings import There
from pyconvai.conversation.worker import Known
from pyconvai.mock.scenario import Agent
from pyconvai.mock.settings import agent_settings
from pyconvai.service.settings import PairKind
from tests.timing import SECOND, soon_enough

Document = dict[str, Any]
Change = Callable[[Document], Any]

STEP: Document = {
    "type": "client",
    "name": "transfer_to_sales",
    "description": "Call sales for the caller.",
    "expects_response": True,
    "response_timeout_secs": -1,
    "parameters": {
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why."}},
        "required": [],
    },
}
END_CALL: Document = {
    "type": "client",
    "name": "end_call",
    "description": "End the call.",
    "expects_response": False,
    "parameters": {"type": "object", "properties": {"reason": {"type": "string"}}},
}
SETTINGS = {
    "agent_id": "agent_x",
    "api_key": "key",
    "tools": "end_call,transfer_to_*",
}
ARGUMENTS = [
    ("step", "transfer_to_sales"),
    ("beside", "transfer_to_search"),
    ("reads", "transfer_to_sales reason"),
    ("variable", "called_number"),
    ("place", "elevenlabs.conf:3 [general] tools"),
    ("place", "elevenlabs.conf:7 [sales] tools"),
    ("place", "elevenlabs.conf:8 [sales] override_prompt"),
]


def clean() -> Document:
    """An agent of which there is nothing to say."""
    document = agent_settings("agent_x", Agent("sales", auth="signed_url"))
    config = document["conversation_config"]
    config["asr"]["user_input_audio_format"] = "ulaw_8000"
    config["tts"]["agent_output_audio_format"] = "ulaw_8000"
    config["agent"]["first_message"] = "You have called {{called_number}}."
    return document


def found(
    *changes: Change,
    tools: list[Document] | None = None,
    settings: dict[str, str] | None = None,
    variables: dict[str, str] | None = None,
    overrides: dict[str, str] | None = None,
    arguments: list[tuple[str, str]] | None = None,
) -> list[str]:
    """The findings on a clean agent after these changes."""
    document = clean()
    for change in changes:
        change(document)
    pairs: list[tuple[int, str, str]] = [
        *((PairKind.SETTING, *each) for each in (SETTINGS | (settings or {})).items()),
        *((PairKind.VARIABLE, *each) for each in (variables or {}).items()),
        *((PairKind.OVERRIDE, *each) for each in (overrides or {}).items()),
        *((PairKind.ARGUMENT, *each) for each in [*ARGUMENTS, *(arguments or [])]),
    ]
    here = here_of("sales", pairs)
    return [*map(str, find(here, There(document, [STEP, END_CALL] if tools is None else tools)))]


def put(path: str, value: Any) -> Change:
    """Set what is at a path, below ``conversation_config`` unless it says otherwise."""
    *steps, last = path.split(".")
    if steps[0] != "platform_settings":
        steps.insert(0, "conversation_config")

    def change(document: Document) -> None:
        for step in steps:
            document = document.setdefault(step, {})
        document[last] = value

    return change


def without(event: str) -> Change:
    return lambda document: document["conversation_config"]["conversation"]["client_events"].remove(
        event
    )


def step(**keys: Any) -> list[Document]:
    """The tools, of which the step has these keys."""
    return [{**copy.deepcopy(STEP), **keys}, END_CALL]


def parameters(**properties: str) -> Document:
    """Parameters of these types, none of which has to be given."""
    return {"type": "object", "properties": {n: {"type": t} for n, t in properties.items()}}


def test_a_clean_agent_has_none() -> None:
    assert found() == []
    assert verdict(0, 0) == "nothing found"


def test_a_verdict() -> None:
    assert verdict(1, 0) == "1 fault, 0 hints"
    assert verdict(2, 1) == "2 faults, 1 hint"


def test_what_the_service_leaves_out_is_no_finding() -> None:
    """Nor is what it says in another shape than it documents."""
    here = here_of("sales", [(PairKind.SETTING, "agent_id", "agent_x")])
    strange = {"asr": 7, "tts": [], "turn": None, "conversation": "no", "agent": {"prompt": [1]}}
    for document in ({}, {"conversation_config": None}, {"conversation_config": strange}):
        assert find(here, There({**document, "platform_settings": []})) == []
        assert find(here, There(document, [{}, {"type": "client"}, {"name": 1}])) == []


AGENT = [
    (
        [put("platform_settings.auth.enable_auth", True)],
        {"auth": "none"},
        "fault: elevenlabs.conf [sales] auth: the agent wants authentication",
    ),
    (
        [
            put("platform_settings.auth.require_origin_header", True),
            put("platform_settings.auth.allowlist", [{"hostname": "example.com"}]),
        ],
        {},
        "fault: Security > Allowlist: it wants the header Origin",
    ),
    (
        [put("conversation.text_only", True)],
        {},
        "fault: Advanced > Text only: the agent only writes",
    ),
    (
        [put("asr.user_input_audio_format", "pcm_16000")],
        {},
        "hint: Advanced > User input audio format: pcm_16000: calls that are not wideband cost",
    ),
    (
        [put("tts.agent_output_audio_format", "pcm_44100")],
        {},
        "hint: Voice > TTS output format: pcm_44100: every call costs a conversion",
    ),
    (
        [put("tts.agent_output_audio_format", "opus_48000")],
        {},
        "fault: Voice > TTS output format: this module does not know the format opus_48000",
    ),
    (
        [without("audio")],
        {},
        "fault: Advanced > Client events: audio is missing: callers will hear",
    ),
    (
        [without("interruption")],
        {},
        "fault: Advanced > Client events: interruption is missing: callers cannot interrupt",
    ),
    (
        [without("conversation_initiation_metadata")],
        {},
        "fault: Advanced > Client events: conversation_initiation_metadata is missing",
    ),
    (
        [without("client_tool_call")],
        {},
        "fault: Advanced > Client events: client_tool_call is missing: the agent's tools are never",
    ),
    (
        [without("user_transcript")],
        {},
        "hint: Advanced > Client events: user_transcript is missing: nothing tells",
    ),
    (
        [put("agent.first_message", "Hello {{ name }}, {{name}}, {{system__time_utc}}!")],
        {},
        "fault: Agent > First message: nobody sets {{name}}, and the service refuses such calls;"
        " set ELEVENLABS_VAR_name in the dialplan, or var_name in elevenlabs.conf",
    ),
    (
        [
            put("agent.prompt.prompt", "Caller: {{caller_number}}"),
            put("agent.dynamic_variables.dynamic_variable_placeholders", {"caller_number": "1"}),
        ],
        {},
        "hint: Agent > System prompt: nobody sets {{caller_number}}, which has a placeholder",
    ),
    (
        [put("conversation.max_duration_seconds", 600)],
        {"max_duration": "900"},
        "hint: Advanced > Max conversation duration: the service ends calls after 600 s, before"
        " max_duration, 900 s",
    ),
    (
        [put("platform_settings.queueing_config", {"enabled": False})],
        {"queue": "30"},
        "hint: elevenlabs.conf [sales] queue: the agent does not queue",
    ),
    (
        [
            put(
                "platform_settings.queueing_config",
                {"enabled": True, "wait_timeout_seconds": 180},
            )
        ],
        {"queue": "300"},
        "hint: elevenlabs.conf [sales] queue: the service lets callers wait for 180 s at most",
    ),
    (
        [
            put(
                "agent.prompt.built_in_tools",
                {"transfer_to_number": {"name": "transfer_to_number"}},
            )
        ],
        {},
        "fault: Tools > System tools > transfer_to_number: it works on the service's own"
        " lines only",
    ),
]


@pytest.mark.parametrize(("changes", "settings", "line"), AGENT)
def test_a_finding(changes: list[Change], settings: dict[str, str], line: str) -> None:
    (only,) = found(*changes, settings=settings)
    assert only.startswith(line)
    assert "; " in only.removeprefix(line.split(";")[0])  # what it is, and the remedy


TOOLS = [
    (
        step(name="lookup"),
        "fault: elevenlabs.conf:7 [sales] tools: lookup is not among them, and the agent is told",
    ),
    (
        step(name="transfer_to_space station"),
        "fault: Tools > ?: the dialplan can have no tool of this name",
    ),
    (
        step(name="transfer_to_support"),
        "fault: elevenlabs.conf [sales] steps_context: there is no extension transfer_to_support",
    ),
    (
        step(parameters=parameters(reason="string", **{"what-for": "string"})),
        "fault: Tools > transfer_to_sales > Parameters: the parameter what-for cannot become a"
        " channel",
    ),
    (
        step(parameters=parameters(reason="string", **{f"p{n}": "string" for n in range(32)})),
        "fault: Tools > transfer_to_sales > Parameters: there are 33, and a tool takes 32",
    ),
    (
        step(parameters=parameters(other="string")),
        "hint: Tools > transfer_to_sales > Parameters: the dialplan reads ELEVENLABS_ARG_reason",
    ),
    (
        step(expects_response=False),
        "hint: Tools > transfer_to_sales > Wait for response: the agent goes on without",
    ),
    (
        step(response_timeout_secs=20),
        "hint: Tools > transfer_to_sales > Response timeout: the service waits for 20 s",
    ),
    (
        step(name="transfer_to_search", response_timeout_secs=5),
        "hint: Tools > transfer_to_search > Response timeout: the service waits for 5 s, and",
    ),
    (
        step(name="transfer_to_search", parameters=parameters(**{"what-for": "string"})),
        "fault: Tools > transfer_to_search > Parameters: the parameter what-for cannot become a",
    ),
    (
        [STEP, {**END_CALL, "parameters": parameters(why="string")}],
        "fault: Tools > end_call > Parameters: end_call here has no parameter why, and fails",
    ),
    (
        [STEP, {**END_CALL, "parameters": parameters(reason="integer")}],
        "fault: Tools > end_call > Parameters: reason is of type integer, and end_call wants text",
    ),
    (
        [STEP, {**END_CALL, "expects_response": True, "response_timeout_secs": 3}],
        "hint: Tools > end_call > Response timeout: the service waits for 3 s, and end_call may",
    ),
    (
        [
            STEP,
            {
                "type": "webhook",
                "name": "crm",
                "api_schema": {
                    "url": "https://crm.example.com/{{tenant}}",
                    "query_params_schema": {
                        "properties": {"who": {"type": "string", "dynamic_variable": "tenant"}}
                    },
                },
            },
        ],
        "fault: Tools > crm: nobody sets {{tenant}}, and the service refuses such calls",
    ),
]


@pytest.mark.parametrize(("tools", "line"), TOOLS)
def test_a_finding_on_tools(tools: list[Document], line: str) -> None:
    (only,) = found(tools=tools)
    assert only.startswith(line)
    assert "; " in only


def client(name: str, /, *required: str, **types: str) -> list[Document]:
    """A tool that waits for its result for as long as that takes."""
    schema = {**parameters(**types), "required": list(required)}
    return [{**STEP, "name": name, "parameters": schema}]


PRICE_OF = Known(
    "price_of",
    "shop.py",
    3,
    "",
    {
        "properties": {"article": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["article"],
    },
)


@pytest.mark.parametrize(
    ("settings", "tools", "line"),
    [
        ({}, client("price_of", "article", article="string", count="integer"), ""),
        ({}, client("price_of", article="string"), "> Parameters: the parameter article may be"),
        (
            {},
            client("price_of", "article", article="string", count="string"),
            "> Parameters: count is of type string, and price_of wants a whole number",
        ),
        (
            {},
            client("price_of", "article", article="string", color="string"),
            "> Parameters: price_of here has no parameter color, and fails with it",
        ),
        ({"get_state_allow": "100@hints"}, client("get_state", "name", name="string"), ""),
        (
            {"transfer_allow": "100"},
            client("transfer_call", "destination", destination="string", reason="string"),
            "",
        ),
        (
            {"transfer_allow": "100"},
            client("transfer_call", "to", to="string"),
            "> Parameters: transfer_call here has no parameter to, and fails with it",
        ),
        ({}, client("transfer_call"), " tools: transfer_call is off, for transfer_allow is none,"),
        ({}, client("get_state"), " tools: get_state is off, for get_state_allow is none, and"),
        (
            {},
            [{**client("price_of", "article", article="string")[0], "expects_response": False}],
            "> Wait for response: the agent goes on without the result of the tool",
        ),
        ({}, client("send_dtmf"), " tools: send_dtmf is off, for tools does not name it, without"),
    ],
)
def test_tools_that_are_no_dialplan(
    settings: dict[str, str], tools: list[Document], line: str
) -> None:
    """What is built in and on, or in Python, needs no extension; what is off is told."""
    given = SETTINGS | {"tools": "*"} | settings
    pairs: list[tuple[int, str, str]] = [(PairKind.SETTING, *each) for each in given.items()]
    pairs.append((PairKind.ARGUMENT, "variable", "called_number"))
    here = replace(here_of("sales", pairs), python={"price_of": PRICE_OF})
    said = [str(each) for each in find(here, There(clean(), tools))]
    assert any(line in each for each in said) if line else said == []


def test_tools_that_only_elevenlabs_conf_has() -> None:
    """Patterns name no tool, and nobody has asked for the default."""
    (only,) = found(settings={"tools": "end_call,transfer_to_*,lookup"})
    assert only.startswith(
        "hint: elevenlabs.conf:7 [sales] tools: the agent has no client tool lookup"
    )
    assert found(tools=[], settings={"tools": "end_call"}) == []
    assert found(tools=[], settings={"tools": "none"}) == []


def test_tools_that_work_without_a_response() -> None:
    """Tools of the service's that reach every caller, and those that others carry out."""
    built_in = put("agent.prompt.built_in_tools", {"end_call": {}, "transfer_to_number": None})
    webhook = {"type": "webhook", "name": "crm", "response_timeout_secs": 20}
    assert found(built_in, tools=[STEP, webhook]) == []


def test_variables_that_somebody_sets() -> None:
    wants = put("agent.prompt.prompt", "{{from_conf}} {{from_dialplan}} {{from_tool}}")
    tool = {
        "type": "webhook",
        "name": "crm",
        "assignments": [{"dynamic_variable": "from_tool", "value_path": "x"}],
        "dynamic_variables": {"dynamic_variable_placeholders": {"from_tool": "{{x}}"}},
    }
    assert (
        found(
            wants,
            tools=[STEP, tool],
            variables={"from_conf": "1"},
            arguments=[("variable", "from_dialplan")],
        )
        == []
    )


def test_overrides_that_the_agent_forbids() -> None:
    """K15: each by the switch that the service has for it."""
    switches = "platform_settings.overrides.conversation_config_override"
    forbids = put(f"{switches}.agent.prompt.prompt", False)
    assert found(overrides={"prompt": "Be brief."}) == []
    assert found(forbids) == []
    (only,) = found(forbids, overrides={"prompt": "Be brief."})
    assert only == (
        "fault: elevenlabs.conf:8 [sales] override_prompt: the agent does not allow it, and refuses"
        " every call; switch agent.prompt.prompt on in Security > Overrides, or remove the line"
    )
    (only,) = found(forbids, arguments=[("override", "prompt")])
    assert only.startswith(
        "hint: elevenlabs.conf [sales] overrides: the agent does not allow prompt"
    )


@pytest.mark.parametrize(
    ("override", "value", "switch", "kind"),
    [
        ("keywords", '["a"]', "conversation_config_override.asr.keywords", "hint"),
        ("tool_ids", '["a"]', "conversation_config_override.agent.prompt.tool_ids", "fault"),
        ("tool_ids_strict", "yes", "conversation_config_override.agent.prompt.tool_ids", "fault"),
        (
            "soft_timeout_config",
            '{"message": "Still there?"}',
            "conversation_config_override.turn.soft_timeout_config.message",
            "fault",
        ),
        ("custom_llm_extra_body", '{"a": 1}', "custom_llm_extra_body", "fault"),
    ],
)
def test_the_switch_of_an_override(override: str, value: str, switch: str, kind: str) -> None:
    given = {override: value}
    assert found(overrides=given) == []
    (only,) = found(put(f"platform_settings.overrides.{switch}", False), overrides=given)
    assert only.startswith(f"{kind}: elevenlabs.conf [sales] override_{override}: ")


def test_overrides_without_a_switch() -> None:
    given = {"user_id": "7", "client_events": '["audio"]', "branch_id": "b", "environment": "e"}
    assert found(put("platform_settings.overrides", {}), overrides=given) == []


def test_names_from_the_service_are_names() -> None:
    """K10: what is no name does not come into a line."""
    (only,) = found(put("tts.agent_output_audio_format", "x; touch me\n"))
    assert "touch" not in only
    (only,) = found(tools=step(name="transfer_to_\x1b[31m"))
    assert "\x1b" not in only


@pytest.mark.parametrize(
    "value",
    [
        [[]] * 170_000,
        [""] * 170_000,
        "{{ " * 170_000,
        "".join(f"{{{{a{number}}}}}" for number in range(60_000)),
        {f"p{number}": {} for number in range(40_000)},
    ],
)
def test_settings_of_any_size_hold_no_call_up(value: Any) -> None:
    """As many, and as long, as the service may send: all calls wait for whoever looks at them."""
    properties = value if isinstance(value, dict) else {}
    tool = {**END_CALL, "parameters": {"properties": properties}, "more": value}
    tools = [{**tool, "name": f"t{n}" if n else "end_call"} for n in range(limits.CHECK_TOOLS)]

    def seconds() -> float:
        began = time.thread_time()
        told = found(put("agent.prompt.prompt", value), tools=tools, settings={"tools": "*"})
        took = time.thread_time() - began
        assert len(told) <= limits.CHECK_FINDINGS
        return took

    soon_enough(seconds, 1 * SECOND)


def test_transfers_to_contexts_that_there_are_not() -> None:
    """Each entry, with where the key is set."""
    pairs: list[tuple[int, str, str]] = [(PairKind.SETTING, *each) for each in SETTINGS.items()]
    pairs += [
        (PairKind.ARGUMENT, *each)
        for each in (
            ("nowhere", "2001@nowhere"),
            ("nowhere", "s@gone:3"),
            ("place", "elevenlabs.conf:7 [sales] transfer_allow"),
        )
    ]
    said = [str(each) for each in find(here_of("sales", pairs), There(clean()))]
    assert [each for each in said if "transfer" in each] == [
        f"fault: elevenlabs.conf:7 [sales] transfer_allow: the dialplan has no context {context},"
        f" so no transfer to {name} gets there; add that context, or take the entry out"
        for name, context in (("2001", "nowhere"), ("s", "gone"))
    ]

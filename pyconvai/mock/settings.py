"""What the service tells of an agent and of a tool, to whoever has a key.

In the shape of the service's OpenAPI; ``tests/conformance`` has its official client read it. What
the scenario's ``settings`` say goes over what follows from its other keys.
"""

from __future__ import annotations

import json
from typing import Any

from websockets.http11 import Request, Response

from .rest import named, query_of, respond
from .scenario import Agent, Scenario

AGENTS_PATH = "/v1/convai/agents/"
TOOLS_PATH = "/v1/convai/tools/"

CREATED = 1_796_083_200  # 2026-12-01
_ACCESS = {
    "is_creator": True,
    "creator_name": "Mock",
    "creator_email": "mock@example.com",
    "role": "admin",
}

# Switches of overrides, as the service has them.
_OVERRIDES = (
    "agent.first_message",
    "agent.language",
    "agent.max_conversation_duration_message",
    "agent.prompt.prompt",
    "agent.prompt.llm",
    "agent.prompt.reasoning_effort",
    "agent.prompt.tool_ids",
    "agent.prompt.native_mcp_server_ids",
    "agent.prompt.knowledge_base",
    "tts.voice_id",
    "tts.model_id",
    "tts.stability",
    "tts.speed",
    "tts.similarity_boost",
    "tts.clone_strength",
    "tts.supported_voices",
    "tts.pronunciation_dictionary_locators",
    "asr.keywords",
    "turn.soft_timeout_config.message",
    "turn.soft_timeout_config.additional_soft_timeout_messages",
    "turn.noisy_environment_message",
    "conversation.text_only",
    "conversation.max_duration_seconds",
)


def agent_settings(agent_id: str, agent: Agent) -> dict[str, Any]:
    """The document on an agent."""
    greeting = agent.first_message
    document: dict[str, Any] = {
        "agent_id": agent_id,
        "name": agent.name,
        "conversation_config": {
            "asr": {
                "quality": "high",
                "provider": "scribe_realtime",
                "user_input_audio_format": agent.input_format.name,
                "keywords": [],
            },
            "turn": {"turn_timeout": 7.0, "silence_end_call_timeout": -1.0},
            "tts": {
                "model_id": "eleven_flash_v2_5",
                "voice_id": "voice_mock",
                "agent_output_audio_format": agent.output_format.name,
            },
            "conversation": {
                "text_only": False,
                "max_duration_seconds": int(agent.max_duration_s),
                "client_events": list(agent.client_events),
            },
            "agent": {
                "first_message": greeting.text if greeting else "",
                "language": "en",
                "dynamic_variables": {"dynamic_variable_placeholders": {}},
                "prompt": {
                    "prompt": "You are a mock.",
                    "llm": "gpt-4o-mini",
                    "tool_ids": [],
                    "built_in_tools": {},
                },
            },
        },
        "metadata": {"created_at_unix_secs": CREATED, "updated_at_unix_secs": CREATED},
        "platform_settings": {
            "auth": {"enable_auth": agent.auth == "signed_url", "allowlist": []},
            "overrides": _allowed(agent),
            "queueing_config": {
                "enabled": agent.queues,
                "wait_timeout_seconds": agent.patience_ms // 1000,
            },
        },
        "phone_numbers": [],
        "access_info": _ACCESS,
        "tags": [],
    }
    settings: dict[str, Any] = _over(document, agent.settings)
    return settings


def _allowed(agent: Agent) -> dict[str, Any]:
    """Its switches of overrides, as a tree."""
    tree: dict[str, Any] = {}
    for path in _OVERRIDES:
        *steps, last = path.split(".")
        node = tree
        for step in steps:
            node = node.setdefault(step, {})
        node[last] = agent.overrides is None or path in agent.overrides
    return {
        "conversation_config_override": tree,
        "custom_llm_extra_body": True,
        "enable_conversation_initiation_client_data_from_webhook": False,
    }


def _over(document: Any, more: Any) -> Any:
    """Put one tree over another: tables are joined, all else is replaced."""
    if not isinstance(document, dict) or not isinstance(more, dict):
        return more
    joined = {key: _over(document.get(key), value) for key, value in more.items()}
    return {**document, **joined}


def agent_response(request: Request, scenario: Scenario) -> Response:
    """``GET /v1/convai/agents/{id}``."""
    agent_id = query_of(request.path)[0].removeprefix(AGENTS_PATH)
    key = request.headers.get("xi-api-key", "")
    agent = scenario.agent(agent_id)
    if not key or (agent and agent.api_keys and key not in agent.api_keys):
        return named(401, "invalid_key")
    if agent is None:
        return named(404, "agent_not_found", agent_id)
    return respond(200, json.dumps(agent_settings(agent_id, agent)))


def tool_response(request: Request, scenario: Scenario) -> Response:
    """``GET /v1/convai/tools/{id}``: of the scenario's ``[tools]``, for whoever has a key."""
    tool_id = query_of(request.path)[0].removeprefix(TOOLS_PATH)
    config = scenario.tools.get(tool_id)
    if not request.headers.get("xi-api-key", ""):
        return named(401, "invalid_key")
    if config is None:
        return named(404, "tool_not_found", tool_id)
    document = {
        "id": tool_id,
        "tool_config": config,
        "access_info": _ACCESS,
        "usage_stats": {"total_calls": 0, "avg_latency_secs": 0.0},
    }
    return respond(200, json.dumps(document))

"""An agent's settings and a tool, read by the official Python client; prints what is wrong.

settings_sdk.py BASE_URL AGENT_ID TOOL_ID
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pydantic
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import GetAgentResponseModel, ToolResponseModel

KEY = "test-key"
LIMIT_S = 10.0


def unknown(model: Any, path: str) -> Iterator[str]:
    """Yield fields, at any depth, that the client's types do not have."""
    if isinstance(model, pydantic.BaseModel):
        yield from (f"{path}.{name}" for name in model.model_extra or ())
        for name in type(model).model_fields:
            yield from unknown(getattr(model, name), f"{path}.{name}")
    elif isinstance(model, list):
        for each in model:
            yield from unknown(each, f"{path}[]")
    elif isinstance(model, dict):
        for name, each in model.items():
            yield from unknown(each, f"{path}.{name}")


def faults(url: str, model: type[pydantic.BaseModel]) -> list[str]:
    """What in a document is not as the types say: the client itself takes anything."""
    answer = httpx.get(url, headers={"xi-api-key": KEY}, timeout=LIMIT_S)
    try:
        return list(unknown(model.model_validate(answer.json()), ""))
    except pydantic.ValidationError as error:
        return [f"{each['loc']}: {each['msg']}" for each in error.errors()]


def main(base: str, agent_id: str, tool_id: str) -> None:
    client = ElevenLabs(api_key=KEY, base_url=base).conversational_ai
    agent, tool = client.agents.get(agent_id), client.tools.get(tool_id)
    seen: dict[str, Any] = {
        "format": agent.conversation_config.tts.agent_output_audio_format,
        "tool_ids": agent.conversation_config.agent.prompt.tool_ids,
        "tool": tool.tool_config.name,
        "faults": [
            *faults(f"{base}/v1/convai/agents/{agent_id}", GetAgentResponseModel),
            *faults(f"{base}/v1/convai/tools/{tool_id}", ToolResponseModel),
        ],
    }
    refused = []
    for key, get, name in (
        ("wrong-key", client.agents.get, agent_id),
        (KEY, client.agents.get, "nobody"),
        (KEY, client.tools.get, "no_tool"),
    ):
        try:
            if key != KEY:
                ElevenLabs(api_key=key, base_url=base).conversational_ai.agents.get(name)
            else:
                get(name)
        except ApiError as error:
            refused.append(error.status_code)
    print(json.dumps({**seen, "refused": refused}))


main(*sys.argv[1:])

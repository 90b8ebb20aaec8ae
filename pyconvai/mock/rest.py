"""The HTTP side: signed URLs and their refusals. Answers are built here, server.py sends them."""

from __future__ import annotations

import http
import json
import secrets
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from .faults import BODIES, DEFAULT_BODY, Fault
from .scenario import Agent, Scenario

SOCKET_PATH = "/v1/convai/conversation"
SIGNED_URL_PATHS = (
    "/v1/convai/conversation/get-signed-url",
    "/v1/convai/conversation/get_signed_url",
)
WHICH = ("branch_id", "version_id", "environment")  # of an agent, in a query
REPORT_PATH = "/mock/report"  # of the mock's own: the JSON report so far


@dataclass
class Ticket:
    """A signed URL that has been given out."""

    agent_id: str
    expires: float  # time.monotonic()
    conversation_id: str | None
    once: bool
    used: bool = False


class Tickets:
    """Signed URLs: unguessable, expiring, optionally for one use."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}

    def issue(self, agent_id: str, agent: Agent, conversation_id: str | None) -> str:
        """A new signature for an agent."""
        now = time.monotonic()
        self._tickets = {k: t for k, t in self._tickets.items() if t.expires > now}
        signature = f"cvtkn_{secrets.token_urlsafe(24)}"
        once = agent.signed_url_once or conversation_id is not None
        expires = now + agent.signed_url_ttl_s
        self._tickets[signature] = Ticket(agent_id, expires, conversation_id, once)
        return signature

    def redeem(self, signature: str, agent_id: str) -> Ticket | None:
        """The ticket, if the signature is good for this agent now."""
        ticket = self._tickets.get(signature)
        if ticket is None or ticket.agent_id != agent_id or ticket.expires <= time.monotonic():
            return None
        if ticket.once and ticket.used:
            return None
        ticket.used = True
        return ticket


def query_of(path: str) -> tuple[str, dict[str, str]]:
    """(path without query, first value of each query parameter)."""
    parts = urlsplit(path)
    return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}


def respond(
    status: int, body: str, content_type: str = "application/json", **headers: str
) -> Response:
    """An HTTP response; the connection closes after it."""
    data = body.encode()
    all_headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(data)),
            "Connection": "close",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
    )
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return Response(status, phrase, all_headers, data)


def named(status: int, body: str, agent_id: str = "") -> Response:
    """A response whose body is one of faults.BODIES."""
    return respond(status, BODIES[body].replace("{agent_id}", agent_id))


def fault_response(fault: Fault, agent_id: str) -> Response:
    """What an ``http_status`` fault orders."""
    status = fault.integer("status", 500)
    body = fault.text("body", DEFAULT_BODY.get(status, "plain"))
    text = BODIES.get(body, body).replace("{agent_id}", agent_id)
    kind = "text/html" if text.startswith("<") else "application/json"
    location = fault.text("location")
    if 300 <= status < 400:
        return respond(status, text, kind, Location=location or "http://127.0.0.1:9/")
    if status == 429:
        return respond(
            status, text, kind, current_concurrent_requests="4", maximum_concurrent_requests="4"
        )
    return respond(status, text, kind)


def signed_url(request: Request, scenario: Scenario, tickets: Tickets, scheme: str) -> Response:
    """``GET …/get-signed-url``. ``scheme`` is ws or wss."""
    _, query = query_of(request.path)
    agent_id = query.get("agent_id", "")
    key = request.headers.get("xi-api-key", "")
    if not key:
        return named(401, "invalid_key")
    if not agent_id:
        return named(422, "validation")
    agent = scenario.agent(agent_id)
    if agent is None:
        return named(404, "agent_not_found", agent_id)
    if agent.api_keys and key not in agent.api_keys:
        return named(401, "invalid_key")
    wanted = query.get("include_conversation_id", "").lower() == "true"
    conversation_id = f"conv_{secrets.token_hex(14)}" if wanted else None
    signature = tickets.issue(agent_id, agent, conversation_id)
    host = request.headers.get("Host", "127.0.0.1")
    url = f"{scheme}://{host}{SOCKET_PATH}?agent_id={agent_id}&conversation_signature={signature}"
    if conversation_id is not None:
        url += f"&conversation_id={conversation_id}"
    return respond(200, json.dumps({"signed_url": url}))

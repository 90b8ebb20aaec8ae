"""Who looks at the live page: a log-in by AMI over HTTP, and what the page's script asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlencode

from testbed.config import MANAGER_SECRET
from testbed.instance import Instance
from tests.timing import EVENT

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OURS = {"X-ElevenLabs-Page": "1"}

USERS = {
    "looks": ("reporting", ""),
    "reports": ("reporting", "reporting"),
    "acts": ("reporting", "call"),
    "calls": ("call,user", "call"),
}
"""Users of manager.conf: what they may read, and write."""


def add_users(pbx: Instance) -> None:
    manager = pbx.etc / "manager.conf"
    users = "".join(
        f"[{name}]\nsecret = {MANAGER_SECRET}\nread = {read}\nwrite = {write}\n"
        for name, (read, write) in USERS.items()
    )
    manager.write_text(manager.read_text() + users)
    pbx.cli("manager reload")


class Viewer:
    """One browser, with the cookie that it has been given."""

    def __init__(self, pbx: Instance, user: str = "") -> None:
        self.pbx, self.cookie = pbx, ""
        if user:
            login = {"action": "login", "username": user, "secret": MANAGER_SECRET, "events": "aoc"}
            status, text, headers = self.ask("POST", "/rawman", form=login)
            assert status == 200, text
            assert "Response: Success" in text
            self.cookie = headers["Set-Cookie"].partition(";")[0]

    def _send(
        self, method: str, path: str, form: dict[str, str], headers: dict[str, str]
    ) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.pbx.ports.http, timeout=EVENT)
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        body = urlencode(form) if method == "POST" else None
        connection.request(method, path, body, {**FORM, **cookie, **headers})
        return connection

    def ask(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str, dict[str, str]]:
        """The status, the text and the headers of an answer."""
        connection = self._send(method, path, form or {}, headers or {})
        try:
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def status(self, **params: Any) -> Any:
        """What is shown now."""
        code, text, _ = self.ask("GET", f"/elevenlabs/status.json?{urlencode(params)}")
        assert code == 200, text
        return json.loads(text)

    def press(self, what: str, call: int, **form: str) -> tuple[int, str]:
        """Press a button: the status, and what is said."""
        code, text, _ = self.ask(
            "POST", f"/elevenlabs/{what}", form={"call": str(call), **form}, headers=OURS
        )
        return code, json.loads(text)["answer"]

    @contextmanager
    def watch(self, **params: Any) -> Iterator[Iterator[Any]]:
        """What is sent again and again, as long as the block lasts; it ends with the stream."""
        connection = self._send("GET", f"/elevenlabs/events?{urlencode(params)}", {}, {})
        try:
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            assert answer.headers["Content-Type"] == "text/event-stream"
            yield _messages(answer)
        finally:
            connection.close()


def _messages(answer: HTTPResponse) -> Iterator[Any]:
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))

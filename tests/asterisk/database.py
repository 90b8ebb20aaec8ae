"""Databases for the tests of agents that come out of one: SQLite, and what a curl driver asks."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode

KEYS = ("agent_id", "base_url", "api_key_file", "chunk_ms", "fallback_agent", "max_sessions")
"""Columns of the table of agents, next to `name` and `id`."""

TABLES = f"""\
CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT UNIQUE, {" TEXT, ".join(KEYS)} TEXT);
CREATE TABLE config (id INTEGER PRIMARY KEY, cat_metric INTEGER DEFAULT 0, \
var_metric INTEGER DEFAULT 0, commented INTEGER DEFAULT 0, filename TEXT, category TEXT, \
var_name TEXT, var_val TEXT);
"""


class Sqlite:
    """A database file, as docs/database.md has its tables."""

    def __init__(self, file: Path) -> None:
        """Make the file anew."""
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(TABLES)

    def run(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Run one statement, and have others see it."""
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            connection.execute(statement, values)

    def add(self, name: str, **keys: str) -> None:
        """Add an agent, or put its row in the place of the one before."""
        marks = ", ".join("?" * (len(keys) + 1))
        names = ", ".join(["name", *keys])
        self.run(f"REPLACE INTO agents ({names}) VALUES ({marks})", [name, *keys.values()])

    def write_file(self, name: str, sections: Mapping[str, Mapping[str, str]]) -> None:
        """Put a whole configuration file into the table `config`."""
        self.run("DELETE FROM config WHERE filename = ?", [name])
        for number, (section, keys) in enumerate(sections.items()):
            for key, value in keys.items():
                self.run(
                    "INSERT INTO config (filename, cat_metric, category, var_name, var_val)"
                    " VALUES (?, ?, ?, ?, ?)",
                    [name, number, section, key, value],
                )


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer `/single`: the row of a name, as a form; or say nothing until it is let go."""
        web: Web = self.server.web  # type: ignore[attr-defined]
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name = form.get("name", [""])[0]
        with web.changed:
            web.asked.append(name)
            web.changed.notify_all()
            web.changed.wait_for(lambda: not web.silent)
        body = urlencode(web.rows.get(name, {})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Web:
    """A server for res_config_curl on loopback. While it is silent it keeps what it is asked."""

    def __init__(self, rows: Mapping[str, Mapping[str, str]]) -> None:
        """Give these rows, by name."""
        self.rows = dict(rows)
        self.asked: list[str] = []
        self.silent = False
        self.changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.web = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """What extconfig.conf calls it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def hush(self, *, silent: bool) -> None:
        """Answer nobody from now on, or everybody, who waits as well."""
        with self.changed:
            self.silent = silent
            self.changed.notify_all()

    def wait_asked(self, count: int, limit: float) -> None:
        """Wait until it has been asked so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= count, limit), self.asked

    def __enter__(self) -> Web:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let all go, and end."""
        self.hush(silent=False)
        self._server.shutdown()
        self._server.server_close()

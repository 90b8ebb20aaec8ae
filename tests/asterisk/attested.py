"""A carrier that attests numbers by STIR/SHAKEN: its authority, its certificate, and where that is.

with Carrier(root) as carrier:
    files = {"stir_shaken.conf": page + carrier.attests("15550100")}
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from types import TracebackType

from testbed.paths import BUILD
from testbed.root import Root
from tests.timing import SECOND

OPENSSL_SECONDS = 60 * SECOND
STOP_SECONDS = 10 * SECOND
NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
CODE = "1234"
"""The service provider's."""

EXTENSIONS = f"""\
1.3.6.1.5.5.7.1.26 = ASN1:SEQUENCE:numbers
[numbers]
code = EXP:0,IA5:{CODE}
"""
"""RFC 8226, TNAuthList: for whose numbers the certificate is."""


class Carrier:
    """Certificates, made afresh, and an HTTP server that shows one; it ends with the context."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.folder = BUILD / "testbed" / f"carrier-{os.getpid()}"
        handler = functools.partial(_Quiet, directory=str(self.folder / "public"))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="carrier")

    def __enter__(self) -> Carrier:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("public", "cache"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "extensions").write_text(EXTENSIONS, encoding="ascii")
        for command in (
            f"req -x509 {NEW_KEY} -days 30 -subj /CN=authority -keyout ca.key -out ca.pem",
            f"req -new {NEW_KEY} -subj /CN=SHAKEN-{CODE} -keyout key.pem -out request.pem",
            "x509 -req -in request.pem -days 30 -CA ca.pem -CAkey ca.key -CAcreateserial"
            " -extfile extensions -out public/carrier.pem",
        ):
            self._root.run(["openssl", *command.split()], cwd=self.folder, timeout=OPENSSL_SECONDS)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def authority(self) -> str:
        """The file with the authority's certificate, as Asterisk sees it."""
        return self._root.path(self.folder / "ca.pem")

    @property
    def cache(self) -> str:
        """A directory in which Asterisk may keep certificates, as Asterisk sees it."""
        return self._root.path(self.folder / "cache")

    def attests(self, number: str) -> str:
        """Lines of stir_shaken.conf with which Asterisk is this carrier, for this number."""
        where = f"http://127.0.0.1:{self._server.server_port}/carrier.pem"
        key = self._root.path(self.folder / "key.pem")
        common = f"private_key_file = {key}\npublic_cert_url = {where}\nattest_level = A\n"
        return f"[attestation]\n{common}[{number}]\ntype = tn\n{common}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object, **__: object) -> None:
        """Write nothing to the test's output."""

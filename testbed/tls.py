"""A certificate authority and a server certificate for 127.0.0.1 and localhost."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.paths import BUILD
from testbed.root import Root

DAYS = "30"
OPENSSL_SECONDS = 60.0
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True)
class Certificate:
    """Files in PEM form: what the client trusts, what the server shows, and its key."""

    ca: Path
    certificate: Path
    key: Path


def certificate(root: Root, name: str = "tls") -> Certificate:
    """Return a certificate signed by an authority of its own, made afresh.

    Another `name` is another authority: one that a client of the first does not trust.
    """
    folder = BUILD / "testbed" / name
    unfinished = folder.with_name(f"{name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    (unfinished / "names").write_text(f"{NAMES}\n", encoding="ascii")
    for command in _commands():
        root.run(["openssl", *command.split()], cwd=unfinished, timeout=OPENSSL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    return Certificate(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")


def _commands() -> list[str]:
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    authority = "basicConstraints=critical,CA:TRUE"
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    return [
        f"req -x509 {new_key} -days {DAYS} -subj /CN=testbed-ca -addext {authority}"
        f" -addext {usage} -keyout ca.key -out ca.pem",
        f"req -new {new_key} -subj /CN=localhost -keyout key.pem -out request.pem",
        f"x509 -req -in request.pem -days {DAYS} -CA ca.pem -CAkey ca.key -CAcreateserial"
        " -extfile names -out cert.pem",
    ]

"""TLS as the world does it, between engine and service: versions, certificates, key changes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
from websockets.frames import Opcode

from pyconvai import limits
from pyconvai.service import net
from pyconvai.service.endings import PlayOut
from tests.timing import EVENT, SECOND
from tests.unit.engine import ENDED, TALKING, Engine
from tests.unit.peer import (
    Certificates,
    Connection,
    OpenSSL,
    RawService,
    audio,
    close_frame,
    metadata,
)

ONLY = ["TLSv1_2", "TLSv1_3"]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("version", [None, *ONLY])
def test_a_conversation(
    engine: Engine,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    family: socket.AddressFamily,
) -> None:
    """Bit for bit both ways, over IPv4 and IPv6, while TLS changes keys and sends tickets."""
    spoken, said = os.urandom(40_000), os.urandom(16_000)

    def script(service: Connection) -> None:
        service.begin()
        for number, at in enumerate(range(0, len(spoken), 1000)):
            if version == "TLSv1_3" and number % 10 == 5:
                OpenSSL().update_keys(service.tls, both=True)
            if version == "TLSv1_3" and number % 10 == 8:
                OpenSSL().new_ticket(service.tls)
            service.sock.sendall(audio(spoken[at : at + 1000]))
        assert service.hear(len(said)) == said
        service.sock.sendall(close_frame(1000))
        service.drained()  # OpenSSL cannot read on where it cannot answer a change of keys

    monkeypatch.setattr(limits, "CLOSE_SECONDS", 0.1 * SECOND)
    context = certificates.server(version=version) if version else None
    with RawService(script, context, family=family) as service:
        call = engine.call(settings=service.settings(ca_file=str(certificates.ca)))
        call.wait(TALKING)
        call.say(said)
        assert call.hear(len(spoken)) == spoken
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()


# ---- Who is trusted ----


@pytest.mark.parametrize(
    ("shown", "trusted", "words"),
    [
        ("other", "its own", "IP address mismatch"),
        ("expired", "its own", "certificate has expired"),
        ("server", "another", "unable to get local issuer certificate"),
        ("server", "the system's", "unable to get local issuer certificate"),
        ("client", "its own", "unsuit"),
        ("alone", "its own", "self-signed certificate"),
    ],
)
@pytest.mark.parametrize("auth", ["none", "signed_url"])
def test_a_certificate_that_is_not_trusted(
    engine: Engine,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
    shown: str,
    trusted: str,
    words: str,
    auth: str,
) -> None:
    """S11: the name counts too. The reason names the key that may be wrong."""

    def script(_service: Connection) -> None:
        raise AssertionError("nobody should have come this far")

    ca_file = {"its own": str(certificates.ca), "the system's": ""}.get(trusted)
    if ca_file is None:
        ca_file = str(Certificates(tmp_path_factory.mktemp("another")).ca)
    with RawService(script, certificates.server(shown)) as service:
        call = engine.call(settings=service.settings(ca_file=ca_file, auth=auth))
        status, reason = call.ending()
        detail = call.detail()
        call.release()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            service.outcome()
    assert status == "UNREACHABLE"
    assert words in detail
    assert reason.endswith("check base_url, or set ca_file")


@pytest.mark.parametrize("shown", ["other", "expired"])
def test_without_verification_nobody_is_refused(
    engine: Engine, certificates: Certificates, shown: str
) -> None:
    def script(service: Connection) -> None:
        service.begin()
        service.sock.sendall(close_frame(1000))

    with RawService(script, certificates.server(shown)) as service:
        call = engine.call(settings=service.settings(tls_verify="no"))
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()


def test_what_is_trusted_does_not_depend_on_python(certificates: Certificates) -> None:
    """S10: since 3.13 Python's default is strict X.509, which refuses certificates like these."""
    strict = certificates.client()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(strict, certificates.server())
    ours = net._make_context(str(certificates.ca), True)
    handshake(ours, certificates.server())
    assert ours.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert ours.check_hostname
    assert ours.verify_mode is ssl.CERT_REQUIRED
    assert ours.minimum_version is ssl.TLSVersion.TLSv1_2


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """In memory; the client's end, or what it raises."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(down, up, server_hostname="127.0.0.1")
    far = server.wrap_bio(up, down, server_side=True)
    for end in (near, far, near, far):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return near


def test_a_server_that_speaks_several_protocols(engine: Engine, certificates: Certificates) -> None:
    """Nobody is offered HTTP/2: the answer would not be the upgrade's."""
    context = certificates.server()
    context.set_alpn_protocols(["h2", "http/1.1"])

    def script(service: Connection) -> None:
        assert service.tls.selected_alpn_protocol() in (None, "http/1.1")
        service.begin()
        service.sock.sendall(close_frame(1000))

    with RawService(script, context) as service:
        call = engine.call(settings=service.settings(ca_file=str(certificates.ca)))
        assert call.ending()[0] == "AGENT_ENDED"
        call.release()
        service.outcome()


def test_no_keys_are_written_to_a_file(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates, tmp_path: Path
) -> None:
    """Whoever may set Asterisk's environment is not to read its calls."""
    monkeypatch.setenv("SSLKEYLOGFILE", f"{tmp_path}/keys")
    context = net._make_context(str(certificates.ca), True)
    handshake(context, certificates.server())
    assert list(tmp_path.iterdir()) == []


def test_who_is_trusted_is_decided_when_asterisk_starts(certificates: Certificates) -> None:
    """A program on AMI with the class `call` can set `ENV(SSL_CERT_FILE)` at any time."""
    libc = ctypes.CDLL(None)
    libc.setenv(b"SSL_CERT_FILE", os.fsencode(certificates.ca), 1)
    try:
        context = net._make_context("", True)
    finally:
        libc.unsetenv(b"SSL_CERT_FILE")
    assert context.get_ca_certs()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, certificates.server())


def test_the_oldest_tls_that_is_spoken(certificates: Certificates) -> None:
    assert net._make_context(str(certificates.ca), True).minimum_version >= ssl.TLSVersion.TLSv1_2


# ---- How TLS ends ----


@pytest.mark.parametrize("version", ONLY)
def test_a_server_that_goes_during_the_handshake(engine: Engine, version: str) -> None:
    def accept(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(10)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=[server])
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        call = engine.call(settings={"base_url": url, "auth": "none"})
        status, reason = call.ending()
        call.release()
        thread.join()
    assert status == "UNREACHABLE"
    assert "no TLS with 127.0.0.1" in reason


@pytest.mark.parametrize("version", ONLY)
@pytest.mark.parametrize("talking", [False, True])
@pytest.mark.parametrize("how", ["without goodbye", "with goodbye", "with nonsense"])
def test_a_connection_that_ends_without_a_close_frame(
    engine: Engine, certificates: Certificates, version: str, talking: bool, how: str
) -> None:
    """S21: what is queued is heard; the reason is one line without a place in Python's source."""

    def script(service: Connection) -> None:
        service.accept()
        service.next(Opcode.TEXT)
        if talking:
            service.sock.sendall(metadata() + audio(b"\x01" * 1600))
        if how == "with goodbye":
            service.sock.settimeout(0)
            with pytest.raises(ssl.SSLError):
                service.tls.unwrap()
        elif how == "with nonsense":
            os.write(service.sock.fileno(), b"this is no record\r\n")
            service.drained()

    with RawService(script, certificates.server(version=version)) as service:
        call = engine.call(settings=service.settings(ca_file=str(certificates.ca)))
        progress = call.wait(ENDED)
        status, reason = call.ending()
        assert status == ("ERROR" if talking else "UNREACHABLE"), reason
        assert call.queued == (1600 if talking else 0)
        assert progress.play_out == (PlayOut.BRIEFLY if talking else PlayOut.NONE)
        assert "_ssl.c" not in reason
        call.release()


def test_a_signed_url_over_tls(certificates: Certificates) -> None:
    """An answer in two records, and an end without goodbye."""

    def script(service: Connection) -> None:
        service.sock.recv(65_536)
        service.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n{")
        service.sock.sendall(b"}")

    async def ask(url: str) -> bytes:
        network = net.Network()
        try:
            async with asyncio.timeout(EVENT):
                context = await network.tls(str(certificates.ca), True)
                return (await network.get(url, {}, context)).body
        finally:
            network.close()

    with RawService(script, certificates.server()) as service:
        assert asyncio.run(ask(service.url)) == b"{}"

# SPDX-License-Identifier: GPL-2.0-or-later
"""SMTP servers on loopback, as kind or unkind as a test wants, and the git settings that lead to them."""

import socket
import ssl
import subprocess
from asyncio import WriteTransport
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"
SENDER = "CI Böt <ci@example.org>"
USER, PASSWORD = "ci", "s3cret"


@dataclass(frozen=True)
class GitConfig:
    """A git configuration file."""

    path: Path

    def set(self, section: str = "sendemail", **values: str | int) -> None:
        with self.path.open("a") as file:
            file.write(f"[{section}]\n")
            for name, value in values.items():
                escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                file.write(f'\t{name} = "{escaped}"\n')


@dataclass(frozen=True)
class Mail:
    """What the server took."""

    sender: str | None
    recipients: tuple[str, ...]
    content: bytes
    user: str
    tls: bool


@dataclass
class Server:
    """The handler of an SMTP server. A reply that is not empty is what it says instead of taking something."""

    refuses: dict[str, str] = field(default_factory=dict)
    """Recipient -> reply."""
    to_data: str = ""
    to_quit: str = "221 Bye"
    busy: int = 0
    """How many mails are put off with 451 before one is taken."""
    hangs_up: bool = False
    """The connection is lost after the data, before an answer."""
    mails: list[Mail] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs_up:
            assert isinstance(server.transport, WriteTransport)
            server.transport.abort()
        if self.to_data:
            return self.to_data
        if self.busy:
            self.busy -= 1
            return "451 come back later"
        assert isinstance(envelope.content, bytes)
        user = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else ""
        recipients = tuple(str(address) for address in envelope.rcpt_tos)
        self.mails.append(Mail(envelope.mail_from, recipients, envelope.content, user, session.ssl is not None))
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.to_quit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def listening(server: Server, **options: Any) -> Iterator[Server]:
    """`server` on a free port. options: of aiosmtpd's Controller and SMTP."""
    server.port = free_port()
    controller = Controller(server, hostname=HOST, port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def knows_password(server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: object) -> AuthResult:
    """An authenticator for one user."""
    known = isinstance(auth_data, LoginPassword) and auth_data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False, auth_data=auth_data)


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for HOST, and a server's context that shows it."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail",
         "-addext", f"subjectAltName=IP:{HOST}", "-out", cert, "-keyout", key], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return cert, context

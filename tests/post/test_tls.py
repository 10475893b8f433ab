# SPDX-License-Identifier: GPL-2.0-or-later
"""Encryption and passwords: nothing is said to a server that cannot prove its name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.model.errors import InfraError
from tests.post.delivering import mail, state
from tests.post.servers import HOST, PASSWORD, SENDER, USER, GitConfig, Server, certificate, knows_password, listening


@pytest.fixture
def starttls(tmp_path: Path, git_config: GitConfig) -> Iterator[Server]:
    """A server that wants STARTTLS and then a password; its certificate is tmp_path/cert.pem."""
    _, context = certificate(tmp_path)
    options = {"tls_context": context, "require_starttls": True, "authenticator": knows_password, "auth_required": True}
    with listening(Server(), **options) as server:
        git_config.set(
            smtpServer=HOST,
            smtpServerPort=server.port,
            smtpEncryption="tls",
            smtpUser=USER,
            smtpPass=PASSWORD,
            **{"from": SENDER},
        )
        yield server


def refusal(folder: Path) -> str:
    with pytest.raises(InfraError) as caught:
        mail(folder, send=True)
    assert len(str(caught.value).splitlines()) == 1
    assert state(folder) == "refused"
    return str(caught.value)


def test_a_trusted_server_gets_user_password_and_mail(
    folder: Path, starttls: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    assert mail(folder, send=True).sent
    assert [(one.user, one.tls) for one in starttls.mails] == [(USER, True)]


def test_a_certificate_that_nobody_vouches_for_is_refused(folder: Path, starttls: Server) -> None:
    assert "certificate verify failed" in refusal(folder)
    assert starttls.mails == []


def test_a_wrong_password_is_the_servers_word_and_never_ours(
    folder: Path, starttls: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git_config: GitConfig
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    git_config.set(smtpPass="wr0ng")
    said = refusal(folder)
    assert "535" in said and "wr0ng" not in said
    assert starttls.mails == []


def test_a_password_that_smtp_cannot_carry_is_an_error_of_one_line(
    folder: Path, starttls: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git_config: GitConfig
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    git_config.set(smtpPass="pässwörd")
    said = refusal(folder)
    assert "did not accept the mail" in said and "pässwörd" not in said
    assert starttls.mails == []


def test_no_mail_goes_in_the_clear_when_encryption_was_asked_for(folder: Path, git_config: GitConfig) -> None:
    with listening(Server()) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port, smtpEncryption="tls", **{"from": SENDER})
        assert "STARTTLS" in refusal(folder)
    assert server.mails == []


def test_no_password_goes_to_a_server_that_asks_for_none(folder: Path, git_config: GitConfig) -> None:
    with listening(Server()) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port, smtpUser=USER, **{"from": SENDER})
        git_config.set(smtpPass=PASSWORD)
        assert "AUTH" in refusal(folder)
    assert server.mails == []


@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_that_speaks_tls_from_the_start(
    folder: Path, git_config: GitConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    cert, context = certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with listening(Server(), ssl_context=context) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port, smtpEncryption="SSL", **{"from": SENDER})
        if trusted:
            assert mail(folder, send=True).sent
        else:
            assert "certificate verify failed" in refusal(folder)
    assert len(server.mails) == int(trusted)

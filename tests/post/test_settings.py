# SPDX-License-Identifier: GPL-2.0-or-later
"""What `git send-email` would use is what is used."""

import subprocess
from pathlib import Path

import pytest

from reviewbot.model.errors import UsageError
from reviewbot.post.settings import MailSettings, read_settings
from tests.post.servers import GitConfig


def test_every_setting_is_read(git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set(
        smtpServer="mail.example.org",
        smtpServerPort=2525,
        smtpEncryption="TLS",
        smtpUser="ci",
        smtpPass="a b=c",
        smtpDomain="ci.example.org",
        **{"from": "CI <ci@example.org>"},
    )
    assert read_settings(tmp_path) == MailSettings(
        server="mail.example.org",
        port=2525,
        encryption="tls",
        user="ci",
        password="a b=c",
        sender="CI <ci@example.org>",
        domain="ci.example.org",
    )


def test_the_sender_is_the_user_unless_another_is_named(git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set(smtpServer="mail.example.org")
    git_config.set("user", name="Dana Example", email="dana@example.org")
    assert read_settings(tmp_path).sender == "Dana Example <dana@example.org>"
    git_config.set(**{"from": "CI <ci@example.org>"})
    assert read_settings(tmp_path).sender == "CI <ci@example.org>"


def test_an_identity_goes_before_the_common_settings(git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set(smtpServer="mail.example.org", smtpServerPort=25, identity="Work", **{"from": "ci@example.org"})
    git_config.set('sendemail "Work"', smtpServer="work.example.org", smtpEncryption="ssl")
    git_config.set('sendemail "work"', smtpServer="other.example.org")
    found = read_settings(tmp_path)
    assert (found.server, found.encryption, found.port) == ("work.example.org", "ssl", 25)
    assert found.sender == "ci@example.org"


def test_without_an_identity_no_ones_settings_are_taken(git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set('sendemail "Work"', smtpServer="work.example.org")
    git_config.set(**{"from": "ci@example.org"})
    with pytest.raises(UsageError, match=r"no sendemail\.smtpServer"):
        read_settings(tmp_path)


def test_the_last_of_several_values_counts(git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set(smtpServer="first.example.org", **{"from": "ci@example.org"})
    git_config.set("SendEmail", SMTPSERVER="second.example.org")
    assert read_settings(tmp_path).server == "second.example.org"


def test_a_repositorys_own_settings_go_before_the_users(git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set(smtpServer="mail.example.org", **{"from": "ci@example.org"})
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    subprocess.run(["git", "config", "sendemail.smtpServer", "here.example.org"], cwd=repository, check=True)
    assert read_settings(repository).server == "here.example.org"
    assert read_settings(tmp_path).server == "mail.example.org"


def test_a_configuration_file_named_in_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    GitConfig(tmp_path / "elsewhere").set(smtpServer="mail.example.org", **{"from": "ci@example.org"})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "elsewhere"))
    assert read_settings(tmp_path).server == "mail.example.org"


def test_settings_in_the_environment_itself_are_read(
    git_config: GitConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_config.set(smtpServer="mail.example.org", **{"from": "ci@example.org"})
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "sendemail.smtpServer")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "job.example.org")
    assert read_settings(tmp_path).server == "job.example.org"


@pytest.mark.parametrize("encryption", ["none", ""])
def test_no_encryption_is_no_encryption(git_config: GitConfig, tmp_path: Path, encryption: str) -> None:
    git_config.set(smtpServer="mail.example.org", smtpEncryption=encryption, **{"from": "ci@example.org"})
    assert read_settings(tmp_path).encryption == ""


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("smtpServerPort", "smtp", r"smtpServerPort is not a number: smtp"), ("smtpServerPort", "-1", "not a number"),
     ("smtpEncryption", "starttls", "neither tls nor ssl: starttls"), ("from", "", "git has no sender for mail")],
)  # fmt: skip
def test_a_wrong_setting_is_named(git_config: GitConfig, tmp_path: Path, setting: str, value: str, said: str) -> None:
    git_config.set(smtpServer="mail.example.org", **{"from": "ci@example.org"})
    git_config.set(**{setting: value})
    with pytest.raises(UsageError, match=said):
        read_settings(tmp_path)


def test_a_user_without_any_setting_is_told_which_to_make(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path)
    assert caught.value.hint == "git config --global sendemail.smtpServer HOST"

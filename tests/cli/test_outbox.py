# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot outbox` at the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from reviewbot.cli.posting import outbox_command
from reviewbot.model.errors import UsageError
from reviewbot.post import MAIL, Outbox, State, outbox_file


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """With one thing that waits and one that is held."""
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path))
    outbox = Outbox(outbox_file(tmp_path))
    for key, held in (("one", ""), ("two", "the posting is an RFC")):
        outbox.put(
            key,
            MAIL,
            run="r",
            topic="t@x",
            about=f"Re: {key}\x1b[31m\nforged",
            goes_to="dana@example.org",
            payload=b"To: dana@example.org\n\nhello\n",
            held=held,
        )
    return outbox


def call(*words: str) -> str:
    done = CliRunner().invoke(outbox_command, words, standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output


def test_it_lists_what_is_not_over_with_the_reason_and_one_line_for_each(box: Outbox) -> None:
    first, second = call().splitlines()
    assert first.startswith("1  pending  mail to dana@example.org  Re: one") and "\x1b" not in first
    assert second.startswith("2  held: the posting is an RFC  mail to ") and "forged" in second
    box.drop(1)
    assert len(call().splitlines()) == 1 and len(call("list", "--all").splitlines()) == 2


def test_json_has_every_fact_but_the_thing_itself(box: Outbox) -> None:
    first, second = json.loads(call("list", "--json"))
    assert (first["id"], first["state"], first["run"], first["topic"]) == (1, "pending", "r", "t@x")
    assert second["why"] == "the posting is an RFC" and "payload" not in second


def test_it_shows_holds_and_drops(box: Outbox) -> None:
    assert call("show", "1") == "To: dana@example.org\n\nhello\n"
    assert call("hold", "1").startswith("1  held: held manually")
    assert call("drop", "1", "2").count("dropped") >= 2
    assert {item.state for item in box.all()} == {State.DROPPED}


@pytest.mark.parametrize("words", [("hold",), ("show",), ("list", "1"), ("send", "1"), ("hold", "9"), ("show", "9")])
def test_wrong_words_are_said(box: Outbox, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        call(*words)


def test_releasing_without_a_server_says_so_and_loses_nothing(
    box: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(outbox_command, ["release", "2"], standalone_mode=False)
    assert done.return_value == 4 and "git has no sendemail.smtpServer" in done.output
    assert box.get(2).state is State.PENDING

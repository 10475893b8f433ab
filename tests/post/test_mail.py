# SPDX-License-Identifier: GPL-2.0-or-later
"""A reply is sent once, to whom it should, or not at all; and what happened is said in one line."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.verdict import ExitStatus
from reviewbot.post import Policy, Sender, State, send_again
from reviewbot.post import mail as deliver
from reviewbot.post.policy import Defaults, Rule
from reviewbot.report import reply_mail
from tests.mails import mail as posting_mail
from tests.post.delivering import OPEN, mail, outbox, state
from tests.post.servers import HOST, SENDER, GitConfig, Server, free_port, listening
from tests.report.records import POSTING, TOP, failing, passing

DANA = "dana@example.org"


@pytest.fixture
def server(git_config: GitConfig) -> Iterator[Server]:
    """A kind server that git's settings name."""
    with listening(Server()) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port, **{"from": SENDER})
        yield server


def taken(server: Server) -> EmailMessage:
    (one,) = server.mails
    return message_from_bytes(one.content, policy=policy.default)


def test_a_reply_arrives_with_sender_date_and_thread(folder: Path, server: Server) -> None:
    delivery = mail(folder, send=True)
    assert delivery.sent and delivery.recipients == (DANA,) and state(folder) == "sent"
    assert delivery.describe() == f"sent {delivery.message_id} to {DANA} through {HOST}"
    assert [(one.sender, one.recipients) for one in server.mails] == [("ci@example.org", (DANA,))]
    message = taken(server)
    assert (message["From"], message["To"]) == (SENDER, f"Dana Example <{DANA}>")
    assert message["Date"].datetime.utcoffset() is not None
    assert message["In-Reply-To"] == f"<{TOP}>" and message["References"].endswith(f"<{TOP}>")
    assert message["Message-ID"] == delivery.message_id
    assert "Cc" not in message and "Bcc" not in message
    body = server.mails[0].content.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
    written = (folder / "reply.eml").read_bytes().partition(b"\n\n")[2]
    assert body == written.replace(b"<reviewbot@invalid>", b"<ci@example.org>") != written
    assert message["List-Unsubscribe"] == "<mailto:ci@example.org?subject=unsubscribe>"


def test_headers_reach_the_server_in_ascii_and_are_read_as_they_were(folder: Path, server: Server) -> None:
    subject = "[PATCH] fuse: “schnellere” Umbenennung " + "ü" * 80
    posting = POSTING.model_copy(update={"subject": subject, "author": f"Dänä <{DANA}>", "top": f"{'x' * 90}@y"})
    (folder / "reply.eml").write_bytes(reply_mail(passing().model_copy(update={"posting": posting}), b""))
    mail(folder, send=True)
    head = server.mails[0].content.partition(b"\r\n\r\n")[0].decode("ascii")
    assert f"\nIn-Reply-To: <{'x' * 90}@y>\r\n" in head
    message = taken(server)
    assert message["Subject"] == f"Re: {subject} (PASS)"
    assert (message["From"], message["To"]) == (SENDER, f"Dänä <{DANA}>")


def test_a_dry_run_shows_the_mail_and_sends_nothing(folder: Path, server: Server) -> None:
    delivery = mail(folder)
    assert not delivery.sent and server.mails == []
    assert [path.name for path in folder.iterdir()] == ["reply.eml"]
    assert "\nPASS: all 4 tests" in delivery.mail
    assert delivery.describe().endswith(f"(a dry run: --send would send this to {DANA} through {HOST})")


def test_a_dry_run_needs_no_settings_and_says_which_is_missing(folder: Path) -> None:
    delivery = mail(folder)
    assert delivery.server == "" and "no server: git has no sendemail.smtpServer" in delivery.describe()


def test_sending_needs_settings(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"git has no sendemail\.smtpServer"):
        mail(folder, send=True)
    assert not state(folder)


def test_named_recipients_replace_the_author(folder: Path, server: Server) -> None:
    mail(folder, send=True, to=["Jö <a@example.org>", "b@example.org"], cc=["c@example.org"])
    assert server.mails[0].recipients == ("a@example.org", "b@example.org", "c@example.org")
    message = taken(server)
    assert (message["To"], message["Cc"]) == ("Jö <a@example.org>, b@example.org", "c@example.org")
    assert DANA.encode() not in server.mails[0].content.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "address",
    ["a@example.org\nBcc: b@example.org", "a@example.org\r\nX: y", "a@example.org\n", "a\x0bb@example.org",
     "a@example.org\x85Bcc: b@example.org", "=?utf-8?q?=0ABcc:_b@example.org?= <a@example.org>"],
)  # fmt: skip
@pytest.mark.parametrize("header", ["to", "cc"])
def test_an_address_cannot_add_a_header(folder: Path, server: Server, address: str, header: str) -> None:
    with pytest.raises(UsageError, match=r"more than one line|CR or LF") as caught:
        mail(folder, send=True, to=[address] if header == "to" else [], cc=[address] if header == "cc" else [])
    assert len(str(caught.value).splitlines()) == 1
    assert server.mails == [] and not state(folder)


@pytest.mark.parametrize("address", ["<", "<>", "@", "a@", "a@[", '"', ";", "(", ",", "\ud800"])
def test_an_address_that_is_none_is_the_users_mistake(folder: Path, server: Server, address: str) -> None:
    with pytest.raises(UsageError, match=r"no mail can be sent with To|no recipient"):
        mail(folder, send=True, to=[address])
    assert server.mails == [] and not state(folder)


def test_a_reply_without_a_usable_author_needs_a_recipient(folder: Path, server: Server) -> None:
    posting = POSTING.model_copy(update={"author": "nobody"})
    (folder / "reply.eml").write_bytes(reply_mail(passing().model_copy(update={"posting": posting}), b""))
    with pytest.raises(UsageError, match="no recipient") as caught:
        mail(folder, send=True)
    assert caught.value.hint == "name one with --mail-to"
    mail(folder, send=True, to=[DANA])
    assert server.mails[0].recipients == (DANA,)


def test_a_reply_is_sent_once(folder: Path, server: Server) -> None:
    mail(folder, send=True)
    with pytest.raises(UsageError, match="was sent before") as caught:
        mail(folder, send=True)
    assert caught.value.exit_status is ExitStatus.USAGE and "number 1 of the outbox" in caught.value.hint
    assert len(server.mails) == 1
    assert not mail(folder).sent, "a dry run is always allowed"


def test_another_reply_after_one_that_was_dropped_is_not_sent(folder: Path, server: Server) -> None:
    server.to_data = "554 no"
    refusal(folder)
    outbox(folder).drop(1)
    server.to_data = ""
    with pytest.raises(UsageError, match="was dropped"):
        mail(folder, send=True)
    assert server.mails == []


def test_another_reply_of_the_same_folder_may_be_sent(folder: Path, server: Server) -> None:
    mail(folder, send=True)
    other = passing().model_copy(update={"run": "20261104-000000-0000"})
    (folder / "reply.eml").write_bytes(reply_mail(other, b""))
    mail(folder, send=True)
    assert len(server.mails) == 2


def test_a_failure_of_the_infrastructure_is_never_mailed(folder: Path, server: Server) -> None:
    reply = (folder / "reply.eml").read_bytes().replace(b"Verdict: PASS", b"Verdict: INFRA")
    (folder / "reply.eml").write_bytes(reply)
    for send in (False, True):
        with pytest.raises(UsageError, match="says nothing about the series and is never mailed"):
            mail(folder, send=send, to=[DANA])
    assert server.mails == []


def test_a_run_without_a_reply_has_nothing_to_send(folder: Path, server: Server) -> None:
    (folder / "reply.eml").unlink()
    with pytest.raises(UsageError, match=f"run {folder.name} has no reply") as caught:
        mail(folder, send=True)
    assert "interrupted" in caught.value.hint


def refusal(folder: Path, cc: Sequence[str] = ()) -> str:
    """The one line of a send that fails."""
    with pytest.raises(InfraError) as caught:
        mail(folder, send=True, cc=cc)
    assert caught.value.exit_status is ExitStatus.INFRA and caught.value.hint
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_refused_recipient_is_named_and_a_later_try_is_allowed(folder: Path, server: Server) -> None:
    server.refuses[DANA] = "550-5.1.1 no such\r\n550 5.1.1 user"
    assert refusal(folder) == f"{HOST} did not accept the mail: {DANA}: 5.1.1 no such 5.1.1 user"
    assert state(folder) == "refused" and server.mails == []
    server.refuses.clear()
    assert mail(folder, send=True).sent and state(folder) == "sent"


def test_refused_data_is_said_in_one_line_and_a_later_try_is_allowed(folder: Path, server: Server) -> None:
    server.to_data = "554-5.7.1 this looks\r\n554 5.7.1 like spam"
    assert refusal(folder) == f"{HOST} did not accept the mail: 554 5.7.1 this looks 5.7.1 like spam"
    assert state(folder) == "refused"
    server.to_data = ""
    assert mail(folder, send=True).sent


def test_a_mail_that_some_got_is_not_sent_again(folder: Path, server: Server) -> None:
    server.refuses["gone@example.org"] = "550 no such user"
    said = refusal(folder, cc=["gone@example.org"])
    assert said == f"sent, but {HOST} refused some recipients: gone@example.org: no such user"
    assert state(folder) == "sent" and server.mails[0].recipients == (DANA,)
    with pytest.raises(UsageError, match="was sent before"):
        mail(folder, send=True)


def test_a_server_that_is_not_there_leaves_a_later_try(folder: Path, git_config: GitConfig) -> None:
    git_config.set(smtpServer=HOST, smtpServerPort=free_port(), **{"from": SENDER})
    assert "Connection refused" in refusal(folder)
    assert state(folder) == "pending" and outbox(folder).due() == (), "not before a while"
    with listening(Server()) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port)
        assert mail(folder, send=True).sent, "somebody wants it now"


def test_a_mail_that_may_have_gone_out_is_not_sent_again(folder: Path, server: Server) -> None:
    server.hangs_up = True
    refusal(folder)
    assert state(folder) == "sending"
    server.hangs_up = False
    with pytest.raises(UsageError, match="may have been sent before"):
        mail(folder, send=True)


def test_what_a_server_says_after_it_took_the_mail_changes_nothing(folder: Path, server: Server) -> None:
    server.to_quit = "421 too busy to say goodbye"
    assert mail(folder, send=True).sent
    assert len(server.mails) == 1 and state(folder) == "sent"


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_like_sendmail_gets_the_mail(folder: Path, git_config: GitConfig, tmp_path: Path) -> None:
    script = f'printf "%s\\n" "$@" > {tmp_path}/words; cat > {tmp_path}/mail'
    sendmail = program(tmp_path / "sendmail", script)
    git_config.set(smtpServer=sendmail, **{"from": SENDER})
    assert mail(folder, send=True, cc=["c@example.org"]).describe().endswith(f"through {sendmail}")
    assert (tmp_path / "words").read_text().split() == ["-i", "-f", "ci@example.org", "--", DANA, "c@example.org"]
    message = message_from_bytes((tmp_path / "mail").read_bytes(), policy=policy.default)
    assert (message["From"], message["In-Reply-To"]) == (SENDER, f"<{TOP}>")
    assert b"\r" not in (tmp_path / "mail").read_bytes()


def test_a_program_that_fails_is_named_with_its_words(folder: Path, git_config: GitConfig, tmp_path: Path) -> None:
    sendmail = program(tmp_path / "sendmail", "echo 'queue is full' >&2; exit 75")
    git_config.set(smtpServer=sendmail, **{"from": SENDER})
    assert refusal(folder).endswith("exited with status 75: queue is full")
    assert state(folder) == "pending", "EX_TEMPFAIL"
    program(tmp_path / "sendmail", "echo 'no such user' >&2; exit 67")
    assert refusal(folder).endswith("exited with status 67: no such user")
    assert state(folder) == "refused"


def test_a_program_that_is_not_there_leaves_a_later_try(folder: Path, git_config: GitConfig, tmp_path: Path) -> None:
    git_config.set(smtpServer=str(tmp_path / "msmtp"), **{"from": SENDER})
    assert "is not installed" in refusal(folder)
    assert state(folder) == "refused"
    program(tmp_path / "msmtp", "cat > /dev/null")
    assert mail(folder, send=True).sent


def test_failures_that_base_may_have_too_are_sent_only_when_that_is_wanted(folder: Path, server: Server) -> None:
    (folder / "reply.eml").write_bytes(reply_mail(failing(), b""))
    assert not mail(folder).sent, "a dry run shows it"
    with pytest.raises(UsageError, match="not compared with base") as caught:
        mail(folder, send=True)
    assert "--uncompared" in caught.value.hint and server.mails == []
    assert mail(folder, send=True, uncompared=True).sent


def test_the_message_id_is_of_the_senders_domain_and_the_same_for_the_same_reply(folder: Path, server: Server) -> None:
    first, second = mail(folder), mail(folder)
    assert first.message_id == second.message_id and first.message_id.endswith(
        f"@{SENDER.rpartition('@')[2].strip('>')}>"
    )


def test_a_server_that_is_busy_is_asked_again(folder: Path, server: Server) -> None:
    server.busy = 2
    assert mail(folder, send=True, pauses=(0, 0)).sent and len(server.mails) == 1


def test_a_server_that_stays_busy_is_asked_again_later(folder: Path, server: Server) -> None:
    server.busy = 3
    with pytest.raises(InfraError, match="451 come back later") as caught:
        mail(folder, send=True, pauses=(0, 0))
    assert "`reviewbot outbox send` tries again later" in caught.value.hint
    (item,) = outbox(folder).all(State.PENDING)
    assert item.not_before and item.changed and item.not_before > item.changed and server.mails == []


def test_each_thread_has_its_reply_and_both_are_sent_once(folder: Path, server: Server) -> None:
    second = reply_mail(passing().model_copy(update={"posting": POSTING.model_copy(update={"top": "b@x"})}), b"")
    (folder / "reply-2.eml").write_bytes(second)
    sender = Sender(outbox(folder), OPEN, pauses=())
    assert [one.sent for one in deliver(folder, sender, send=True)] == [True, True]
    answered = {str(message_from_bytes(one.content, policy=policy.default)["In-Reply-To"]) for one in server.mails}
    assert answered == {f"<{TOP}>", "<b@x>"}
    with pytest.raises(UsageError, match="was sent before"):
        deliver(folder, sender, send=True)


def test_a_clean_result_is_held_unless_the_policy_wants_it(folder: Path, server: Server) -> None:
    delivery = mail(folder, send=True, policy=Policy())
    assert delivery.state == "held" and "level `all` only" in delivery.describe() and server.mails == []
    sender = Sender(outbox(folder), Policy(), pauses=())
    assert send_again(outbox(folder).release(delivery.number), sender).state is State.SENT
    assert len(server.mails) == 1 and b"\nDate: " in server.mails[0].content


def test_a_reply_below_an_embargo_goes_when_it_is_over(folder: Path, server: Server) -> None:
    wait = Policy(defaults=Defaults(level="all", embargo_hours=6))
    delivery = mail(folder, send=True, policy=wait)
    assert delivery.state == "waiting" and "embargo of 6 h" in delivery.why and server.mails == []
    (item,) = outbox(folder).all(State.PENDING)
    assert outbox(folder).due() == ()
    assert send_again(item, Sender(outbox(folder), wait, pauses=())).state is State.PENDING, "it is not due"
    assert send_again(outbox(folder).release(item.id), Sender(outbox(folder), wait, pauses=())).state is State.SENT


def test_the_mail_of_a_later_run_waits_for_one_that_still_waits(folder: Path, server: Server) -> None:
    wait = Policy(defaults=Defaults(level="all", embargo_hours=6, posting_hours=240))
    mail(folder, send=True, policy=wait)
    later = folder.parent / "later"
    later.mkdir()
    text = (folder / "reply.eml").read_bytes()
    (later / "reply.eml").write_bytes(text.replace(b"Message-ID: <", b"Message-ID: <later."))
    delivery = mail(later, send=True, policy=wait)
    first, second = outbox(folder).all(State.PENDING)
    assert first.not_before and second.not_before == first.not_before + timedelta(hours=240)
    assert delivery.state == "waiting" and "the posting already got a mail" in delivery.why and server.mails == []


def test_what_was_put_off_waits_for_room_in_the_day_unless_it_is_released(folder: Path, server: Server) -> None:
    few = Policy(defaults=OPEN.defaults.model_copy(update={"per_day": 1, "embargo_hours": 1}))
    box = outbox(folder)
    assert mail(folder, send=True, policy=few).state == "waiting"
    with sqlite3.connect(folder.parent / "outbox.sqlite") as database:  # an hour later
        database.execute("UPDATE items SET not_before = ''")
    other = box.put("o", "mail", run="o", topic="o@x", about="o", goes_to="x@y", payload=b"To: x@y\nFrom: a@b\n\no\n")
    assert send_again(other, Sender(box, few, pauses=())).state is State.SENT
    (due,) = box.due()
    held = send_again(due, Sender(box, few, pauses=()))
    assert held.state is State.PENDING and held.not_before and held.not_before > datetime.now(UTC) + timedelta(hours=23)
    assert held.why == "1 mail in 24 hours: limit reached" and len(server.mails) == 1 and box.due() == ()
    freed = send_again(box.release(held.id), Sender(box, few, pauses=()), released=True)
    assert freed.state is State.SENT and len(server.mails) == 2


def test_a_list_that_wants_it_has_a_copy_and_a_private_author_none(folder: Path, server: Server) -> None:
    answered = {TOP: parent_mail(to="linux-fsdevel@vger.kernel.org, Other <o@example.org>")}
    lists = {"linux-fsdevel@vger.kernel.org": Rule(to="list")}
    (folder / "reply.eml").write_bytes(reply_mail(failing(), b""))
    private = Policy(lists=lists, authors={"Dana@example.org": Rule(private=True)})
    assert mail(folder, policy=private, mails=answered).recipients == (DANA,)
    delivery = mail(folder, send=True, uncompared=True, policy=Policy(lists=lists), mails=answered)
    assert delivery.recipients == (DANA, "linux-fsdevel@vger.kernel.org") == server.mails[0].recipients


def parent_mail(to: str) -> bytes:
    return posting_mail(TOP, "[PATCH] x", to=to)

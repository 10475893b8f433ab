# SPDX-License-Identifier: GPL-2.0-or-later
"""Our reply in an archive: below the mail that it answers, and no trailer of ours is harvested."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest
from b4 import LoreMailbox

from demo.inbox import installed, serve
from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, fetch_thread, split
from reviewbot.report import Record
from reviewbot.report.mail import replies
from tests.mails import diff, mail
from tests.post.delivering import mail as deliver
from tests.post.servers import HOST, SENDER, GitConfig, Server, listening
from tests.report.records import RECORDS

COVER, PATCH = "cover@example.org", "one@example.org"
THREAD = {
    COVER: mail(COVER, "[PATCH v2 0/1] fuse: “schnell”"),
    PATCH: mail(PATCH, "[PATCH v2 1/1] fuse: it", diff("fs/fuse/file.c"), parent=COVER),
}


def about_the_thread(record: Record) -> Record:
    """The same results, of the thread's posting."""
    posting = split(Mailbag("", tuple(THREAD.values())), COVER, load_stack()).posting
    return record.model_copy(update={"posting": posting})


@pytest.mark.skipif(not installed(), reason="public-inbox is not installed")
def test_an_archive_shows_the_reply_below_what_it_answers(tmp_path: Path, git_config: GitConfig) -> None:
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    (run / "reply.eml").write_bytes(replies(about_the_thread(RECORDS["pass"]()), THREAD)["reply.eml"])
    with listening(Server()) as server:
        git_config.set(smtpServer=HOST, smtpServerPort=server.port, **{"from": SENDER})
        sent = deliver(run, send=True).message_id.strip("<>")
        arrived = server.mails[0].content.replace(b"\r\n", b"\n")
    with serve([*THREAD.values(), arrived], tmp_path / "inbox") as url:
        for asked in (COVER, sent):
            bag = fetch_thread(asked, url, tmp_path / "cache")
            assert all(bag.has(one) for one in (COVER, PATCH, sent))
        raw = bag.by_id()[sent]
    reply = message_from_bytes(raw, policy=policy.default)
    assert (reply["In-Reply-To"], reply["References"]) == (f"<{COVER}>", f"<{COVER}>")
    assert reply["Subject"] == "Re: [PATCH v2 0/1] fuse: “schnell” (PASS)"
    body = reply.get_content()
    assert "| Tested-by: reviewbot <ci@example.org>" in body and max(map(len, body.splitlines())) <= 78


@pytest.mark.parametrize("name", RECORDS)
def test_b4_takes_the_reply_for_a_follow_up_without_trailers(name: str) -> None:
    mailbox = LoreMailbox()
    for raw in (*THREAD.values(), replies(about_the_thread(RECORDS[name]()), THREAD)["reply.eml"]):
        mailbox.add_message(message_from_bytes(raw, policy=policy.EmailPolicy(utf8=True)))
    series = mailbox.get_series(2, sloppytrailers=True, codereview_trailers=False)
    assert series and series.complete and series.expected == 1
    assert [trailer for patch in series.patches if patch for trailer in patch.followup_trailers] == []
    assert len(mailbox.followups) == 1

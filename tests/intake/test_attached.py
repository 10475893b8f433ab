# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches that are attached to a mail."""

import base64
import subprocess
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import BytesParser
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.intake import Intake, Mailbag, NoPatches, mbox_bytes, read_mbox, split
from tests.mails import diff, mail
from tests.repos import ENV, git, make_repository

STACK = load_stack()


def of(*mails: bytes, name: str | None = None) -> Intake:
    return split(Mailbag("test", mails), name, STACK)


def formatted(number: int, *, subject: str = "", author: str = "A Developer <dev@example.org>") -> bytes:
    """What git format-patch writes."""
    subject = subject or f"[PATCH {number}/2] fuse: do it {number}"
    head = f"From {'1' * 40} Mon Sep 17 00:00:00 2001\nFrom: {author}\nDate: Tue, 2 Jun 2026 10:00:00 +0000\n"
    return f"{head}Subject: {subject}\n\n{diff('fs/fuse/dev.c', word=str(number))}".encode()


def enclosing(subject: str, *attached: bytes, how: str = "x-patch", reply: bool = False) -> bytes:
    outer = MIMEMultipart()
    outer["From"], outer["To"], outer["Subject"] = (
        "A Developer <dev@example.org>",
        "linux-fsdevel@vger.kernel.org",
        subject,
    )
    outer["Date"], outer["Message-ID"] = "Tue, 2 Jun 2026 11:00:00 +0000", "<outer@x>"
    if reply:
        outer["In-Reply-To"] = "<other@x>"
    outer.attach(MIMEText("Please see the attached.\n"))
    for number, data in enumerate(attached, 1):
        part: MIMEBase
        if how == "message":
            part = MIMEMessage(BytesParser().parsebytes(data.partition(b"\n")[2]))
        elif how == "octets":
            part = MIMEApplication(data)
        elif how == "base64 crlf":
            part = MIMEBase("text", "x-patch")
            part.set_payload(base64.encodebytes(data.replace(b"\n", b"\r\n")).decode())
            part["Content-Transfer-Encoding"] = "base64"
        else:
            part = MIMEText(data.decode(), "x-patch" if how == "x-patch" else "plain")
        part.add_header("Content-Disposition", "attachment", filename=f"{number:04}-x.patch")
        outer.attach(part)
    return outer.as_bytes()


@pytest.mark.parametrize("how", ["x-patch", "plain", "octets", "base64 crlf", "message"])
@pytest.mark.parametrize("subject", ["[PATCH 0/2] fuse: do it", "[PATCH] fuse: do it", "fuse: two patches"])
def test_each_attached_patch_is_one(how: str, subject: str) -> None:
    found = of(enclosing(subject, formatted(1), formatted(2), how=how))
    (part,) = found.posting.parts
    assert [(p.message_id, p.number) for p in part.patches] == [("1.outer@x", 1), ("2.outer@x", 2)]
    assert (part.cover, part.component, found.posting.problems) == ("outer@x", "kernel", ())


def test_patches_without_numbers_have_the_order_of_the_attachments() -> None:
    one, two = (formatted(n, subject=f"[PATCH] fuse: {n}") for n in (1, 2))
    (part,) = of(enclosing("two patches", one, two)).posting.parts
    assert [p.subject for p in part.patches] == ["[PATCH 1/2] fuse: 1", "[PATCH 2/2] fuse: 2"]


def test_a_lone_patch_that_is_attached_to_a_letter() -> None:
    (part,) = of(enclosing("a patch", formatted(1, subject="[PATCH] fuse: do it"))).posting.parts
    assert [p.subject for p in part.patches] == ["[PATCH] fuse: do it"]


def test_they_are_kept_with_the_run_and_read_back_the_same(tmp_path: Path) -> None:
    found = of(enclosing("[PATCH 0/2] fuse: do it", formatted(1), formatted(2)))
    (tmp_path / "mails").write_bytes(mbox_bytes(found.mails))
    again = split(read_mbox(tmp_path / "mails"), None, STACK)
    assert again.posting.parts == found.posting.parts and dict(again.mails) == dict(found.mails)


def test_what_is_attached_to_an_answer_is_no_patch() -> None:
    series = mail("other@x", "[PATCH] fuse: do it", diff("fs/fuse/dev.c"))
    found = of(series, enclosing("Re: [PATCH] fuse: do it", formatted(1), formatted(2), reply=True))
    assert [p.message_id for p in found.posting.parts[0].patches] == ["other@x"]


def test_bare_diffs_that_are_attached_are_told_from_nothing() -> None:
    bare = diff("fs/fuse/dev.c").partition("---\n")[2].encode()
    with pytest.raises(NoPatches, match="2 diffs are attached to <outer@x>") as caught:
        of(enclosing("[PATCH 0/2] fuse: do it", bare, bare))
    assert "git format-patch" in caught.value.hint
    with pytest.raises(NoPatches, match="there is no patch in the thread"):
        of(enclosing("[PATCH 0/2] fuse: do it"))


def test_what_is_attached_to_an_answer_is_not_taken_and_the_refusal_says_so() -> None:
    with pytest.raises(NoPatches, match="<outer@x> replies to another mail") as caught:
        of(enclosing("Re: [PATCH] fuse: do it", formatted(1), reply=True), name="outer@x")
    assert "--mbox" in caught.value.hint


def test_git_am_makes_the_commits_that_were_attached(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    make_repository(folder, {"fs/fuse/dev.c": "old\n"})
    for number in (1, 2):
        (folder / "fs/fuse/dev.c").write_text("old\n" + "ä\n" * number)
        who = {"GIT_AUTHOR_NAME": f"Bé {number}", "GIT_AUTHOR_EMAIL": f"b{number}@x.org"}
        subprocess.run(["git", "commit", "-qam", f"fuse: stép {number}"], cwd=folder, env={**ENV, **who}, check=True)
    git(folder, "format-patch", "-q", "-o", str(tmp_path / "out"), "HEAD~2")
    files = [file.read_bytes() for file in sorted((tmp_path / "out").iterdir())]
    found = of(enclosing("[PATCH 0/2] fuse: do it", *files, how="octets"))
    tip = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "-q", "HEAD~2")
    for number, patch in enumerate(found.posting.parts[0].patches):
        (tmp_path / f"{number}").write_bytes(found.mails[patch.message_id])
        git(folder, "am", "-q", str(tmp_path / f"{number}"))
    said = "--format=%an <%ae> %s %T"
    assert git(folder, "log", "-2", said) == git(folder, "log", "-2", said, tip)

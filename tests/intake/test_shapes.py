# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads as people really send them; and a folder of mailboxes of your own (REVIEWBOT_SAMPLES)."""

import os
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, read_mbox, split
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.posting import Posting
from tests.intake.patches import taken
from tests.mails import diff, mail

STACK = load_stack()
PATH = "fs/fuse/dev.c"
SAMPLES = os.environ.get("REVIEWBOT_SAMPLES", "")
OTHER = "A Reviewer <reviewer@example.org>"


def read(*mails: bytes) -> Posting:
    return split(Mailbag("test", mails), None, STACK).posting


def ids(found: Posting) -> list[str]:
    return [patch.message_id for part in found.parts for patch in part.patches]


def kinds(found: Posting) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.problems]


def pair() -> list[bytes]:
    """A cover and two patches."""
    return [
        mail("c@x", "[PATCH v2 0/2] fuse: two things"),
        mail("1@x", "[PATCH v2 1/2] fuse: one", diff(PATH), parent="c@x"),
        mail("2@x", "[PATCH v2 2/2] fuse: two", diff("fs/fuse/file.c"), parent="c@x"),
    ]


def test_trailers_that_follow_change_nothing() -> None:
    answer = mail(
        "r@x",
        "Re: [PATCH v2 1/2] fuse: one",
        "> Do it.\n\nReviewed-by: A Reviewer <reviewer@example.org>\n",
        parent="1@x",
        author=OTHER,
    )
    found = read(*pair(), answer)
    assert (ids(found), kinds(found)) == (["1@x", "2@x"], [])


def test_an_answer_in_html_changes_nothing() -> None:
    answer = mail("r@x", "Re: [PATCH v2 1/2] fuse: one", f"<html><pre>{diff(PATH)}</pre>", parent="1@x", author=OTHER)
    found = read(*pair(), answer.replace(b"text/plain", b"text/html"))
    assert (ids(found), kinds(found)) == (["1@x", "2@x"], [])


def test_a_new_version_of_one_patch_sent_below_it_is_taken_and_told() -> None:
    again = mail("2b@x", "[PATCH v3 2/2] fuse: two", diff("fs/fuse/file.c", word="better"), parent="2@x")
    found = read(*pair(), again)
    assert (ids(found), kinds(found)) == (["1@x", "2b@x"], [("partial-reroll", False)])
    assert (
        "took “[PATCH v3 2/2] fuse: two” <2b@x> instead of “[PATCH v2 2/2] fuse: two” <2@x>"
        in found.problems[0].message
    )


def test_a_minor_version_of_one_patch_sent_below_it_is_taken_and_told() -> None:
    again = mail("2b@x", "[PATCH v2.1 2/2] fuse: two", diff(PATH, word="better"), parent="2@x")
    found = read(*pair(), again)
    assert ids(found) == ["1@x", "2b@x"] and kinds(found) == [("partial-reroll", False)]


@pytest.mark.parametrize(
    "subject",
    [
        "[EXT] Re: [PATCH v2 2/2] fuse: two",
        "[fuse-devel] Re: [PATCH v2 2/2] fuse: two",
        "=?utf-8?b?5Zue5aSNOiBbUEFUQ0ggdjIgMi8yXSBmdXNlOiB0d28=?=",
    ],
)
def test_an_answer_that_a_mailer_marked_in_its_own_way_is_one(subject: str) -> None:
    found = read(*pair(), mail("a@x", subject, diff(PATH, word="other"), parent="2@x"))
    assert ids(found) == ["1@x", "2@x"] and found.problems == ()


def test_a_new_version_of_one_patch_that_hangs_elsewhere_blocks() -> None:
    again = mail("2b@x", "[PATCH v3 2/2] fuse: two", diff("fs/fuse/file.c", word="better"), parent="c@x")
    assert ("duplicate-number", True) in kinds(read(*pair(), again))


@pytest.mark.parametrize("subject", ["[PATCH v3] fuse: two", "[PATCH v2] fuse: two"])
def test_a_replacement_without_a_number_blocks(subject: str) -> None:
    again = mail("2b@x", subject, diff("fs/fuse/file.c", word="better"), parent="2@x")
    (problem,) = (problem for problem in read(*pair(), again).problems if problem.blocking)
    assert "2b@x" in problem.message


def test_a_resend_of_the_same_diff_is_told_and_of_another_blocks() -> None:
    resent = [
        mail("2b@x", "[PATCH RESEND v2 2/2] fuse: two", diff("fs/fuse/file.c", word=word), parent="c@x")
        for word in ("new", "other")
    ]
    assert kinds(read(*pair(), resent[0])) == [("resent-patch", False)]
    assert kinds(read(*pair(), resent[1])) == [("duplicate-number", True)]


def test_a_cover_without_words_is_a_cover() -> None:
    mails = [mail("c@x", "[PATCH 0/1] fuse: x", ""), mail("1@x", "[PATCH 1/1] fuse: x", diff(PATH), parent="c@x")]
    assert (read(*mails).parts[0].cover, ids(read(*mails))) == ("c@x", ["1@x"])


def test_a_cover_with_an_interdiff_is_a_cover() -> None:
    mails = [
        mail("c@x", "[PATCH v2 0/1] fuse: x", "Since v1:\n\n" + diff(PATH)),
        mail("1@x", "[PATCH v2 1/1] fuse: x", diff(PATH), parent="c@x"),
    ]
    assert (read(*mails).parts[0].cover, ids(read(*mails))) == ("c@x", ["1@x"])


def test_comments_above_the_diff_are_no_part_of_it() -> None:
    body = diff(PATH).replace("---\n", "---\nI was not sure about @@ -1 +1 @@ in dev.c.\n--- see there\n\n", 1)
    found = read(mail("p@x", "[PATCH] fuse: x", body))
    assert (found.parts[0].patches[0].paths, kinds(found)) == ((PATH,), [])


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ("linux.orig/fs/fuse/dev.c\t2026-11-02 09:00:00", "linux/fs/fuse/dev.c\t2026-11-02 09:00:01", (PATH,)),
        ("a/fs/fuse/dev.c", "b/fs/fuse/dev.c", (PATH,)),
        ("x/fs/fuse/dev.c", "x/fs/fuse/dev.c.new", (PATH,)),
        ("/dev/null", "b/fs/fuse/new.c", ("fs/fuse/new.c",)),
    ],
)
def test_a_patch_that_git_did_not_write(old: str, new: str, paths: tuple[str, ...]) -> None:
    hunk = "@@ -0,0 +1 @@\n+x\n" if old == "/dev/null" else "@@ -1,2 +1,2 @@\n x\n-y\n+z\n"
    raw = mail("p@x", "[PATCH] fuse: x", f"Do it.\n\n--- {old}\n+++ {new}\n{hunk}")
    assert read(raw).parts[0].patches[0].paths == paths
    assert taken(raw).paths == frozenset(paths)


def test_context_lines_that_lost_their_blank_are_context() -> None:
    raw = mail(
        "p@x", "[PATCH] fuse: x", f"Do it.\n\n--- a/{PATH}\n+++ b/{PATH}\n@@ -1,5 +1,5 @@ f()\n\n\n-x\n+y\n\n\n-- \n2\n"
    )
    found = read(raw)
    assert (found.parts[0].patches[0].paths, kinds(found)) == ((PATH,), [])
    assert taken(raw).paths == frozenset((PATH,))


@pytest.mark.skipif(not SAMPLES, reason="REVIEWBOT_SAMPLES names no folder of mailboxes")
def test_a_folder_of_mailboxes_is_read_as_git_reads_it() -> None:
    """Whatever is in them: never a crash, and of each accepted patch git takes the very files that are announced."""
    found = sorted(path for path in Path(SAMPLES).rglob("*") if path.suffix in (".mbox", ".mbx", ".eml", ".gz"))
    assert found, f"no mailbox below {SAMPLES}"
    for path in found:
        try:
            taken_in = split(read_mbox(path), None, STACK)
        except ReviewbotError as error:
            assert "\n" not in str(error), path
            continue
        blocked = {i for p in taken_in.posting.problems if p.kind.endswith("-patch") for i in p.message_ids}
        for part in taken_in.posting.parts:
            for patch in part.patches:
                if patch.message_id not in blocked:
                    theirs = taken(taken_in.mails[patch.message_id]).paths
                    assert theirs is not None and theirs <= set(patch.paths), (path, patch.message_id)

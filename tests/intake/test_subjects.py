# SPDX-License-Identifier: GPL-2.0-or-later
"""Subjects as they are seen on the lists."""

import pytest

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, split
from reviewbot.intake.mail import parse_subject
from tests.mails import diff, mail


@pytest.mark.parametrize(
    ("text", "kinds", "version", "counter"),
    [
        ("[PATCHBLIZZARD v7] x", "PATCHBLIZZARD", 7, None),
        ("[PATCHBOMB v5] x", "PATCHBOMB", 5, None),
        ("[PATCHSET v7 4/9] x", "PATCHSET", 7, (4, 9)),
        ("[PATCHSET RFC 9/9] x", "PATCHSET RFC", None, (9, 9)),
        ("[PULLBOMB v2 1.48] x", "PULLBOMB", 2, None),
        ("[GIT PULL 1/9] x", "PULL", None, (1, 9)),
        ("[GIT PULL v5.1] x", "PULL", 5, None),
        ("[GIT PULL] x", "PULL", None, None),
        ("[PATCH net-next v2 3/4] x", "PATCH", 2, (3, 4)),
        ("[PATCH 5.10.y] x", "PATCH", None, None),
        ("[PATCH 6.6.y v2 1/3] x", "PATCH", 2, (1, 3)),
        ("[RFC v5] x", "RFC", 5, None),
        ("[RFC[RAP] V2 4/6] x", "RFC", 2, (4, 6)),
        ("[PATCH RFC v3 02/10] x", "PATCH RFC", 3, (2, 10)),
        ("[RFC][PATCH v4 1/2] x", "PATCH RFC", 4, (1, 2)),
        ("[RFC-PATCH 1/2] x", "PATCH RFC", None, (1, 2)),
        ("[PATCH/RFC v2] x", "PATCH RFC", 2, None),
        ("[PATCHv3 1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH 1/2 v3] x", "PATCH", 3, (1, 2)),
        ("[PATCH v2,3/5] x", "PATCH", 2, (3, 5)),
        ("[PATCH 2 of 5] x", "PATCH", None, (2, 5)),
        ("[PATCH v2.1 1/2] x", "PATCH", 2, (1, 2)),
        ("[fuse-devel] [PATCH 1/2] x", "PATCH", None, (1, 2)),
        ("[PATCH 00/33] x", "PATCH", None, (0, 33)),
        ("[PATCH -v2 1/2] x", "PATCH", 2, (1, 2)),
        ("[PATCH (v3) 1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH-v4 2/3] x", "PATCH", 4, (2, 3)),
        ("[PATCH v3(resend) 1/4] x", "PATCH", 3, (1, 4)),
        ("[PATCH v2-resend] x", "PATCH", 2, None),
        ("[PATCH/v2 3/8] x", "PATCH", 2, (3, 8)),
        ("[PATCH_v3_1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH, v2: 1/2] x", "PATCH", 2, (1, 2)),
        ("[PATCH #2 1/2] x", "PATCH", 2, (1, 2)),
        ("[PATCH v10 #2 1/2] x", "PATCH", 10, (1, 2)),
        ("[PATCH #2 v10 1/2] x", "PATCH", 10, (1, 2)),
        ("[PATCHv10 #3] x", "PATCH", 10, None),
        ("[PATCH 1/2 v3, take 2] x", "PATCH", 3, (1, 2)),
        ("[PATCH v3 try #4 1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH #2 1/2] x [ver #7]", "PATCH", 7, (1, 2)),
        ("[PATCH ver 3 1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH version 3 1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH rev2 1/2] x", "PATCH", 2, (1, 2)),
        ("[PATCH, take 3 1/2] x", "PATCH", 3, (1, 2)),
        ("[PATCH 3/8 (v2)] x", "PATCH", 2, (3, 8)),
        ("[PATCH][v5][3/8] x", "PATCH", 5, (3, 8)),
        ("[PATCH10/19] x", "PATCH", None, (10, 19)),
        ("[Patch 2/2]: x", "PATCH", None, (2, 2)),
        ("[PATCH v6.1.y 1/2] x", "PATCH", None, (1, 2)),
        ("[PATCH 10/19] x [ver #16]", "PATCH", 16, (10, 19)),
        ("[PATCH 1/2] x [try #3]", "PATCH", 3, (1, 2)),
        ("[PATCH] x (v2)", "PATCH", 2, None),
        ("[PATCH 1/2] x (rev. 3)", "PATCH", 3, (1, 2)),
        ("[PATCH 1/2] x, take 2", "PATCH", 2, (1, 2)),
        ("[e2fsprogs] x", "", None, None),
        ("PATCH: x", "", None, None),
        ("x [PATCH]", "", None, None),
    ],
)
def test_what_stands_in_brackets(text: str, kinds: str, version: int | None, counter: tuple[int, int] | None) -> None:
    found = parse_subject(text)
    assert sorted(found.kinds) == kinds.split()
    assert (found.version if found.says_version else None) == version
    assert (None if found.number is None else (found.number, found.total)) == counter
    assert found.rfc is ("RFC" in kinds)
    assert not found.is_reply
    assert found.title in ("x", "PATCH: x", "x [PATCH]")


@pytest.mark.parametrize(
    "title", ["fix for cgroup v2", "nfs: support v3", "mention it (#156)", "add (v2) of it", "x [v]"]
)
def test_a_version_that_the_title_speaks_of_is_none_of_the_series(title: str) -> None:
    found = parse_subject(f"[PATCH 1/2] {title}")
    assert (found.says_version, found.title) == (False, title)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[PATCH libfuse 1/2] x", "libfuse"),
        ("[libfuse PATCH v2] x", "libfuse"),
        ("[PATCH-e2fsprogs 1/2] x", "e2fsprogs"),
        ("[fstests] [PATCH v2] x", "fstests"),
        ("[PATCH net-next v2 3/4] x", "net-next"),
        ("[PATCH RESEND] x", "resend"),
        ("[RFC[RAP] V2 4/6] x", ""),
        ("[PULLBOMB v2 1.48] x", ""),
        ("[PATCH -v2 <xfs/for-next> 1/2] x", "xfs/for-next"),
    ],
)
def test_words_in_brackets_that_are_nothing_else(text: str, words: str) -> None:
    assert parse_subject(text).words == tuple(words.split())


@pytest.mark.parametrize("text", ["Re: [PATCH 1/2] x", "AW: Re: [GIT PULL] x", "re:[RFC] x"])
def test_an_answer(text: str) -> None:
    assert parse_subject(text).is_reply


def test_a_header_in_bare_utf_8_is_read_as_everybody_reads_it() -> None:
    raw = mail("a@x", "[PATCH] fuse: “schnellere” Umbenennung", diff("fs/fuse/dir.c"), author="Jürgen <j@example.org>")
    (part,) = split(Mailbag("", (raw,)), "a@x", load_stack()).posting.parts
    (patch,) = part.patches
    assert patch.subject == "[PATCH] fuse: “schnellere” Umbenennung" and patch.author == "Jürgen <j@example.org>"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Subjects as they are seen on the lists."""

import pytest

from reviewbot.intake.mail import parse_subject


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


@pytest.mark.parametrize("text", ["Re: [PATCH 1/2] x", "AW: Re: [GIT PULL] x", "re:[RFC] x"])
def test_an_answer(text: str) -> None:
    assert parse_subject(text).is_reply

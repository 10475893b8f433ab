# SPDX-License-Identifier: GPL-2.0-or-later
"""Shapes of real postings, one of each kind, and what they are."""

import base64
from dataclasses import dataclass

import pytest

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, split
from reviewbot.intake.mail import parse_subject
from tests.intake.test_attached import enclosing, formatted
from tests.intake.test_pull import BASE, TIP, URL, request
from tests.mails import diff, mail

KERNEL, LIBFUSE, FSTESTS = "fs/fuse/dev.c", "lib/fuse_lowlevel.c", "tests/generic/999"
DECLARED = f"Hi.\n\nbase-commit: {BASE}\nprerequisite-change-id: 20260101-other-abcdef123456:v3\n"


@dataclass(frozen=True)
class Case:
    """Mails, and the parts that are right: component, version, cover, patches; without anything that blocks."""

    mails: list[bytes]
    parts: list[tuple[str, int, str | None, list[str]]]
    name: str | None = None
    """Mail that is named; None: the whole mailbox."""
    base: str | None = None


def below(name: str, tag: str, path: str, parent: str, *, count: int = 2, day: int = 2) -> list[bytes]:
    return [
        mail(f"{name}{n}@x", f"[{tag} {n}/{count}] {name} {n}", diff(path, word=f"{name}{n}"), parent=parent, day=day)
        for n in range(1, count + 1)
    ]


KERNEL_SERIES = [mail("k0@x", "[PATCH v3 0/2] fuse: a thing"), *below("k", "PATCH v3", KERNEL, "k0@x")]
TAKEN = ("kernel", 3, "k0@x", ["k1@x", "k2@x"])
RESENT = [*below("v", "PATCH", KERNEL, "v1@x"), *below("w", "PATCH", KERNEL, "w1@x", day=3)]
RESENT[2] = RESENT[2].replace(b"In-Reply-To: <w1@x>\nReferences: <w1@x>", b"In-Reply-To: <v1@x>\nReferences: <v1@x>")
RESENT[0] = RESENT[0].replace(b"In-Reply-To: <v1@x>\nReferences: <v1@x>\n", b"")

CASES = {
    "a kernel series with its libfuse counterpart below the same cover": Case(
        [*KERNEL_SERIES, *below("l", "PATCH libfuse", LIBFUSE, "k0@x")],
        [TAKEN, ("libfuse", 1, None, ["l1@x", "l2@x"])],
    ),
    "a kernel series answered by the test for it": Case(
        [*KERNEL_SERIES, mail("t@x", "[PATCH fstests] generic: test it", diff(FSTESTS), parent="k0@x")],
        [TAKEN, ("fstests", 1, None, ["t@x"])],
    ),
    "a cover and patches without threading": Case(
        [mail("c0@x", "[PATCH v2 0/2] fuse: count", DECLARED), *below("c", "PATCH v2", KERNEL, "")],
        [("kernel", 2, "c0@x", ["c1@x", "c2@x"])],
        base=BASE,
    ),
    "a letter without a tag above tagged patches": Case(
        [mail("n0@x", "fuse: count better", DECLARED), *below("n", "PATCH", KERNEL, "n0@x")],
        [("kernel", 1, "n0@x", ["n1@x", "n2@x"])],
        base=BASE,
    ),
    "a series sent again without a version, the new one": Case(
        RESENT, [("kernel", 1, None, ["w1@x", "w2@x"])], name="w1@x"
    ),
    "a series sent again without a version, the old one": Case(
        RESENT, [("kernel", 1, None, ["v1@x", "v2@x"])], name="v1@x"
    ),
    "two patches attached to a letter": Case(
        [enclosing("[PATCH 0/2] fuse: count", formatted(1), formatted(2))],
        [("kernel", 1, "outer@x", ["1.outer@x", "2.outer@x"])],
    ),
    "a patch in base64 with CRLF": Case(
        [
            mail("b@x", "[PATCH] fuse: do it", "").replace(b"8bit", b"base64")
            + base64.encodebytes(diff(KERNEL).replace("\n", "\r\n").encode())
        ],
        [("kernel", 1, None, ["b@x"])],
    ),
}


@pytest.mark.parametrize("what", sorted(CASES))
def test_a_posting_is_what_its_author_sent(what: str) -> None:
    case = CASES[what]
    found = split(Mailbag("test", tuple(case.mails)), case.name, load_stack()).posting
    assert [
        (part.component, part.version, part.cover, [patch.message_id for patch in part.patches]) for part in found.parts
    ] == case.parts
    assert [problem for problem in found.problems if problem.blocking] == []
    if case.base:
        assert found.parts[0].base_commit == case.base


def test_a_request_to_pull_whose_empty_lines_hold_blanks() -> None:
    text = request(stat=" fuse4fs/fuse4fs.c | 2 +-\n").replace("\n\n", "\n \t\n")
    (part,) = split(Mailbag("test", (mail("g@x", "[GIT PULL] fuse", text),)), None, load_stack()).posting.parts
    assert part.pull is not None
    assert (part.pull.url, part.pull.base, part.pull.tip) == (URL, BASE, TIP)


@pytest.mark.parametrize(
    ("subject", "version"),
    [
        ("[PATCH -v2 1/2] ext4: do it", 2),
        ("[PATCH (v3) 1/2] ext4: do it", 3),
        ("[PATCH-v4 2/3] ext4: do it", 4),
        ("[PATCH v3(resend) 1/4] ext4: do it", 3),
        ("[PATCH 10/19] ext4: do it [ver #16]", 16),
    ],
)
def test_a_version_in_another_spelling(subject: str, version: int) -> None:
    found = parse_subject(subject)
    assert (found.version, found.title) == (version, "ext4: do it")

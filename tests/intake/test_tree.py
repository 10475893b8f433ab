# SPDX-License-Identifier: GPL-2.0-or-later
"""Several postings in one thread, and one posting in several threads: what is taken, and what is only named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, SeveralPostings, join, pieces
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.posting import Posting
from tests.mails import TOP, diff, mail, posting

STACK = load_stack()
FUSE = "fs/fuse/dev.c"


def of(mails: list[bytes], *names: str, part_only: bool = False) -> Posting:
    return join(pieces(Mailbag("test", tuple(mails)), names, STACK, part_only=part_only), STACK).posting


def series(name: str, prefix: str, *, parent: str = "", count: int = 2, title: str = "fuse: a thing") -> list[bytes]:
    found = [mail(f"{name}.0@x", f"[PATCH{prefix} 0/{count}] {title}", parent=parent)]
    for n in range(1, count + 1):
        found.append(
            mail(f"{name}.{n}@x", f"[PATCH{prefix} {n}/{count}] {title} {n}", diff(FUSE), parent=f"{name}.0@x")
        )
    return found


def taken(found: Posting) -> list[str]:
    return [patch.message_id for part in found.parts for patch in part.patches]


def kinds(found: Posting) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.problems]


BOTH = [*series("old", ""), *series("new", " v2", parent="old.0@x")]


def test_a_new_version_that_answers_the_old_one_is_a_posting_of_its_own() -> None:
    assert taken(of(BOTH, "new.2@x")) == ["new.1@x", "new.2@x"]
    assert kinds(of(BOTH, "new.0@x")) == []


def test_the_old_version_is_taken_when_it_is_named_and_the_new_one_is_mentioned() -> None:
    found = of(BOTH, "old.0@x")
    assert taken(found) == ["old.1@x", "old.2@x"]
    assert kinds(found) == [("other-posting", False)]
    assert "[PATCH v2 0/2]" in found.problems[0].message


def test_two_versions_are_never_both_taken() -> None:
    found = of(BOTH, "old.0@x", "new.0@x")
    assert ("duplicate-part", True) in kinds(found)
    message = next(p.message for p in found.problems if p.kind == "duplicate-part")
    assert "v1 <old.0@x>" in message and "v2 <new.0@x>" in message


def test_a_renamed_new_version_is_recognised_by_its_patches() -> None:
    mails = [*series("old", ""), *(m.replace(b"0/2] fuse: a thing", b"0/2] fuse: renamed") for m in series("n", " v2"))]
    assert ("duplicate-part", True) in kinds(of(mails, "old.0@x", "n.0@x"))


def test_a_new_version_without_cover() -> None:
    mails = series("old", "")
    mails += [mail(f"n.{n}@x", f"[PATCH v2 {n}/2] fuse: a thing {n}", diff(FUSE), parent="old.0@x") for n in (1, 2)]
    assert taken(of(mails, "n.2@x")) == ["n.1@x", "n.2@x"]
    assert taken(of(mails, "old.1@x")) == ["old.1@x", "old.2@x"]


def test_a_new_version_whose_patches_answer_those_of_the_old_one() -> None:
    mails = series("old", "")
    mails += [mail(f"n.{n}@x", f"[PATCH v2 {n}/2] fuse: a thing {n}", diff(FUSE), parent=f"old.{n}@x") for n in (2, 1)]
    assert taken(of(mails, "n.2@x")) == ["n.1@x", "n.2@x"]
    assert taken(of(mails, "old.0@x")) == ["old.1@x", "old.2@x"]


def test_a_correction_of_one_patch_is_taken_where_it_answers_it_and_blocks_elsewhere() -> None:
    again = mail("again@x", "[PATCH v2 2/2] fuse: a thing 2", diff(FUSE, word="better"), parent="old.2@x")
    found = of([*series("old", ""), again], "old.0@x")
    assert (taken(found), kinds(found)) == (["old.1@x", "again@x"], [("partial-reroll", False)])
    again = again.replace(b"old.2@x", b"old.0@x")
    assert ("duplicate-number", True) in kinds(of([*series("old", ""), again], "old.0@x"))


def test_a_letter_that_answers_the_letter_of_the_version_before() -> None:
    old = [m.replace(b"v2", b"v1") for m in posting()]
    new = [m.replace(b"example.org>", b"example.net>").replace(b"v2", b"v3") for m in posting()]
    new[0] = new[0].replace(b"Message-ID:", b"In-Reply-To: <top@example.org>\nMessage-ID:")
    mails = [*old, *(m.replace(b"dev@example.net", b"dev@example.org") for m in new)]
    found = of(mails, "libfuse.1@example.net")
    assert found.top == "top@example.net"
    assert {part.version for part in found.parts} == {3} and len(taken(found)) == 6
    found = of(mails, "libfuse.1@example.org")
    assert {part.version for part in found.parts} == {1} and kinds(found) == [("other-posting", False)]


def test_sub_series_of_a_letter_may_count_their_versions_for_themselves() -> None:
    mails = [m.replace(b"[PATCHSET v2", b"[PATCHSET v5") for m in posting()]
    assert len(of(mails, TOP).parts) == 3 and kinds(of(mails, TOP)) == []


def test_what_somebody_else_sent_into_the_thread_is_tested_when_it_is_named() -> None:
    other = mail("idea@y", "[PATCH] fuse: better so", diff(FUSE), parent="kernel.1@example.org", author="B <b@y>")
    assert taken(of([*posting(), other], "idea@y")) == ["idea@y"]
    assert kinds(of([*posting(), other], TOP)) == [("stray-patch", False)]


def test_a_series_without_threading() -> None:
    mails = [mail(f"{n}@x", f"[PATCH v3 {n}/3] fuse: {n}", diff(FUSE)) for n in (3, 1, 2)]
    assert taken(of(mails, "2@x")) == ["1@x", "2@x", "3@x"]
    assert taken(of(mails)) == ["1@x", "2@x", "3@x"]


def test_an_untagged_letter_above_a_series() -> None:
    mails = [mail("hello@x", "here comes a thing"), *series("s", " v2", parent="hello@x")]
    assert taken(of(mails, "hello@x")) == ["s.1@x", "s.2@x"]


# Which part, and how much of the posting.


def test_a_patch_in_the_middle_names_the_whole_posting_and_is_remembered() -> None:
    found = of(posting(), "libfuse.2@example.org")
    assert (found.top, found.asked, len(found.parts)) == (TOP, ("libfuse.2@example.org",), 3)


@pytest.mark.parametrize("name", ["libfuse@example.org", "libfuse.2@example.org", "answer@y"])
def test_only_the_part_of_the_named_mail(name: str) -> None:
    answer = mail("answer@y", "Re: [PATCH 1/2] libfuse: step 1", parent="libfuse.1@example.org", author="B <b@y>")
    found = of([*posting(), answer], name, part_only=True)
    assert taken(found) == ["libfuse.1@example.org", "libfuse.2@example.org"]
    assert kinds(found) == [("part-only", False)]
    assert "2 others left out" in found.problems[0].message


def test_the_parts_before_it_are_named_and_not_missed() -> None:
    mails = [mail("t@x", "[PATCHBLIZZARD] all")]
    for n in (3, 1, 2):
        mails += [
            mail(f"c{n}@x", f"[PATCHSET {n}/3] fuse: set {n}", parent="t@x"),
            mail(f"p{n}@x", f"[PATCH 1/1] fuse: do {n}", diff(FUSE), parent=f"c{n}@x"),
        ]
    found = of(mails, "p3@x", part_only=True)
    assert taken(found) == ["p3@x"] and kinds(found) == [("part-only", False)]
    assert found.problems[0].message.endswith("before it: “[PATCHSET 1/3] fuse: set 1”, “[PATCHSET 2/3] fuse: set 2”")
    assert "before" not in of(mails, "p1@x", part_only=True).problems[0].message


def test_only_the_part_is_not_blocked_by_what_the_others_lack() -> None:
    mails = [m for m in posting() if b"Message-ID: <kernel.1@" not in m]
    assert kinds(of(mails, "libfuse@example.org", part_only=True)) == [("part-only", False)]
    assert ("missing-patches", True) in kinds(of(mails, "kernel@example.org", part_only=True))


def test_only_the_parts_below_a_letter_are_all_of_them() -> None:
    assert kinds(of(posting(), TOP, part_only=True)) == []


# Several threads.


def threads() -> list[bytes]:
    """The parts of one posting, each a thread."""
    mails = posting()[1:]
    return [m.replace(b"In-Reply-To: <top@example.org>\nReferences: <top@example.org>\n", b"") for m in mails]


def test_several_names_make_one_posting() -> None:
    found = of(threads(), "e2fsprogs@example.org", "kernel.1@example.org", "libfuse@example.org", "kernel@example.org")
    assert [part.component for part in found.parts] == ["kernel", "libfuse", "e2fsprogs"]
    assert kinds(found) == [] and len(taken(found)) == 6


def test_the_parts_of_a_component_are_in_the_order_of_the_names() -> None:
    mails = [*series("a", ""), *series("b", "", title="fuse: another thing")]
    assert taken(of(mails, "b.0@x", "a.0@x")) == ["b.1@x", "b.2@x", "a.1@x", "a.2@x"]


def test_sub_series_that_came_one_by_one_are_counted_together() -> None:
    mails = []
    for n in (1, 3):
        mails += [
            mail(f"c{n}@x", f"[PATCHSET {n}/3] fuse: {n}"),
            mail(f"p{n}@x", f"[PATCH 1/1] fuse: do {n}", diff(FUSE), parent=f"c{n}@x"),
        ]
    found = of(mails, "c1@x", "c3@x")
    assert kinds(found) == [("missing-part", True)]
    assert "1 of 3 parts is missing: 2" in found.problems[0].message


def test_a_mailbox_with_the_threads_of_one_author_is_one_posting_and_says_so() -> None:
    found = of(threads())
    assert len(found.parts) == 3
    assert kinds(found) == [("several-threads", False)]


def test_a_mailbox_of_several_authors_needs_a_name() -> None:
    other = mail("idea@y", "[PATCH] fuse: better so", diff(FUSE), author="B <b@y>")
    with pytest.raises(SeveralPostings, match="holds 2 postings") as caught:
        of([*posting(), other])
    assert TOP in caught.value.hint and "idea@y" in caught.value.hint
    assert len(of([*posting(), other], TOP).parts) == 3
    assert kinds(of([*posting(), other], TOP)) == []


@pytest.mark.parametrize("names", [(), ("kernel@example.org",), ("e2fsprogs.2@example.org",)])
def test_parts_whose_letter_was_lost_are_still_one_posting(names: tuple[str, ...]) -> None:
    lost = [m for m in posting() if b"Message-ID: <top@" not in m]
    assert len(of(lost, *names).parts) == 3 and kinds(of(lost, *names)) == []


def test_patches_whose_cover_was_lost_block() -> None:
    lost = [m for m in posting() if b"Message-ID: <kernel@" not in m and b"Message-ID: <top@" not in m]
    assert kinds(of(lost, "libfuse@example.org")) == [("unplaced-patches", True)]
    assert ("unplaced-patches", True) in kinds(of(lost))


THREAD = [
    *series("old", "", count=3),
    *series("new", " v2", parent="old.0@x", count=3),
    *series("last", " v3", parent="new.2@x", count=2),
]


@given(st.data())
def test_versions_are_never_mixed_whatever_is_lost_or_reordered(data: st.DataObject) -> None:
    mails = data.draw(st.lists(st.sampled_from(THREAD), min_size=1, max_size=14))
    names = data.draw(st.lists(st.sampled_from(["old.0@x", "new.0@x", "new.2@x", "last.0@x", "last.1@x"]), max_size=2))
    try:
        found = of(mails, *names)
    except ReviewbotError:
        return
    if not any(problem.blocking for problem in found.problems):
        assert len({message_id.split(".")[0] for message_id in taken(found)}) == 1
        assert all(len(part.patches) in (2, 3) for part in found.parts)


def test_a_very_deep_thread_and_a_very_wide_one() -> None:
    deep = [
        mail(f"{n}@x", f"[PATCH {n}/900] fuse: {n}", diff(FUSE), parent=f"{n - 1}@x" if n > 1 else "")
        for n in range(1, 901)
    ]
    assert len(taken(of(deep))) == 900
    wide = [mail(f"{n}@x", f"[PATCH {n}/900] fuse: {n}", diff(FUSE)) for n in range(1, 901)]
    assert len(taken(of(wide))) == 900

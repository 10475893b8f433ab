# SPDX-License-Identifier: GPL-2.0-or-later
"""Thread to parts: what is taken, what is left out, what blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, NoPatches, UnknownMessageId, split
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.posting import Posting
from tests.mails import TOP, diff, mail, posting

STACK = load_stack()


def parts_of(mails: list[bytes], message_id: str | None = None) -> Posting:
    return split(Mailbag("test", tuple(mails)), message_id, STACK).posting


def kinds(found: Posting) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.problems]


def test_one_part_per_cover_in_the_order_of_the_stack() -> None:
    found = parts_of(posting(("e2fsprogs", "kernel", "libfuse")))
    assert [(p.component, p.counter, p.version, len(p.patches)) for p in found.parts] == [
        ("kernel", "1/1", 2, 2),
        ("libfuse", "1/1", 2, 2),
        ("e2fsprogs", "1/1", 2, 2),
    ]
    assert found.problems == ()


def test_a_posting_below_another_one_is_left_out_only_when_it_is_not_taken() -> None:
    kernel = diff("fs/fuse/dev.c")
    mails = [mail("c@x", "[PATCH 0/1] fuse: one"), mail("1@x", "[PATCH 1/1] fuse: one", kernel, parent="c@x")]
    mails += [mail("d@x", "[PATCHSET 0/1] exfat-fuse: another", parent="c@x")]
    mails += [mail("2@x", "[PATCH 1/1] exfat-fuse: another", diff("src/main.c", word="z"), parent="d@x")]
    assert kinds(parts_of(mails, "c@x")) == [("other-posting", False)]
    assert kinds(parts_of(mails)) == [("several-threads", False), ("elsewhere", False)]


def test_a_plain_series_with_a_cover() -> None:
    mails = [mail("c@x", "[PATCH v3 0/2] fuse: two things")]
    mails += [mail(f"{n}@x", f"[PATCH v3 {n}/2] fuse: {n}", diff("fs/fuse/dev.c"), parent="c@x") for n in (2, 1)]
    (part,) = parts_of(mails, "1@x").parts
    assert (part.component, part.cover, part.version) == ("kernel", "c@x", 3)
    assert [p.message_id for p in part.patches] == ["1@x", "2@x"]


def test_a_lone_patch() -> None:
    (part,) = parts_of([mail("p@x", "[PATCH] fuse: fix it", diff("fs/fuse/dev.c"))], "p@x").parts
    assert (part.cover, part.rfc, part.subject, part.counter) == (None, False, "fuse: fix it", "1/1")


def test_a_series_without_cover_threaded_below_its_first_patch() -> None:
    mails = [mail("1@x", "[PATCH 1/3] fuse: a", diff("fs/fuse/dev.c"))]
    mails += [mail(f"{n}@x", f"[PATCH {n}/3] fuse: b", diff("fs/fuse/dev.c"), parent="1@x") for n in (2, 3)]
    (part,) = parts_of(mails, "2@x").parts
    assert [p.number for p in part.patches] == [1, 2, 3]


def test_rfc_on_cover_or_patch_makes_the_part_rfc() -> None:
    assert parts_of([mail("p@x", "[RFC PATCH] fuse: x", diff("fs/fuse/dev.c"))]).parts[0].rfc
    assert parts_of([mail("p@x", "[PATCH RFC v2 1/1] fuse: x", diff("fs/fuse/dev.c"))]).parts[0].rfc


def test_a_missing_patch_blocks_and_is_numbered() -> None:
    mails = [m for m in posting(patches=5) if b"<libfuse.3@" not in m and b"<libfuse.4@" not in m]
    found = parts_of(mails)
    assert kinds(found) == [("missing-patches", True)]
    assert found.problems[0].message.endswith("2 of 5 patches are missing: 3-4")


def test_a_cover_whose_patches_never_came_blocks() -> None:
    mails = [m for m in posting() if b"<libfuse.1@" not in m and b"<libfuse.2@" not in m]
    assert kinds(parts_of(mails)) == [("missing-patches", True)]


def test_patches_whose_cover_never_came_block() -> None:
    mails = [m for m in posting() if b"Message-ID: <libfuse@" not in m]
    assert ("unplaced-patches", True) in kinds(parts_of(mails, TOP))


def test_a_series_whose_cover_never_came_is_taken_and_what_may_be_lost_is_said() -> None:
    mails = [mail(f"{n}@x", f"[PATCH {n}/2] fuse: {n}", diff("fs/fuse/dev.c"), parent="c@x") for n in (1, 2)]
    found = parts_of(mails)
    assert kinds(found) == [("cover-lost", False)]
    assert "<c@x>, which is not here" in found.problems[0].message
    assert kinds(parts_of([mail("c@x", "[PATCH 0/2] fuse: x"), *mails])) == []


def test_a_whole_part_that_is_missing_blocks() -> None:
    mails = [mail("t@x", "[PATCHBLIZZARD] all")]
    for n in (1, 3):
        mails += [
            mail(f"c{n}@x", f"[PATCHSET {n}/3] fuse: {n}", parent="t@x"),
            mail(f"p{n}@x", f"[PATCH 1/1] fuse: {n}", diff("fs/fuse/dev.c"), parent=f"c{n}@x"),
        ]
    found = parts_of(mails)
    assert kinds(found) == [("missing-part", True)]
    assert "kernel: 1 of 3 parts is missing: 2" in found.problems[0].message


def test_two_mails_with_one_number_block() -> None:
    mails = posting()
    mails.append(
        mail("again@x", "[PATCH 2/2] kernel: step 2 again", diff("fs/fuse/dev.c"), parent="kernel@example.org")
    )
    assert kinds(parts_of(mails)) == [("duplicate-number", True)]


def test_a_patch_that_touches_two_components_blocks() -> None:
    mails = [mail("p@x", "[PATCH] both", diff("fs/fuse/dev.c", "misc/fuse2fs.c"), to="nobody@example.org")]
    found = parts_of(mails)
    assert kinds(found) == [("ambiguous-component", True)]
    assert "touches more than one component: e2fsprogs, kernel" in found.problems[0].message


def test_a_patch_that_touches_no_component_blocks() -> None:
    mails = [mail("p@x", "[PATCH] elsewhere", diff("Telephony/x.c"), to="nobody@example.org")]
    found = parts_of(mails)
    assert kinds(found) == [("no-component", True)]
    assert "Telephony/x.c" in found.problems[0].message


def test_a_list_decides_where_paths_do_not() -> None:
    mails = [mail("p@x", "[PATCH] docs", diff("README"), to="linux-ext4@vger.kernel.org")]
    assert parts_of(mails).parts[0].component == "e2fsprogs"


def test_paths_beat_lists_and_subjects() -> None:
    mails = [mail("p@x", "[PATCH] libfuse: really the kernel", diff("fs/fuse/dev.c"), to="linux-ext4@vger.kernel.org")]
    assert parts_of(mails).parts[0].component == "kernel"


def test_base_commit_is_found() -> None:
    body = diff("fs/fuse/dev.c") + "\nbase-commit: " + "ab" * 20 + "\n"
    assert parts_of([mail("p@x", "[PATCH] x", body)]).parts[0].base_commit == "ab" * 20


def test_a_thread_without_patches() -> None:
    with pytest.raises(NoPatches):
        parts_of([mail("q@x", "A question about fuse"), mail("r@x", "Re: A question about fuse", parent="q@x")], "q@x")
    with pytest.raises(NoPatches):
        parts_of([mail("c@x", "[PATCH 0/3] a cover alone")])


def test_a_message_id_that_is_not_there() -> None:
    with pytest.raises(UnknownMessageId):
        parts_of(posting(), "other@example.org")


def test_mails_that_answer_each_other_in_a_circle() -> None:
    mails = [
        mail("a@x", "[PATCH 1/2] x", diff("fs/fuse/dev.c"), parent="b@x"),
        mail("b@x", "[PATCH 2/2] y", diff("fs/fuse/dev.c"), parent="a@x"),
    ]
    assert [p.number for p in parts_of(mails, "a@x").parts[0].patches] == [1, 2]


MAILS = posting(patches=3)


@given(st.data())
def test_whatever_is_lost_doubled_or_mixed_up_is_never_silent(data: st.DataObject) -> None:
    """Drop, double, reorder and cut mails: each part that is not blocked has 1..N exactly once."""
    keep = data.draw(st.lists(st.sampled_from(range(len(MAILS))), min_size=1, max_size=20))
    mails = []
    for place in keep:
        raw = MAILS[place]
        mails.append(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    try:
        found = parts_of(mails)
    except ReviewbotError:
        return
    if any(problem.blocking for problem in found.problems):
        return
    for part in found.parts:
        assert [patch.number for patch in part.patches] == list(range(1, len(part.patches) + 1))
        totals = {patch.subject.split("/")[1].split("]")[0] for patch in part.patches if "/" in patch.subject}
        assert totals <= {str(len(part.patches))}


@given(st.binary(max_size=2000))
def test_bytes_that_are_no_mail_never_crash(junk: bytes) -> None:
    try:
        parts_of([junk, b"Message-ID: <x@y>\nSubject: [PATCH] " + junk])
    except ReviewbotError:
        return

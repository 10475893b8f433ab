# SPDX-License-Identifier: GPL-2.0-or-later
"""Other versions of a part: which they are, which is the newest, and --latest."""

from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.intake import Archive, Intake, Mailbag, find_versions, join, pieces, read_mbox, split, take_latest
from reviewbot.intake.mail import parse_mail
from reviewbot.intake.versions import Line, versions_of
from tests.intake.conftest import fetched, lone, series, taken
from tests.mails import diff, mail

STACK = load_stack()


def versions(found: Intake, part: int = 0) -> list[tuple[str, str, bool]]:
    return [(v.message_id, v.how, v.newer) for v in found.posting.parts[part].versions]


def notes(found: Intake) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.posting.problems]


def test_the_highest_number_is_not_the_newest(archive: Archive) -> None:
    found = find_versions(fetched(archive, "v8@x"), archive)
    assert versions(found) == [("v7@x", "subject", False), ("v4@x", "subject", True)]
    assert notes(found) == [("newer-version", False)]
    assert "v4 of 2026-11-10, <v4@x> (this one is v8 of 2026-11-04)" in found.posting.problems[0].message
    latest = find_versions(fetched(archive, "v4@x"), archive)
    assert [newer for _, _, newer in versions(latest)] == [False, False]
    assert notes(latest) == []


def test_a_change_id_beats_the_title(archive: Archive) -> None:
    assert versions(find_versions(fetched(archive, "id1@x"), archive)) == [("id2@x", "change-id", True)]
    assert versions(find_versions(fetched(archive, "id2@x"), archive)) == [("id1@x", "change-id", False)]


def test_sent_again_is_newer_and_said_so(archive: Archive) -> None:
    found = find_versions(fetched(archive, "send@x"), archive)
    assert versions(found) == [("again@x", "subject", True)]
    assert "v1, sent again on 2026-11-06, <again@x>" in found.posting.problems[0].message


def test_another_title_is_recognised_by_its_patches(archive: Archive) -> None:
    assert versions(find_versions(fetched(archive, "alpha@x"), archive)) == [("beta@x", "patch-id", True)]


def test_parts_with_one_title_are_told_apart_by_their_lists(archive: Archive) -> None:
    found = find_versions(fetched(archive, "bomb@x"), archive)
    assert [part.component for part in found.posting.parts] == ["kernel", "libfuse"]
    assert versions(found, 0) == []
    assert versions(found, 1) == [("lib2@x", "subject", True)]


def test_a_few_questions_for_a_large_posting(archive: Archive, blizzard: Path) -> None:
    found = split(read_mbox(blizzard / "thread.mbox"), None, STACK)
    before = archive.queries
    assert find_versions(found, archive).posting.parts == found.posting.parts
    assert archive.queries - before <= 8


def test_without_an_archive_a_note_says_so(tmp_path: Path) -> None:
    found = find_versions(taken([lone("a", "PATCH", "fuse: x")]), Archive("http://127.0.0.1:9/all", tmp_path))
    assert notes(found) == [("versions-unknown", False)]


def test_superseded_and_superseding_mails_are_versions() -> None:
    head, old, new = (
        parse_mail(mail(f"{n}@x", f"[PATCH {n}] fuse: title {n}", f"Hi.\n{text}", day=day))
        for n, text, day in (("v2", "Supersedes: <v1@x>", 3), ("v1", "", 2), ("v3", "Supersedes: <v2@x>", 4))
    )
    assert head and old and new
    found = versions_of(Line(head, None), [new, old], {"v2@x"})
    assert [(v.message_id, v.how, v.newer) for v in found] == [
        ("v1@x", "supersedes", False),
        ("v3@x", "supersedes", True),
    ]


def test_latest_takes_the_newest_of_a_plain_series(archive: Archive) -> None:
    found = take_latest(find_versions(fetched(archive, "v7@x"), archive), archive, STACK)
    assert found.posting.top == "v4@x"
    assert [patch.message_id for patch in found.posting.parts[0].patches] == ["v4.1@x"]
    assert set(found.mails) == {"v4@x", "v4.1@x", "re@x"}
    assert notes(found) == [("replaced", False)]


def test_latest_replaces_one_part_and_leaves_the_others(archive: Archive) -> None:
    found = take_latest(find_versions(fetched(archive, "bomb@x"), archive), archive, STACK)
    assert [(p.component, p.cover, p.version) for p in found.posting.parts] == [
        ("kernel", "ker@x", 1),
        ("libfuse", "lib2@x", 2),
    ]
    assert set(found.mails) == {"bomb@x", "ker@x", "ker.1@x", "lib2@x", "lib2.1@x"}
    assert notes(found) == [("replaced", False)]
    assert found.posting.problems[0].message_ids == ("lib@x", "lib2@x")


def test_a_newer_posting_is_said_once_and_replaces_all_parts(archive: Archive) -> None:
    found = find_versions(fetched(archive, "all1@x"), archive)
    assert [(v.message_id, v.newer) for v in found.posting.versions] == [("all2@x", True)]
    assert [versions(found, part) for part in (0, 1)] == [
        [("all2k@x", "subject", True)],
        [("all2l@x", "subject", True)],
    ]
    assert notes(found) == [("newer-version", False)]
    assert "the posting: a newer version exists: v2 of 2026-11-07, <all2@x>" in found.posting.problems[0].message
    latest = take_latest(found, archive, STACK)
    assert (latest.posting.top, [part.cover for part in latest.posting.parts]) == ("all2@x", ["all2k@x", "all2l@x"])
    assert notes(latest) == [("replaced", False)]


def test_latest_leaves_threads_apart_that_the_user_put_together(archive: Archive) -> None:
    bag = Mailbag("two", (*archive.thread("v7@x").mails, *archive.thread("id1@x").mails))
    joined = join(pieces(bag, ("v7@x", "id1@x"), STACK), STACK)
    found = take_latest(find_versions(joined, archive), archive, STACK)
    assert [part.cover or part.patches[0].message_id for part in found.posting.parts] == ["v4@x", "id2@x"]
    assert found.posting.versions == ()


def test_latest_of_one_part_alone_leaves_its_posting_alone(archive: Archive) -> None:
    bag = archive.thread("lib@x")
    picked = join(pieces(bag, ("lib@x",), STACK, part_only=True), STACK)
    found = take_latest(find_versions(picked, archive), archive, STACK)
    assert [part.cover for part in found.posting.parts] == ["lib2@x"]
    assert notes(found) == [("part-only", False), ("replaced", False)]


def test_latest_leaves_what_is_the_newest(archive: Archive) -> None:
    found = find_versions(fetched(archive, "v4@x"), archive)
    assert take_latest(found, archive, STACK) == found


def test_latest_refuses_what_could_be_either_part(archive: Archive) -> None:
    mails = [mail("t@x", "[PATCHBOMB] both", day=1)]
    for name, path in (("k", "fs/fuse/bpf.c"), ("l", "lib/bpf.c")):
        mails += series(name, "1/1", "upload BPF programs", (name,), day=1, path=path, parent="t@x", to="someone@x")
    found = take_latest(find_versions(taken(mails, "t@x"), archive), archive, STACK)
    assert [part.cover for part in found.posting.parts] == ["k@x", "l@x"]
    assert ("ambiguous-latest", True) in notes(found)


def test_latest_refuses_a_part_for_another_component(archive: Archive) -> None:
    mails = [mail("t@x", "[PATCHBOMB] one", day=1)]
    mails += series("e", "1/1", "upload BPF programs", ("e",), day=1, path="misc/fuse2fs.c", parent="t@x")
    found = take_latest(find_versions(taken(mails, "t@x"), archive), archive, STACK)
    assert [part.cover for part in found.posting.parts] == ["e@x"]
    assert "it is for libfuse, this part is for e2fsprogs" in found.posting.problems[-1].message
    assert found.posting.problems[-1].blocking


@pytest.mark.parametrize(
    ("subject", "is_one"),
    [("Re: [PATCH v9] fuse: x", False), ("[PATCH v9 2/3] fuse: x", False), ("fuse: x", False),
     ("[PATCH v9] fuse:  X", True), ("[PATCH v9 1/3] fuse: x", True)],
)  # fmt: skip
def test_what_can_be_a_version(subject: str, is_one: bool) -> None:
    head = parse_mail(lone("a", "PATCH", "fuse: x"))
    other = parse_mail(mail("b@x", subject, diff("fs/fuse/dev.c"), day=9))
    assert head and other
    assert bool(versions_of(Line(head, None), [other], {"a@x"})) is is_one


def test_a_search_brings_what_matches_and_no_more(archive: Archive) -> None:
    def found(query: str) -> set[str]:
        return {mail.id for raw in archive.search(query).mails if (mail := parse_mail(raw))}

    assert found('s:"fuse: an old name"') == {"id1@x"}
    assert found('mid:"v8@x" OR mid:"v4@x"') == {"v8@x", "v4@x"}
    assert found('nq:"change-id: 20261102-named-bb"') == {"id1@x", "id2@x"}
    assert found('(s:"fuse: an old name" OR s:"fuse: a new name") AND d:20261104..') == {"id2@x"}
    assert found("patchid:" + "0" * 40) == set()

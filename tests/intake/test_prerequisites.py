# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series stands on: found, verified, put in order; or named and blocking."""

from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.host.git import patch_ids
from reviewbot.intake import Archive, Intake, Mailbag, resolve_prerequisites
from reviewbot.model.posting import Prerequisite
from tests.intake.conftest import CHANGE, lone, series, taken
from tests.mails import diff, mail

STACK = load_stack()
BASE, ICS, ICS2, DEEP = patch_ids([diff("fs/fuse/dev.c", word=w).encode() for w in ("base", "ics", "ics2", "deep")])
(FOREIGN,) = patch_ids([diff("lib/fuse.c", word="foreign").encode()])
NOBODY = "9" * 40


def top(*trailers: str) -> list[bytes]:
    return series("new", "0/2", "fuse: new things", ("new", "things"), trailers="".join(f"{t}\n" for t in trailers))


def resolved(archive: Archive | None, *trailers: str, bases: tuple[str, ...] = ()) -> Intake:
    return resolve_prerequisites(taken(top(*trailers), "new@x"), archive, STACK, named_bases=bases)


def entries(found: Intake, part: int = 0) -> tuple[Prerequisite, ...]:
    return found.posting.parts[part].prerequisites


def applied(found: Intake, part: int = 0) -> list[str]:
    return [patch.message_id for entry in entries(found, part) for patch in entry.patches]


def notes(found: Intake) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.posting.problems]


def test_patch_ids_are_applied_in_the_order_of_their_declaration(archive: Archive) -> None:
    found = resolved(archive, f"prerequisite-patch-id: {ICS2}", f"prerequisite-patch-id: {BASE}")
    assert applied(found) == ["base2.2@x", "base2.1@x"]
    assert [entry.status for entry in entries(found)] == ["found", "found"]
    assert notes(found) == []
    assert set(found.mails) == {"new@x", "new.1@x", "new.2@x", "base2.1@x", "base2.2@x"}
    assert [entry.patches[0].patch_id for entry in entries(found)] == [ICS2, BASE]
    assert archive.queries == 1


def test_a_change_id_and_its_expanded_patch_ids_are_applied_once(archive: Archive) -> None:
    block = [f"prerequisite-change-id: {CHANGE}:v2", f"prerequisite-patch-id: {BASE}", f"prerequisite-patch-id: {ICS2}"]
    found = resolved(archive, *block)
    assert applied(found) == ["base2.1@x", "base2.2@x"]
    assert notes(found) == []
    assert entries(found)[1].why == "already applied with <base2@x>"


@pytest.mark.parametrize(("value", "head"), [(f"{CHANGE}:v1", "base1"), (f"{CHANGE}:2", "base2"), (CHANGE, "base2")])
def test_a_change_id_names_a_version_or_the_newest(archive: Archive, value: str, head: str) -> None:
    assert applied(resolved(archive, f"prerequisite-change-id: {value}")) == [f"{head}.1@x", f"{head}.2@x"]


def test_a_version_that_was_never_sent_is_named(archive: Archive) -> None:
    found = resolved(archive, f"prerequisite-change-id: {CHANGE}:v7")
    assert notes(found) == [("missing-prerequisite", True)]
    assert found.posting.problems[0].message.endswith("the archive has no v7 of it, but v1, v2")


@pytest.mark.parametrize(
    ("trailer", "patches"),
    [
        ("prerequisite-message-id: <base2@x>", ["base2.1@x", "base2.2@x"]),
        ('Based-on: <base1@x> ("fuse: the base")', ["base1.1@x", "base1.2@x"]),
        ("Depends-on: https://lore.kernel.org/all/base1@x/", ["base1.1@x", "base1.2@x"]),
        ("Depends-on: <base2.2@x>", ["base2.2@x"]),
        ("Depends-on: <bomb@x>", ["ker.1@x"]),
        ("Depends-on: deep@x", ["base2.1@x", "base2.2@x", "deep@x"]),
    ],
)
def test_a_message_id_brings_its_series_or_its_patch(archive: Archive, trailer: str, patches: list[str]) -> None:
    found = resolved(archive, trailer)
    assert applied(found) == patches
    assert notes(found) == []


def test_what_a_prerequisite_stands_on_comes_first(archive: Archive) -> None:
    found = resolved(archive, f"prerequisite-patch-id: {DEEP}")
    assert [(entry.declared.value, len(entry.patches)) for entry in entries(found)] == [("base2@x", 2), (DEEP, 1)]
    assert entries(found)[0].why.startswith("needed by <deep@x>: ")


@pytest.mark.parametrize(
    ("trailer", "kind", "words"),
    [
        (f"prerequisite-patch-id: {NOBODY}", "missing-prerequisite", "no mail contains this patch in http"),
        ("prerequisite-patch-id: nonsense", "missing-prerequisite", "that is not a patch-id"),
        ("prerequisite-change-id: 20200101-never-00", "missing-prerequisite", "no series has this change-id"),
        ("Based-on: <nowhere@x>", "missing-prerequisite", "no mail <nowhere@x>"),
        ("Depends-on: patch-1234", "missing-prerequisite", "a number of Patchwork (patch 1234)"),
        ("Depends-on: the other series", "missing-prerequisite", "names no mail"),
        ("Depends-on: <half@x>", "missing-prerequisite", "not complete: “[PATCH 0/3] fuse: one third arrived”: 2 of 3"),
        ("Depends-on: <re@x>", "missing-prerequisite", "neither a cover nor a patch"),
        ("Depends-on: <foreign@x>", "prerequisite-component", "it is for libfuse, this part is for kernel"),
        (f"prerequisite-patch-id: {FOREIGN}", "prerequisite-component", "<foreign@x> is for libfuse"),
        ("Depends-on: <loop1@x>", "prerequisite-loop", "<loop1@x> → <loop2@x> → <loop1@x>"),
    ],
)
def test_whatever_is_not_found_blocks_and_is_named(archive: Archive, trailer: str, kind: str, words: str) -> None:
    found = resolved(archive, trailer)
    assert notes(found) == [(kind, True)]
    assert words in found.posting.problems[0].message
    name, _, value = trailer.partition(": ")
    assert name in found.posting.problems[0].message
    assert kind == "prerequisite-loop" or value.strip("<>") in found.posting.problems[0].message


def test_a_base_that_the_user_named_is_taken_to_hold_it(archive: Archive) -> None:
    found = resolved(archive, f"prerequisite-patch-id: {NOBODY}", bases=("kernel",))
    assert notes(found) == [("missing-prerequisite", False)]
    assert "the base given for kernel is assumed to contain it" in found.posting.problems[0].message
    assert notes(resolved(archive, f"prerequisite-patch-id: {NOBODY}", bases=("libfuse",)))[0][1]


def test_patches_of_the_posting_itself_are_there_already(archive: Archive) -> None:
    (own,) = patch_ids([diff("fs/fuse/dev.c", word="new").encode()])
    found = resolved(archive, f"prerequisite-patch-id: {own}", "Depends-on: <new.1@x>")
    assert [(entry.status, entry.patches) for entry in entries(found)] == [("found", ()), ("found", ())]
    assert archive.queries == 0


def two_parts(first: str, second: str) -> list[bytes]:
    mails = [mail("t@x", "[PATCHBOMB] two parts")]
    mails += series("p1", "1/2", "fuse: part one", ("one",), parent="t@x", trailers=first)
    return mails + series("p2", "2/2", "fuse: part two", ("two",), parent="t@x", trailers=second)


def test_two_parts_that_stand_on_one_series_get_it_once(archive: Archive) -> None:
    found = resolve_prerequisites(taken(two_parts("Based-on: <base2@x>\n", "Based-on: <base2@x>\n")), archive, STACK)
    assert (applied(found, 0), applied(found, 1)) == (["base2.1@x", "base2.2@x"], [])
    assert notes(found) == []
    assert entries(found, 1)[0].status == "found"


def test_a_later_part_cannot_be_stood_on(archive: Archive) -> None:
    below = resolve_prerequisites(taken(two_parts("", "Based-on: <p1@x>\n")), archive, STACK)
    assert (notes(below), entries(below, 1)[0].status) == ([], "found")
    above = resolve_prerequisites(taken(two_parts("Based-on: <p2@x>\n", "")), archive, STACK)
    assert notes(above) == [("prerequisite-loop", True)]
    assert "which comes after this part" in above.posting.problems[0].message


def test_a_prerequisite_that_stands_on_the_posting_is_a_loop(archive: Archive) -> None:
    mails = [lone("loop2", "PATCH", "fuse: egg", "egg", end="\nDepends-on: <loop1@x>\n")]
    found = resolve_prerequisites(taken(mails), archive, STACK)
    assert notes(found) == [("prerequisite-loop", True)]
    assert "loop1@x" in found.posting.problems[0].message


def test_too_many_patches_are_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.intake.prerequisites.MAX_PATCHES", 1)
    found = resolved(archive, "Based-on: <base2@x>")
    assert (notes(found), applied(found)) == ([("prerequisite-limit", True)], [])


def test_too_large_patches_are_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.intake.prerequisites.MAX_BYTES", 100)
    assert notes(resolved(archive, "Based-on: <base2@x>")) == [("prerequisite-limit", True)]


def test_too_deep_a_pile_is_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.intake.prerequisites.MAX_DEPTH", 1)
    found = resolved(archive, "Based-on: <deep@x>")
    assert notes(found) == [("prerequisite-limit", True)]
    assert "depends on <deep@x>, which says “Depends-on: base2@x”" in found.posting.problems[0].message


def test_rfc_parts_that_are_left_out_ask_for_nothing(archive: Archive) -> None:
    mails = [lone("r", "RFC PATCH", "fuse: idea", "idea", end=f"\nprerequisite-patch-id: {NOBODY}\n")]
    assert notes(resolve_prerequisites(taken(mails), archive, STACK, rfc=False)) == []
    assert notes(resolve_prerequisites(taken(mails), archive, STACK)) == [("missing-prerequisite", True)]
    assert archive.queries == 1


def test_a_part_that_stands_on_an_rfc_part_brings_it_along(archive: Archive) -> None:
    """What is left out of the posting is not in the tree."""
    (idea,) = patch_ids([diff("fs/fuse/dev.c", word="idea").encode()])
    mails = [mail("t@x", "[PATCHBOMB] two parts"), *series("p1", "RFC 1/2", "fuse: idea", ("idea",), parent="t@x")]
    mails += series("p2", "2/2", "fuse: real", ("real",), parent="t@x", trailers=f"prerequisite-patch-id: {idea}\n")
    assert applied(resolve_prerequisites(taken(mails), archive, STACK, rfc=False), 1) == ["p1.1@x"]
    assert applied(resolve_prerequisites(taken(mails), archive, STACK, rfc=True), 1) == []


def test_a_mail_that_only_claims_the_patch_does_not_count() -> None:
    """The index of an archive may say anything; git decides."""

    class Liar(Archive):
        def search(self, query: str, *, limit: int = 0, fresh: bool = False) -> Mailbag:
            return Mailbag("liar", (lone("fake", "PATCH", "fuse: fake", "fake"),))

    found = resolved(Liar("http://x", Path("/nowhere")), f"prerequisite-patch-id: {BASE}")
    assert (notes(found), applied(found)) == ([("missing-prerequisite", True)], [])


def test_without_an_archive_everything_is_missing(tmp_path: Path) -> None:
    trailers = (f"prerequisite-patch-id: {BASE}", f"prerequisite-change-id: {CHANGE}", "Based-on: <base2@x>")
    alone = resolved(None, *trailers)
    assert notes(alone) == [("missing-prerequisite", True)] * 3
    assert all("no archive was searched" in problem.message for problem in alone.posting.problems)
    dead = resolved(Archive("http://127.0.0.1:9/all", tmp_path), *trailers)
    assert all("could not be looked up: could not fetch mail" in problem.message for problem in dead.posting.problems)
    assert len(dead.posting.problems) == 3

# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way with a real archive: versions, prerequisites, attestation, --wait and --latest of one request."""

from pathlib import Path

import pytest

from demo.inbox import installed, serve
from reviewbot.config import AttestationPolicy, Site, load_stack
from reviewbot.intake import Ask, Intake, take_in
from reviewbot.model.errors import UsageError
from reviewbot.model.progress import Event
from tests.intake.conftest import lone, series
from tests.mails import mbox

STACK = load_stack()


def kinds(found: Intake) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.posting.problems]


def test_a_named_mail_comes_with_all_that_is_known_of_it(past: str, tmp_path: Path) -> None:
    found = take_in(Ask(names=("<deep@x>",)), STACK, Site(archive=past), tmp_path)
    (part,) = found.posting.parts
    assert [patch.message_id for entry in part.prerequisites for patch in entry.patches] == ["base2.1@x", "base2.2@x"]
    assert part.patches[0].attestation is not None
    assert kinds(found) == []


def test_latest_then_what_the_latest_stands_on(past: str, tmp_path: Path) -> None:
    found = take_in(Ask(names=("v8@x",), latest=True), STACK, Site(archive=past), tmp_path)
    assert found.posting.top == "v4@x"
    assert kinds(found) == [("replaced", False)]


def test_wait_returns_what_is_still_incomplete(past: str, tmp_path: Path) -> None:
    events: list[Event] = []
    found = take_in(Ask(names=("half@x",), wait=0.01), STACK, Site(archive=past), tmp_path, events.append)
    assert kinds(found) == [("missing-patches", True)]
    assert any("2 of 3 patches are missing: 2-3" in event.text for event in events)


@pytest.mark.parametrize("bases", [{}, {"kernel": "v6.12"}])
def test_a_mailbox_asks_nobody_but_for_what_its_mails_name(tmp_path: Path, bases: dict[str, str]) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(mbox([lone("a", "PATCH", "fuse: x")]))
    dead = Site(archive="http://127.0.0.1:9/all")
    assert kinds(take_in(Ask(mbox=(file,)), STACK, dead, tmp_path)) == []
    file.write_bytes(mbox([lone("a", "PATCH", "fuse: x", end="\nDepends-on: <b@x>\n")]))
    assert kinds(take_in(Ask(mbox=(file,), bases=bases), STACK, dead, tmp_path)) == [
        ("missing-prerequisite", not bases)
    ]


def test_a_policy_holds_for_prerequisites_too(past: str, tmp_path: Path) -> None:
    site = Site(archive=past, attestation=AttestationPolicy(require="any"))
    found = take_in(Ask(names=("deep@x",)), STACK, site, tmp_path)
    assert kinds(found) == [("unattested", True)]
    assert found.posting.problems[0].message_ids == ("base2.1@x", "base2.2@x", "deep@x")


def test_a_mailbox_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be used with a mailbox"):
        take_in(Ask(mbox=(tmp_path / "mbox",), wait=60), STACK, Site(), tmp_path)


def test_mails_of_other_threads_with_the_same_subject_are_no_part_of_the_thread(tmp_path: Path) -> None:
    if not installed():
        pytest.skip("public-inbox is not installed")
    with serve(
        [*series("one", "0/2", "fuse: same", ("a", "b")), *series("two", "0/2", "fuse: same", ("a", "b"))],
        tmp_path / "inbox",
    ) as url:
        for name in ("one@x", "one.1@x", "one.2@x"):
            found = take_in(Ask(names=(name,)), STACK, Site(archive=url), tmp_path)
            assert [patch.message_id for part in found.posting.parts for patch in part.patches] == [
                "one.1@x",
                "one.2@x",
            ]
            assert [problem for problem in found.posting.problems if problem.blocking] == []
            assert not any(key.startswith("two") for key in found.mails)

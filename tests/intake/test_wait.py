# SPDX-License-Identifier: GPL-2.0-or-later
"""--wait: mails that arrive between two looks; clocks are the tests' own."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from demo.inbox import deliver, installed, serve
from reviewbot.config import load_stack
from reviewbot.intake import (
    Archive,
    ArchiveUnreachable,
    Intake,
    NothingArrived,
    UnknownMessageId,
    split,
    wait_complete,
)
from reviewbot.model.progress import Event
from tests.intake.conftest import series, taken
from tests.mails import TOP, diff, mail, posting

START = 1793610000.0
"""The Date of the test mails."""
LATER = START + 86400


class Clock:
    """Time passes only when somebody sleeps."""

    def __init__(self, start: float = START, then: Callable[[], None] = lambda: None) -> None:
        self.time = start
        self.pauses: list[float] = []
        self.then = then
        self.events: list[Event] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        self.then()

    def wait(self, take: Callable[[], Intake], limit: float) -> Intake:
        return wait_complete(take, limit, self.events.append, now=self.now, sleep=self.sleep)


def one_by_one(states: Sequence[object]) -> Callable[[], Intake]:
    """Gives the states in turn, the last one for ever."""
    left = list(states)

    def take() -> Intake:
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, Exception):
            raise state
        assert isinstance(state, list)
        return taken(state)

    return take


def blocking(found: Intake) -> list[str]:
    return [problem.message for problem in found.posting.problems if problem.blocking]


def test_mails_that_arrive_at_a_real_archive_while_it_waits(tmp_path: Path) -> None:
    if not installed():
        pytest.skip("public-inbox is not installed")
    mails = posting(("kernel", "libfuse"))
    rest = mails[2:]
    folder = tmp_path / "inbox"
    home = {"HOME": str(folder), "PI_CONFIG": str(folder / "config"), "PI_DIR": str(folder)}
    with serve(mails[:2], folder) as url:
        archive = Archive(url, tmp_path / "lore")

        def arrive() -> None:
            for raw in rest[:2]:
                deliver(raw, home)
            del rest[:2]

        clock = Clock(then=arrive)
        found = clock.wait(lambda: split(archive.thread(TOP, fresh=True), TOP, load_stack()), 3600)
    assert [(part.component, len(part.patches)) for part in found.posting.parts] == [("kernel", 2), ("libfuse", 2)]
    assert blocking(found) == []
    assert rest == []
    said = [event.text for event in clock.events]
    assert "there is no patch in the thread" in said[0]
    assert clock.events[-1].state == "done"


def test_what_is_old_and_complete_is_taken_at_once() -> None:
    clock = Clock(LATER)
    assert blocking(clock.wait(one_by_one([posting()]), 3600)) == []
    assert clock.pauses == []


def test_a_component_of_which_nothing_came_yet_is_waited_for() -> None:
    """No counter misses it: the kernel's parts are complete when libfuse's covers are still in the mailer's queue."""
    clock = Clock()
    found = clock.wait(one_by_one([posting(("kernel",)), posting(("kernel", "libfuse")), posting()]), 3600)
    assert found.posting.components == ("kernel", "libfuse", "e2fsprogs")
    assert len(clock.pauses) == 3


def test_the_numbers_that_are_missing_are_said_and_returned() -> None:
    mails = [m for m in posting(("kernel",), patches=5) if b"<kernel.3@" not in m and b"<kernel.4@" not in m]
    clock = Clock(LATER)
    found = clock.wait(one_by_one([mails]), 900)
    assert blocking(found)[0].endswith("2 of 5 patches are missing: 3-4")
    assert "2 of 5 patches are missing: 3-4" in clock.events[0].text
    assert clock.events[-1].state == "failed"
    assert clock.time - LATER == 900


def test_a_part_that_is_missing_is_waited_for() -> None:
    mails = [mail("t@x", "[PATCHBLIZZARD] all")]
    for number in (1, 2, 3):
        mails += series(f"s{number}", f"{number}/3", f"fuse: {number}", (str(number),), parent="t@x")
    clock = Clock(LATER)
    assert len(clock.wait(one_by_one([mails[:3], mails[:5], mails]), 3600).posting.parts) == 3
    assert "kernel: 2 of 3 parts are missing: 2-3" in clock.events[0].text


def test_it_asks_politely() -> None:
    clock = Clock(LATER)
    clock.wait(one_by_one([posting()[:-1]]), 3600)
    assert clock.pauses[0] == 60
    assert all(60 <= pause <= 300 for pause in clock.pauses[:-1])
    assert len(clock.pauses) < 20


@pytest.mark.parametrize("wrong", ["number", "component"])
def test_what_no_waiting_heals_is_not_waited_for(wrong: str) -> None:
    mails = posting(("kernel",))[:-1]  # and a patch is missing, too
    if wrong == "number":
        mails.append(mail("again@x", "[PATCH 1/2] kernel: again", diff("fs/fuse/a.c"), parent="kernel@example.org"))
    else:
        mails += series("both", "1/1", "both", path="fs/fuse/x.c", parent=TOP)
        mails[-1] = mail("both.1@x", "[PATCH 1/1] both", diff("fs/fuse/dev.c", "misc/fuse2fs.c"), parent="both@x")
    clock = Clock()
    assert blocking(clock.wait(one_by_one([mails]), 3600))
    assert clock.pauses == []


def test_an_id_that_is_not_there_yet_and_an_archive_that_is_away() -> None:
    states = [UnknownMessageId("a@x", "here"), ArchiveUnreachable("here", "refused"), posting()]
    clock = Clock(LATER)
    assert blocking(clock.wait(one_by_one(states), 3600)) == []
    assert len(clock.pauses) == 2
    assert "no mail <a@x>" in clock.events[0].text


def test_the_last_state_survives_an_archive_that_goes_away() -> None:
    found = Clock(LATER).wait(one_by_one([posting()[:-1], ArchiveUnreachable("here", "refused")]), 600)
    assert blocking(found)


def test_nothing_ever_came() -> None:
    with pytest.raises(NothingArrived, match="still nothing to test after 10 minutes: no mail <a@x>"):
        Clock().wait(one_by_one([UnknownMessageId("a@x", "here")]), 600)
    with pytest.raises(NothingArrived, match="there is no patch"):
        Clock().wait(one_by_one([UnknownMessageId("t@x", "here"), no_patches()]), 600)
    with pytest.raises(ArchiveUnreachable):
        Clock().wait(one_by_one([ArchiveUnreachable("here", "refused")]), 600)


def no_patches() -> Exception:
    try:
        taken(posting()[:1])
    except Exception as error:
        return error
    raise AssertionError("a cover alone has patches")

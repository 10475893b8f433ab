# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot bench`, and the bench suite on other commands, as far as no machine is needed."""

import json

import pytest

from reviewbot.report import Record
from tests.cli.test_site import add
from tests.mails import posting
from tests.report.records import RECORDS, results
from tests.report.test_bench import leg, record, row
from tests.user import User

FIRST, SECOND, OTHER, REAL = (f"2026110{number}-000000-000{number}" for number in range(1, 5))


@pytest.fixture
def runs(user: User) -> User:
    add(user, FIRST, record().model_copy(update={"run": FIRST}))
    slower = results(leg("fuse2fs", "tcg", create_1=row(8.0)), leg("lklfuse", "tcg", create_1=row(9.0)))
    add(user, SECOND, record().model_copy(update={"run": SECOND, "results": slower}))
    add(user, REAL, record("kvm").model_copy(update={"run": REAL}))
    found: Record = RECORDS["pass"]()
    add(user, OTHER, found)
    return user


def test_two_runs_are_compared_by_the_rows_and_legs_that_both_have(runs: User) -> None:
    done = runs.call("bench", "--compare", FIRST, SECOND, "--json")
    assert done.returncode == 0, done.stderr
    (change,) = json.loads(done.stdout)
    assert (change["leg"], change["row"], round(change["change"]["ratio"], 2)) == ("fuse2fs", "create-1", 2.0)
    said = runs.call("bench", "--compare", FIRST, SECOND)
    assert "create-1" in said.stdout and "2.00 (" in said.stdout


def test_what_cannot_be_compared_is_said_in_one_line(runs: User) -> None:
    runs.refuses(2, f"run {OTHER} has no figures of the bench suite", "bench", "--compare", FIRST, OTHER)
    runs.refuses(2, "--compare takes two runs, no series", "bench", "--compare", FIRST, SECOND, "a@b")
    for more in (
        ("--legs", "fuse2fs"),
        ("--rows", "mount"),
        ("--head-only",),
        ("--blame", "0s"),
        ("--base", "kernel=x"),
    ):
        runs.refuses(2, "--compare takes two runs, no series", "bench", "--compare", FIRST, SECOND, *more)
    runs.refuses(2, "measured on the same kind of machine", "bench", "--compare", FIRST, REAL)
    runs.refuses(2, "no such run: 20300101-000000-0001", "bench", "--compare", FIRST, "20300101-000000-0001")


@pytest.mark.parametrize("command", ["bench", "apply-and-test", "plan"])
def test_a_row_that_is_none_is_refused_before_anything_is_fetched(command: str, user: User) -> None:
    thread = user.thread(posting())
    user.refuses(2, "bench has no row creat", command, "--mbox", thread, "--rows", "creat")


def test_the_suite_is_planned_when_it_is_asked_for(user: User) -> None:
    planned = user.call("plan", "--mbox", user.thread(posting()), "--bench", "--rows", "mount", "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["suites"] == ["smoke", "fstests", "bench"]

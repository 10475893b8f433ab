# SPDX-License-Identifier: GPL-2.0-or-later
"""Which growth of a server's figures counts, and which is noise."""

from reviewbot.model.figures import ServerFigures
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.verdict.figures import confirmed, figures, grown, load_limits


def check(name: str, *, outcome: Outcome = Outcome.PASS, **server: object) -> TestResult:
    return TestResult(suite="smoke", test=name, outcome=outcome, server=ServerFigures.model_validate(server))


def leg(*tests: TestResult) -> LegResult:
    return LegResult(leg="fuse2fs", available=True, tests=tests)


def test_a_leak_shows_as_memory() -> None:
    (change,) = grown(leg(check("many", pss_kib=6_000)), leg(check("many", pss_kib=34_000)), "smoke")
    assert (change.figure, change.unit, change.base, change.head) == ("memory", "KiB", (6000.0,), (34000.0,))


def test_three_times_the_lookups_show_by_their_opcode() -> None:
    base = leg(
        check("many", requests={"FUSE_LOOKUP": 700, "FUSE_READ": 90}), check("links", requests={"FUSE_LOOKUP": 693})
    )
    head = leg(
        check("many", requests={"FUSE_LOOKUP": 2_600, "FUSE_READ": 95}),
        check("links", requests={"FUSE_LOOKUP": 1_526}),
    )
    (change,) = grown(base, head, "smoke")
    assert (change.figure, change.base, change.head) == ("requests FUSE_LOOKUP", (1393.0,), (4126.0,))


def test_an_opcode_that_base_never_sent_shows() -> None:
    changes = grown(leg(check("a", requests={})), leg(check("a", requests={"FUSE_STATX": 5_000})), "smoke")
    assert [change.figure for change in changes] == ["requests FUSE_STATX"]


def test_little_things_that_grow_much_and_big_things_that_grow_little_are_noise() -> None:
    base = leg(check("a", pss_kib=6_000, cpu_seconds=20.0, requests={"FUSE_FLUSH": 10, "FUSE_WRITE": 9_000}))
    head = leg(check("a", pss_kib=12_000, cpu_seconds=28.0, requests={"FUSE_FLUSH": 90, "FUSE_WRITE": 9_900}))
    assert grown(base, head, "smoke") == ()


def test_a_check_that_failed_on_one_side_is_not_compared() -> None:
    base = leg(check("a", pss_kib=6_000))
    head = leg(check("a", outcome=Outcome.FAIL, pss_kib=90_000))
    assert grown(base, head, "smoke") == ()


def test_memory_is_that_of_the_largest_server_and_requests_are_summed() -> None:
    found = figures([check("a", pss_kib=5, requests={"X": 2}), check("b", pss_kib=9, requests={"X": 3})])
    assert (found["memory"], found["requests X"]) == (9.0, 5.0)


def test_growth_counts_when_a_second_run_shows_it_too() -> None:
    first = grown(
        leg(check("a", pss_kib=1, requests={})), leg(check("a", pss_kib=90_000, requests={"X": 900})), "smoke"
    )
    again = grown(
        leg(check("a", pss_kib=2, requests={})), leg(check("a", pss_kib=80_000, requests={"X": 100})), "smoke"
    )
    (change,) = confirmed(first, again)
    assert (change.figure, change.base, change.head) == ("memory", (1.0, 2.0), (90000.0, 80000.0))


def test_every_limit_says_why() -> None:
    assert all(limit.why for limit in load_limits().limits)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Which growth of a server's figures counts, and which is noise."""

from reviewbot.model.figures import Cost, ServerFigures
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.verdict.figures import confirmed, figures, grown, leading, load_limits, measured


def check(name: str, *, outcome: Outcome = Outcome.PASS, **server: object) -> TestResult:
    return TestResult(suite="smoke", test=name, outcome=outcome, server=ServerFigures.model_validate(server))


def leg(*tests: TestResult) -> LegResult:
    return LegResult(leg="fuse2fs", available=True, tests=tests)


def test_a_leak_shows_as_memory() -> None:
    (change,) = grown(leg(check("many", pss_kib=6_000)), leg(check("many", pss_kib=34_000)), "smoke")
    assert (change.figure, change.unit, change.base, change.head) == ("memory", "KiB", (6000.0,), (34000.0,))


def test_three_times_the_lookups_show_by_their_opcode() -> None:
    base = leg(check("many", requests={"LOOKUP": 700, "FUSE_READ": 90}), check("links", requests={"LOOKUP": 693}))
    head = leg(
        check("many", requests={"LOOKUP": 2_600, "FUSE_READ": 95}),
        check("links", requests={"LOOKUP": 1_526}),
    )
    (change,) = grown(base, head, "smoke")
    assert (change.test, change.figure, change.base, change.head) == ("many", "requests LOOKUP", (700.0,), (2600.0,))


def test_what_grows_a_little_in_each_check_is_told_of_the_suite() -> None:
    base = leg(*(check(name, requests={"LOOKUP": 200}) for name in ("a", "b")))
    head = leg(*(check(name, requests={"LOOKUP": 450}) for name in ("a", "b")))
    (change,) = grown(base, head, "smoke")
    assert (change.test, change.base, change.head) == ("", (400.0,), (900.0,))


def test_a_blamed_figure_is_measured_as_it_was_compared() -> None:
    result = leg(
        check("many", requests={"LOOKUP": 700}),
        check("stress", requests={"LOOKUP": 9_000}),
        check("links", outcome=Outcome.FAIL, requests={"LOOKUP": 50}),
    )
    assert measured(result, "smoke") == {"requests LOOKUP": 700.0, "memory": 0.0, "cpu": 0.0, "unmount": 0.0}
    assert measured(result, "smoke", "stress").get("requests LOOKUP") is None


def test_requests_that_grow_in_one_check_show_though_the_others_hide_them_in_the_sum() -> None:
    base = leg(check("many", requests={"LOOKUP": 8_000}), check("links", requests={"LOOKUP": 200}))
    head = leg(check("many", requests={"LOOKUP": 8_100}), check("links", requests={"LOOKUP": 900}))
    (change,) = grown(base, head, "smoke")
    assert (change.test, change.figure, change.base, change.head) == ("links", "requests LOOKUP", (200.0,), (900.0,))


def test_a_few_more_requests_count_where_nothing_else_makes_some() -> None:
    base, head = (leg(*(check(name, requests={"WRITE": n}) for name in ("large", "many"))) for n in (8, 64))
    (change,) = grown(base, head, "smoke")
    assert (change.test, change.figure, change.base, change.head) == ("large", "requests WRITE", (8.0,), (64.0,))
    assert [one.head for one in confirmed([change], base, head)] == [(64.0, 64.0)]


def test_requests_of_a_check_that_makes_as_many_as_it_has_time_for_are_not_compared() -> None:
    base, head = (leg(check("interrupt", requests={"WRITE": count}, pss_kib=1)) for count in (100, 9_000))
    assert grown(base, head, "smoke") == ()


def test_an_opcode_that_base_never_sent_shows() -> None:
    changes = grown(leg(check("a", requests={})), leg(check("a", requests={"FUSE_STATX": 5_000})), "smoke")
    assert [change.figure for change in changes] == ["requests FUSE_STATX"]


def test_what_a_kind_of_operation_costs_is_compared_by_kind() -> None:
    def costs(kib: int, slabs: int | None, times: float, objects: int = 3, steady: int = 0) -> LegResult:
        cost = Cost(
            operations=400,
            server_kib=kib,
            server_steady_kib=steady,
            kernel_kib=slabs,
            kernel_objects=objects,
            times=times,
        )
        return leg(TestResult(suite="smoke", test="costs", outcome=Outcome.PASS, costs={"create": cost}))

    was = costs(400, 0, 30.0)
    assert [one.figure for one in grown(was, costs(2_800, 40, 30.0), "smoke")] == ["leak create"]
    assert [one.figure for one in grown(was, costs(400, 3_000, 30.0), "smoke")] == ["kernel-leak create"]
    assert [one.figure for one in grown(was, costs(400, 0, 190.0), "smoke")] == ["time create"]
    assert [one.figure for one in grown(was, costs(400, 0, 30.0, 100), "smoke")] == ["kernel-objects create"]
    assert [one.figure for one in grown(was, costs(416, 0, 30.0, 3, 16), "smoke")] == ["steady-leak create"]
    both = grown(was, costs(2_800, 3_000, 30.0, 100, 2_800), "smoke")
    assert [one.figure for one in leading(both)] == ["kernel-leak create", "leak create"]
    assert grown(was, costs(840, None, 120.0, 40), "smoke") == ()


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
    again = leg(check("a", pss_kib=2, requests={})), leg(check("a", pss_kib=80_000, requests={"X": 100}))
    (change,) = confirmed(first, *again)
    assert (change.figure, change.base, change.head) == ("memory", (1.0, 2.0), (90000.0, 80000.0))


def test_every_limit_says_why() -> None:
    assert all(limit.why for limit in load_limits().limits)


def test_of_many_figures_of_one_kind_the_one_that_grew_most_speaks_for_all() -> None:
    def all_of(kib: int) -> LegResult:
        costs = {
            name: Cost(operations=400, server_kib=kib * more, times=1.0) for name, more in (("create", 1), ("link", 2))
        }
        return leg(
            TestResult(suite="smoke", test="costs", outcome=Outcome.PASS, costs=costs), check("a", pss_kib=kib * 9)
        )

    (change,) = leading(grown(all_of(10), all_of(9_000), "smoke"))
    assert (change.figure, change.test, change.also) == ("leak link", "costs", ("leak create",))
    assert [one.also for one in confirmed([change], all_of(10), all_of(9_000))] == [("leak create",)]
    only = confirmed([change], all_of(10), all_of(440))
    assert [one.also for one in only] == [()], "what a second run does not show is not named"

# SPDX-License-Identifier: GPL-2.0-or-later
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.suites.worth import Judge, lately, load_touched, touched_groups


def test_a_change_to_readdir_is_for_directories_and_one_to_xattrs_for_attributes() -> None:
    entries = load_touched()
    assert "dir" in touched_groups({"kernel": ["fs/fuse/readdir.c"]}, entries)
    assert {"attr", "acl"} <= touched_groups({"kernel": ["fs/fuse/xattr.c"]}, entries)
    assert touched_groups({"libfuse": ["fs/fuse/xattr.c"], "kernel": ["Makefile"]}, entries) == frozenset()
    assert touched_groups({"libfuse": ["*"]}, entries) > touched_groups({"libfuse": ["lib/fuse.c"]}, entries)


def results(**legs: dict[str, Outcome]) -> Results:
    return Results(
        run="r",
        tool="t",
        legs=tuple(
            LegResult(
                leg=leg,
                available=True,
                tests=tuple(TestResult(suite="fstests", test=test, outcome=outcome) for test, outcome in tests.items()),
            )
            for leg, tests in legs.items()
        ),
    )


def test_recent_runs_tell_what_failed_what_is_flaky_and_what_tells_legs_apart() -> None:
    one, two, three, four = (f"generic/00{number}" for number in range(1, 5))
    found = lately(
        [
            results(ext4={one: Outcome.PASS, two: Outcome.FAIL, four: Outcome.NOTRUN}, fuse={one: Outcome.CRASH}),
            results(ext4={one: Outcome.HANG, two: Outcome.PASS, three: Outcome.PASS, four: Outcome.INFRA}),
        ]
    )
    assert found.failed == {("ext4", one), ("fuse", one)}
    assert found.flaky == {("ext4", one), ("ext4", two)}
    assert found.different == {one}


def test_the_worth_of_a_test_never_rises_as_others_are_taken() -> None:
    groups = {"a": frozenset({"rw", "dir"}), "b": frozenset({"rw"}), "c": frozenset({"attr"})}
    judge = Judge(groups, frozenset({"attr"}))
    before = {test: judge.worth("ext4", test) for test in groups}
    judge.take("ext4", "b")
    after = {test: judge.worth("ext4", test) for test in groups}
    assert after["a"] < before["a"] and after["b"] < before["b"] and after["c"] == before["c"]
    assert judge.worth("fuse", "b") == before["b"] < before["c"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that are known not to run, tests that are excluded and tests for which there is no time, in a whole leg."""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.results import LegResult, Outcome
from reviewbot.runner import Budget, Context, durations_for
from reviewbot.store import NotRuns
from reviewbot.suites import notruns
from reviewbot.suites.excludes import Exclude
from tests.played import LEG, NOTRUN, TESTS, Lab, World, made_world, outcomes, with_build

CANNOT = TESTS[1:5]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(notruns, "EVERY", 1 << 40)  # nothing has its turn to be run again
    with made_world() as made:
        yield made


def unable() -> Lab:
    return Lab({test: ["notrun"] for test in CANNOT})


def learning(world: World, *, selection: str = "-g auto", fresh: bool = False) -> Context:
    store = NotRuns(world.folder / "notruns.json")
    return replace(world.context(selection=selection, fresh=fresh), notruns=store)


def taught(world: World) -> LegResult:
    """The selection leaves out one, so that a later run of all is no kept result."""
    return world.run(lab=unable(), context=learning(world, selection=f"-g auto -e {TESTS[-1]}"))


def patched(world: World, *kinds: str) -> Artifacts:
    new = {kind: world.artifacts.artifacts[kind].model_copy(update={"key": f"patched-{kind}"}) for kind in kinds}
    return Artifacts(artifacts={**world.artifacts.artifacts, **new})


def test_what_cannot_run_is_not_asked_again_and_stays_in_the_count(world: World) -> None:
    assert not any(test.learned for test in taught(world).tests)
    result = world.run(lab=Lab(), context=learning(world))
    assert world.lab.asked == [[test for test in TESTS if test not in CANNOT]]
    assert {test for test, outcome in outcomes(result).items() if outcome is Outcome.NOTRUN} == set(CANNOT)
    for test in result.tests:
        assert test.learned == (test.test in CANNOT)
        if test.learned:
            day = datetime.date.today()
            assert test.reason == f"{NOTRUN} (learned {day})" and test.log == "" and "in run 20" in test.excerpt
    assert result.planned == len(TESTS) and "4 NOTRUN (4 learned)" in str(world.events[-1].text)


def test_a_leg_in_which_nothing_can_run_needs_no_machine(world: World) -> None:
    taught(world)
    result = world.run(lab=Lab(), context=learning(world, selection=" ".join(CANNOT)))
    assert world.lab.jobs == [] and result.reason == ""
    assert [test.outcome for test in result.tests] == [Outcome.NOTRUN] * len(CANNOT)


def test_what_a_patched_stack_claims_is_asked_of_every_other_stack(world: World) -> None:
    claims = with_build(learning(world, selection=f"-g auto -e {TESTS[-1]}"), patched={"kernel"})
    world.run(lab=Lab({test: ["notrun"] for test in TESTS[:-1]}), context=claims)
    world.run(lab=Lab(), context=claims)
    assert world.lab.jobs == [], "of itself it is believed"
    built = world.artifacts
    for kinds, patches in ((("kernel",), {"kernel"}), (("e2fsprogs", "payload"), set[str]())):
        world.artifacts = patched(world, *kinds)
        result = world.run(lab=Lab(), context=with_build(learning(world), patched=patches))
        assert sorted(world.lab.asked[0]) == sorted(TESTS) and not any(test.learned for test in result.tests)
        world.artifacts = built


def test_a_guest_that_claims_impossible_seconds_changes_nobodys_limits(world: World) -> None:
    context = learning(world)
    for seconds in (9e11, -5.0):
        world.run(lab=Lab(seconds=seconds), context=replace(context, tests=replace(context.tests, fresh=True)))
        assert not any(one.own for one in context.durations.tests(LEG.name, "tcg").values())


def test_seconds_of_a_patched_stack_are_for_this_stack(world: World) -> None:
    context = learning(world)
    apart = durations_for(context.durations, world.artifacts, {"kernel"})
    world.run(lab=Lab(seconds=50.0), context=with_build(replace(context, durations=apart), patched={"kernel"}))
    assert apart.tests(LEG.name, "tcg")[f"fstests/{TESTS[0]}"].own
    other = durations_for(context.durations, patched(world, "kernel"), {"kernel"})
    for durations in (context.durations, other):
        assert not any(one.own for one in durations.tests(LEG.name, "tcg").values())
    base = durations_for(apart, world.artifacts, ())
    again = replace(context, durations=base, tests=replace(context.tests, fresh=True))
    world.run(lab=Lab(seconds=3.0), context=again)
    assert context.durations.tests(LEG.name, "tcg")[f"fstests/{TESTS[0]}"].own, "what base says is for all"


@pytest.mark.parametrize("kind", ["fstests", "guest"])
def test_when_what_it_depends_on_has_changed_it_is_asked_again(world: World, kind: str) -> None:
    taught(world)
    world.artifacts = patched(world, kind)
    world.run(lab=unable(), context=learning(world))
    assert [sorted(asked) for asked in world.lab.asked] == [sorted(TESTS)]


def test_fresh_asks_all_and_one_that_runs_now_takes_all_of_its_reason_with_it(world: World) -> None:
    taught(world)
    lab = Lab({test: ["notrun"] for test in CANNOT[1:]})
    world.run(lab=lab, context=learning(world, fresh=True))
    assert [sorted(asked) for asked in world.lab.asked] == [sorted(TESTS)]
    world.run(lab=unable(), context=learning(world, selection=f"-g auto -e {TESTS[0]}"))
    assert [sorted(asked) for asked in world.lab.asked] == [sorted(TESTS[1:])]


def test_results_are_kept_for_the_same_inputs_whether_learned_or_not(world: World) -> None:
    world.run(lab=unable(), context=learning(world))
    again = world.run(lab=Lab(), context=learning(world))
    assert again.reused and world.lab.jobs == [] and not any(test.learned for test in again.tests)


def excludes(monkeypatch: pytest.MonkeyPatch, *entries: Exclude) -> None:
    monkeypatch.setattr("reviewbot.suites.fstests.load_excludes", lambda: entries)


def test_excludes_need_no_machine_and_are_in_the_result(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    link, today = "https://example.org/1", datetime.date.today()
    one = Exclude(test=TESTS[2], reason="hangs the server", link=link, expires=today, when="accelerator == tcg")
    old = Exclude(test=TESTS[3], reason="hung the server", link=link, expires=today - datetime.timedelta(days=1))
    group = Exclude(group="aut?", reason="a whole group", link=link, when="memory < 512")
    excludes(monkeypatch, one, old, group)
    result = world.run(lab=Lab(), context=learning(world))
    assert TESTS[2] not in world.lab.asked[0] and TESTS[3] in world.lab.asked[0]
    assert result.tests[2].reason == f"excluded: hangs the server ({link})" and not result.tests[2].learned
    assert [(entry.pattern, entry.when, entry.tests) for entry in result.excluded] == [
        (TESTS[2], "accelerator == tcg", (TESTS[2],))
    ]
    assert len(result.notes) == 1 and "expired" in result.notes[0]


def budgeted(world: World, seconds: float, changed: dict[str, Sequence[str]] | None = None) -> Context:
    context = learning(world)
    context.durations.put_slow("tcg", 2.0)
    context.durations.put_tests("fuse2fs", "tcg", {f"fstests/{test}": 10.0 for test in TESTS})
    return replace(context, tests=replace(context.tests, budget=Budget(seconds, changed or {})))


def test_what_does_not_fit_into_the_budget_is_not_planned_but_listed(world: World) -> None:
    result = world.run(lab=Lab(), context=budgeted(world, 70.0))
    (asked,) = world.lab.asked
    assert len(asked) == 3 and result.planned == 3  # of 20 s each, after two starts of 4 s
    assert sorted((*asked, *(one.test for one in result.left_out))) == list(TESTS)
    assert {(one.suite, one.seconds) for one in result.left_out} == {("fstests", 20.0)}


def test_a_budget_for_no_test_at_all_leaves_smoke_and_says_so(world: World) -> None:
    result = world.run("smoke", "fstests", lab=Lab(), context=budgeted(world, 1.0))
    assert {test.suite for test in result.tests} == {"smoke"} and len(result.left_out) == len(TESTS)
    assert result.reason == "fstests did not run: no test fits into the budget"


def test_what_is_known_costs_nothing_of_a_budget(world: World) -> None:
    taught(world)
    result = world.run(lab=Lab(), context=budgeted(world, 40.0))
    assert set(CANNOT) < {test.test for test in result.tests} and len(world.lab.asked[0]) == 1

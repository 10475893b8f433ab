# SPDX-License-Identifier: GPL-2.0-or-later
"""Suites of a leg against a lab that plays its part: no test is forgotten, none runs twice for the same inputs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.model.artifacts import PART, Artifacts
from reviewbot.model.errors import UsageError
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.shard import MAX_LOSSES
from reviewbot.model.stack import LegSpec
from reviewbot.runner import Budget
from reviewbot.suites import fstests, smoke
from reviewbot.suites.setup import SETUP
from reviewbot.suites.shortcomings import FactOf
from tests.played import LEG, OUTCOMES, SERVER, TESTS, Lab, World, made_world, outcomes, with_build, with_tests


def test_all_replies_become_results_with_proofs_and_logs(world: World) -> None:
    result = world.run("smoke", "fstests", lab=Lab({TESTS[2]: ["fail"], TESTS[5]: ["timeout"]}))
    assert result.available and result.reason == "" and not result.reused
    assert [t.test for t in result.tests] == [*smoke.CHECKS, *TESTS]
    assert {test: o for test, o in outcomes(result).items() if o is not Outcome.PASS} == {
        TESTS[2]: Outcome.FAIL,
        TESTS[5]: Outcome.HANG,
    }
    assert result.proofs == {"kernel_release": "7.1-rb", SERVER: "good"}
    assert result.tests[-1].log == f"logs/fuse2fs/fstests/{TESTS[-1]}"
    assert (result.accelerator, result.seconds, result.agent_seconds) == ("tcg", 20.0, 2.0)
    assert [job.name for job in world.lab.jobs] == ["fuse2fs-smoke", "fuse2fs-fstests"]
    assert [use.name for use in result.machines] == ["fuse2fs-smoke", "fuse2fs-fstests"]
    assert all(job.steps[0].name == SETUP and job.expect_release == "7.1-rb" for job in world.lab.jobs)


def test_versions_of_what_a_leg_is_made_of_stand_beside_what_the_guest_says(world: World) -> None:
    built = dict(world.artifacts.artifacts)
    for kind, version in (("libfuse", "3.99.0"), ("fstests", "9")):  # the leg does not consist of fstests
        built[kind] = built[kind].model_copy(update={"facts": {**built[kind].facts, "version": version}})
    context = with_build(world.context(), artifacts=Artifacts(artifacts=built))
    result = world.run("smoke", context=context)
    assert {name: fact for name, fact in result.proofs.items() if "version" in name} == {"version:libfuse": "3.99.0"}


def test_progress_counts_every_test_under_one_name(world: World) -> None:
    world.run("fstests", lab=Lab({TESTS[2]: ["lost"]}))
    assert {event.what for event in world.events} == {"fuse2fs fstests"}
    counts = [event.done for event in world.events if event.total and event.state == "note"]
    assert counts == list(range(1, len(TESTS) + 1))


@pytest.mark.parametrize("component", ["kernel", "libfuse", "e2fsprogs"])
def test_a_missing_component_makes_the_leg_unavailable_with_the_reason(world: World, component: str) -> None:
    left = {k: a for k, a in world.artifacts.artifacts.items() if k != component}
    world.artifacts = Artifacts(artifacts=left, unavailable={component: "its server does not answer"})
    result = world.run("smoke", "fstests")
    assert (result.available, result.tests) == (False, ())
    assert result.reason == f"no {component}: its server does not answer"
    assert world.lab.jobs == []


def test_a_fact_that_a_leg_requires_is_named(world: World) -> None:
    without = world.artifacts.artifacts["e2fsprogs"].model_copy(update={"facts": {"fuse2fs": False}})
    world.artifacts = Artifacts(artifacts={**world.artifacts.artifacts, "e2fsprogs": without})
    result = world.run("smoke")
    assert (result.available, result.reason) == (False, "this e2fsprogs has no fuse2fs")


def test_without_fstests_the_smoke_suite_still_runs(world: World) -> None:
    left = {k: a for k, a in world.artifacts.artifacts.items() if k != "fstests"}
    world.artifacts = Artifacts(artifacts=left, unavailable={"fstests": "it does not build"})
    result = world.run("smoke", "fstests")
    assert {t.suite for t in result.tests} == {"smoke"}
    assert result.available and result.reason == "fstests did not run: no fstests: it does not build"


def test_smoke_comes_first_and_stops_fstests_when_it_fails(world: World) -> None:
    result = world.run("fstests", "smoke", lab=Lab({"smoke/rename": ["fail"]}))
    assert result.reason == "smoke did not pass, so nothing else was run"
    assert {t.suite for t in result.tests} == {"smoke"}
    assert outcomes(result)["rename"] is Outcome.FAIL
    assert len(world.lab.jobs) == 1


def test_smoke_that_fails_alone_stopped_nothing(world: World) -> None:
    assert world.run("smoke", lab=Lab({"smoke/rename": ["fail"]})).reason == ""


def test_smoke_in_a_machine_that_is_lost_is_not_tried_again(world: World) -> None:
    result = world.run("smoke", "fstests", lab=Lab({"smoke/links": ["lost"]}))
    assert len(world.lab.jobs) == 1
    assert result.reason == "QEMU exited (status 0)"
    place = smoke.CHECKS.index("links")
    expected = [Outcome.PASS] * place + [Outcome.INFRA] * (len(smoke.CHECKS) - place)
    assert [t.outcome for t in result.tests] == expected


def test_a_setup_that_fails_makes_all_tests_infra_with_the_guests_reason(world: World) -> None:
    result = world.run("fstests", lab=Lab({SETUP: ["fail"]}))
    assert {(t.outcome, t.reason) for t in result.tests} == {(Outcome.INFRA, "no such disk")}
    assert (len(result.tests), result.reason) == (len(TESTS), "no such disk")


def test_a_kernel_that_crashes_while_the_leg_is_set_up_is_the_stacks_fault(world: World) -> None:
    result = world.run("fstests", lab=Lab({SETUP: ["panic"]}))
    crash, *rest = result.tests
    assert (crash.test, crash.outcome, crash.log) == ("setup", Outcome.CRASH, f"logs/fuse2fs/fuse2fs-fstests/{SETUP}")
    assert "kernel BUG at fs/x.c:1!" in crash.reason and crash.reason.startswith(f"during {SETUP}: ")
    assert [t.test for t in rest] == list(TESTS) and {t.outcome for t in rest} == {Outcome.INFRA}


def test_a_test_with_two_results_is_not_believed_and_one_without_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(leg: LegSpec, replies: Sequence[StepReply], fact: FactOf) -> tuple[TestResult, ...]:
        if len(found := read(leg, replies, fact)) < 2:
            return found
        one, _, *rest = found
        return (one, one, *rest, one.model_copy(update={"test": "generic/666"}))

    read = fstests.results
    monkeypatch.setattr("reviewbot.suites.fstests.results", careless)
    result = world.run("fstests")
    assert [t.test for t in result.tests] == list(TESTS)
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS) | dict.fromkeys(TESTS[:2], Outcome.INFRA)
    assert result.tests[0].reason == "reviewbot miscounted: planned or answered more than once"
    assert result.reason.startswith("reviewbot miscounted: ") and "fstests/generic/666" in result.reason


def test_what_a_guest_said_unasked_is_in_the_notes_of_its_leg(world: World) -> None:
    said = "the guest answered 3 requests that were not made, or twice"
    lab = Lab(notes=(said,))
    assert world.run("smoke", "fstests", lab=lab).notes == (said,)


def test_a_machine_that_never_speaks_makes_all_tests_infra(world: World) -> None:
    result = world.run("fstests", lab=Lab({SETUP: ["silence"]}))
    assert {t.outcome for t in result.tests} == {Outcome.INFRA}
    assert len(world.lab.jobs) == 1


@pytest.mark.parametrize("suite", ["smoke", "fstests"])
def test_another_binary_than_was_built_makes_even_passes_infra(world: World, suite: str) -> None:
    result = world.run(suite, lab=Lab(proofs={SERVER: "other"}))
    assert {t.outcome for t in result.tests} == {Outcome.INFRA}
    assert result.reason == result.tests[0].reason == "the guest ran a different /stack/bin/fuse2fs than was built"
    assert not world.run(suite).reused


def test_an_interrupted_suite_goes_on_with_the_rest(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[0]: ["fail"], TESTS[2]: ["interrupt"]}))
    context = world.context()
    result = world.run("fstests", context=context)
    assert world.lab.asked == [list(TESTS[2:])]
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS) | {TESTS[0]: Outcome.FAIL}
    logs = [context.run.path / t.log / "output.txt" for t in result.tests]
    assert [path.read_text() for path in logs] == [f"{test} in machine 1\n" for test in TESTS]
    assert world.run("fstests").reused


def test_a_suite_interrupted_after_its_last_answer_needs_no_machine(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab(interrupted_at_its_end=True))
    result = world.run("fstests")
    assert world.lab.jobs == []
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS)
    assert result.proofs[SERVER] == "good"


def test_an_answer_that_a_crash_of_ours_cut_short_costs_only_its_test(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[3]: ["interrupt"]}))
    (answers,) = world.folder.glob("cache/scratch/partial/*/replies.jsonl")
    answers.write_bytes(answers.read_bytes()[:-20])
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[4]: ["interrupt"]}))
    assert world.lab.asked == [list(TESTS[2:])]
    world.run("fstests")
    assert world.lab.asked == [list(TESTS[4:])]


def test_interrupted_smoke_starts_again(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("smoke", lab=Lab({"smoke/links": ["interrupt"]}))
    world.run("smoke")
    assert world.lab.asked == [list(smoke.CHECKS)]


def test_the_same_inputs_are_not_tested_twice_and_say_so(world: World) -> None:
    first = world.run("smoke", "fstests", lab=Lab({TESTS[1]: ["fail"]}))
    context = world.context()
    again = world.run("smoke", "fstests", context=context)
    assert world.lab.jobs == []
    assert (first.reused, again.reused) == (False, True)
    assert again == first.model_copy(update={"reused": True})
    assert all((context.run.path / t.log / "output.txt").is_file() for t in again.tests)
    assert any("from an earlier run" in event.text for event in world.events)


def test_fresh_tests_again_and_what_it_finds_is_kept(world: World) -> None:
    world.run("fstests")
    result = world.run("fstests", context=world.context(fresh=True), lab=Lab({TESTS[1]: ["fail"]}))
    assert not result.reused and world.lab.asked == [list(TESTS)]
    again = world.run("fstests")
    assert again.reused and outcomes(again)[TESTS[1]] is Outcome.FAIL


def with_other(world: World, kind: str, **changes: object) -> None:
    """As if this artifact had been built of other inputs; the payload that holds it is another one then."""
    built = dict(world.artifacts.artifacts)
    payload = built["payload"]
    built[kind] = built[kind].model_copy(update={"key": "other", **changes})
    inputs = {**payload.inputs, **({f"{PART}{kind}": "other"} if kind != "payload" else {})}
    built["payload"] = built["payload"].model_copy(update={"key": f"with-other-{kind}"})
    if kind != "payload":
        built["payload"] = built["payload"].model_copy(update={"inputs": inputs})
    world.artifacts = Artifacts(artifacts=built)


@pytest.mark.parametrize("suite", ["smoke", "fstests"])
@pytest.mark.parametrize("kind", ["kernel", "guest", "libfuse", "e2fsprogs"])
def test_what_a_leg_uses_is_tested_again_when_it_changes(world: World, kind: str, suite: str) -> None:
    world.run(suite)
    with_other(world, kind)
    assert not world.run(suite).reused


@pytest.mark.parametrize("suite", ["smoke", "fstests"])
def test_our_own_programs_in_the_guest_count_too(world: World, suite: str) -> None:
    world.run(suite)
    with_other(world, "payload", inputs={"qemu/agent": "other"})
    assert not world.run(suite).reused


@pytest.mark.parametrize("suite", ["smoke", "fstests"])
def test_what_another_leg_needs_does_not_count(world: World, suite: str) -> None:
    """A leg that is added puts its programs on the payload disk, which is another one then."""
    world.run(suite)
    lkl = world.artifacts.artifacts["libfuse"].model_copy(update={"kind": "lkl", "key": "key-lkl"})
    world.artifacts = Artifacts(artifacts={**world.artifacts.artifacts, "lkl": lkl})
    with_other(world, "lkl")
    assert world.run(suite).reused


@pytest.mark.parametrize("suite", ["smoke", "fstests"])
def test_a_patched_component_counts_for_every_leg(world: World, suite: str) -> None:
    """It can install whatever program the guest runs, also for legs that do not need it."""
    lkl = world.artifacts.artifacts["libfuse"].model_copy(update={"kind": "lkl"})
    for key, patched, reused in (("base", set[str](), False), ("hostile", {"lkl"}, False), ("base", set[str](), True)):
        built = {**world.artifacts.artifacts, "lkl": lkl.model_copy(update={"key": key})}
        world.artifacts = Artifacts(artifacts=built)
        assert world.run(suite, context=with_build(world.context(), patched=patched)).reused == reused


def test_fstests_count_for_fstests_only(world: World) -> None:
    world.run("smoke")
    world.run("fstests")
    with_other(world, "fstests")
    assert world.run("smoke").reused
    assert not world.run("fstests").reused


def test_smoke_alone_is_not_run_again_after_both_suites_were(world: World) -> None:
    world.run("smoke", "fstests")
    world.artifacts = Artifacts(artifacts={k: a for k, a in world.artifacts.artifacts.items() if k != "fstests"})
    with_other(world, "payload")
    assert world.run("smoke").reused


def test_a_test_that_does_not_exist_is_the_callers_mistake(world: World) -> None:
    with pytest.raises(UsageError, match="generic/999"):
        world.run("fstests", context=world.context(selection="generic/999"))


STATES = st.sampled_from([*OUTCOMES, "interrupt", "silence"])


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([*TESTS, SETUP]), st.lists(STATES, min_size=1, max_size=3)))
def test_planned_is_always_the_sum_of_outcomes_and_every_answer_is_told(script: dict[str, list[str]]) -> None:
    """Calls are repeated while the user interrupts them; what a test answered is what its result says."""
    wanted = {test: list(states) for test, states in script.items()}
    lab = Lab(script)
    with made_world() as world:
        while True:
            try:
                result = world.run("fstests", lab=lab)
                break
            except KeyboardInterrupt:
                continue
        stopped = not {"crash", "panic", "timeout", "hang"}.isdisjoint(wanted.get(SETUP, []))
        tests = [t.test for t in result.tests if t.test != "setup"]
        assert tests == list(TESTS) and result.planned == len(result.tests)
        assert stopped or len(result.tests) == len(TESTS)
        calls = 1 + sum(states.count("interrupt") for states in wanted.values())
        assert len(lab.jobs) <= calls * MAX_LOSSES
        for test in () if result.reason else TESTS:
            answers = [OUTCOMES[state] for state in wanted.get(test, []) if state in OUTCOMES] or [Outcome.PASS]
            assert outcomes(result)[test] in {*answers, Outcome.PASS}
        assert not {o for o in outcomes(result).values() if o is Outcome.MISS}
        if result.reason:
            assert Outcome.INFRA in outcomes(result).values()


def test_whoever_watches_hears_of_each_failure_once_before_the_suite_ends(world: World) -> None:
    lab = Lab({TESTS[1]: ["fail"], TESTS[3]: ["crash"], TESTS[5]: ["notrun"]})
    result = world.run("smoke", "fstests", lab=lab)
    told = [event for event in world.events if event.step == "lab"]
    bad = [event for event in told if event.state == "bad"]
    assert [(event.what, event.text.partition(":")[0]) for event in bad] == [
        (f"fuse2fs fstests/{TESTS[1]}", "FAIL"),
        (f"fuse2fs fstests/{TESTS[3]}", "CRASH"),
    ]
    (end,) = (event for event in told if event.what == "fuse2fs fstests" and event.state == "failed")
    assert all(told.index(event) < told.index(end) for event in bad)
    logs = {test.test: test.log for test in result.tests}
    assert all(event.log.endswith(logs[event.what.partition("fstests/")[2]]) for event in bad)
    assert all((Path(event.log) / "output.txt").is_file() for event in bad)


def test_a_failure_of_a_long_run_is_told_while_other_tests_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.runner.run.INTERVAL", 0.0)
    monkeypatch.setattr("reviewbot.runner.run.RATIO", 0.0)
    world.run("fstests", lab=Lab({TESTS[1]: ["fail"]}))
    told = [event for event in world.events if event.step == "lab"]
    (bad,) = (event for event in told if event.state == "bad")
    later = [event for event in told[told.index(bad) :] if event.state == "note" and event.done]
    assert len(later) >= len(TESTS) - 3


def test_what_goes_on_counts_from_what_is_answered_already(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[3]: ["interrupt"]}))
    world.events.clear()
    world.run("fstests")
    (begun,) = (event for event in world.events if event.state == "start" and event.step == "lab")
    assert (begun.done, begun.total) == (3, len(TESTS))


def test_what_failed_in_the_version_before_runs_first_though_nobody_selected_it(world: World) -> None:
    late = {LEG.name: (TESTS[6], TESTS[4])}
    context = with_tests(world.context(selection=" ".join(TESTS[:5])), first=late, added=late)
    result = world.run(context=context)
    (asked,) = world.lab.asked
    assert asked == [TESTS[4], TESTS[6], *TESTS[:4]]
    assert {test.test for test in result.tests} == set(asked)


def test_a_selection_of_the_users_own_is_put_in_order_and_not_added_to(world: World) -> None:
    context = with_tests(world.context(selection=" ".join(TESTS[:3])), first={LEG.name: (TESTS[2], TESTS[6])})
    world.run(context=context)
    assert world.lab.asked == [[TESTS[2], TESTS[0], TESTS[1]]]


def test_what_failed_in_the_version_before_is_never_left_out_for_the_budget(world: World) -> None:
    late = {LEG.name: TESTS[7:]}
    context = with_tests(world.context(), budget=Budget(0.001), first=late, added=late)
    result = world.run(context=context)
    assert [test.test for test in result.tests] == list(TESTS[7:])
    assert {one.test for one in result.left_out} == set(TESTS[:7])

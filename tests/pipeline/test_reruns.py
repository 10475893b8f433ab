# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests are run again, on which side, how often, and what the counts become."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.comparison import Class, Compared, Comparison, Counts, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Known, LegResult, Outcome, TestResult
from reviewbot.pipeline.outcomes import remember
from reviewbot.pipeline.reruns import compare
from reviewbot.runner import Context
from reviewbot.store import NotRuns
from reviewbot.store.history import Entry as Recorded
from reviewbot.store.history import History
from reviewbot.suites import notruns, smoke
from reviewbot.suites.quarantine import Entry
from tests.played import LEG, TESTS, Lab, World, other, with_build

FIRST, SECOND = TESTS[:2]


class Sides:
    """A head that was tested, and a base that is built when somebody asks."""

    def __init__(
        self, world: World, head: Mapping[str, list[str]], *, artifacts: Artifacts | None = None,
        patched: Collection[str] = (), store: NotRuns | None = None, suite: str = "fstests", lab: type[Lab] = Lab,
    ) -> None:  # fmt: skip
        self.world, self.built = world, 0
        self.head = replace(with_build(world.context(), patched=patched), notruns=store)
        self.first = world.run(suite, lab=lab(script=dict(head)), context=self.head)
        self._base = artifacts or other(world.artifacts)
        self.history = History(world.folder / "history.sqlite")

    def base(self) -> Context:
        self.built += 1
        return with_build(self.head, artifacts=self._base, patched=())

    def compare(self, lab: Lab, *quarantine: Entry) -> Comparison:
        with self.world.playing(lab):
            return compare([LEG], [self.first], self.head, self.base, history=self.history, quarantine=quarantine)


def the(found: Comparison, test: str) -> Compared:
    return next(one for one in found.tests if one.test == test)


def test_when_all_passed_base_is_not_even_built(world: World) -> None:
    sides = Sides(world, {})
    assert sides.compare(Lab()).tests == ()
    assert sides.built == 0


def test_a_test_that_fails_on_head_only_is_new_and_carries_its_counts(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    played = Lab(script={FIRST: ["done", "fail"] * 4})  # base goes first
    found = the(sides.compare(played), FIRST)
    assert (found.kind, found.head, found.base) == (Class.NEW, Counts(failed=4, runs=4), Counts(failed=0, runs=4))
    assert [rerun.side for rerun in found.reruns] == [Side.BASE, Side.HEAD] * 4
    assert all((sides.head.run.path / rerun.log).is_dir() for rerun in found.reruns)


def test_only_what_did_not_pass_is_run_again(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    played = Lab(script={FIRST: ["fail"] * 9})
    sides.compare(played)
    assert {test for asked in played.asked for test in asked} == {FIRST}


def test_a_test_that_fails_on_base_too_costs_head_nothing(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"], SECOND: ["fail"]})
    found = sides.compare(Lab(script={FIRST: ["fail"] * 9, SECOND: ["fail"] * 9}))
    assert {one.kind for one in found.tests} == {Class.PRE_EXISTING}
    assert the(found, FIRST).head.runs == 0


def test_a_test_that_passes_again_on_head_is_flaky_and_its_first_outcome_stands(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    found = the(sides.compare(Lab()), FIRST)
    assert (found.kind, found.outcome) == (Class.FLAKY, Outcome.FAIL)
    assert (found.head, found.base) == (Counts(failed=0, runs=5), Counts(failed=0, runs=5))


def test_runs_of_base_are_shared_by_every_posting_on_it(world: World) -> None:
    Sides(world, {FIRST: ["fail"]}).compare(Lab(script={FIRST: ["fail"] * 9}))
    later = Sides(world, {FIRST: ["fail"]}, artifacts=other(world.artifacts))
    played = Lab(script={FIRST: ["fail"] * 9})
    assert the(later.compare(played), FIRST).kind is Class.PRE_EXISTING
    assert played.asked == []


def test_a_test_that_passes_on_base_and_cannot_run_on_head_is_newly_notrun(world: World) -> None:
    sides = Sides(world, {FIRST: ["notrun"], SECOND: ["notrun"]})
    found = sides.compare(Lab(script={SECOND: ["notrun"] * 3}))
    assert the(found, FIRST).kind is Class.NEWLY_NOTRUN
    assert the(found, SECOND).kind is Class.PRE_EXISTING


def test_a_reason_that_base_gives_too_need_not_be_asked_of_the_next_posting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notruns, "EVERY", 1 << 40)  # nothing has its turn to be run again
    store = NotRuns(world.folder / "notruns.json")
    base = other(world.artifacts, "kernel", "payload")
    sides = Sides(world, {FIRST: ["notrun"], SECOND: ["notrun"]}, artifacts=base, patched={"kernel"}, store=store)
    sides.compare(Lab(script={SECOND: ["notrun"] * 3}))
    world.artifacts = other(base, "kernel", "payload")
    later = Sides(world, {}, patched={"kernel"}, store=store)
    assert [test.test for test in later.first.tests if test.learned] == [SECOND]
    assert later.compare(Lab()).tests == ()


def test_a_leg_with_nothing_of_the_series_in_it_is_not_run_again(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]}, artifacts=world.artifacts)
    played = Lab()
    assert the(sides.compare(played), FIRST).kind is Class.PRE_EXISTING
    assert played.asked == []


def test_a_base_that_cannot_be_built_decides_nothing(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})

    def broken() -> Context:
        raise InfraError("the unpatched kernel does not build: no rule to make target")

    found = compare([LEG], [sides.first], sides.head, broken, history=sides.history)
    assert found.base_problem == "the unpatched kernel does not build: no rule to make target"
    assert [one.kind for one in found.tests] == [Class.UNCOMPARED]


def test_machines_that_die_in_every_rerun_end_the_comparison_without_a_decision(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    found = the(sides.compare(Lab(script={FIRST: ["lost"] * 99})), FIRST)
    assert found.kind is Class.UNCOMPARED
    assert found.base.runs == 0


def test_an_interrupted_comparison_goes_on_where_it_stopped(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    with pytest.raises(KeyboardInterrupt):
        sides.compare(Lab(script={FIRST: ["done", "fail", "interrupt"]}))
    played = Lab(script={FIRST: ["done", "fail"] * 3})
    found = the(sides.compare(played), FIRST)
    assert (found.kind, found.head, found.base) == (Class.NEW, Counts(failed=4, runs=4), Counts(failed=0, runs=4))


def test_a_crash_on_head_is_new_though_base_fails_the_test(world: World) -> None:
    sides = Sides(world, {FIRST: ["crash"]})
    found = the(sides.compare(Lab(script={FIRST: ["fail", "crash"] * 9})), FIRST)
    assert (found.kind, found.base) == (Class.NEW, Counts(failed=0, runs=4))


def test_a_test_that_cannot_run_on_base_and_fails_on_head_is_new(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    assert the(sides.compare(Lab(script={FIRST: ["notrun", "fail"] * 9})), FIRST).kind is Class.NEW


def test_a_reused_pass_tells_of_the_failures_of_the_same_inputs(world: World) -> None:
    failed = Sides(world, {FIRST: ["fail"]})
    remember([LEG], [failed.first], failed.head, failed.history)
    world.run(lab=Lab(), context=world.context(fresh=True))
    again = Sides(world, {})
    assert again.first.reused
    found = the(again.compare(Lab()), FIRST)
    assert (found.kind, found.outcome, found.head) == (Class.FLAKY, Outcome.PASS, Counts(failed=1, runs=1))


def test_a_base_that_its_own_prerequisites_break_accuses_nobody(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})

    def broken() -> Context:
        raise SeriesAtFault("libfuse does not build: lib/fuse.c:12: error")

    found = compare([LEG], [sides.first], sides.head, broken, history=sides.history)
    assert [one.kind for one in found.tests] == [Class.UNCOMPARED]


def test_a_test_that_fails_only_after_others_is_new_and_said_to_depend_on_their_order(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    alone, company = ["done"] * 10, ["done", "fail"] * 4  # base goes first in each round
    played = Lab(script={FIRST: [*alone, *company]})
    found = the(sides.compare(played), FIRST)
    assert (found.kind, found.head, found.base) == (Class.NEW, Counts(failed=4, runs=4), Counts(failed=0, runs=4))
    assert found.order_dependent
    assert [len(asked) for asked in played.asked] == [1] * 10 + [len(TESTS)] * 8


def test_a_check_of_smoke_is_run_again_without_those_that_it_does_not_need(world: World) -> None:
    sides = Sides(world, {"smoke/links": ["fail"]}, suite="smoke")
    played = Lab(script={"smoke/links": ["done", *["fail", "done"] * 4]})
    found = the(sides.compare(played), "links")
    assert (found.kind, found.order_dependent) == (Class.NEW, False)
    assert played.asked[0] == list(smoke.CHECKS), "the first run on base serves every posting"
    assert {tuple(asked) for asked in played.asked[1:]} == {("mkfs", "mount", "links")}


def test_what_failed_after_a_check_that_hung_and_passes_alone_is_its_consequence(world: World) -> None:
    sides = Sides(world, {"smoke/links": ["timeout"], "smoke/xattr": ["fail"]}, suite="smoke")
    played = Lab(script={"smoke/links": ["done", *["timeout", "done"] * 4]})
    found = sides.compare(played)
    assert the(found, "links").kind is Class.NEW
    xattr = the(found, "xattr")
    assert (xattr.kind, xattr.after, xattr.head) == (Class.CONSEQUENCE, "links", Counts(failed=0, runs=1))
    assert ["mkfs", "mount", "xattr"] in played.asked, "not in the machine of the one that hangs"


def test_what_fails_alone_too_is_no_consequence(world: World) -> None:
    sides = Sides(world, {"smoke/links": ["timeout"], "smoke/xattr": ["fail"]}, suite="smoke")
    bad = {"links": "timeout", "xattr": "fail"}
    played = Lab(script={f"smoke/{check}": ["done", *[what, "done"] * 4] for check, what in bad.items()})
    assert {one.kind for one in sides.compare(played).tests} == {Class.NEW}


ACL = "an ACL that lets user 1234 read is stored, and 1234 may not read"


def known_on_head(world: World) -> Sides:
    sides = Sides(world, {})
    known = Known(reason="the server forgets the mask", link="https://x.org", components=("e2fsprogs",))
    test = TestResult(suite="smoke", test="acl", outcome=Outcome.KNOWN, reason=ACL, known=known)
    sides.first = LegResult(leg=LEG.name, available=True, tests=(test,))
    return sides


def test_a_known_shortcoming_that_base_does_not_have_is_new(world: World) -> None:
    found = the(known_on_head(world).compare(Lab(script={"smoke/acl": ["done", "fail"] * 9})), "acl")
    assert (found.kind, found.outcome, found.head) == (Class.NEW, Outcome.KNOWN, Counts(failed=4, runs=4))


def test_a_known_shortcoming_that_base_has_too_is_no_news_and_costs_one_run_of_base(world: World) -> None:
    sides = known_on_head(world)
    lab = Lab(script={"smoke/acl": ["fail"]})
    assert sides.compare(lab).tests == () and len(lab.jobs) == 1


def test_a_known_shortcoming_is_believed_where_base_is_lost(world: World) -> None:
    found = known_on_head(world).compare(Lab(default="lost"))
    assert found.tests == ()


def entry(days: int) -> Entry:
    today = datetime.datetime.now(datetime.UTC).date()
    return Entry(
        tests=(f"fstests/{FIRST}",),
        reason="it races with the flusher",
        link="https://example.org/1",
        expires=today + datetime.timedelta(days=days),
    )


def test_a_failure_in_quarantine_is_not_run_again_and_says_why(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    lab = Lab()
    found = the(sides.compare(lab, entry(days=1)), FIRST)
    assert found.kind is Class.QUARANTINED and found.quarantine and found.quarantine.link == "https://example.org/1"
    assert lab.jobs == [] and sides.built == 0


def test_a_quarantine_that_ended_holds_nothing_back(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    found = the(sides.compare(Lab(script={FIRST: ["done", "fail"] * 4}), entry(days=-1)), FIRST)
    assert found.kind is Class.NEW and found.quarantine and found.quarantine.expired


def past(sides: Sides, outcomes: str, *, inputs: str = "other base", side: Side = Side.BASE) -> None:
    """Outcomes of FIRST in other runs, F for a failure."""
    sides.history.add(
        Recorded(
            run=f"earlier-{inputs}-{number}",
            host="h",
            accelerator="tcg",
            side=side,
            number=1,
            leg=LEG.name,
            suite="fstests",
            test=FIRST,
            inputs=inputs,
            outcome="FAIL" if one == "F" else "PASS",
        )
        for number, one in enumerate(outcomes)
    )


def test_a_test_that_is_known_to_flake_needs_more_failures_to_be_new(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    past(sides, "FPFP")
    found = the(sides.compare(Lab(script={FIRST: ["done", "fail"] * 40})), FIRST)
    assert (found.kind, found.flakes) == (Class.NEW, Counts(failed=2, runs=4))
    assert found.head == Counts(failed=7, runs=7), "half of the time it fails anyway"


def test_a_base_on_which_a_test_always_failed_does_not_make_it_flaky_on_another(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    past(sides, "FFFF")
    past(sides, "PPP", inputs="a base without that defect")
    found = the(sides.compare(Lab(script={FIRST: ["done", "fail"] * 4})), FIRST)
    assert (found.kind, found.flakes, found.head.runs) == (Class.NEW, Counts(), 4)


def test_the_last_outcomes_in_other_runs_stand_beside_a_failure(world: World) -> None:
    sides = Sides(world, {FIRST: ["fail"]})
    past(sides, "F" + "P" * 9 + "FP", side=Side.HEAD)
    found = the(sides.compare(Lab(script={FIRST: ["fail"] * 9})), FIRST)
    assert [one.outcome.value[0] for one in found.earlier] == list("PPPPPPPPFP")


def test_of_failures_with_one_cause_one_is_run_for_all(world: World) -> None:
    checks = ("files", "rename", "links")
    sides = Sides(world, {f"smoke/{check}": ["lead"] for check in checks}, suite="smoke", lab=SaysTheSame)
    played = SaysTheSame(script={"smoke/files": ["done", *["lead", "done"] * 4]})
    found = sides.compare(played)
    assert {one.kind for one in found.tests if one.outcome.broken} == {Class.NEW}
    assert the(found, "files").head == Counts(failed=4, runs=4)
    assert (the(found, "links").head.runs, the(found, "links").base) == (0, Counts(failed=0, runs=1))
    assert {tuple(asked) for asked in played.asked[1:]} == {("mkfs", "mount", "files")}


def test_what_fails_as_a_new_failure_does_and_on_base_too_is_run_by_itself(world: World) -> None:
    sides = Sides(world, {"smoke/files": ["lead"], "smoke/links": ["lead"]}, suite="smoke", lab=SaysTheSame)
    played = SaysTheSame(script={"smoke/files": ["done", *["lead", "done"] * 4], "smoke/links": ["lead"] * 9})
    found = sides.compare(played)
    assert (the(found, "files").kind, the(found, "links").kind) == (Class.NEW, Class.PRE_EXISTING)


class SaysTheSame(Lab):
    """Whatever fails does so with the same words."""

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        reply = super()._reply(step, what, folder)
        return reply.model_copy(update={"output": "Invalid argument"}) if what == "lead" else reply


def test_a_judge_of_what_others_left_runs_without_the_check_that_crashed(world: World) -> None:
    sides = Sides(world, {"smoke/links": ["crash"], "smoke/fsck": ["fail"]}, suite="smoke")
    played = Lab(script={"smoke/links": ["done", *["crash", "done"] * 4]})
    found = sides.compare(played)
    assert (the(found, "fsck").kind, the(found, "fsck").after) == (Class.CONSEQUENCE, "links")
    assert [check for check in smoke.CHECKS if check != "links"] in played.asked


def test_after_two_checks_that_hang_the_others_are_not_run(world: World) -> None:
    script = {"smoke/rename": ["timeout"], "smoke/links": ["timeout"]}
    result = world.run("smoke", lab=Lab(script=script), context=world.context())
    after = [test for test in result.tests if smoke.CHECKS.index(test.test) > smoke.CHECKS.index("links")]
    assert {(test.outcome, test.reason) for test in after} == {
        (Outcome.INFRA, "not run, because smoke/rename and smoke/links hung")
    }


SETUP_STEP = "setup/leg"


class Demanding(Lab):
    """Its setup, where the script says `fail`, misses a proof that the leg demands."""

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        if step.name != SETUP_STEP or what != "fail":
            return super()._reply(step, what, folder)
        words = '{"proof": {"unproven": "iomap"}}\n{"problem": "iomap was demanded and is not proven: it is off"}\n'
        return StepReply(name=step.name, status="done", exit_status=1, output=words)


def test_a_proof_that_base_gives_and_head_does_not_is_news(world: World) -> None:
    sides = Sides(world, {SETUP_STEP: ["fail"]}, lab=Demanding)
    assert {test.outcome for test in sides.first.tests} == {Outcome.NOTRUN, Outcome.INFRA}
    assert the(sides.compare(Demanding()), "setup").kind is Class.NEWLY_NOTRUN


def test_a_proof_that_base_does_not_give_either_accuses_nobody(world: World) -> None:
    sides = Sides(world, {SETUP_STEP: ["fail"]}, lab=Demanding)
    assert the(sides.compare(Demanding(script={SETUP_STEP: ["fail"] * 9})), "setup").kind is Class.PRE_EXISTING


def test_a_base_whose_machine_is_lost_in_its_setup_proves_nothing(world: World) -> None:
    sides = Sides(world, {SETUP_STEP: ["fail"]}, lab=Demanding)
    found = the(sides.compare(Demanding(script={SETUP_STEP: ["lost"] * 40})), "setup")
    assert found.kind is Class.UNCOMPARED

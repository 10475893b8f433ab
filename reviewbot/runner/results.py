# SPDX-License-Identifier: GPL-2.0-or-later
"""What machines answered, as the result of a leg. Nothing here depends on how the work was cut, or on any order."""

from collections.abc import Iterable, Mapping, Sequence

from reviewbot import suites
from reviewbot.model.artifacts import Artifacts, Fact
from reviewbot.model.lab import JobReply, StepReply
from reviewbot.model.results import LegResult, MachineUse, Outcome, TestResult, accounted
from reviewbot.model.shard import ShardResult
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.suites.suite import SUITES


def answered(replies: Iterable[StepReply]) -> tuple[StepReply, ...]:
    """Without those of steps that were never started."""
    return tuple(reply for reply in replies if reply.status != "skipped")


def suite_result(
    work: SuiteJob, results: Sequence[ShardResult], artifacts: Artifacts, *, over: bool = True
) -> LegResult:
    """One result per planned test. over: no more answers will come, so a test without one is the lab's fault."""
    machines = [machine for result in results for machine in result.machines]
    told: list[TestResult] = []
    voids: list[str] = []
    for machine, kind in ((one, r.worker.kind if r.worker else "") for r in results for one in r.machines):
        found, void = _judged(work, machine, artifacts)
        told += [test.model_copy(update={"machine": kind}) for test in found] if kind else found
        voids += [void] if void and found else []
    tests, lost_count = accounted(work.suite, work.planned, told)
    problems = [result.problem for result in results if result.problem]
    reason = next(iter((*voids, *problems, lost_count)), "")
    if reason and over:
        tests = tuple(_infra(t, reason) if t.outcome is Outcome.MISS else t for t in tests)
    logs = f"logs/{work.leg.name}"
    known = {reply.name for machine in machines for reply in machine.replies if reply.status == "known"}
    tests = tuple(
        t if f"{t.suite}/{t.test}" in known else t.model_copy(update={"log": f"{logs}/{work.suite}/{t.test}"})
        for t in tests
    )
    setups = [(m, answered(reply for reply in m.replies if reply.name.startswith("setup/"))) for m in machines]
    crashes = (suites.setup_result(work.suite, replies, f"{logs}/{machine.name}") for machine, replies in setups)
    crashed = next(filter(None, crashes), ())
    proofs: dict[str, Fact] = {
        f"version:{need}": version for need in work.leg.needs if (version := artifacts.fact(f"{need}.version"))
    }
    for machine, replies in reversed(setups):
        proofs |= {**machine.hello, **suites.read_setup(replies).proofs}
    return LegResult(
        leg=work.leg.name,
        available=True,
        reason=reason,
        planned=len(tests) + len(crashed),
        tests=(*crashed, *tests),
        notes=tuple(dict.fromkeys(note for machine in machines for note in machine.notes)),
        uncounted=tuple(machine.last_failed for machine in machines if machine.last_failed),
        proofs=proofs,
        accelerator="+".join(sorted({machine.accelerator for machine in machines if machine.accelerator})),
        seconds=sum(machine.seconds for machine in machines),
        agent_seconds=min((m.agent_seconds for m in machines if m.agent_seconds), default=0.0),
        machines=uses(machines),
    )


def uses(machines: Sequence[JobReply]) -> tuple[MachineUse, ...]:
    """When each of them ran, in the order of their starts."""
    found = [
        MachineUse(name=machine.name, started=machine.started, seconds=machine.seconds, restored=machine.restored)
        for machine in machines
        if machine.started
    ]
    return tuple(sorted(found, key=lambda use: (use.started, use.name)))


def joined(whole: LegResult, part: LegResult) -> LegResult:
    """A leg with one more of its suites."""
    return whole.model_copy(
        update={
            "reason": whole.reason or part.reason,
            "planned": whole.planned + part.planned,
            "tests": whole.tests + part.tests,
            "uncounted": (*whole.uncounted, *part.uncounted),
            "notes": (*whole.notes, *(note for note in part.notes if note not in whole.notes)),
            "proofs": {**whole.proofs, **part.proofs},
            "seconds": whole.seconds + part.seconds,
            "agent_seconds": whole.agent_seconds or part.agent_seconds,
            "machines": (*whole.machines, *part.machines),
            "reused": whole.reused and part.reused,
            "twice": (*whole.twice, *part.twice),
        }
    )


def wrong_program(replies: Sequence[StepReply], expect: Mapping[str, Fact]) -> str:
    """What the guest runs must be what was built: every hash that both sides name is compared. One line, or empty."""
    proofs = suites.read_setup(replies).proofs
    for name, built in expect.items():
        if name in proofs and proofs[name] != built:
            return f"the guest ran a different {name.removeprefix('sha256:')} than was built"
    return ""


def seconds_of(work: SuiteJob, results: Sequence[ShardResult], whole: LegResult) -> Mapping[str, float]:
    """Step -> seconds that its test, which passed, would have taken on a machine of slow factor 1.

    The guest says the seconds: those that are more than it had, or less than nothing, are left out.
    """
    passed = {f"{test.suite}/{test.test}" for test in whole.tests if test.outcome is Outcome.PASS}
    limits = {step.name: step.timeout for step in work.shard.tests if step.name in passed}
    replies = [reply for result in results for reply in result.replies if reply.name in limits and reply.limit > 0]
    possible = [reply for reply in replies if 0 <= reply.seconds <= reply.limit]
    return {reply.name: reply.seconds * limits[reply.name] / reply.limit for reply in possible}


def slow_of(result: LegResult) -> float:
    """The slow factor that its machine measured; 0.0: it told none."""
    try:
        return float(result.proofs.get("slow_factor", 0.0))
    except ValueError:
        return 0.0


def words(result: LegResult) -> str:
    """`15 PASS, 2 NOTRUN`, or why there is nothing."""
    counts = ((outcome, result.count(outcome)) for outcome in Outcome)
    learned = sum(test.learned for test in result.tests)
    said = [
        f"{number} {outcome}" + (f" ({learned} learned)" if learned and outcome is Outcome.NOTRUN else "")
        for outcome, number in counts
        if number
    ]
    return ", ".join(said) or result.reason


def _judged(work: SuiteJob, machine: JobReply, artifacts: Artifacts) -> tuple[list[TestResult], str]:
    """Results of what one machine answered, and why none of them can be believed."""
    replies = answered(machine.replies)
    tests = list(SUITES[work.suite].read(work.leg, replies, artifacts.fact))
    if all(reply.status == "known" for reply in replies):
        return tests, ""  # no machine was needed
    void = suites.read_setup(replies).reason or wrong_program(replies, work.shard.expect)
    return [_infra(test, void) if void else test for test in tests], void


def _infra(test: TestResult, reason: str) -> TestResult:
    return test.model_copy(update={"outcome": Outcome.INFRA, "reason": reason})

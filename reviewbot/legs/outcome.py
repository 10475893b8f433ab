# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the suites of one leg in virtual machines, and never twice for the same inputs.

Joins `suites` (which steps, what their replies mean) and `lab` (how a step reaches a guest); neither knows the other.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reviewbot import lab, suites
from reviewbot.host.files import remove_tree, write_atomic
from reviewbot.host.locks import locked
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts, Fact
from reviewbot.model.lab import Disk, GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Event, Progress
from reviewbot.model.results import LegResult, Outcome, TestResult, accounted
from reviewbot.model.stack import LegSpec
from reviewbot.store import Durations, RunFolder, Store
from reviewbot.suites import fstests, smoke
from reviewbot.suites.selection import read_groups

MAX_LOSSES = 5
"""Virtual machines that one suite of one leg loses before it stops."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all legs of a run share."""

    artifacts: Artifacts
    accelerator: Accelerator
    store: Store
    run: RunFolder
    durations: Durations
    progress: Progress
    disks: tuple[Disk, ...]
    memory: int
    cpus: int
    selection: str
    """For fstests."""
    fresh: bool = False
    """True: run even what ran before."""


@dataclass(slots=True)
class _Tally:
    """What the jobs of one suite brought so far."""

    replies: dict[str, StepReply] = field(default_factory=dict)
    hello: dict[str, Fact] = field(default_factory=dict)
    seconds: float = 0.0
    agent_seconds: float = 0.0
    problem: str = ""
    losses: int = 0
    notes: list[str] = field(default_factory=list)


def missing(leg: LegSpec, artifacts: Artifacts, needs: Sequence[str] = ()) -> str:
    """Why the leg cannot run with these artifacts, or an empty string."""
    for component in (*leg.needs, *needs):
        if component not in artifacts.artifacts:
            return f"no {component}: {artifacts.unavailable.get(component, 'it was not built')}"
    for requirement in leg.requires:
        if not artifacts.fact(requirement):
            component, _, fact = requirement.partition(".")
            return f"this {component} has no {fact.replace('_', ' ')}"
    return ""


def run_leg(leg: LegSpec, wanted: Sequence[str], bench: Bench) -> LegResult:
    """All wanted suites of a leg, smoke first; a leg whose smoke fails stops there. Raises InfraError."""
    if reason := missing(leg, bench.artifacts):
        bench.progress(Event("lab", leg.name, "failed", f"unavailable: {reason}"))
        return LegResult(leg=leg.name, available=False, reason=reason)
    result = LegResult(leg=leg.name, available=True, accelerator=bench.accelerator.name, reused=True)
    for suite in sorted(wanted, key=("smoke", "fstests").index):
        if suite == "fstests" and (reason := missing(leg, bench.artifacts, ["fstests"])):
            result = result.model_copy(update={"reason": f"fstests did not run: {reason}"})
            continue
        part = run_suite(leg, suite, bench)
        result = _joined(result, part)
        if suite == "smoke" and any(t.outcome not in (Outcome.PASS, Outcome.NOTRUN) for t in part.tests):
            stopped = "" if len(wanted) == 1 else "smoke did not pass, so nothing else was run"
            return result.model_copy(update={"reason": part.reason or stopped})
    return result


def _joined(whole: LegResult, part: LegResult) -> LegResult:
    return whole.model_copy(
        update={
            "reason": whole.reason or part.reason,
            "planned": whole.planned + part.planned,
            "tests": whole.tests + part.tests,
            "notes": (*whole.notes, *(note for note in part.notes if note not in whole.notes)),
            "proofs": {**whole.proofs, **part.proofs},
            "seconds": whole.seconds + part.seconds,
            "agent_seconds": whole.agent_seconds or part.agent_seconds,
            "reused": whole.reused and part.reused,
        }
    )


def run_suite(leg: LegSpec, suite: str, bench: Bench) -> LegResult:
    """One suite of one leg: from the store if the same inputs were tested, else in virtual machines."""
    steps = _steps(leg, suite, bench)
    job = _job(leg, suite, steps, bench)
    inputs = _inputs(job, leg, suite, bench)
    logs = bench.run.logs(leg.name)
    if not bench.fresh and (found := bench.store.find("leg", inputs)):
        shutil.copytree(Path(found.path) / "logs", logs, dirs_exist_ok=True)
        result = LegResult.model_validate_json((Path(found.path) / "result.json").read_bytes())
        bench.progress(Event("lab", f"{leg.name} {suite}", "done", _words(result) + ", from an earlier run"))
        return result.model_copy(update={"reused": True})
    name = f"{leg.name} {suite}"
    expected = bench.durations.get(f"{name} {bench.accelerator.name} {len(steps)}")
    bench.progress(Event("lab", name, "start", expected=expected, total=len(steps)))
    tally = _run_jobs(job, inputs, suite, logs, bench)
    result = _result(leg, suite, job, tally, bench, logs)
    bench.durations.put_tests(leg.name, bench.accelerator.name, _seconds(job, tally, result))
    state = "failed" if result.count(Outcome.PASS) + result.count(Outcome.NOTRUN) < len(result.tests) else "done"
    bench.progress(Event("lab", name, state, _words(result)))
    if not any(t.outcome in (Outcome.INFRA, Outcome.MISS) for t in result.tests) and not result.reason:
        bench.durations.put(f"{name} {bench.accelerator.name} {len(steps)}", result.seconds)
        _keep(result, suite, inputs, logs, bench)
    return result


def _words(result: LegResult) -> str:
    counts = ((outcome, result.count(outcome)) for outcome in Outcome)
    return ", ".join(f"{number} {outcome}" for outcome, number in counts if number) or result.reason


def _steps(leg: LegSpec, suite: str, bench: Bench) -> tuple[GuestStep, ...]:
    if suite == "smoke":
        return smoke.steps(leg)
    tree = Path(bench.artifacts.artifacts["fstests"].path) / "root" / "stack" / "fstests"
    known = bench.durations.tests(leg.name, bench.accelerator.name)
    return fstests.steps(leg, fstests.select(tree, bench.selection, leg), read_groups(tree), known)


def _job(leg: LegSpec, suite: str, steps: tuple[GuestStep, ...], bench: Bench) -> GuestJob:
    built = bench.artifacts.artifacts
    return GuestJob(
        name=f"{leg.name}-{suite}",
        kernel=str(Path(built["kernel"].path) / "bzImage"),
        root=str(Path(built["guest"].path) / "root.img"),
        payload=str(Path(built["payload"].path) / "payload.img"),
        disks=bench.disks,
        memory=bench.memory,
        cpus=bench.cpus,
        steps=(*suites.setup_steps(leg), *steps),
        expect_release=str(built["kernel"].facts["release"]),
    )


def _inputs(job: GuestJob, leg: LegSpec, suite: str, bench: Bench) -> Mapping[str, str]:
    """What the outcome depends on. Paths are replaced by the keys of what lies there.

    A test that ends does not depend on its limit, which follows how long the test took before.
    """
    built = bench.artifacts.artifacts
    plain = job.model_dump(mode="json", exclude={"kernel", "root", "payload", "steps"})
    plain["steps"] = [step.model_dump(mode="json", exclude={"timeout"}) for step in job.steps]
    keys = {kind: built[kind].key for kind in ("kernel", "guest", "payload")}
    return {"leg": leg.model_dump_json(), "suite": suite, "job": json.dumps(plain, sort_keys=True),
            "accelerator": bench.accelerator.name, "rules": suites.rules_digest(), **keys}  # fmt: skip


def _run_jobs(job: GuestJob, inputs: Mapping[str, str], suite: str, logs: Path, bench: Bench) -> _Tally:
    """Boot machines until every step has an answer, a machine cannot start, or too many were lost.

    Answers of fstests are kept as they come, so that an interrupted call goes on where it stopped;
    smoke is short and its steps build on each other, so it starts again.
    """
    tally = _Tally()
    partial = _Partial(bench.store, inputs) if suite == "fstests" else None
    setup = tuple(s for s in job.steps if s.gate)
    todo = [s for s in job.steps if not s.gate]
    if partial and not bench.fresh:
        tally.replies |= partial.load(logs)
    total = len(todo)
    while True:
        left = tuple(s for s in todo if s.name not in tally.replies)
        if not left:
            break
        reply = _run_one(job.model_copy(update={"steps": (*setup, *left)}), tally, partial, suite, total, logs, bench)
        answered = sum(s.name in tally.replies for s in left)
        tally.losses += not reply.complete
        too_many = tally.losses >= MAX_LOSSES and answered < len(left)
        if reply.complete or suite == "smoke" or not answered or too_many:
            tally.problem = reply.problem or suites.read_setup(reply.replies).reason
            if too_many:
                tally.problem = f"INFRA-suspect: {tally.losses} machines were lost, the last: {reply.problem}"
            break
    if partial and not tally.problem:
        partial.forget()
    return tally


def _run_one(
    job: GuestJob, tally: _Tally, partial: "_Partial | None", suite: str, total: int, logs: Path, bench: Bench
) -> JobReply:
    gates = {s.name for s in job.steps if s.gate}
    label = f"{job.name.removesuffix('-' + suite)} {suite}"
    seen = 0

    def heard(reply: StepReply) -> None:
        nonlocal seen
        if reply.status == "skipped":
            return
        if partial:
            partial.add(reply, logs)
        if reply.name in gates:
            return
        seen += 1
        done = sum(name not in gates for name in tally.replies) + seen
        text = f"{reply.name.removeprefix(suite + '/')} {reply.status} {reply.seconds:.1f} s"
        bench.progress(Event("lab", label, "note", text, done=done, total=total))

    def relayed(event: Event) -> None:
        bench.progress(replace(event, what=label))

    reply = lab.run_job(job, bench.accelerator, logs, on_reply=heard, progress=relayed)
    # A later machine that cannot be set up takes nothing from what earlier ones answered.
    good = {r.name for r in tally.replies.values() if r.name in gates and r.exit_status == 0}
    tally.replies |= {r.name: r for r in reply.replies if r.status != "skipped" and r.name not in good}
    tally.notes += [note for note in reply.notes if note not in tally.notes]
    tally.hello = dict(reply.hello) or tally.hello
    tally.seconds += reply.seconds
    tally.agent_seconds = tally.agent_seconds or reply.agent_seconds
    return reply


def _result(leg: LegSpec, suite: str, job: GuestJob, tally: _Tally, bench: Bench, logs: Path) -> LegResult:
    replies = [tally.replies.get(s.name) or StepReply(name=s.name, status="skipped") for s in job.steps]
    setup = suites.read_setup(replies)
    tests = smoke.results(leg, replies, bench.artifacts.fact) if suite == "smoke" else fstests.results(leg, replies)
    void = setup.reason or _wrong_binary(setup.proofs, bench.artifacts)  # then even a PASS says nothing
    planned = [s.name.removeprefix(f"{suite}/") for s in job.steps if not s.gate]
    tests, lost_count = accounted(suite, planned, tests)
    reason = void or tally.problem or lost_count
    if reason:
        tests = tuple(_infra(t, reason) if void or t.outcome is Outcome.MISS else t for t in tests)
    tests = tuple(t.model_copy(update={"log": f"logs/{leg.name}/{suite}/{t.test}"}) for t in tests)
    crashed = suites.setup_crash(suite, replies, f"logs/{leg.name}")
    return LegResult(
        leg=leg.name, available=True, reason=reason, planned=len(set(planned)) + len(crashed),
        tests=(*crashed, *tests), notes=tuple(tally.notes), proofs={**tally.hello, **setup.proofs},
        accelerator=bench.accelerator.name, seconds=tally.seconds, agent_seconds=tally.agent_seconds,
    )  # fmt: skip


def _seconds(job: GuestJob, tally: _Tally, result: LegResult) -> Mapping[str, float]:
    """Step -> seconds that its test, which passed, would have taken on a machine of slow factor 1."""
    passed = {f"{test.suite}/{test.test}" for test in result.tests if test.outcome is Outcome.PASS}
    steps = [(step.timeout, tally.replies[step.name]) for step in job.steps if step.name in passed]
    return {reply.name: reply.seconds * timeout / reply.limit for timeout, reply in steps if reply.limit > 0}


def _infra(test: TestResult, reason: str) -> TestResult:
    return test.model_copy(update={"outcome": Outcome.INFRA, "reason": reason})


def _wrong_binary(proofs: Mapping[str, Fact], artifacts: Artifacts) -> str:
    """What the guest runs must be what was built: compare every hash that both sides name."""
    for name, built in ((n, v) for a in artifacts.artifacts.values() for n, v in a.facts.items()):
        if name.startswith("sha256:") and name in proofs and proofs[name] != built:
            return f"the guest ran another {name.removeprefix('sha256:')} than was built"
    return ""


def _keep(result: LegResult, suite: str, inputs: Mapping[str, str], logs: Path, bench: Bench) -> None:
    def fill(folder: Path) -> Mapping[str, Fact]:
        (folder / "logs").mkdir()
        for name in sorted(
            p.name for p in logs.iterdir() if p.name.startswith(suite) or p.name == f"{result.leg}-{suite}"
        ):
            source = logs / name
            shutil.copytree(source, folder / "logs" / name) if source.is_dir() else shutil.copy2(
                source, folder / "logs"
            )
        write_atomic(folder / "result.json", result.model_dump_json())
        return {"tests": len(result.tests)}

    if bench.fresh and (old := bench.store.find("leg", inputs)):
        remove_tree(Path(old.path))
    bench.store.get("leg", inputs, fill)


class _Partial:
    """Answers of a suite that is not finished: `replies.jsonl` and what each step left behind."""

    def __init__(self, store: Store, inputs: Mapping[str, str]) -> None:
        self.folder = store.scratch(f"partial/{store.key('leg', inputs)}")

    def load(self, logs: Path) -> dict[str, StepReply]:
        """All answers so far; a line that a crash cut short is left out. Copies their files into `logs`."""
        found: dict[str, StepReply] = {}
        try:
            lines = (self.folder / "replies.jsonl").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                reply = StepReply.model_validate_json(line)
            except ValueError:
                continue
            found[reply.name] = reply.model_copy(update={"files": str(logs / reply.name)})
            if (self.folder / "files" / reply.name).is_dir():
                shutil.copytree(self.folder / "files" / reply.name, logs / reply.name, dirs_exist_ok=True)
        return found

    def add(self, reply: StepReply, logs: Path) -> None:
        if reply.status == "lost":
            return  # the machine's fault until shown otherwise: ask again
        if reply.files and Path(reply.files).is_dir():
            shutil.copytree(reply.files, self.folder / "files" / reply.name, dirs_exist_ok=True)
        with locked(self.folder / "lock"), (self.folder / "replies.jsonl").open("a") as file:
            file.write(reply.model_dump_json() + "\n")

    def forget(self) -> None:
        remove_tree(self.folder)

# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab that plays its part, and one user's store beside it: for tests of what comes of its answers."""

import datetime
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from reviewbot.config import load_stack
from reviewbot.host import cancel
from reviewbot.lab import Accelerator, Bounds
from reviewbot.lab.step_files import StepFiles
from reviewbot.model.artifacts import Artifact, Artifacts, Fact
from reviewbot.model.build import Build
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.lock import Conditions
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.trees import AppliedPatch, Tree, Trees
from reviewbot.model.variants import Variant
from reviewbot.runner import Context, Tests, run_legs
from reviewbot.store import Durations, Runs, Store
from reviewbot.suites import disks

LEG = load_stack().leg("fuse2fs")
TESTS = tuple(f"generic/{number:03}" for number in range(1, 9))
SERVER = "sha256:/stack/bin/fuse2fs"
NOTRUN = "fsverity utility required, skipped this test"
"""Why a test cannot run."""
OUTCOMES = {
    "done": Outcome.PASS, "notrun": Outcome.NOTRUN, "fail": Outcome.FAIL, "timeout": Outcome.HANG,
    "crash": Outcome.CRASH, "panic": Outcome.CRASH, "lost": Outcome.INFRA, "hang": Outcome.HANG,
}  # fmt: skip


@dataclass
class Lab:
    """Answers the steps of jobs by a script: name of a step -> what happens in each machine that comes to it.

    `done`, `notrun`, `fail`, `timeout`, `crash` (and goes on), `panic`, `hang` (and ends), `lost`, `silence` (no answer
    to this step or any after it), `interrupt` (the user has had enough), `stopped` (as Ctrl-C
    does it).
    """

    script: Mapping[str, list[str]] = field(default_factory=dict)
    default: str = "done"
    proofs: Mapping[str, Fact] = field(default_factory=lambda: {SERVER: "good"})
    notes: tuple[str, ...] = ()
    last_failed: str = ""
    loud: Mapping[str, list[str]] = field(default_factory=dict)
    """Step -> what the kernel says of level warning and above in each machine that comes to it."""
    said: int = 0
    """Bytes that each test leaves behind, besides what it says of itself."""
    seconds: float = 0.0
    """Of each test that is done, in a machine of slow factor 10."""
    pause: float = 0.0
    """Wall time of each test, so that several machines get their share."""
    interrupted_at_its_end: bool = False
    jobs: list[GuestJob] = field(default_factory=list)

    @property
    def asked(self) -> list[list[str]]:
        """Tests of each machine, in order."""
        return [[s.name.partition("/")[2] for s in job.steps if not s.gate] for job in self.jobs]

    def run_job(
        self,
        job: GuestJob,
        accelerator: Accelerator,
        folder: Path,
        *,
        store: Store | None = None,
        on_reply: Callable[[StepReply], None] = lambda reply: None,
        progress: Progress = silent,
        take: Callable[[GuestStep], bool] = lambda step: True,
        stop: threading.Event | None = None,
        bounds: Bounds | None = None,
    ) -> JobReply:
        self.jobs.append(job)
        replies: list[StepReply] = []
        problem, gate_failed = "", False
        for step in job.steps:
            free = not problem and not gate_failed and (step.gate or take(step))
            what = self._next(step) if free else "skipped"
            time.sleep(self.pause if free and not step.gate else 0.0)
            if what == "interrupt":
                raise KeyboardInterrupt
            if what == "stopped":
                cancel.current().cancel()
                what = "lost"
            if what == "silence":
                problem, what = "no message from the agent within 90 s", "skipped"
            reply = self._reply(step, what, StepFiles(folder, folder / job.name).folder(step))
            replies.append(reply)
            if what != "skipped":
                progress(Event("lab", job.name, "note", step.name))
                on_reply(reply)
            if what in ("lost", "panic", "hang"):
                problem = "QEMU exited (status 0)"
            gate_failed |= step.gate and what != "done"
            if job.renew and what == "crash" and not step.gate:
                gate_failed = True
        if self.interrupted_at_its_end:
            raise KeyboardInterrupt
        return JobReply(
            name=job.name,
            complete=not problem,
            problem=problem,
            replies=tuple(replies),
            seconds=10.0,
            notes=self.notes,
            last_failed=self.last_failed,
            hello={"kernel_release": "7.1-rb"},
            accelerator=accelerator.name,
            agent_seconds=2.0,
            started=datetime.datetime.now(datetime.UTC),
        )

    def _next(self, step: GuestStep) -> str:
        left = self.script.get(step.name.removeprefix("fstests/"), [])
        return left.pop(0) if left else "done" if step.gate else self.default

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        if what == "skipped":
            return StepReply(name=step.name, status="skipped")
        test = step.name.partition("/")[2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "output.txt").write_text(f"{test} in machine {len(self.jobs)}\n" + "x" * self.said)
        files = str(folder)
        match what:
            case "lost" | "timeout":
                return StepReply(name=step.name, status=what, seconds=5, files=files)
            case "hang":
                return StepReply(name=step.name, status="timeout", seconds=5, limit=5, unclean="in use", files=files)
            case "crash" | "panic":
                return StepReply(name=step.name, status="crash", splat="kernel BUG at fs/x.c:1!", files=files)
        output = "Passed all 1 tests" if what == "done" else f"Failures: {test}\nFailed 1 of 1 tests"
        if what == "notrun":
            output, what = f"{test} [not run] {NOTRUN}\nNot run: {test}\nPassed all 0 tests", "done"
        if step.gate:
            output = json.dumps({"proof": dict(self.proofs)}) if what == "done" else '{"problem": "no such disk"}'
        return StepReply(
            name=step.name,
            status="done",
            exit_status=int(what != "done"),
            output=output,
            files=files,
            loud=(self.loud.get(step.name) or [""]).pop(0),
            seconds=self.seconds,
            limit=10 * step.timeout,
        )


def artifacts(folder: Path) -> Artifacts:
    """What `build_all` would give for the leg."""
    facts: Mapping[str, Mapping[str, Fact]] = {
        "kernel": {"release": "7.1-rb"}, "guest": {}, "payload": {}, "libfuse": {}, "fstests": {},
        "e2fsprogs": {"fuse2fs": True, SERVER: "good"},
    }  # fmt: skip
    tests = folder / "fstests" / "root" / "stack" / "fstests" / "tests" / "generic"
    tests.mkdir(parents=True, exist_ok=True)
    (tests / "group.list").write_text("".join(f"{test.removeprefix('generic/')} auto\n" for test in TESTS))
    return Artifacts(
        artifacts={k: Artifact(kind=k, key=f"key-{k}", path=str(folder / k), facts=dict(f)) for k, f in facts.items()}
    )


def other(artifacts: Artifacts, *kinds: str) -> Artifacts:
    """The same of another commit. kinds: what differs; all without any."""
    built = artifacts.artifacts
    changed = {kind: built[kind].model_copy(update={"key": f"base-{built[kind].key}"}) for kind in kinds or built}
    return Artifacts(artifacts={**built, **changed})


MACHINE = Conditions(legs=(), disks=disks(1), memory=512, cpus=1)


def tree_of(component: str) -> Tree:
    """A component with one patch."""
    patch = AppliedPatch(message_id=f"{component}@x", subject="a patch", commit=f"{component}-head")
    return Tree(
        component=component,
        repository="/nowhere",
        source="a test",
        base_commit="base",
        base_tree="0",
        base_why="",
        head_commit=patch.commit,
        head_tree="1",
        patches=(patch,),
    )


def with_tests(context: Context, **fields: Any) -> Context:
    """The same with other tests: fields of `Tests`."""
    return replace(context, tests=replace(context.tests, **fields))


def with_build(
    context: Context,
    *,
    artifacts: Artifacts | None = None,
    patched: Collection[str] | None = None,
    variant: Variant | None = None,
) -> Context:
    """The same of another build. patched: components that have a patch."""
    found: dict[str, object] = {}
    if artifacts is not None:
        found["artifacts"] = artifacts
    if patched is not None:
        found["trees"] = Trees(trees=tuple(map(tree_of, sorted(patched))))
    if variant is not None:
        found["variant"] = variant
    return replace(context, build=context.build.model_copy(update=found))


@dataclass
class World:
    """One user's store; every call is a run of its own, as from the command line."""

    folder: Path
    artifacts: Artifacts
    lab: Lab = field(default_factory=Lab)
    events: list[Event] = field(default_factory=list)

    def context(self, *, fresh: bool = False, selection: str = "-g auto", machines: int = 1) -> Context:
        return Context(
            build=Build(trees=Trees(trees=()), artifacts=self.artifacts),
            conditions=MACHINE,
            tests=Tests(selection, fresh=fresh),
            accelerator=Accelerator("tcg", "a test"),
            store=Store(self.folder / "cache"),
            run=Runs(self.folder / "runs").create(),
            durations=Durations(self.folder / "durations.json"),
            progress=self.events.append,
            machines=machines,
        )

    def run(self, *suites: str, lab: Lab | None = None, context: Context | None = None) -> LegResult:
        """Every planned test has one outcome, whatever the lab did."""
        with self.playing(lab or Lab()):
            (result,) = run_legs([LEG], suites or ("fstests",), context or self.context())
        assert sum(result.count(outcome) for outcome in Outcome) == len(result.tests) == result.planned
        assert len({(t.suite, t.test) for t in result.tests}) == len(result.tests)
        return result

    @contextmanager
    def playing(self, lab: Lab) -> Iterator[None]:
        """The lab plays its part as long as the block lasts."""
        self.lab = lab
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reviewbot.lab.run_job", lab.run_job)
            yield


@contextmanager
def made_world() -> Iterator[World]:
    with TemporaryDirectory() as name:
        yield World(Path(name), artifacts(Path(name) / "artifacts"))


def outcomes(result: LegResult) -> dict[str, Outcome]:
    return {t.test: t.outcome for t in result.tests}

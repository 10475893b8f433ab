# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg of a recorded run once more: the same images, disks, memory and steps, in a fresh machine.

A recorded run in; what one test says now, or a job for an interactive shell, out. Must not know: mails, trees, how
anything is built.
"""

import contextlib
import itertools
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from reviewbot import lab, suites
from reviewbot.config import Site, choose_variant, load_stack, use_boxes
from reviewbot.lab import Accelerator, Ends
from reviewbot.model.artifacts import Artifact
from reviewbot.model.base import Model
from reviewbot.model.build import Build
from reviewbot.model.errors import UsageError
from reviewbot.model.lab import GuestJob, GuestStep
from reviewbot.model.lock import Conditions, Lock
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.shard import IMAGES
from reviewbot.model.stack import LegSpec
from reviewbot.model.words import test_name
from reviewbot.pipeline.outcomes import SETUP
from reviewbot.runner import Context, SuiteName, Tests, durations_for, images, job_of, run_legs, suite_job_of
from reviewbot.runner.context import RERUNS
from reviewbot.store import RunFolder, Store, read_model
from reviewbot.suites import bench, fstests, smoke
from reviewbot.suites.selection import Selection
from reviewbot.suites.suite import SUITES

FINE = (Outcome.PASS, Outcome.NOTRUN, Outcome.KNOWN)
M = TypeVar("M", bound=Model)
LOST = (Outcome.INFRA, Outcome.MISS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that got as far as its lock file."""

    folder: RunFolder
    lock: Lock
    conditions: Conditions
    legs: tuple[LegResult, ...]
    """Those that were begun."""
    notes: tuple[str, ...]
    """What cannot be as it was then; one line each."""

    def leg(self, name: str) -> LegSpec:
        """As it was then. Raises UsageError."""
        known = {leg.name: leg for leg in self.conditions.legs}
        if name not in known:
            raise UsageError(f"run {self.folder.id} has no leg {name}", hint=f"its legs: {', '.join(known) or 'none'}")
        result = next((result for result in self.legs if result.leg == name), None)
        if result and not result.available:
            raise UsageError(f"leg {name} was unavailable in run {self.folder.id}: {result.reason}")
        return known[name]


def read_file(folder: RunFolder, name: str, model: type[M]) -> M | None:
    """A file of a run, if it is there. Raises UsageError when it is not as this reviewbot writes it."""
    if not (folder.path / name).exists():
        return None
    hint = "it was written by another version of reviewbot; use that version, or run the series again"
    return read_model(folder.path / name, model, f"cannot be read as {name} of a run", hint)


def read_run(folder: RunFolder, site: Site) -> Recorded:
    """What a run recorded. site: for the machines of runs that did not record theirs. Raises UsageError."""
    use_boxes(site)
    lock = read_file(folder, "lock.json", Lock)
    if lock is None:
        why = "it was a review, did not build, or was interrupted earlier"
        raise UsageError(f"run {folder.id} has nothing that boots", hint=f"{why}; `reviewbot runs` lists others")
    results = read_file(folder, "results.json", Results)
    legs = results.legs if results else ()
    notes = []
    conditions = lock.conditions
    if conditions is None:
        stack, machine = load_stack(lock.stack, site), site.machine
        begun = {leg.leg for leg in legs}
        conditions = Conditions(
            legs=tuple(leg for leg in stack.legs if leg.name in begun),
            disks=suites.disks(machine.scratch_gib),
            memory=machine.memory,
            cpus=machine.cpus,
        )
        notes.append("this run did not record its machines: using today's memory, CPUs, disks and legs")
    return Recorded(folder, lock, conditions, legs, tuple(notes))


def artifact_of(run: Recorded, kind: str, store: Store) -> Artifact:
    """The very one that the run used: by its key, in this user's store or where it was. Raises UsageError."""
    wanted = run.lock.artifacts.artifacts.get(kind)
    if wanted is None:
        why = run.lock.artifacts.unavailable.get(kind, "it was not requested")
        raise UsageError(f"run {run.folder.id} has no {kind}: {why}")
    for place in dict.fromkeys((store.path(kind, wanted.key), Path(wanted.path))):
        found = store.read(place, wanted.key)
        if found and (kind not in IMAGES or (place / IMAGES[kind]).exists()):
            return found
    damaged = next((str(one) for one in store.damaged if (one.kind, one.key) == (kind, wanted.key)), "")
    gone = f"the {kind} of run {run.folder.id} is no longer in the store ({kind}-{wanted.key})"
    raise UsageError(
        f"run {run.folder.id}: {damaged}" if damaged else gone,
        hint=f"`reviewbot reproduce {run.folder.id}` builds it again from the stored mails",
    )


def accelerator_of(run: Recorded, site: Site, cache: Path, store: Store, progress: Progress = silent) -> Accelerator:
    """The run's own if this host has it, else what it has."""
    if run.lock.accelerator == "tcg":
        return Accelerator("tcg", "as in the run")
    kernel, guest = (Path(artifact_of(run, kind, store).path) / IMAGES[kind] for kind in ("kernel", "guest"))
    return lab.choose_accelerator(site.accelerator, kernel, guest, cache, progress=progress)


def context_of(run: Recorded, accelerator: Accelerator, store: Store, cache: Path, tests: str = "") -> Context:
    """What the run's legs shared. tests: of fstests. Raises UsageError when an artifact is gone."""
    kinds = [*IMAGES, *(["fstests"] if "fstests" in run.lock.artifacts.artifacts else [])]
    found = {kind: artifact_of(run, kind, store) for kind in kinds}
    artifacts = run.lock.artifacts.model_copy(update={"artifacts": {**run.lock.artifacts.artifacts, **found}})
    durations = suites.durations_in(cache)
    variant = choose_variant(run.lock.variant.split(",") if run.lock.variant else ())
    build = Build(trees=run.lock.trees, artifacts=artifacts, variant=variant)
    return Context(
        build=build,
        conditions=run.conditions,
        tests=Tests(tests, fresh=True, kept=False),
        accelerator=accelerator,
        store=store,
        run=run.folder,
        durations=durations_for(durations, artifacts, build.patched),
        progress=silent,
        snapshots=False,
    )


def _job(leg: LegSpec, steps: Sequence[GuestStep], context: Context) -> GuestJob:
    return job_of(suite_job_of(leg, "smoke", context).shard, images(context), steps)


def shell_job(leg: LegSpec, suite: SuiteName, ends: Ends, context: Context) -> GuestJob:
    """An interactive shell in a machine whose setup may fail."""
    prepare = fstests.steps(leg, Selection(()), soak=context.conditions.soak) if suite == "fstests" else ()
    setup = [step.model_copy(update={"gate": False}) for step in (*suites.setup_steps(leg), *prepare)]
    env = {**suites.leg_env(leg), "HOST_OPTIONS": "/run/reviewbot/fstests.config", "PS1": f"{leg.name}:\\w\\$ "}
    return _job(leg, (*setup, lab.shell_step(env, "/root", ends)), context)


@dataclass(frozen=True, slots=True)
class Case:
    """One test in one leg."""

    leg: LegSpec
    suite: SuiteName
    test: str
    was: TestResult | None
    """What the run recorded."""

    @property
    def name(self) -> str:
        return test_name(self.suite, self.test)


@dataclass(frozen=True, slots=True)
class Repeated:
    """What came of a case, each time in a machine of its own."""

    case: Case
    results: tuple[TestResult, ...]
    """`log` is relative to the run's folder."""


def cases(run: Recorded, name: str, legs: Sequence[str]) -> tuple[Case, ...]:
    """The test in each of these legs; in those where it did not pass, or wherever it ran, when none are named.

    Raises UsageError for a check that smoke, or a measurement that bench does not have, and when no leg is left.
    """
    suite: SuiteName = "smoke" if name.startswith("smoke/") or "/" not in name else "fstests"
    test = name.removeprefix("smoke/").removeprefix("fstests/")
    if name.startswith("bench/"):
        (measurement, *_) = bench.chosen(name.removeprefix("bench/"))
        suite, test = "bench", measurement.name
    if suite == "smoke" and test not in smoke.CHECKS:
        raise UsageError(
            f"smoke has no check {test}", hint=f"there are: {', '.join(smoke.CHECKS)}; of fstests, generic/001"
        )
    known = {
        leg.leg: result for leg in run.legs for result in leg.tests if (result.suite, result.test) == (suite, test)
    }
    chosen = tuple(legs) or tuple(leg for leg, was in known.items() if was.outcome not in FINE)
    for outcome in (Outcome.KNOWN, Outcome.PASS):
        chosen = chosen or tuple(leg for leg, was in known.items() if was.outcome is outcome)
    chosen = chosen or tuple(known)
    if not chosen:
        raise UsageError(f"no leg of run {run.folder.id} ran {name}", hint="--leg LEG runs it there anyway")
    return tuple(Case(run.leg(leg), suite, test, known.get(leg)) for leg in chosen)


def repeat(case: Case, times: int, context: Context, progress: Progress) -> Repeated:
    """Run it. Raises UsageError when there is no such test, InfraError."""
    checks = SUITES[case.suite].up_to([case.test])
    tests = replace(context.tests, checks=checks)
    results = []
    for number in range(1, times + 1):
        what = f"{case.leg.name} {case.name}" + (f" {number}/{times}" if times > 1 else "")
        progress(Event("lab", what, "start", total=len(checks) or 1))
        once = replace(context.again(_new_folder(context.run), tests), progress=_notes_of(what, progress))
        (whole,) = run_legs([case.leg], (case.suite,), once)
        result = _result(whole, case, once.run.path.relative_to(context.run.path))
        progress(Event("lab", what, "done" if result.outcome in FINE else "failed", result.outcome))
        results.append(result)
    return Repeated(case, tuple(results))


def _notes_of(what: str, progress: Progress) -> Progress:
    """The steps of a machine as notes of what is repeated in it."""

    def relayed(event: Event) -> None:
        if event.state == "note":
            progress(Event("lab", what, "note", event.text))

    return relayed


def _result(whole: LegResult, case: Case, folder: Path) -> TestResult:
    """folder: of the leg's logs, relative to that of the run."""
    found = {result.test: result for result in whole.tests}
    lost = TestResult(suite=case.suite, test=case.test, outcome=Outcome.INFRA, reason=whole.reason)
    result = found.get(case.test, lost)
    if result.outcome in LOST and SETUP in found:  # the kernel crashed before the test, which says more
        result = found[SETUP]
    return result.model_copy(update={"log": str(folder / result.log)})


def bare_command(case: Case, context: Context) -> str:
    """Lines for a POSIX shell: make the disks, start QEMU, get a shell on its console with the leg set up.

    Nothing of ours is needed on the host. Raises UsageError for a guest that knows no such mode.
    """
    guest = Path(context.build.artifacts.artifacts["guest"].path) / IMAGES["guest"]
    if not _knows_bare(guest):
        raise UsageError(
            "the guest of this run cannot start a shell by itself: it was made by an older reviewbot",
            hint="`reviewbot shell` works with any guest",
        )
    job = _job(case.leg, (), context)
    leg = {name: value for name, value in suites.leg_env(case.leg).items() if name.startswith("LEG_") and value}
    env = {**leg, **({"LEG_PROVE": " ".join(case.leg.prove)} if case.leg.prove else {})}
    return lab.bare_command(job, context.accelerator.name, env)


def _knows_bare(root: Path) -> bool:
    with root.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        return image.find(b"*reviewbot.shell*") >= 0


def _new_folder(run: RunFolder) -> str:
    """Its name, below the reruns of the run: `reproduce.N`."""
    for number in itertools.count(1):
        name = f"reproduce.{number}"
        with contextlib.suppress(FileExistsError):
            (run.path / RERUNS / name).mkdir(parents=True)
            return name
    raise AssertionError("numbers do not end")


def differences(old: RunFolder, new: RunFolder) -> tuple[str, ...]:
    """What the new run built of other inputs than the old one; one line each. Empty when either built nothing."""
    before, now = _built(old), _built(new)
    lines = []
    for kind in before.keys() & now.keys():
        was, made = before[kind], now[kind]
        names = sorted(n for n in was.inputs.keys() | made.inputs.keys() if was.inputs.get(n) != made.inputs.get(n))
        if was.key != made.key:
            lines.append(f"{kind} differs from that of run {old.id}: other {', '.join(names) or 'inputs'}")
    return tuple(sorted(lines))


def _built(folder: RunFolder) -> dict[str, Artifact]:
    lock = read_file(folder, "lock.json", Lock)
    return lock.artifacts.artifacts if lock else {}

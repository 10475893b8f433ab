# SPDX-License-Identifier: GPL-2.0-or-later
"""What every order of steps shares: one job, its run's folder, and how a run ends, whatever happened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot import __version__, build, intake, lab, report, runner, suites, trees, verdict
from reviewbot.config import Site
from reviewbot.fleet.choose import open_fleet
from reviewbot.fleet.fleet import Fleet
from reviewbot.host.files import remove_tree
from reviewbot.host.paths import cache_dir, data_dir, our_folders
from reviewbot.host.unexpected import as_error
from reviewbot.host.version import installable, version
from reviewbot.intake import Intake
from reviewbot.lab import Accelerator
from reviewbot.model.build import HEAD, Build
from reviewbot.model.errors import Blocked, UsageError
from reviewbot.model.lock import Conditions
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Progress, on_side
from reviewbot.model.shard import IMAGES
from reviewbot.model.stack import LegSpec, Stack
from reviewbot.model.trees import Trees
from reviewbot.pipeline.plan import bases_of
from reviewbot.pipeline.request import Request, components_of
from reviewbot.report import Record
from reviewbot.review import disagreement, partners
from reviewbot.runner import Context, Tests
from reviewbot.runner.expected import likely_accelerator
from reviewbot.store import NotRuns, RunFolder, RunGone, Runs, Store, saying, telling

TOOL = f"reviewbot {__version__}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `apply_and_test` or `review` leaves: the record, and the folder it was written to."""

    record: Record
    folder: RunFolder


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has begun: where it keeps what, and what it was planned to do."""

    folder: RunFolder
    plan: Plan
    stack: Stack
    site: Site
    store: Store
    progress: Progress
    fleet: Fleet | None = None
    """Hosts that run the machines; None: this one does."""

    @classmethod
    def of(cls, folder: RunFolder, planned: Plan, stack: Stack, site: Site, progress: Progress, on: str = "") -> "Run":
        """With this user's store. on: name of a fleet. Raises UsageError when there is none of that name."""
        store = Store(cache_dir(), telling(progress), f"run {folder.id}", saying(progress))
        fleet = open_fleet(on, site, folder, store.root, likely_accelerator(site, store.root, on), progress)
        return cls(folder, planned, stack, site, store, progress, fleet)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Components that legs and suites need, and that the posting changes."""
        return components_of(self.plan, self.stack)

    @property
    def legs(self) -> list[LegSpec]:
        return [self.stack.leg(leg.leg) for leg in self.plan.legs]

    def build(self, found: Trees, side: str = HEAD) -> Build:
        """The stack at the heads of these trees, built for machines. Raises BuildFails, BaseFails, InfraError."""
        head = side == HEAD
        artifacts = build.build_all(
            found,
            self.stack,
            store=self.store,
            site=self.site,
            kinds=self.kinds,
            progress=self.progress if head else on_side(self.progress, side),
            logs=self.folder.logs("build") if head else self.folder.logs("builds", side),
            variant=self.plan.variant,
        )
        artifacts = artifacts.model_copy(update={"unprovable": self.unprovable(found)})
        return Build(side=side, trees=found, artifacts=artifacts, variant=self.plan.variant)

    def unprovable(self, found: Trees) -> dict[str, str]:
        """Proofs that legs demand -> on what kernel and library do not agree, so that none can be given."""
        wanted = sorted({word for leg in self.legs for word in leg.prove})
        words = {word: disagreement(found, word) for word in wanted}
        return {word: why for word, why in words.items() if why}

    def context(self, build: Build, tests: Tests, conditions: Conditions | None = None) -> Context:
        """To run tests on a build. conditions: of machines; None: those of the site and the variant."""
        site, machine, cache = self.site, self.site.machine, self.store.root
        if conditions is None:
            wanted = machine.model_copy(update={"memory": machine.memory + build.variant.memory})
            conditions = runner.conditions(wanted, self.stack, self.plan.legs, site.soak)
        chosen = self._accelerator(build)
        sized = machine.model_copy(update={"memory": conditions.memory, "cpus": conditions.cpus})
        return Context(
            build=build,
            conditions=conditions,
            tests=tests,
            accelerator=chosen,
            store=self.store,
            run=self.folder,
            durations=runner.durations_for(suites.durations_in(cache), build.artifacts, build.patched),
            progress=self.progress,
            machines=runner.how_many(sized, chosen.name)[0],
            notruns=NotRuns(cache / "notruns.json"),
            seconds=machine.hours * 3600,
            snapshots=machine.saved == "auto",
            elsewhere=self.fleet,
        )

    def _accelerator(self, build: Build) -> Accelerator:
        """What machines have; those of a fleet find out by themselves, and tests are chosen for what is likely."""
        if self.fleet:
            return Accelerator(likely_accelerator(self.site, self.store.root, self.fleet.name), "required by the fleet")
        kernel, guest = (Path(build.artifacts.artifacts[kind].path) / IMAGES[kind] for kind in ("kernel", "guest"))
        return lab.choose_accelerator(self.site.accelerator, kernel, guest, self.store.root, progress=self.progress)


@dataclass(frozen=True, slots=True)
class Job:
    """A run that a request began."""

    request: Request
    found: Intake
    run: Run


def carry_out(
    request: Request,
    planned: Plan,
    found: Intake,
    stack: Stack,
    site: Site,
    progress: Progress,
    work: Callable[[Job, Record], Record],
) -> Outcome:
    """Begin a run, do the work, write the reports. An error of the work becomes the run's verdict."""
    runs, how = Runs(data_dir() / "runs"), request.how
    with runs.begin(f"reviewbot {version()}", how.command, shards=bool(how.shard_dir)) as folder:
        folder.write("mails.mbox", intake.mbox_bytes(found.mails))
        folder.write_message_ids(found.posting.message_ids())
        folder.write("plan.json", planned)
        record = Record(
            run=folder.id,
            tool=TOOL,
            posting=found.posting,
            plan=planned,
            url=site.reports.of(folder.id),
            install=installable(),
            started=said.started if (said := folder.record()) else None,
        )
        try:
            run = Run.of(folder, planned, stack, site, progress, how.on)
            record = work(Job(request, found, run), record)
        except UsageError:
            remove_tree(folder.path)  # nothing was tested: the question was wrong
            raise
        except Exception as error:  # also one that nobody expected: the run keeps what it found out
            judged = verdict.judge_error(folder.id, as_error(error, [folder.path / "logs"]))
            record = record.model_copy(update={"verdict": judged, **report.known(folder.path)})
        return Outcome(record, folder) if record.verdict is None else finish(record, found.mails, folder)


def finish(record: Record, mails: Mapping[str, bytes], run: RunFolder) -> Outcome:
    """Write every report of a judged record. Raises RunGone when somebody removed the run meanwhile."""
    if not (run.path / "plan.json").exists():
        raise RunGone(run.id)
    told = report.without_folders(record, our_folders(), str(run.path.absolute()))
    for name, content in report.files(told, mails).items():
        run.write(name, content)
    return Outcome(record, run)


def check_complete(posting: Posting) -> None:
    """Raises Blocked when the posting has a problem that forbids testing it."""
    blocking = tuple(problem for problem in posting.problems if problem.blocking)
    if blocking:
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        raise Blocked(f"{blocking[0].message}{more}", hint="`reviewbot plan` shows the whole posting")


def resolve(job: Job) -> Trees:
    """The posting's components, patched. Raises what `trees.resolve` raises."""
    request, run = job.request, job.run
    wanted = {*run.kinds}
    if request.how.review:
        wanted |= partners(job.found.posting, rfc=request.series.rfc)
    resolved = trees.resolve(
        job.found.posting,
        job.found.mails,
        run.stack,
        components=wanted,
        bases=bases_of(request, job.found, run.site.network),
        cache=cache_dir(),
        progress=run.progress,
    )
    run.folder.write("trees.json", resolved)
    return resolved

# SPDX-License-Identifier: GPL-2.0-or-later
"""What every order of steps shares: one job, its run's folder, and how a run ends, whatever happened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reviewbot import __version__, intake, report, trees, verdict
from reviewbot.config import Site
from reviewbot.host.files import remove_tree
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.host.unexpected import as_error
from reviewbot.host.version import installable, version
from reviewbot.intake import Intake
from reviewbot.model.errors import Blocked, UsageError
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Progress
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.pipeline.plan import bases_of, from_manifest_of
from reviewbot.pipeline.request import Request, components_of
from reviewbot.report import Record
from reviewbot.review import partners
from reviewbot.store import RunFolder, RunGone, Runs

TOOL = f"reviewbot {__version__}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `apply_and_test` or `review` leaves: the record, and the folder it was written to."""

    record: Record
    folder: RunFolder


@dataclass(frozen=True, slots=True)
class Job:
    """What all steps of one run share."""

    request: Request
    planned: Plan
    found: Intake
    stack: Stack
    site: Site
    progress: Progress


def carry_out(job: Job, work: Callable[[Job, Record, RunFolder], Record]) -> Outcome:
    request = job.request
    with Runs(data_dir() / "runs").begin(
        f"reviewbot {version()}", request.command, shards=bool(request.shard_dir)
    ) as run:
        return _recorded(job, work, run)


def _recorded(job: Job, work: Callable[[Job, Record, RunFolder], Record], run: RunFolder) -> Outcome:
    run.write("mails.mbox", intake.mbox_bytes(job.found.mails))
    run.write_message_ids(job.found.posting.message_ids())
    run.write("plan.json", job.planned)
    record = Record(
        run=run.id, tool=TOOL, posting=job.found.posting, plan=job.planned, url=job.site.reports.of(run.id),
        install=installable(),
    )  # fmt: skip
    try:
        record = work(job, record, run)
    except UsageError:
        remove_tree(run.path)  # nothing was tested: the question was wrong
        raise
    except Exception as error:  # also one that nobody expected: the run keeps what it found out
        told = as_error(error, [run.path / "logs"])
        record = record.model_copy(update={"verdict": verdict.judge_error(run.id, told), **report.known(run.path)})
    return Outcome(record, run) if record.verdict is None else finish(record, job.found.mails, run)


def finish(record: Record, mails: Mapping[str, bytes], run: RunFolder) -> Outcome:
    """Write every report of a judged record. Raises RunGone when somebody removed the run meanwhile."""
    if not (run.path / "plan.json").exists():
        raise RunGone(run.id)
    for name, content in report.files(record, mails).items():
        run.write(name, content)
    return Outcome(record, run)


def check_complete(posting: Posting) -> None:
    """Raises Blocked when the posting has a problem that forbids testing it."""
    blocking = tuple(problem for problem in posting.problems if problem.blocking)
    if blocking:
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        raise Blocked(f"{blocking[0].message}{more}", hint="`reviewbot plan` shows the whole posting")


def resolve(job: Job, record: Record, run: RunFolder) -> tuple[Record, Trees]:
    wanted = {*components_of(job.planned, job.stack)}
    if job.request.review:
        wanted |= partners(job.found.posting, rfc=job.request.rfc)
    resolved = trees.resolve(
        job.found.posting, job.found.mails, job.stack, components=wanted,
        bases=bases_of(job.request, job.found), cache=cache_dir(), rfc=job.request.rfc, progress=job.progress,
        from_manifest=from_manifest_of(job.request, job.found), network=job.site.network,
    )  # fmt: skip
    run.write("trees.json", resolved)
    return record.model_copy(update={"trees": resolved}), resolved

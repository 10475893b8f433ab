# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a run that was cut into shards: their results become its results, its verdict and its reports."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from reviewbot import intake, report, suites
from reviewbot.config import Site, load_stack
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.host.version import installable
from reviewbot.model.comparison import Comparison
from reviewbot.model.errors import UsageError
from reviewbot.model.lock import Lock
from reviewbot.model.plan import Plan
from reviewbot.model.progress import Progress, silent
from reviewbot.model.results import Results
from reviewbot.pipeline.compare import merged
from reviewbot.pipeline.judge import judged
from reviewbot.pipeline.run import TOOL, Outcome, Run, finish
from reviewbot.report import Record
from reviewbot.runner import durations_for, shard_files
from reviewbot.store import NotRuns, RunFolder, Runs, read_model


def merge_shards(folder: Path, results: Sequence[Path], site: Site, progress: Progress = silent) -> Outcome:
    """folder: of the shards. results: files, or folders of them. May be repeated with more results.

    What did not pass is compared with base here, as a run that was not cut does it. Raises UsageError when it is no
    such folder, or a result belongs to another run.
    """
    run = _run_of(folder)
    plan = shard_files.read_plan(run)
    found = shard_files.read_results(results)
    planned = read_model(run.path / "plan.json", Plan, "no plan of a run")
    lock = read_model(run.path / "lock.json", Lock, "no lock file of a run")
    begun = read_model(folder / "run" / "results.json", Results, "no results of a run")
    patched, notruns = lock.trees.patched, NotRuns(cache_dir() / "notruns.json")
    durations = durations_for(suites.durations_in(cache_dir()), lock.artifacts, patched)
    legs = shard_files.merge(plan, begun.legs, found, lock.artifacts, durations, notruns, patched)
    shard_files.take_logs(plan, found, run)
    record = Record(
        run=run.id,
        tool=TOOL,
        posting=planned.posting,
        plan=planned,
        artifacts=lock.artifacts,
        url=site.reports.of(run.id),
        install=installable(),
        started=first.started if (first := run.record()) else None,
    )
    record = record.model_copy(update={**report.known(run.path), "results": begun.model_copy(update={"legs": legs})})
    if planned.compare:
        begun_here = Run.of(run, planned, load_stack(lock.stack, site), site, progress)
        comparison = merged(begun_here, lock, legs, _comparison(folder / "run"))
        record = record.model_copy(update={"comparison": comparison})
    record = judged(record, run, progress)
    return finish(record, intake.read_mbox(run.path / "mails.mbox").by_id(), run)


def _comparison(run: Path) -> Comparison | None:
    """Of smoke, which ran where the shards were made."""
    path = run / "comparison.json"
    return read_model(path, Comparison, "no comparison of a run") if path.exists() else None


def _run_of(folder: Path) -> RunFolder:
    """The run among this user's; it is put there when it was begun on another machine."""
    if not (folder / "run" / "plan.json").is_file():
        raise UsageError(
            f"{folder} is not a folder of shards", hint="`apply-and-test --shards N --shard-dir` creates one"
        )
    plan = shard_files.read_plan(RunFolder(folder.name, folder / "run"))
    runs = Runs(data_dir() / "runs")
    run = RunFolder(plan.run, runs.root / plan.run)
    if not run.path.exists():
        shutil.copytree(folder / "run", run.path, ignore=_links)
    return run


def _links(where: str, names: list[str]) -> list[str]:
    """What must not be copied: it may lead anywhere."""
    return [name for name in names if (Path(where) / name).is_symlink()]

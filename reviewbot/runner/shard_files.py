# SPDX-License-Identifier: GPL-2.0-or-later
"""A run on several hosts: shards go out as files, their results come back as files.

A shard folder has `shard-NN.json`, `artifacts/` (what their machines boot from) and `run/` (the run so far). Shards,
results and folders may come from anywhere: what does not fit is refused, and nothing is written but where it belongs.
"""

import contextlib
import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reviewbot.host.files import copy_regular, sha256_file, write_atomic
from reviewbot.host.process import run
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.errors import UsageError
from reviewbot.model.results import LegResult
from reviewbot.model.shard import IMAGES, Need, Shard, ShardPlan, ShardResult, merged
from reviewbot.runner.context import Context
from reviewbot.runner.cut import cut
from reviewbot.runner.known_notrun import learn
from reviewbot.runner.results import joined, seconds_of, suite_result
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.store import Durations, NotRuns, RunFolder, read_model

PLAN = "shards.json"
"""Of a run: what was put off."""
MOST_LOGS, MOST_FILES = 1 << 30, 100_000
"""Bytes and files that are taken of one shard's logs."""


def check_new(folder: Path) -> None:
    """Raises UsageError when shards cannot be written there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty", hint="shards of two runs must not be mixed: name a new folder")


def write_shards(works: Sequence[SuiteJob], count: int, context: Context, folder: Path) -> tuple[str, ...]:
    """Cut the works, and put all that is needed to run them elsewhere into `folder`. Names of the shards' files.

    Raises UsageError when there is something else in it.
    """
    check_new(folder)
    known = {need.kind: _hashed(need, context) for work in works for need in work.shard.needs}
    needs = [tuple(known[need.kind] for need in work.shard.needs) for work in works]
    works = [
        replace(work, shard=work.shard.model_copy(update={"needs": own}))
        for work, own in zip(works, needs, strict=True)
    ]
    nonce = secrets.token_hex(16)
    shards = cut(works, count, nonce)
    whole = tuple(work.shard for work in works)
    context.run.write(PLAN, ShardPlan(run=context.run.id, nonce=nonce, works=whole, shards=shards))
    for need in known.values():
        _give(Path(context.build.artifacts.artifacts[need.kind].path), need, folder / "artifacts")
    shutil.copytree(context.run.path, folder / "run", symlinks=True)
    names = [f"shard-{number:02}.json" for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        write_atomic(folder / name, shard.model_dump_json(indent=1) + "\n")
    return tuple(names)


def read_shard(path: Path) -> Shard:
    """Raises UsageError when the file is no shard."""
    return read_model(path, Shard, "no shard")


def read_results(paths: Sequence[Path]) -> dict[Path, ShardResult]:
    """Of files, and of all `*.json` below folders. Raises UsageError when one is no result."""
    files = [file for path in paths for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]
    return {file: read_model(file, ShardResult, "no result of a shard") for file in files if not _is_log(file)}


def read_plan(run_folder: RunFolder) -> ShardPlan:
    """What a run has put off. Raises UsageError."""
    if not (run_folder.path / PLAN).exists():
        raise UsageError(
            f"run {run_folder.id} was not split into shards", hint="`apply-and-test --shards N` splits one"
        )
    return read_model(run_folder.path / PLAN, ShardPlan, "no plan of shards")


def merge(
    plan: ShardPlan,
    begun: Sequence[LegResult],
    results: Mapping[Path, ShardResult],
    artifacts: Artifacts,
    durations: Durations,
    notruns: NotRuns | None = None,
    patched: Collection[str] = (),
) -> tuple[LegResult, ...]:
    """The legs with what the shards brought; a shard without a result leaves its tests to INFRA, by name.

    patched: components with patches.

    Raises UsageError for a result of another run or cut.
    """
    shards = {shard.key: shard for shard in plan.shards}
    for path, result in results.items():
        if result.shard not in shards or (result.run, result.nonce) != (plan.run, plan.nonce):
            raise UsageError(
                f"{path} is a result of another run or cut: {result.run}, not {plan.run}",
                hint="merge only results of the shards in this folder",
            )
    found = merged(_checked(shards[result.shard], result) for result in results.values())
    absent = {key: shard for key, shard in shards.items() if key not in {result.shard for result in found}}
    found = merged(found, (_without(key, shard, "returned no result") for key, shard in absent.items()))
    legs = {leg.leg: leg for leg in begun}
    for whole in plan.works:
        own = [result for result in found if shards[result.shard].leg.name == whole.leg.name]
        work = SuiteJob(whole, {}, {})
        part = suite_result(work, own, artifacts)
        durations.put_tests(whole.measured_as, part.accelerator, seconds_of(work, own, part))
        learn(whole, part, artifacts, notruns, patched)
        legs[whole.leg.name] = joined(legs[whole.leg.name], part)
    return tuple(legs[leg.leg] for leg in begun)


def take_logs(plan: ShardPlan, results: Mapping[Path, ShardResult], run_folder: RunFolder) -> None:
    """What stands in `NAME.logs` beside each `NAME.json`; see `copy_logs`."""
    shards = {shard.key: shard for shard in plan.shards}
    for path, result in results.items():
        shard = shards[result.shard]
        copy_logs(shard, logs_of(path), run_folder.logs(shard.leg.name))


def copy_logs(shard: Shard, source: Path, target: Path, *, apart: bool = True) -> None:
    """Plain files of the shard's own steps and machines, as far as there is room for what one shard may leave.

    apart: machines are named so that those of other shards of the leg can be beside them.
    """
    own = {step.name for step in shard.steps}
    room, files = MOST_LOGS, MOST_FILES
    for path, size in _plain_files(source):
        name = path.relative_to(source)
        machine = name.parts[0].startswith(f"{shard.leg.name}-{shard.suite}") and (
            len(name.parts) == 2 or bool(shard.last and name.parts[1:2] == (shard.last.name,))
        )
        if not (machine or own & {str(p) for p in name.parents}):
            continue
        room, files = room - size, files - 1
        if room < 0 or files < 0:
            return
        if machine and apart:
            name = Path(f"{name.parts[0]}.shard{shard.number}", *name.parts[1:])
        try:
            copy_regular(path, target / name, size)
        except OSError as error:  # of a stranger's file, which costs nobody else anything
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise


def _plain_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Below a folder that a stranger filled, with their sizes; no link is followed, and what cannot be read is none."""
    left = [] if folder.is_symlink() else [folder]
    while left:
        with contextlib.suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in sorted(itertools.islice(entries, MOST_FILES), key=lambda entry: entry.name, reverse=True):
                if entry.is_dir(follow_symlinks=False):
                    left.append(Path(entry))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry), entry.stat(follow_symlinks=False).st_size


def logs_of(result: Path) -> Path:
    """Folder of the logs beside a result's file."""
    return result.with_suffix(".logs")


def _is_log(file: Path) -> bool:
    return any(part.endswith(".logs") for part in file.parts)


def _checked(shard: Shard, result: ShardResult) -> ShardResult:
    """A result that answers what its shard did not ask is not believed."""
    strange = {reply.name for reply in result.replies} - {step.name for step in shard.steps}
    known = {step.name: step.known for step in shard.steps}
    strange |= {r.name for r in result.replies if r.status == "known" and r.output != known.get(r.name)}
    if strange:
        return _without(result.shard, shard, f"returned results that were not requested ({min(strange)[:80]})")
    return result


def _without(key: str, shard: Shard, why: str) -> ShardResult:
    return ShardResult(shard=key, run=shard.run, nonce=shard.nonce, problem=f"shard {shard.name} {why}")


def _hashed(need: Need, context: Context) -> Need:
    image = Path(context.build.artifacts.artifacts[need.kind].path) / IMAGES[need.kind]
    return need.model_copy(update={"sha256": sha256_file(image)})


def _give(source: Path, need: Need, folder: Path) -> None:
    """Put the image where another machine can get it; a link when it is the same disk, for images are not changed."""
    target = folder / f"{need.kind}-{need.key}" / IMAGES[need.kind]
    target.parent.mkdir(parents=True)
    try:
        os.link(source / target.name, target)
    except OSError:
        run(["cp", "--sparse=always", "--", source / target.name, target])

# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot gc`: make room."""

import datetime
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click

from reviewbot.cli import values
from reviewbot.cli.group import reviewbot
from reviewbot.host.locks import holder
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.words import counted, sized
from reviewbot.store import Runs
from reviewbot.store.cleaning import Found, Item, Limits, alone, look, remove

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NAMES = {
    "leaving": ("left by killed processes", "thing"), "run": ("runs", "run"), "artifact": ("artifacts", "artifact"),
    "scratch": ("kept objects and sources", "folder"), "repository": ("clones of sources", "clone"),
    "download": ("downloads", "download"),
}  # fmt: skip


class _Age(click.ParamType[float]):
    """`30d`, in seconds."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,5})([hdw])", value)
        if not found:
            self.fail(f"{value!r} is not an age, such as 12h, 30d or 8w", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


class _Size(click.ParamType[int]):
    """`20G`, in bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([KMGT]?)(?:i?B)?", value)
        if not found:
            self.fail(f"{value!r} is not a size, such as 500M or 20G", param, ctx)
        return int(float(found[1]) * _SIZES[found[2]])


@reviewbot.command(short_help="Remove what is no longer needed.")
@click.option(
    "--older",
    type=_Age(),
    default="30d",
    show_default=True,
    help="Remove from the cache what was not used for this long.",
)
@click.option(
    "--size", type=_Size(), help="Then remove the least recently used until the cache is no larger than this."
)
@click.option("--runs", "run_age", type=_Age(), help="Also remove runs older than this [default: none].")
@click.option("--run", "names", multiple=True, type=values.Run(), help="Remove this run; repeatable.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout; lists every file and folder.")
def gc(
    older: float, size: int | None, run_age: float | None, names: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Remove what is no longer needed, and what killed processes left behind.

    Removes from the cache what was not used for --older, and with --size what was used least recently. What the lock
    file of a run names is kept as long as the run, so that `reproduce` and `shell` work: remove old runs to remove it.
    Everything in the cache can be rebuilt; a run cannot. Nothing can be removed while a run uses the cache.

    \b
    reviewbot gc --dry-run                 what would be removed?
    reviewbot gc --size 20G                at most 20 GiB of cache
    reviewbot gc --older 7d --runs 90d     also runs of more than 90 days
    reviewbot gc --run 20261125-114302     one run
    """
    cache, runs = cache_dir(), Runs(data_dir() / "runs")
    chosen = tuple(runs.find(name).id for name in names)
    for run in map(runs.find, chosen):
        if run.running():
            raise UsageError(f"run {run.id} is still running", hint="stop it first")
    limits = Limits(unused=older, size=size, run_age=run_age, runs=chosen)
    if dry_run:
        _say(look(cache, runs, limits), limits, as_json, done=False)
        return
    with alone(cache) as free:
        if not free:
            why = holder(cache / "locks" / "in-use.lock") or "a run"
            raise InfraError(f"the cache is in use by {why}", hint="`reviewbot runs` shows what is running")
        found = look(cache, runs, limits)
        for item in found.remove:
            remove(cache, item)
    _say(found, limits, as_json, done=True)


def _say(found: Found, limits: Limits, as_json: bool, *, done: bool) -> None:
    if as_json:
        plain = {"removed" if done else "would_remove": _plain(found.remove), "kept": _plain(found.keep)}
        click.echo(json.dumps(plain, indent=1))
        return
    freed = sum(item.size for item in found.remove)
    click.echo(f"{'removed' if done else 'would remove'} {sized(freed)}" + (":" if found.remove else ""))
    by_kind: dict[str, list[Item]] = defaultdict(list)
    for item in found.remove:
        by_kind[item.kind].append(item)
    for kind, items in by_kind.items():
        title, noun = _NAMES[kind]
        click.echo(f"  {title:<26} {sized(sum(item.size for item in items)):>9}  {counted(len(items), noun)}")
    click.echo(f"{'left in' if done else 'would leave in'} the cache: {sized(found.size())}{_needed(found)}")
    if limits.size is not None and found.size() > limits.size:
        click.echo("the rest is needed by runs: `--runs AGE` or `--run RUN` removes runs")


def _needed(found: Found) -> str:
    needed = sum(item.size for item in found.keep if item.needed_by)
    return f", of which {sized(needed)} are needed by runs that are kept" if needed else ""


def _plain(items: Iterable[Item]) -> list[dict[str, Any]]:
    return [
        {
            "kind": item.kind,
            "path": str(item.path),
            "bytes": item.size,
            "needed_by": item.needed_by,
            "used": datetime.datetime.fromtimestamp(item.used, datetime.UTC).isoformat(timespec="seconds"),
        }
        for item in items
    ]

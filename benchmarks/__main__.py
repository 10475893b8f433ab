# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m benchmarks [--cold]`: measure what is promised and print it beside its limit."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.fleet import fleet
from benchmarks.floor import floor
from benchmarks.machines import job_of, newest
from benchmarks.measure import Figure, repeat
from benchmarks.plan import plan_fixture
from benchmarks.reports import reports
from benchmarks.review import review_of_ten
from benchmarks.shards import shards
from benchmarks.starts import starts
from reviewbot import intake, lab
from reviewbot.config import load_site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.lab import Accelerator
from reviewbot.store import Store

ROOT = Path(__file__).resolve().parent.parent
FIXTURE = ROOT.parent / "shared" / "fixtures" / "blizzard-v7" / "thread.mbox"


def figures(*, cold: bool) -> Iterator[Figure]:
    """Each figure as soon as it is there."""
    yield split_fixture()
    yield from plan_fixture(FIXTURE)
    yield from reports()
    if cold:
        yield demo_from_nothing()
    yield demo("make demo again, nothing changed", 2.0, times=3)
    yield demo("make demo after one more patch to fs/fuse", 240.0, "--one-more", f"w{int(time.time())}")
    yield from review_of_ten()
    yield first_word()
    yield floor(Store(cache_dir()))
    yield from shards(Store(cache_dir()))
    yield from fleet(Store(cache_dir()))
    yield from starts(Store(cache_dir()))


def split_fixture() -> Figure:
    """203 mails into 23 parts."""
    what = "split the 203-message thread"
    if not FIXTURE.exists():
        return Figure(what, (), 1.0, f"{FIXTURE.name} is not here")
    stack = load_stack()
    return repeat(what, 1.0, 5, lambda: intake.split(intake.read_mbox(FIXTURE), None, stack))


def demo(what: str, limit: float, *arguments: str, times: int = 1, env: dict[str, str] | None = None) -> Figure:
    """Wall time of the demo as a user sees it."""

    def once() -> None:
        command = [sys.executable, "-m", "demo", *arguments]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **(env or {})})

    try:
        if not arguments and not env:
            once()  # make sure that nothing is left to do
        return repeat(what, limit, times, once)
    except subprocess.CalledProcessError as error:
        return Figure(what, (), limit, f"the demo ended with status {error.returncode}")


def demo_from_nothing() -> Figure:
    """With an empty cache; the environment of Python is there already."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", dir=cache_dir().parent) as folder:
        env = {"REVIEWBOT_CACHE": f"{folder}/cache", "REVIEWBOT_DATA": f"{folder}/data"}
        return demo("make demo from nothing", 25 * 60.0, env=env)


def first_word() -> Figure:
    """From starting QEMU to the agent's first word, with the artifacts of the last demo."""
    what = "QEMU start to the agent's first word"
    built = newest(Store(cache_dir()))
    if not built:
        return Figure(what, (), 5.0, "run `make demo` first")
    job = job_of(built, "bench")
    policy = load_site().accelerator
    chosen: Accelerator = lab.choose_accelerator(policy, Path(job.kernel), Path(job.root), cache_dir())
    seconds = []
    for _ in range(5):
        with tempfile.TemporaryDirectory(prefix="reviewbot-bench-") as folder:
            reply = lab.run_job(job, chosen, Path(folder))
            if reply.agent_seconds:
                seconds.append(reply.agent_seconds)
    return Figure(f"{what} ({chosen.name})", tuple(seconds), 5.0, "" if seconds else "the agent never spoke")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--cold", action="store_true", help="also measure the demo from nothing (up to 25 minutes)")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    table = Table(title=f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}")
    for title in ("what", "median", "min", "max", "limit", "of limit"):
        table.add_column(title, justify="left" if title == "what" else "right")
    kept = True
    for figure in figures(cold=arguments.cold):
        kept = kept and (figure.kept or bool(figure.why_not))
        unit = figure.unit
        if not figure.values:
            table.add_row(figure.what, figure.why_not, "", "", f"{figure.limit:g} {unit}", "")
            continue
        colour = "green" if figure.kept else "red"
        low, high = min(figure.values), max(figure.values)
        table.add_row(
            figure.what,
            f"{figure.median:.2f} {unit}",
            f"{low:.2f} {unit}",
            f"{high:.2f} {unit}",
            f"{figure.limit:g} {unit}",
            f"[{colour}]{100 * figure.median / figure.limit:.0f} %[/]",
        )
    console.print(table)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench suite: how fast a leg is beside the kernel's ext4. Its measurements are `bench.yaml`."""

import functools
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.bench import Against, BenchRow, Ratio, Unit
from reviewbot.model.errors import UsageError
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.model.words import flat
from reviewbot.suites.outcome import Judgement, by_status, result
from reviewbot.suites.setup import PYTHON, leg_env

FULL = "full"
_TIMEOUT = 180.0
_LINE = re.compile(r"^bench (\{.*\})$", re.MULTILINE)
_MOST = 2000
"""Numbers of one row that are taken from a guest."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Number = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class RowSpec(Model):
    """One row of `bench.yaml`."""

    name: Name
    unit: Unit
    against: Against = "ext4"
    why: str
    asks: str
    """Whose question it answers."""
    fio: dict[str, str | int] | None = None
    """Options of the job that measures it."""
    file: Literal["written", "unwritten", "new"] | None = None
    """What that job works on: a file that was written, or only allocated, or none."""


class Measurement(Model):
    """One step in the guest. What is None says nothing to its loop."""

    name: Name
    loop: Literal[
        "mount", "fio", "bare", "files", "untar", "readdir", "memory", "stall", "pool", "fork", "restored", "guestfs",
        "service",
    ]  # fmt: skip
    """A function of `qemu/suites/bench`."""
    rounds: int = Field(ge=1, le=100)
    by_default: bool = True
    threads: int | None = Field(default=None, ge=1)
    files: int | None = Field(default=None, ge=1)
    """That are made, or entries of the folder."""
    mib: int | None = Field(default=None, ge=1)
    """Size of the file that is read."""
    before: float | None = None
    """Seconds that pages are dirtied before the server is stopped."""
    window: float | None = None
    """Seconds that a wait is waited for."""
    rows: tuple[RowSpec, ...] = Field(min_length=1)

    def order(self) -> str:
        """What the guest is told: JSON."""
        words = self.model_dump(mode="json", exclude={"name", "by_default", "rows"}, exclude_none=True)
        jobs = [{"row": row.name, "fio": row.fio, "file": row.file} for row in self.rows if row.fio]
        whole = {**words, "rows": [row.name for row in self.rows], **({"jobs": jobs} if jobs else {})}
        return json.dumps(whole, sort_keys=True)


class Bench(Model):
    """`bench.yaml`."""

    measurements: tuple[Measurement, ...]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for names in (
            [one.name for one in self.measurements],
            [row.name for one in self.measurements for row in one.rows],
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{twice[0]} exists twice")
        return self


class GuestRow(Model):
    """What the guest tells of a row; taken with distrust."""

    values: tuple[Number, ...] = Field(min_length=1, max_length=_MOST)
    yardstick: tuple[Number, ...] = Field(max_length=_MOST)
    upcalls: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{1,40}$")], Number] | None = Field(
        max_length=100
    )
    switches: Number | None
    switches_yardstick: Number | None
    series: tuple[tuple[Number, Number], ...] = Field(max_length=_MOST)
    at_least: bool
    note: str = Field(max_length=2000)


@functools.cache
def load_bench(path: Path | None = None) -> Bench:
    """Raises ConfigError."""
    return load_yaml(path or Path(__file__).with_name("bench.yaml"), Bench)


def chosen(rows: str) -> tuple[Measurement, ...]:
    """The measurements of `--rows`: empty for those by default, `full`, or names of rows or measurements with commas.

    Raises UsageError for a name that is none.
    """
    every = load_bench().measurements
    wanted = set(filter(None, rows.replace(" ", ",").split(",")))
    if not rows or FULL in wanted:
        return tuple(one for one in every if one.by_default or rows)
    known = {name for one in every for name in (one.name, *(row.name for row in one.rows))}
    hint = f"rows: {FULL}, {', '.join(sorted(known))}"
    if not wanted:
        raise UsageError("--rows names no row", hint=hint)
    if unknown := sorted(wanted - known):
        raise UsageError(f"bench has no row {unknown[0]}", hint=hint)
    return tuple(one for one in every if wanted & {one.name, *(row.name for row in one.rows)})


def steps(leg: LegSpec, rows: str, only: Collection[str] = ()) -> tuple[GuestStep, ...]:
    """One step per measurement. rows: as `chosen` takes them. only: names of measurements; empty: all of these."""
    env = dict(leg_env(leg))
    measurements = chosen(FULL) if only else chosen(rows)
    return tuple(
        GuestStep(name=f"bench/{one.name}", argv=(*PYTHON, "bench", one.order()), env=env, timeout=_TIMEOUT)
        for one in measurements
        if one.name in only or not only
    )


def results(leg: LegSpec, replies: Sequence[StepReply]) -> tuple[TestResult, ...]:
    """One result per measurement that has a reply."""
    known = {f"bench/{one.name}": one for one in load_bench().measurements}
    return tuple(_result(known[reply.name], reply) for reply in replies if reply.name in known)


def _result(measurement: Measurement, reply: StepReply) -> TestResult:
    judged = by_status(reply)
    rows = read_rows(measurement, reply.output) if judged.outcome is Outcome.PASS else {}
    unread = [row.name for row in measurement.rows if row.name not in rows]
    if judged.outcome is Outcome.PASS and unread:
        judged = Judgement(Outcome.INFRA, f"the guest reported no figures for {', '.join(unread)} that can be read")
    told = result("bench", measurement.name, judged, reply)
    return told.model_copy(update={"bench": rows, "excerpt": told.excerpt if unread else ""})


def read_rows(measurement: Measurement, output: str) -> dict[str, BenchRow]:
    """Rows of the last line `bench {…}`; those that cannot be what was measured are left out."""
    lines = _LINE.findall(output)
    try:
        words = json.loads(lines[-1]) if lines else {}
    except (ValueError, RecursionError):
        return {}
    found = {}
    for spec in measurement.rows:
        try:
            told = GuestRow.model_validate(words.get(spec.name))
        except ValidationError:
            continue
        if spec.against and len(told.yardstick) != len(told.values):
            continue
        facts = told.model_dump(exclude={"note"} if spec.against else {"note", "yardstick", "switches_yardstick"})
        row = BenchRow(unit=spec.unit, against=spec.against, **facts, note=flat(told.note)[:300])
        found[spec.name] = row.model_copy(update={"ratio": Ratio.of(row.logs)})
    return found

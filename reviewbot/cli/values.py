# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of options and arguments: how they are read, and which ones a shell may offer.

What is offered comes from files of ours and is asked for at each press of TAB, so nothing is fetched, and whatever goes
wrong means that nothing is offered.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

from reviewbot.config import load_site, load_stack, load_variants
from reviewbot.host.data import data_path
from reviewbot.host.paths import data_dir
from reviewbot.model.errors import ReviewbotError, UsageError
from reviewbot.model.words import test_name
from reviewbot.store import RunFolder, Runs
from reviewbot.suites import bench, names, smoke

_OFFERED = 60
"""Runs that are offered, the newest first."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?[smhd])+")

Values = Callable[[click.Context], Iterable[str]]


def _stack(context: click.Context) -> str:
    return str(context.params.get("stack_name") or "fuse")


def legs(context: click.Context) -> Iterable[str]:
    return [leg.name for leg in load_stack(_stack(context)).legs]


def components(context: click.Context) -> Iterable[str]:
    return [component.name for component in load_stack(_stack(context)).components]


def suites(_context: click.Context) -> Iterable[str]:
    return ("smoke", "fstests", "bench")


def rows(_context: click.Context) -> Iterable[str]:
    return (bench.FULL, *(row.name for one in bench.load_bench().measurements for row in one.rows))


def variants(_context: click.Context) -> Iterable[str]:
    return [variant.name for variant in load_variants().variants]


def stacks(_context: click.Context) -> Iterable[str]:
    return sorted(path.stem for path in data_path("stacks").glob("*.yaml"))


def fleets(context: click.Context) -> Iterable[str]:
    return ("local", *load_site(context.params.get("site_path")).fleet)


def _offer(values: Iterable[str], incomplete: str, before: str = "") -> list[CompletionItem]:
    return [CompletionItem(before + value) for value in values if value.startswith(incomplete)]


class Word(click.ParamType[str]):
    """One word; `values` are offered, and others are taken, too: what is wrong with them is said elsewhere."""

    def __init__(self, name: str, values: Values) -> None:
        self.name, self.values = name, values

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with suppress(ReviewbotError, OSError, ValueError):
            return _offer(self.values(ctx), incomplete)
        return []


class Comma(click.ParamType[tuple[str, ...]]):
    """`a,b`."""

    name = "a,b,…"

    def __init__(self, values: Values) -> None:
        self.values = values

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(filter(None, value.replace(" ", ",").split(",")))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        with suppress(ReviewbotError, OSError, ValueError):
            left = [value for value in self.values(ctx) if value not in before.split(",")]
            return _offer(left, last, before + comma)
        return []


def parse_duration(text: str) -> float:
    """Seconds of `90m`, `1h30m`, `45s`, `2d`; a unit must be named. Raises UsageError."""
    given = text.strip().lower().replace(" ", "")
    if not _DURATION.fullmatch(given):
        raise UsageError(f"{text!r} is not a duration", hint="examples: 90m, 1h30m, 45s, 2d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)([smhd])", given))
    if not 0 < seconds <= 30 * 86400:
        raise UsageError(f"{text!r} is not a valid waiting time", hint="it must be more than zero and at most 30 days")
    return seconds


class Duration(click.ParamType[float]):
    """`90m`, in seconds."""

    name = "DURATION"

    def __init__(self, *, none: bool = False) -> None:
        """none: `0s` is a duration, too."""
        self.none = none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        return 0.0 if self.none and value in ("0", "0s", "0m", "0h") else parse_duration(value)


class Base(click.ParamType[tuple[str, str]]):
    """`COMPONENT=REF`."""

    name = "COMPONENT=REF"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, ref = value.partition("=")
        if not (name and equals and ref):
            self.fail(f"{value!r} is not COMPONENT=REF, as in --base kernel=v6.19", param, ctx)
        return name, ref

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with suppress(ReviewbotError, OSError, ValueError):
            return _offer([f"{name}=" for name in components(ctx)], incomplete)
        return []


class Selection(click.ParamType[str]):
    """Words as fstests' `check` takes them; a test or group is offered for the last one."""

    name = "SELECTION"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, space, last = incomplete.rpartition(" ")
        known = names.shipped()
        group = before.rpartition(" ")[2] in ("-g", "-x")
        return _offer(sorted(known.groups if group else known.tests), last, before + space)


class Run(click.ParamType[str]):
    """An id, a unique prefix of one, or `latest`."""

    name = "RUN"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem("latest")] if "latest".startswith(incomplete) else []
        for run in list(reversed(_runs().list()))[:_OFFERED]:
            if run.id.startswith(incomplete):
                posting = _read(run, "plan.json").get("posting")
                subject = posting.get("subject", "") if isinstance(posting, dict) else ""
                found.append(CompletionItem(run.id, help=" ".join(str(subject).split())[:70]))
        return found


def run_legs(context: click.Context) -> Iterable[str]:
    """Of the run that was named before."""
    return [str(leg.get("leg")) for leg in _entries(_named(context), "plan.json", "legs")]


def run_tests(context: click.Context) -> Iterable[str]:
    """Of the run that was named before: those that did not pass first."""
    seen: dict[str, bool] = {}
    for leg in _entries(_named(context), "results.json", "legs"):
        for test in leg.get("tests") or ():
            name = test_name(str(test["suite"]), str(test["test"]))
            seen[name] = seen.get(name, False) or test["outcome"] not in ("PASS", "NOTRUN")
    return sorted(seen, key=lambda name: (not seen[name], name)) or [f"smoke/{check}" for check in smoke.CHECKS]


def _runs() -> Runs:
    return Runs(data_dir() / "runs")


def _named(context: click.Context) -> RunFolder:
    return _runs().find(context.params.get("run") or "latest")


def _entries(run: RunFolder, file: str, name: str) -> Sequence[Mapping[str, Any]]:
    found = _read(run, file).get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else ()


def _read(run: RunFolder, name: str) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        data = json.loads((run.path / name).read_bytes())
        return data if isinstance(data, dict) else {}
    return {}

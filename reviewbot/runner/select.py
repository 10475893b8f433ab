# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fstests run in each leg: the selection, what is known without running, and what fits into a budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from reviewbot.model.artifacts import Fact
from reviewbot.model.results import LeftOut, Results
from reviewbot.model.shard import measured_as
from reviewbot.model.stack import LegSpec
from reviewbot.model.words import counted
from reviewbot.runner import known_notrun
from reviewbot.runner.context import Context
from reviewbot.runner.shard_run import START
from reviewbot.store import Runs, TestSeconds, read_if_whole
from reviewbot.suites import fstests
from reviewbot.suites.budget import Budgeted, Host, Wanted, within
from reviewbot.suites.selection import Selection
from reviewbot.suites.suite import SUITES
from reviewbot.suites.worth import Judge, lately, load_touched, touched_groups

UNKNOWN = 2.0
"""Seconds, on a machine of slow factor 1, of a test when nothing is known of any."""
SLOW = {"tcg": 8.0}
"""Slow factor of an accelerator before any machine has measured it; of others 1."""
RECENT = 20
"""Runs that say what went wrong lately."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What fstests do in one leg."""

    selection: Selection
    answers: Mapping[str, str] = field(default_factory=dict)
    """Test that need not be run -> what it would say."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def choose(legs: Sequence[LegSpec], context: Context, suites: Sequence[str]) -> dict[str, Chosen]:
    """By name of the leg. Raises UsageError when the selection names what there is not, ConfigError."""
    tree = Path(context.build.artifacts.artifacts["fstests"].path) / "root" / "stack" / "fstests"
    found = {}
    for leg in legs:
        selection = fstests.select(tree, context.tests.selection, leg, lambda name: fact(name, context))
        selection = selection.also(context.tests.added.get(leg.name, ()))
        answers = known_notrun.answers(leg, selection.tests, context) if not context.tests.fresh else {}
        found[leg.name] = Chosen(selection, answers, notes=selection.notes)
    return _within_budget(found, context, suites) if context.tests.budget else found


def fact(name: str, context: Context) -> Fact | None:
    """What is under test, for the conditions of excludes."""
    machine = context.conditions
    plain: Mapping[str, Fact] = {
        "accelerator": context.accelerator.name,
        "variant": context.build.variant.name,
        "memory": machine.memory,
        "cpus": machine.cpus,
        "scratch_gib": min((disk.size for disk in machine.disks), default=0) >> 30,
    }
    return plain[name] if name in plain else context.build.artifacts.fact(name)


def recent(runs: Runs) -> tuple[Results, ...]:
    """Results of the last runs, the newest last; those of other versions of reviewbot are left out."""
    found = (read_if_whole(run.path / "results.json", Results) for run in runs.list()[-RECENT:])
    return tuple(filter(None, found))


def slow_factor(context: Context) -> float:
    """How much slower than a good machine those of this host are."""
    name = context.accelerator.name
    return context.durations.slow(name) or SLOW.get(name, 1.0)


def _within_budget(found: Mapping[str, Chosen], context: Context, suites: Sequence[str]) -> dict[str, Chosen]:
    budget, slow = context.tests.budget, slow_factor(context)
    assert budget is not None
    wanted, guessed = [], {}
    for name, chosen in found.items():
        known = {test: one.seconds for test, one in _durations(name, context).items()}
        tests = [known[test] for test in known if test.startswith("fstests/")]
        usual, quick = (mean(tests), median(tests)) if tests else (UNKNOWN, UNKNOWN)
        free = chosen.selection.why_not.keys() | chosen.answers.keys()
        mine = [test for test in chosen.selection.tests if test not in free]
        guessed[name] = sum(f"fstests/{test}" not in known for test in mine)
        for test in mine:
            guess = quick if "quick" in chosen.selection.groups.get(test, ()) else usual
            wanted.append(Wanted(name, test, slow * known.get(f"fstests/{test}", guess)))
    groups = next((chosen.selection.groups for chosen in found.values()), {})
    judge = Judge(groups, touched_groups(budget.changed, load_touched()), lately(recent(Runs(context.run.path.parent))))
    host = Host(budget.machines or context.machines, slow * START, _ordered(found, context, suites, slow))
    fitting = within(wanted, judge, budget.seconds, host)
    return {
        name: _cut(name, chosen, fitting, guessed[name], context.tests.first.get(name, ()))
        for name, chosen in found.items()
    }


def _durations(leg: str, context: Context) -> Mapping[str, TestSeconds]:
    return context.durations.tests(measured_as(leg, context.build.variant.name), context.accelerator.name)


def in_order(suites: Sequence[str], rows: str) -> dict[str, float]:
    """Steps of the suites that go in order -> seconds, on a machine of slow factor 1, when nothing is known of one.

    rows: of bench, as `--rows` has them. Raises UsageError for a row that is none.
    """
    return {step: guess for name in SUITES if name in suites for step, guess in SUITES[name].guesses(rows).items()}


def _ordered(found: Mapping[str, Chosen], context: Context, suites: Sequence[str], slow: float) -> dict[str, float]:
    seconds = {}
    for name in found:
        known = _durations(name, context)
        steps = in_order(suites, context.tests.rows)
        seconds[name] = slow * sum(known[step].seconds if step in known else guess for step, guess in steps.items())
    return seconds


def _cut(name: str, chosen: Chosen, fitting: Budgeted, guessed: int, first: Sequence[str]) -> Chosen:
    left = {one.test: one.seconds for one in fitting.left_out if one.leg == name and one.test not in first}
    selection = chosen.selection.without(left)
    out = tuple(
        LeftOut(suite="fstests", test=test, seconds=round(seconds, 1), reason="does not fit into the budget")
        for test, seconds in sorted(left.items())
    )
    notes = (
        [f"how long {counted(guessed, 'test')} will take is unknown and estimated from the others"] if guessed else []
    )
    if not set(selection.tests) - chosen.answers.keys() - selection.why_not.keys():
        notes.append("no test that still has to run fits into the budget")
    return Chosen(selection, chosen.answers, out, (*chosen.notes, *notes))

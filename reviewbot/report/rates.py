# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a test failed, in words."""

from reviewbot.model.comparison import Class, Compared, Counts, Side
from reviewbot.model.results import Outcome
from reviewbot.model.words import one_line


def counts(found: Counts) -> str:
    """`4/5`: failures of runs."""
    return f"{found.failed}/{found.runs}"


def rates(test: Compared) -> str:
    """`4/4 on head, 0/4 on base`, `4/4 on head, NOTRUN 4/4 on base`; without a side that was not run again."""
    if not test.head.runs:
        return f"{counts(test.base)} on base"
    if not test.base.runs:
        return f"{counts(test.head)} on head"
    return f"{counts(test.head)} on head, {_on_base(test)} on base"


def _on_base(test: Compared) -> str:
    """A test that cannot run neither fails nor passes."""
    said = {rerun.outcome for rerun in test.reruns if rerun.side is Side.BASE and not rerun.outcome.unknown}
    return f"NOTRUN {test.base.runs}/{test.base.runs}" if said == {Outcome.NOTRUN} else counts(test.base)


def spread(test: Compared) -> str:
    """`1/5 on head (4 to 62 %), 0/5 on base (0 to 43 %)`: with 95 % intervals of the rates."""
    sides = {"head": test.head, "base": test.base}
    return ", ".join(f"{counts(one)} on {name} ({_between(one)})" for name, one in sides.items() if one.runs)


def _between(found: Counts) -> str:
    low, high = found.interval()
    return f"{low * 100:.0f} to {high * 100:.0f} %"


def past(test: Compared) -> str:
    """`; known to fail 6/20 times; before: ..F.......`, one letter per other run, the oldest first."""
    known = f"; known to fail {counts(test.flakes)} times" if test.flakes.failed else ""
    return f"{known}; before: {strip(test)}" if test.earlier else known


def strip(test: Compared) -> str:
    """Last outcomes in other runs, the oldest first, a letter each."""
    return "".join(letter(one.outcome) for one in test.earlier)


def letter(outcome: Outcome) -> str:
    """`.` passed, `-` could not run, else the first letter."""
    return {Outcome.PASS: ".", Outcome.NOTRUN: "-"}.get(outcome, outcome.value[0])


def otherwise(test: Compared) -> str:
    """How head and base fail, when they do so in different ways; else empty."""
    if not test.said_on_base:
        return ""
    head, base = (one_line(words, 120) for words in (test.reason, test.said_on_base))
    return f"{test.leg} {test.suite}/{test.test} fails in another way than on base: “{head}”, on base “{base}”"


APART = (
    (Class.PRE_EXISTING, "fails on base, too", "fail on base, too"),
    (Class.FLAKY, "passes and fails with the same patches", "pass and fail with the same patches"),
    (
        Class.CONSEQUENCE,
        "failed after a check that hung or crashed, and passes alone",
        "failed after a check that hung or crashed, and pass alone",
    ),
    (
        Class.UNDECIDED,
        "failed on head and never on base, but too rarely to be conclusive",
        "failed on head and never on base, but too rarely to be conclusive",
    ),
)
"""What is told apart from what is new: class -> words for one test, and for several."""


def aside(test: Compared) -> str:
    """Why what is said of a test decides nothing: `fails on base, too (2/2 on base)`; empty: it may decide."""
    if test.kind is Class.QUARANTINED and test.quarantine:
        return f"in quarantine until {test.quarantine.expires}: {test.quarantine.reason}"
    if test.kind is Class.WITHDRAWN:
        return f"passes on base; the posting says: “{test.announced}”"
    words = next((one for kind, one, _ in APART if kind is test.kind), "")
    said = spread if test.kind is Class.FLAKY else rates
    return f"{words} ({said(test)})" if words else ""

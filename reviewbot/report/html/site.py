# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages over many runs: the list of them, the last outcomes of each test in a leg, and two runs side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from reviewbot.model.base import Model
from reviewbot.model.results import Outcome
from reviewbot.model.verdict import ExitStatus, VerdictKind
from reviewbot.report.html.engine import EARLY, asset, environment, policy
from reviewbot.report.rates import letter

STRIP = 20
"""Runs that a trend shows."""
_BROKEN = frozenset(outcome for outcome in Outcome if outcome.broken)


class SiteRun(Model):
    """One run in the list: `index.json` has all of them, the newest first."""

    run: str
    kind: str
    """Its verdict."""
    summary: str = ""
    subject: str = ""
    author: str = ""
    topic: str = ""
    """Message-ID of the posting."""
    started: str = ""
    """ISO 8601, UTC; empty: not recorded."""
    command: str = ""
    variant: str = ""
    legs: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    """Outcome -> tests."""
    source: str = ""
    """State of the run's files when its page was made."""


class SiteTests(Model):
    """`runs/ID/run.json`: the outcomes of one run."""

    run: SiteRun
    legs: tuple[str, ...] = ()
    tests: dict[str, tuple[str, ...]] = {}
    """`fstests/generic/001` -> outcome per leg; empty where it was not planned."""
    reasons: dict[str, str] = {}
    """Test -> why it did not pass in the first leg where it did not."""


class Trend(Model):
    """The last outcomes of one test in one leg."""

    test: str
    strip: str
    """A letter per run, the oldest first: `.` passed, `-` could not run, else the outcome's first; a blank: not run."""
    failed: int
    ran: int
    """Of the strip: runs that passed or failed."""
    last: str = ""
    """The newest run in which it failed, or empty."""


class Trends(Model):
    """`trends/LEG.json`."""

    leg: str
    runs: tuple[str, ...]
    """The oldest first."""
    trends: tuple[Trend, ...]


def trends(leg: str, runs: Sequence[SiteTests]) -> Trends:
    """runs: the newest last; those of other variants than the plain stack say nothing here."""
    chosen = [one for one in runs if leg in one.legs and not one.run.variant][-STRIP:]
    names = dict.fromkeys(name for one in reversed(chosen) for name in one.tests)
    found = []
    for name in names:
        outcomes = [one.tests.get(name, ("",) * len(one.legs))[one.legs.index(leg)] for one in chosen]
        failed = [one.run.run for one, outcome in zip(chosen, outcomes, strict=True) if outcome in _BROKEN]
        ran = sum(outcome in _BROKEN or outcome == Outcome.PASS for outcome in outcomes)
        if any(outcomes):
            found.append(
                Trend(
                    test=name,
                    strip="".join(letter(Outcome(outcome)) if outcome in set(Outcome) else " " for outcome in outcomes),
                    failed=len(failed),
                    ran=ran,
                    last=failed[-1] if failed else "",
                )
            )
    found.sort(key=lambda one: (-(one.failed / one.ran if one.ran else 0), one.test))
    return Trends(leg=leg, runs=tuple(one.run.run for one in chosen), trends=tuple(found))


def index_page(runs: Sequence[SiteRun], legs: Sequence[str]) -> str:
    """runs: the newest first. legs: those that have a page of trends."""
    kinds = Counter(one.kind for one in runs)
    return _page("site-index.html", title="Runs", here="", runs=runs, legs=legs, kinds=kinds, tones=_tones(kinds))


def trends_page(found: Trends) -> str:
    """One leg."""
    return _page("site-trends.html", title=f"Trends of {found.leg}", here="../", found=found)


def compare_page() -> str:
    """Any two runs: the page asks for their twins."""
    return _page("site-compare.html", title="Two runs", here="")


def _tones(kinds: Mapping[str, int]) -> dict[str, str]:
    tones = {ExitStatus.PASS: "good", ExitStatus.SERIES: "bad"}
    known = {str(kind): tones.get(kind.exit_status, "held") for kind in VerdictKind}
    return {kind: known.get(kind, "held") for kind in kinds}


def _page(template: str, **facts: object) -> str:
    script = asset("site.js")
    return (
        environment()
        .get_template(template)
        .render(
            policy=policy(script, "'self'"),
            script=Markup(script),
            early=Markup(EARLY),
            style=Markup(asset("page.css")),
            **facts,
        )
    )

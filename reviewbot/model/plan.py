# SPDX-License-Identifier: GPL-2.0-or-later
"""What would be done, and why."""

from reviewbot.model.base import Model
from reviewbot.model.posting import Posting
from reviewbot.model.trees import Trees
from reviewbot.model.variants import PLAIN, Variant

SUITES = ("smoke", "fstests")
"""By default."""
BLAME = 600.0
"""Seconds for the search of one guilty patch, by default."""


class SourcePlan(Model):
    """Where one component would come from."""

    component: str
    source: str
    base: str
    why: str


class LegPlan(Model):
    """One leg that was asked for."""

    leg: str
    why: str
    needs: tuple[str, ...]
    doubt: str = ""
    """Why it cannot give the proof that it demands, as far as the mails tell; one line."""


class Expected(Model):
    """How long a run should take on this host, as far as that is known before anything is fetched."""

    tests: float | None
    """Seconds of the tests of all legs; None: which tests are meant is known only when fstests are built."""
    machines: int
    """That run at once."""
    builds: float
    """Seconds that the builds took here the last time; what is in the store takes none."""
    never_built: tuple[str, ...]
    """What was never built here, so that its time is not known."""


class Extent(Model):
    """How much is tested in each leg, and what becomes of failures."""

    suites: tuple[str, ...] = SUITES
    tests: str = ""
    """Selection for fstests; empty in a request: the stack's own."""
    rows: str = ""
    """Of the bench suite: `full`, or names; empty: those by default."""
    budget: float = 0.0
    """Seconds for the tests of all legs; what does not fit is left out. 0: no limit."""
    compare: bool = True
    """Whether what does not pass on head is run on base, and again."""
    blame: float = BLAME
    """Seconds for the search of the patch that brought a new failure; 0: no search."""
    compat: bool = False
    """Whether smoke runs on every combination of changed components at base and head."""
    prefixes: bool = False
    """Whether smoke runs with the first part only, the first two, and so on."""
    deep: bool = False
    """Whether variants of the stack are built and tested, too."""


class Plan(Extent):
    """Everything `apply-and-test` is about to do."""

    posting: Posting
    rfc: bool
    """Whether RFC parts are applied."""
    sources: tuple[SourcePlan, ...]
    legs: tuple[LegPlan, ...]
    expected: Expected | None = None
    variant: Variant = PLAIN
    """What is built and run otherwise than in the plain stack."""
    arguments: tuple[str, ...] = ()
    """Options of the command line that say the same again: `--legs`, `ext4,fuse4fs`, …; those by default are left
    out."""
    trees: Trees | None = None
    """What came out when the bases were tried; None: nothing was fetched."""

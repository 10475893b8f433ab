# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user asks for. Names that cannot be meant are refused before anything is fetched or built."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.build import needs
from reviewbot.config import choose_variant, load_stack
from reviewbot.host.process import CommandFailed, CommandTimeout
from reviewbot.intake import Ask
from reviewbot.model.errors import UsageError
from reviewbot.model.plan import Plan
from reviewbot.model.stack import Source, Stack
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from reviewbot.suites import bench, names, selection
from reviewbot.suites.names import Names

SUITES = ("smoke", "fstests")
"""By default."""
BENCH = "bench"
EVERY = (*SUITES, BENCH)
FSTESTS = "fstests"
QUICK = "-g quick"
"""Tests of a deep run, by default."""
BLAME = 600.0
"""Seconds for the search of one guilty patch, by default."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    series: Ask = field(default_factory=Ask)
    """What is taken in."""
    legs: tuple[str, ...] = ()
    """Empty: all legs of the stack."""
    suites: tuple[str, ...] = SUITES
    tests: str = ""
    """Empty: the stack's default selection."""
    variants: tuple[str, ...] = ()
    """Names, all in one build; empty: the plain stack."""
    rows: str = ""
    """Of bench: `full`, or names; empty: those by default."""
    budget: float = 0.0
    """Seconds for the tests of all legs; 0: no limit."""
    fresh: bool = False
    review: bool = True
    """False: `apply_and_test` does not look at the patches one by one."""
    build: bool = True
    """False: `review` builds nothing."""
    compare: bool = True
    """False: what does not pass on head is not run on base, nor again."""
    blame: float = BLAME
    """Seconds for the search of the guilty patch of each new failure; 0: no search."""
    compat: bool = False
    """Run smoke on every combination of changed components at base and head."""
    prefixes: bool = False
    """Run smoke with the first part only, with the first two, and so on."""
    deep: bool = False
    """Test more by default, every mix of changed components, and variants of the stack."""
    shards: int = 0
    """Into how many shards fstests are cut, to be run elsewhere; 0: they run here."""
    shard_dir: Path | None = None
    """Where these go."""
    on: str = ""
    """Which hosts run the machines, by their name in the site file; empty: this one."""
    command: tuple[str, ...] = ()
    """The command line that asks for this, for the record."""


def arguments(request: Request) -> tuple[str, ...]:
    """Options that ask for the same again, without the series."""
    found: list[str] = []
    for option, words in (
        ("--legs", ",".join(request.legs)),
        ("--suites", ",".join(request.suites) if request.suites != SUITES else ""),
        ("--tests", request.tests),
        ("--rows", request.rows),
        ("--budget", f"{request.budget:.0f}s" if request.budget else ""),
        ("--variant", ",".join(request.variants)),
        ("--blame", f"{request.blame:.0f}s" if request.blame != BLAME else ""),
        ("--on", request.on),
        *(("--base", f"{component}={ref}") for component, ref in request.series.bases.items()),
    ):
        found += (option, words) if words else ()
    for flag, given in (
        ("--no-compare", not request.compare),
        ("--compat", request.compat),
        ("--prefixes", request.prefixes),
        ("--deep", request.deep),
        ("--no-review", not request.review),
        ("--no-build", not request.build),
    ):
        found += [flag] if given else []
    return tuple(found)


def check_request(request: Request, stack: Stack, cache: Path) -> None:
    """What can be said without fetching anything. Raises UsageError, ConfigError."""
    _among(request.legs, [leg.name for leg in stack.legs], f"stack {stack.name} has no leg", "legs")
    _among(request.suites, EVERY, "no suite", "suites")
    bench.chosen(request.rows)
    _among(
        request.series.bases,
        [component.name for component in stack.components],
        "--base: no such component",
        "components",
    )
    choose_variant(request.variants)
    if request.deep and request.variants:
        raise UsageError("--deep brings variants of its own", hint="leave --variant out")
    if request.on and request.shards:
        raise UsageError("--on hands shards out by itself", hint="leave --shards or --on out")
    if request.deep and request.shards:
        raise UsageError("--deep cannot be cut into shards", hint="leave --deep or --shards out")
    words = selection.parse(request.tests)
    if request.tests and FSTESTS in request.suites and (known := _known(stack, cache)):
        names.check_names(words, known)


def check_tests(request: Request, stack: Stack, trees: Trees) -> None:
    """The selection against the patched fstests, once these are there and before they are built. Raises UsageError."""
    tree = trees.get(FSTESTS)
    if not request.tests or FSTESTS not in request.suites or tree is None:
        return
    try:
        groups = names.groups_of_commit(Path(tree.repository), tree.head_commit)
    except (CommandFailed, CommandTimeout):
        return  # the built tree has the last word
    words = selection.parse(request.tests)
    for leg in (leg for leg in stack.legs if groups and (not request.legs or leg.name in request.legs)):
        selection.choose(words, groups, leg, ())


def _among(given: Iterable[str], there: Sequence[str], problem: str, what: str) -> None:
    for name in given:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.75)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"{problem} {name}", hint=f"{meant}{what}: {', '.join(there)}")


def _known(stack: Stack, cache: Path) -> Names | None:
    """Tests and groups of the fstests that would be tested with; None: only fetching them will tell."""
    source = stack.component(FSTESTS).source
    if local := _local(source):
        return Names.of(local)
    if source != load_stack(stack.name).component(FSTESTS).source:
        return None
    built = [Names.of(selection.read_groups(folder)) for folder in _built(cache)]
    return Names(
        names.shipped().tests.union(*(one.tests for one in built)),
        names.shipped().groups.union(*(one.groups for one in built)),
    )


def _local(source: Source) -> Mapping[str, frozenset[str]]:
    """Of a folder or repository on this machine; empty when it is elsewhere, or no fstests."""
    try:
        if source.provider == "dir":
            return names.groups_of_folder(Path(source.path))
        if source.provider == "git" and (place := Path(source.url)).is_dir():
            return names.groups_of_commit(place / ".git" if (place / ".git").exists() else place, source.ref or "HEAD")
    except (OSError, CommandFailed, CommandTimeout):
        pass  # a run will say what is wrong with it
    return {}


def _built(cache: Path) -> Iterator[Path]:
    for artifact in Store(cache).of(FSTESTS):
        folder = Path(artifact.path) / "root" / "stack" / "fstests"
        if any((folder / "tests").glob("*/group.list")):
            yield folder


def components_of(planned: Plan, stack: Stack) -> tuple[str, ...]:
    """What the legs and suites need, and what the posting changes, in the stack's order."""
    wanted = {need for leg in planned.legs for need in leg.needs}
    wanted |= {part.component for part in planned.posting.parts if planned.rfc or not part.rfc}
    if "fstests" in planned.suites:
        wanted.add("fstests")
    # A later component is built with earlier ones only.
    for component in reversed(stack.components):
        if component.name in wanted:
            wanted |= set(needs(component.recipe))
    return tuple(component.name for component in stack.components if component.name in wanted)

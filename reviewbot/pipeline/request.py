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
from reviewbot.model.plan import BLAME, SUITES, Extent, Plan
from reviewbot.model.stack import Source, Stack
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from reviewbot.suites import bench, names, selection
from reviewbot.suites.names import Names

BENCH = "bench"
EVERY = (*SUITES, BENCH)
FSTESTS = "fstests"
QUICK = "-g quick"
"""Tests of a deep run, by default."""


class TestRequest(Extent):
    """What is tested."""

    __test__ = False  # pytest: not a test class

    legs: tuple[str, ...] = ()
    """Empty: all legs of the stack."""
    variants: tuple[str, ...] = ()
    """Names, all in one build; empty: the plain stack."""


@dataclass(frozen=True, slots=True)
class HowToRun:
    """Which steps are taken, and where the machines run."""

    fresh: bool = False
    """True: run even what ran before."""
    review: bool = True
    """False: `apply_and_test` does not look at the patches one by one."""
    build: bool = True
    """False: `review` builds nothing."""
    shards: int = 0
    """Into how many shards fstests are cut, to be run elsewhere; 0: they run here."""
    shard_dir: Path | None = None
    """Where these go."""
    on: str = ""
    """Which hosts run the machines, by their name in the site file; empty: this one."""
    command: tuple[str, ...] = ()
    """The command line that asks for this, for the record."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for, by who needs it: intake, the plan, the run."""

    series: Ask = field(default_factory=Ask)
    tests: TestRequest = field(default_factory=TestRequest)
    how: HowToRun = field(default_factory=HowToRun)


def arguments(request: Request) -> tuple[str, ...]:
    """Options that ask for the same again, without the series."""
    tests, how = request.tests, request.how
    found: list[str] = []
    for option, words in (
        ("--legs", ",".join(tests.legs)),
        ("--suites", ",".join(tests.suites) if tests.suites != SUITES else ""),
        ("--tests", tests.tests),
        ("--rows", tests.rows),
        ("--budget", f"{tests.budget:.0f}s" if tests.budget else ""),
        ("--variant", ",".join(tests.variants)),
        ("--blame", f"{tests.blame:.0f}s" if tests.blame != BLAME else ""),
        ("--on", how.on),
        *(("--base", f"{component}={ref}") for component, ref in request.series.bases.items()),
    ):
        found += (option, words) if words else ()
    for flag, given in (
        ("--no-compare", not tests.compare),
        ("--compat", tests.compat),
        ("--prefixes", tests.prefixes),
        ("--deep", tests.deep),
        ("--no-review", not how.review),
        ("--no-build", not how.build),
    ):
        found += [flag] if given else []
    return tuple(found)


def check_request(request: Request, stack: Stack, cache: Path) -> None:
    """What can be said without fetching anything. Raises UsageError, ConfigError."""
    tests, how = request.tests, request.how
    _among(tests.legs, [leg.name for leg in stack.legs], f"stack {stack.name} has no leg", "legs")
    _among(tests.suites, EVERY, "no suite", "suites")
    bench.chosen(tests.rows)
    _among(
        request.series.bases,
        [component.name for component in stack.components],
        "--base: no such component",
        "components",
    )
    choose_variant(tests.variants)
    if tests.deep and tests.variants:
        raise UsageError("--deep selects its own variants", hint="drop --variant")
    if how.on and how.shards:
        raise UsageError("--on creates its own shards", hint="drop --shards or --on")
    if tests.deep and how.shards:
        raise UsageError("--deep cannot be split into shards", hint="drop --deep or --shards")
    words = selection.parse(tests.tests)
    if tests.tests and FSTESTS in tests.suites and (known := _known(stack, cache)):
        names.check_names(words, known)


def check_tests(tests: TestRequest, stack: Stack, trees: Trees) -> None:
    """The selection against the patched fstests, once these are there and before they are built. Raises UsageError."""
    tree = trees.get(FSTESTS)
    if not tests.tests or FSTESTS not in tests.suites or tree is None:
        return
    try:
        groups = names.groups_of_commit(Path(tree.repository), tree.head_commit)
    except (CommandFailed, CommandTimeout):
        return  # the built tree has the last word
    words = selection.parse(tests.tests)
    for leg in (leg for leg in stack.legs if groups and (not tests.legs or leg.name in tests.legs)):
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

# SPDX-License-Identifier: GPL-2.0-or-later
"""Old and new parts of a stack together: which stacks are made, and what counts against the series."""

from collections.abc import Mapping

from reviewbot.config import load_stack
from reviewbot.model.comparison import Cell, Comparison
from reviewbot.model.errors import SeriesAtFault
from reviewbot.model.posting import Part, Patch, Posting
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.trees import Trees
from reviewbot.pipeline.mixed import Mixed, with_mixed
from reviewbot.runner import Context
from tests.played import LEG, Lab, World, other, tree_of, with_build

PARTS = ("kernel", "libfuse", "e2fsprogs")
STACK = load_stack()


def part(component: str) -> Part:
    patch = Patch(message_id=f"{component}@x", subject="a patch", author="A <a@x>", number=1, paths=())
    return Part(component=component, counter="1/1", rfc=False, subject="a part", cover=None, patches=(patch,))


POSTING = Posting(top="t@x", subject="s", author="A <a@x>", source="x", parts=tuple(map(part, PARTS)))


class Stacks:
    """Head and base of a posting that changes all of PARTS, and stacks that are built when somebody asks."""

    def __init__(self, world: World, changed: tuple[str, ...] = PARTS, broken: tuple[str, ...] = ()) -> None:
        self.world, self.changed, self.broken = world, changed, broken
        self.built: list[tuple[str, ...]] = []
        self.base = with_build(world.context(), artifacts=other(world.artifacts, *changed))
        self.head = world.context()
        self.first: LegResult = world.run("smoke", context=self.head)

    def build_at(self, commits: Mapping[str, str]) -> Context:
        self.built.append(tuple(commits))
        if self.broken == tuple(commits):
            raise SeriesAtFault(f"{self.broken[0]} does not build: x.c:1: error")
        old = tuple(one for one in self.changed if one not in commits)
        artifacts = other(self.world.artifacts, *old) if old else self.world.artifacts
        return with_build(self.head, artifacts=artifacts)

    def mixed(self) -> Mixed:
        return Mixed(self.head, self.base, self.build_at, Trees(trees=tuple(map(tree_of, self.changed))), STACK)

    def cells(self, lab: Lab, *, full: bool = False) -> tuple[Cell, ...]:
        with self.world.playing(lab):
            return with_mixed(Comparison(), [LEG], [self.first], self.mixed, full=full).cells


def test_new_user_space_runs_on_the_old_kernel_and_the_other_way_round_and_nothing_is_built(world: World) -> None:
    stacks = Stacks(world)
    found = stacks.cells(Lab())
    assert [(cell.patched, cell.outcome, cell.only_here) for cell in found] == [
        (("libfuse", "e2fsprogs"), Outcome.PASS, ()),
        (("kernel",), Outcome.PASS, ()),
    ]
    assert stacks.built == []


def test_a_check_may_take_as_long_on_a_mixed_stack_as_on_head_and_base(world: World) -> None:
    lab = Lab()
    Stacks(world).cells(lab)
    base, *mixed = [{step.name: step.timeout for step in job.steps} for job in lab.jobs]
    assert len(mixed) == 2 and all(limits.items() <= base.items() for limits in mixed)


def test_a_mount_that_fails_only_on_a_mixed_stack_is_run_again_and_named(world: World) -> None:
    # Smoke runs on base, on new user space above the old kernel, and there again.
    found = Stacks(world).cells(Lab(script={"smoke/mount": ["done", "fail", "fail"]}))
    assert [(cell.patched, cell.only_here) for cell in found] == [
        (("libfuse", "e2fsprogs"), ("mount",)),
        (("kernel",), ()),
    ]
    assert Comparison(cells=found).broken_cells == found[:1]


def test_a_check_that_passes_again_or_fails_on_base_is_not_held_against_the_series(world: World) -> None:
    chance = Stacks(world).cells(Lab(script={"smoke/mount": ["done", "fail", "done"]}))
    assert Comparison(cells=chance).broken_cells == ()


def test_a_check_that_the_series_mends_fails_on_old_user_space_as_on_base(world: World) -> None:
    found = Stacks(world).cells(Lab(script={"smoke/acl": ["fail", "done", "fail"]}))
    assert [(cell.patched, cell.failed, cell.only_here) for cell in found] == [
        (("libfuse", "e2fsprogs"), (), ()),
        (("kernel",), ("acl",), ()),
    ]


def test_a_posting_that_leaves_the_kernel_alone_has_no_mixed_stacks(world: World) -> None:
    stacks = Stacks(world, ("libfuse", "e2fsprogs"))
    assert stacks.cells(Lab()) == () and stacks.world.lab.jobs == []


def test_the_whole_table_has_every_combination_and_names_those_that_do_not_build(world: World) -> None:
    stacks = Stacks(world, broken=("libfuse",))
    found = {cell.patched: cell for cell in stacks.cells(Lab(), full=True)}
    assert len(found) == 8 and () in found and PARTS in found
    assert sorted(stacks.built) == sorted(patched for patched in found if patched not in ((), PARTS))
    assert (found["libfuse",].built, found["libfuse",].reason) == (False, "libfuse does not build: x.c:1: error")
    assert all(cell.outcome is Outcome.PASS for patched, cell in found.items() if patched != ("libfuse",))


def test_parts_are_added_one_by_one_until_all_are_applied(world: World) -> None:
    stacks = Stacks(world, broken=("kernel", "libfuse"))
    with world.playing(Lab(script={"smoke/acl": ["fail"]})):
        found = stacks.mixed().prefixes([LEG], POSTING, rfc=False)
    assert [(prefix.parts, prefix.part, tuple(prefix.commits)) for prefix in found] == [
        (1, "kernel part 1/1", PARTS[:1]),
        (2, "libfuse part 1/1", PARTS[:2]),
        (3, "e2fsprogs part 1/1", PARTS),
    ]
    assert [prefix.problem for prefix in found] == ["", "kernel does not build: x.c:1: error", ""]
    assert [[cell.failed for cell in prefix.legs] for prefix in found] == [[("acl",)], [], [()]]

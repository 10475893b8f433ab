# SPDX-License-Identifier: GPL-2.0-or-later
"""Which repository and which patch is blamed, and what is said when that cannot be known."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from reviewbot.model.comparison import Counts
from reviewbot.verdict.blame import Changed, Search

ALWAYS = Counts(failed=4, runs=4)
NEVER = Counts(runs=4)


def part(component: str, patches: int) -> Changed:
    """Its commits are named by component and number."""
    return Changed(component, tuple(f"{component}-{number}" for number in range(1, patches + 1)))


def from_on(*commits: str) -> Callable[[Mapping[str, str]], bool | None]:
    """The test fails where each of these patches is applied."""

    def fails(stack: Mapping[str, str]) -> bool:
        applied = {name: int(commit.rpartition("-")[2]) for name, commit in stack.items()}
        return all(applied.get(one.rpartition("-")[0], 0) >= int(one.rpartition("-")[2]) for one in commits)

    return fails


def test_the_only_changed_component_is_guilty_without_a_run() -> None:
    found = Search([part("kernel", 1)], ALWAYS, NEVER, from_on("kernel-1")).run()
    assert (found.components, found.runs) == (("kernel",), 0)
    assert found.patches[0].commits == ("kernel-1",)


def test_one_repository_of_three_and_one_patch_of_five_in_few_runs() -> None:
    changed = [part("kernel", 5), part("libfuse", 3), part("e2fsprogs", 2)]
    found = Search(changed, ALWAYS, NEVER, from_on("libfuse-2")).run()
    assert found.components == ("libfuse",)
    assert [(one.component, one.commits) for one in found.patches] == [("libfuse", ("libfuse-2",))]
    assert found.runs <= 10


def test_two_repositories_that_fail_only_together_are_both_named() -> None:
    changed = [part("kernel", 3), part("libfuse", 3), part("e2fsprogs", 2)]
    found = Search(changed, ALWAYS, NEVER, from_on("kernel-2", "libfuse-3")).run()
    assert found.components == ("kernel", "libfuse")
    assert [one.commits for one in found.patches] == [("kernel-2",), ("libfuse-3",)]


def test_a_stack_that_does_not_build_is_named_and_another_one_is_asked() -> None:
    changed = [part("kernel", 2), part("libfuse", 2)]

    def ask(stack: Mapping[str, str]) -> bool | None:
        return None if set(stack) == {"kernel"} else from_on("libfuse-1")(stack)

    found = Search(changed, ALWAYS, NEVER, ask).run()
    assert found.components == ("libfuse",)
    assert found.untestable == ("kernel",)


def test_a_patch_whose_state_does_not_build_is_passed_over() -> None:
    def ask(stack: Mapping[str, str]) -> bool | None:
        return None if stack["kernel"] == "kernel-3" else from_on("kernel-4")(stack)

    found = Search([part("kernel", 5)], ALWAYS, NEVER, ask).run()
    assert "kernel up to patch 3" in found.untestable
    assert found.patches[0].commits == ("kernel-3", "kernel-4")


def test_when_the_budget_is_spent_no_single_patch_is_named() -> None:
    left = iter([True, False])
    head, base = Counts(failed=3, runs=10), Counts(runs=10)
    found = Search([part("kernel", 8)], head, base, from_on("kernel-4"), lambda: next(left, False)).run()
    assert found.runs == 1
    assert len(found.patches[0].commits) > 1
    assert found.patches[0].probability >= 0.9


def test_a_failure_of_a_third_of_the_runs_is_blamed_on_its_repository() -> None:
    changed = [part("kernel", 1), part("libfuse", 1)]
    dice = iter([False, False, True] * 200)

    def ask(stack: Mapping[str, str]) -> bool:
        return "libfuse" in stack and next(dice)

    found = Search(changed, Counts(failed=10, runs=30), Counts(runs=30), ask).run()
    assert found.components == ("libfuse",)


def test_the_guilty_patch_is_confirmed_with_it_before_it_and_on_head_without_it() -> None:
    tried = []

    def without(component: str, commit: str) -> bool:
        tried.append((component, commit))
        return False

    found = Search([part("kernel", 5)], ALWAYS, NEVER, from_on("kernel-3"), without=without).run()
    (blamed,) = found.patches
    assert blamed.commits == ("kernel-3",)
    assert (blamed.at.failed, blamed.at.runs >= 1) == (blamed.at.runs, True)
    assert (blamed.before.failed, blamed.before.runs >= 1) == (0, True)
    assert blamed.without is False
    assert set(tried) == {("kernel", "kernel-3")}


def test_a_patch_that_seemed_guilty_before_any_run_is_cleared_by_runs() -> None:
    likely = replace(part("kernel", 5), weights=(1.0, 50.0, 1.0, 1.0, 1.0))
    found = Search([likely], ALWAYS, NEVER, from_on("kernel-4")).run()
    assert found.patches[0].commits == ("kernel-4",)


def test_a_patch_that_is_likely_from_the_start_takes_only_the_runs_that_confirm_it() -> None:
    likely = replace(part("kernel", 5), weights=(0.02, 1.0, 0.02, 0.02, 0.02))
    found = Search([likely], ALWAYS, NEVER, from_on("kernel-2")).run()
    assert (found.patches[0].commits, found.runs <= 3) == (("kernel-2",), True)


def test_a_patch_with_which_the_same_is_built_as_without_it_is_never_blamed() -> None:
    """The runs mislead: what they show is the same stack failing and passing."""
    built = {1: "a", 2: "a", 3: "b", 4: "c"}
    dice = iter([True, False, True, True, False] * 40)
    search = Search(
        [part("kernel", 4)],
        Counts(failed=3, runs=10),
        Counts(runs=10),
        lambda stack: next(dice),
        content=lambda stack: built[int(stack["kernel"].rpartition("-")[2])],
    )
    assert "kernel-2" not in search.run().patches[0].commits


def test_when_time_ends_before_the_components_were_divided_none_is_called_guilty() -> None:
    left = iter([True, True, False, False, False, False])
    changed = [part("kernel", 3), part("libfuse", 2)]
    head, base = Counts(failed=3, runs=10), Counts(runs=10)
    found = Search(changed, head, base, lambda stack: False, lambda: next(left, False)).run()
    assert (found.undivided, found.components, found.patches) == (True, ("kernel", "libfuse"), ())

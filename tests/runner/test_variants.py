# SPDX-License-Identifier: GPL-2.0-or-later
"""Variants of the stack: what is wrong in their file is named, and all that one changes is in the keys."""

from pathlib import Path

import pytest

from reviewbot.build.components import RECIPES
from reviewbot.config import choose_variant, load_stack, load_variants
from reviewbot.host.data import data_path
from reviewbot.model.errors import ConfigError, UsageError
from reviewbot.model.lab import GuestJob
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.variants import PLAIN, Variant, joined
from reviewbot.suites import fstests
from tests.played import TESTS, Lab, World, with_build


def run(world: World, variant: Variant = PLAIN) -> tuple[LegResult, list[GuestJob]]:
    result = world.run("fstests", context=with_build(world.context(), variant=variant))
    return result, world.lab.jobs


def test_each_shipped_variant_says_why_and_names_what_there_is() -> None:
    components = {component.name for component in load_stack().components}
    for variant in load_variants().variants:
        assert len(variant.why) > 20
        assert variant.fragments or variant.recipes, f"{variant.name} changes nothing"
        assert set(variant.recipes) <= set(RECIPES) and set(variant.without) <= components
        for program in variant.wrap[:1]:
            assert data_path(program.replace("/stack/", "qemu/")).is_file()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("variants:\n  - name: kasan\n    slwo: 3\n", 3, "variants.0.slwo: unknown key"),
        ("variants:\n  - name: kasan\n    slow: 0.5\n", 3, "variants.0.slow"),
        ("variants:\n  - name: a\n  - name: b\n    fragments: [nothing]\n", 4, "there is no variants/nothing.config"),
        ("variants:\n  - name: a\n    conflicts: [b]\n", 1, "a conflicts with b, which is not here"),
        ("variants:\n  - name: a\n  - name: a\n", 1, "needs its own name"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "variants.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_variants(path)
    assert str(caught.value).startswith(f"{path}:{line}: ") and words in str(caught.value)


def test_unknown_and_clashing_variants_are_refused() -> None:
    with pytest.raises(UsageError, match="no variant kasn") as caught:
        choose_variant(["kasn"])
    assert "kasan" in caught.value.hint
    with pytest.raises(UsageError, match="kasan and kcsan cannot be in one build"):
        choose_variant(["kasan", "kcsan"])


def test_no_variant_is_the_plain_stack() -> None:
    assert choose_variant([]) == PLAIN


def test_several_are_one_whatever_their_order() -> None:
    whole = choose_variant(["lockdep", "kasan", "lockdep"])
    assert whole == choose_variant(["kasan", "lockdep"])
    assert (whole.name, whole.folder, whole.fragments) == ("kasan,lockdep", "kasan+lockdep", ("kasan", "lockdep"))
    parts = [choose_variant([name]) for name in ("kasan", "lockdep")]
    assert (whole.slow, whole.memory) == (parts[0].slow * parts[1].slow, parts[0].memory + parts[1].memory)


def test_flags_for_the_same_recipe_are_joined() -> None:
    one = Variant(name="a", recipes={"e2fsprogs": {"CFLAGS": "-O1"}}, env={"ASAN_OPTIONS": "x=1"})
    two = Variant(name="b", recipes={"e2fsprogs": {"CFLAGS": "-g", "LDFLAGS": "-l"}}, env={"ASAN_OPTIONS": "y=1"})
    whole = joined([two, one])
    assert whole.flags("e2fsprogs") == {"CFLAGS": "-O1 -g", "LDFLAGS": "-l"} and whole.flags("lkl") == {}
    assert whole.env == {"ASAN_OPTIONS": "x=1:y=1"}


def test_several_raise_limits_no_more_than_six_times_and_a_slow_one_as_much_as_it_says() -> None:
    assert joined([Variant(name="a", slow=3), Variant(name="b", slow=1.5)]).slow == 4.5
    assert choose_variant(["kmemleak", "ubsan", "slub", "debug-vfs"]).slow == 6.0
    assert (
        joined([Variant(name="a", slow=9), Variant(name="b", slow=3)]).slow
        == joined([Variant(name="a", slow=9)]).slow
        == 9
    )


def test_a_machine_of_a_variant_has_its_time_words_and_programs(world: World) -> None:
    plain, (before,) = run(world)
    variant = Variant(name="v", kernel_line=("kmemleak=on",), env={"X": "1"}, wrap=("/w", "-a"), slow=3)
    varied, (after,) = run(world, variant)
    assert not plain.reused and not varied.reused, "what a variant changes is in the key"
    assert (before.slow, before.kernel_line) == (1, ()) and (after.slow, after.kernel_line) == (3, ("kmemleak=on",))
    for old, new in zip(before.steps, after.steps, strict=True):
        assert new.argv == ("/w", "-a", *old.argv) and new.env == {**old.env, "X": "1"}
    assert run(world)[0].reused and run(world, variant)[0].reused


def test_after_a_report_that_ends_all_checking_the_next_test_has_a_new_machine(world: World) -> None:
    lab, renewed = Lab({TESTS[2]: ["crash"], TESTS[5]: ["crash"]}), Variant(name="lockdep", renew=True)
    result = world.run("fstests", lab=lab, context=with_build(world.context(), variant=renewed))
    assert [t.outcome for t in result.tests].count(Outcome.CRASH) == 2 and len(result.tests) == len(TESTS)
    assert len(lab.jobs) == 3 and not result.reason, "it is no loss"
    assert lab.asked[1:] == [list(TESTS[3:]), list(TESTS[6:])]
    checks = Lab({"smoke/mount": ["crash"]})
    world.run("smoke", lab=checks, context=with_build(world.context(), variant=renewed))
    assert len(checks.jobs) == 1


def test_durations_of_a_variant_are_kept_apart(world: World) -> None:
    run(world, Variant(name="kasan", slow=3))
    durations = world.context().durations
    assert durations.tests("fuse2fs[kasan]", "tcg") and not durations.tests("fuse2fs", "tcg")
    assert fstests.PREPARE not in durations.tests("fuse2fs[kasan]", "tcg")

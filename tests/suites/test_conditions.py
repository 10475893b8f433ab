# SPDX-License-Identifier: GPL-2.0-or-later
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.artifacts import Fact
from reviewbot.suites.conditions import holds, parse_when, unknown_names

FACTS: dict[str, Fact] = {
    "kernel.release": "6.13.0-rc3-rb-0123", "e2fsprogs.version": "1.47.4", "e2fsprogs.fuse4fs": True, "memory": 2048,
    "cpus": 2, "accelerator": "tcg", "variant": "kasan+lockdep", "libfuse.version": "3.19.0-rc0",
}  # fmt: skip


@pytest.mark.parametrize(
    "when",
    ["", "kernel >= 6.13", "kernel < 6.14", "kernel > 6.12.99", "kernel == 6.13.*", "kernel <= 6.13.0",
     "e2fsprogs.version < 1.47.10", "e2fsprogs.version != 1.46.*", "e2fsprogs.fuse4fs == true", "memory < 4096",
     "cpus == 2", "accelerator == tcg", "variant == *kasan*", "libfuse.version >= 3.19",
     "kernel < 6.14 and accelerator != kvm and memory <= 2048", "kernel>=v6.13"],
)  # fmt: skip
def test_it_holds(when: str) -> None:
    assert holds(when, FACTS.get)


@pytest.mark.parametrize(
    "when",
    ["kernel < 6.13", "e2fsprogs.version >= 1.47.5", "e2fsprogs.fuse4fs == false", "accelerator == kvm",
     "variant == plain", "kernel < 6.14 and accelerator == kvm", "lkl.version < 7"],
)  # fmt: skip
def test_it_does_not_hold(when: str) -> None:
    assert not holds(when, FACTS.get)


@pytest.mark.parametrize(
    ("when", "said"),
    [("kernel", "a comparison"), ("kernel < ", "a comparison"), ("kernel < 6.13 or cpus == 2", "a comparison"),
     ("kernel =< 6.13", "a comparison"), ("kernel < x", "not a version"), ("kernle < 6", "no such name"),
     ("variant < kasan", "be ordered"), ("accelerator == hvf", "one of kvm, tcg"), ("memory < 2G", "is a number"),
     ("kernel < 6.13 and", "a comparison"), ("and", "a comparison")],
)  # fmt: skip
def test_what_is_not_understood_is_said(when: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_when(when)


def test_names_without_a_value_are_told() -> None:
    assert unknown_names("kernel < 7 and lkl.version < 7 and variant == x", FACTS.get) == ("lkl.version",)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_versions_are_ordered_by_their_numbers(one: list[int], other: list[int]) -> None:
    here: dict[str, Fact] = {"kernel.release": ".".join(map(str, one)) + "-rb"}
    version = ".".join(map(str, other))
    size = max(len(one), len(other))
    ours, theirs = one + [0] * (size - len(one)), other + [0] * (size - len(other))
    assert holds(f"kernel < {version}", here.get) == (ours < theirs)
    assert holds(f"kernel >= {version}", here.get) == (ours >= theirs)


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_a_value_error(text: str) -> None:
    try:
        assert all(one.name and one.value for one in parse_when(text))
    except ValueError as error:
        assert str(error)

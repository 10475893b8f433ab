# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of how long things took."""

import os
import re
from pathlib import Path

import pytest

from reviewbot.store import Durations, TestSeconds
from reviewbot.store.durations import estimates
from reviewbot.suites import load_typical


@pytest.fixture
def durations(tmp_path: Path) -> Durations:
    return Durations(tmp_path / "durations.json")


def test_the_last_success_counts_and_a_damaged_file_is_empty(durations: Durations) -> None:
    assert durations.get("build kernel") is None
    durations.put("build kernel", 90.0)
    durations.put("build kernel", 60.0)
    assert durations.get("build kernel") == 60.0
    durations.path.write_text('{"build kernel": 6')
    assert durations.get("build kernel") is None and durations.tests("ext4", "tcg") == {}


def test_tests_are_kept_by_leg_and_accelerator_beside_the_rest(durations: Durations) -> None:
    durations.put("test of something", 1.0)
    durations.put_tests("ext4", "kvm", {"fstests/generic/001": 2.0})
    durations.put_tests("ext4", "tcg", {"fstests/generic/001": 3.0})
    assert durations.tests("ext4", "kvm") == {"fstests/generic/001": TestSeconds(2.0, own=True)}
    assert durations.tests("fuse2fs", "kvm") == {"fstests/generic/001": TestSeconds(3.0, own=False)}


def test_a_variant_learns_from_the_plain_stack_and_the_plain_stack_from_no_variant(durations: Durations) -> None:
    durations.put_tests("ext4", "tcg", {"fstests/generic/001": 2.0})
    durations.put_tests("ext4[kasan]", "tcg", {"fstests/generic/002": 30.0})
    assert set(durations.tests("fuse2fs", "tcg")) == {"fstests/generic/001"}
    assert set(durations.tests("ext4[lockdep]", "tcg")) == {"fstests/generic/001"}
    assert durations.tests("fuse2fs[kasan]", "tcg") == {
        "fstests/generic/001": TestSeconds(2.0, own=False),
        "fstests/generic/002": TestSeconds(30.0, own=False),
    }


def test_one_lucky_run_does_not_undo_what_was_known(durations: Durations) -> None:
    for seconds, kept in ((8.0, 8.0), (2.0, 5.0), (9.0, 9.0)):
        durations.put_tests("ext4", "tcg", {"fstests/generic/001": seconds})
        assert durations.tests("ext4", "tcg")["fstests/generic/001"].seconds == kept


def test_another_leg_is_scaled_by_the_tests_that_both_know() -> None:
    other = {f"fstests/generic/{n:03}": 1.0 + n for n in range(8)}
    own = {test: 4 * seconds for test, seconds in list(other.items())[:5]}
    found = estimates(own, [other])
    assert [found[test].seconds for test in other] == [4.0 * (1 + n) for n in range(8)]
    assert [found[test].own for test in other] == [True] * 5 + [False] * 3
    few = estimates(dict(list(own.items())[:4]), [other])
    assert few["fstests/generic/007"].seconds == 8.0, "four in common say little"


def test_of_several_other_legs_the_slowest_is_believed() -> None:
    found = estimates({}, [{"t": 3.0}, {"t": 7.0, "u": 0.0}, {"t": 5.0}])
    assert found == {"t": TestSeconds(7.0, own=False), "u": TestSeconds(0.0, own=False)}


def test_what_is_typical_counts_where_no_leg_knows_better_and_is_scaled_like_a_leg() -> None:
    typical = {f"t{n}": 1.0 + n for n in range(8)}
    assert estimates({}, [{"t7": 2.0}], typical) == {
        **{f"t{n}": TestSeconds(1.0 + n, own=False) for n in range(7)},
        "t7": TestSeconds(2.0, own=False),
    }
    own = {test: 3 * seconds for test, seconds in list(typical.items())[:5]}
    assert estimates(own, [], typical)["t7"] == TestSeconds(24.0, own=False)


def test_a_store_without_any_run_knows_what_is_typical(tmp_path: Path) -> None:
    known = Durations(tmp_path / "durations.json", load_typical()).tests("fuse2fs", "tcg")
    assert known and not any(one.own for one in known.values())
    assert all(re.fullmatch(r"fstests/[a-z0-9]+/\d{3,}", test) for test in known)


def test_how_slow_machines_are_is_no_matter_of_one_busy_moment(tmp_path: Path) -> None:
    durations = Durations(tmp_path / "durations.json")
    assert durations.slow("tcg") is None
    durations.put_slow("tcg", 9.0)
    durations.put_slow("tcg", 118.0)
    assert durations.slow("tcg") == 24.5  # (9 + 40) / 2
    durations.put_slow("tcg", 8.0)
    assert durations.slow("tcg") == 8.0 and durations.slow("kvm") is None
    durations.put_slow("kvm", 0.3)
    assert durations.slow("kvm") == 1.0


@pytest.mark.parametrize("seconds", [9e11, -1.0, float("nan"), float("inf")])
def test_what_no_test_can_take_is_not_kept(durations: Durations, seconds: float) -> None:
    durations.put_tests("ext4", "tcg", {"fstests/generic/001": seconds, "fstests/generic/002": 2.0})
    assert set(durations.tests("ext4", "tcg")) == {"fstests/generic/002"}


@pytest.mark.parametrize("value", ["1e400", "-3", "NaN", "true", '"x"', "[]"])
def test_what_no_test_can_take_is_not_read(durations: Durations, value: str) -> None:
    durations.path.write_text(
        f'{{"test ext4 tcg fstests/generic/001": {value}, "test ext4 tcg fstests/generic/002": 2}}'
    )
    assert set(durations.tests("ext4", "tcg")) == {"fstests/generic/002"}


def test_a_patched_stack_is_believed_for_itself_only(durations: Durations) -> None:
    durations.put_tests("ext4", "tcg", {"fstests/generic/001": 2.0, "fstests/generic/002": 2.0})
    durations.put_slow("tcg", 3.0)
    patched = durations.apart("ab12")
    patched.put_tests("ext4", "tcg", {"fstests/generic/001": 900.0})
    patched.put_slow("tcg", 40.0)
    assert patched.tests("ext4", "tcg")["fstests/generic/001"] == TestSeconds(900.0, own=True)
    assert patched.slow("tcg") == 40.0
    for other in (durations, durations.apart("cd34"), Durations(durations.path)):
        assert other.tests("ext4", "tcg")["fstests/generic/001"] == TestSeconds(2.0, own=True)
        assert other.slow("tcg") == 3.0
    assert patched.tests("ext4", "tcg")["fstests/generic/002"] == TestSeconds(2.0, own=True)
    patched.put("build kernel", 7.0)
    assert durations.get("build kernel") == 7.0, "measured by the host"


def test_old_patched_stacks_are_forgotten(durations: Durations) -> None:
    for number in range(40):
        durations.apart(f"{number:x}").put_tests("ext4", "tcg", {"fstests/generic/001": 1.0})
        os.utime(durations.path.with_suffix("") / f"{number:x}.json", (number, number))
    assert len(list(durations.path.with_suffix("").glob("*.json"))) == 32
    assert durations.apart("27").tests("ext4", "tcg") and not durations.apart("0").tests("ext4", "tcg")

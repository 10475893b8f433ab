# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracefile as lcov's manual describes it."""

from collections import Counter

from reviewbot.coverage.counts import FileCounts
from reviewbot.coverage.tracefile import tracefile

FILE = FileCounts(Counter({4: 0, 3: 7}), {"b": (4, 0), "a": (3, 7)})
WHOLE = """TN:fuse4fs_iomap
SF:kernel/fs/fuse/dir.c
FN:3,a
FN:4,b
FNDA:7,a
FNDA:0,b
FNF:2
FNH:1
DA:3,7
DA:4,0
LF:2
LH:1
end_of_record
"""


def test_a_section_per_leg_and_file_with_sums() -> None:
    assert tracefile({"fuse4fs-iomap": {"kernel": {"fs/fuse/dir.c": FILE}}}) == WHOLE


def test_equal_paths_of_two_components_stay_apart() -> None:
    both = tracefile({"ext4": {"kernel": {"lib/x.c": FILE}, "libfuse": {"lib/x.c": FILE}}})
    assert [line for line in both.splitlines() if line.startswith("SF:")] == ["SF:kernel/lib/x.c", "SF:libfuse/lib/x.c"]


def test_a_name_cannot_end_its_line() -> None:
    odd = FileCounts(Counter({1: 1}), {"f\nend_of_record": (1, 1)})
    said = tracefile({"ext4": {"kernel": {"a\nSF:b.c": odd}}})
    assert said.count("\nend_of_record\n") == 1 and said.count("\nSF:") == 1

# SPDX-License-Identifier: GPL-2.0-or-later
"""gcov's JSON as values: what is counted, what is passed over, and that sums add up."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reviewbot.coverage.counts import Counts, FileCounts, merged, parse

SOURCE, HEADER = "/src/fs/fuse/dir.c", "../src/fs/fuse/fuse_i.h"
WANTED = ("fs/fuse/dir.c", "fs/fuse/fuse_i.h")


def line(number: int, count: int) -> dict[str, Any]:
    return {"branches": [], "count": count, "line_number": number, "unexecuted_block": not count}


def document(*files: tuple[str, list[dict[str, Any]]], functions: tuple[tuple[str, int, int], ...] = ()) -> str:
    """What gcov 12 prints of one object that was compiled in /obj."""
    return json.dumps({
        "gcc_version": "12.2.0", "format_version": "1", "current_working_directory": "/obj", "data_file": "dir.gcda",
        "files": [{"file": name, "lines": lines,
                   "functions": [{"name": f, "start_line": start, "execution_count": n} for f, start, n in functions]}
                  for name, lines in files],
    })  # fmt: skip


def lines_of(counts: Counts) -> dict[str, dict[int, int]]:
    return {path: dict(file.lines) for path, file in counts.items()}


def test_a_header_of_two_objects_has_the_sum_of_both() -> None:
    said = [document((SOURCE, [line(3, 2)]), (HEADER, [line(9, 1)])), document((HEADER, [line(9, 4), line(10, 0)]))]
    assert lines_of(parse(said, WANTED)) == {"fs/fuse/dir.c": {3: 2}, "fs/fuse/fuse_i.h": {9: 5, 10: 0}}


def test_a_line_of_several_clones_of_a_function_has_the_sum_of_all() -> None:
    assert lines_of(parse([document((SOURCE, [line(3, 2), line(3, 0), line(3, 5)]))], WANTED)) == {
        "fs/fuse/dir.c": {3: 7}
    }


def test_a_line_that_never_ran_is_executable_and_not_reached() -> None:
    file = parse([document((SOURCE, [line(3, 0), line(4, 1)]))], WANTED)["fs/fuse/dir.c"]
    assert set(file.lines) == {3, 4}
    assert file.reached == {4}


def test_functions_have_their_first_line_and_calls() -> None:
    said = document((SOURCE, [line(3, 1)]), functions=(("fuse_lookup", 3, 1), ("fuse_init", 9, 0)))
    assert parse([said, said], WANTED)["fs/fuse/dir.c"].functions == {"fuse_lookup": (3, 2), "fuse_init": (9, 0)}


def test_what_is_not_of_the_tree_or_not_asked_for_is_passed_over() -> None:
    said = [
        document(
            ("/usr/include/stdio.h", [line(1, 1)]),
            ("/src/fs/open.c", [line(1, 1)]),
            ("include/generated/x.h", [line(1, 1)]),
            ("/src/../etc/passwd", [line(1, 1)]),
        )
    ]
    assert parse(said, (*WANTED, "etc/passwd", "stdio.h")) == {}


def test_words_of_gcov_that_are_no_counts_are_passed_over() -> None:
    broken: list[str] = [
        "",
        "dir.gcda:stamp mismatch with notes file",
        "[1, 2]",
        '{"files": 3}',
        '{"files": [1]}',
        '{"files": [{"file": 1, "lines": {}}]}',
        "[" * 100_000,
        document((SOURCE, [{"line_number": "3", "count": 1}, line(-1, 1)])),
    ]
    assert lines_of(parse([*broken, document((SOURCE, [line(3, 1)]))], WANTED)) == {"fs/fuse/dir.c": {3: 1}}


def test_counters_that_a_guest_made_up_do_not_grow_without_end() -> None:
    huge = document((SOURCE, [line(3, 1 << 63), line(4, -5)]))
    found = parse([huge] * 4, WANTED)["fs/fuse/dir.c"]
    assert (found.lines[3], found.lines[4]) == ((1 << 63) - 1, 0)


files = st.dictionaries(st.integers(1, 9), st.integers(0, 99)).map(lambda lines: FileCounts(Counter(lines)))
several = st.lists(st.dictionaries(st.sampled_from(WANTED), files), max_size=5)


@given(several, st.randoms())
def test_the_order_in_which_machines_come_back_does_not_matter(found: list[Counts], random: Any) -> None:
    shuffled = random.sample(found, len(found))
    assert lines_of(merged(found)) == lines_of(merged(shuffled))
    halves = (merged(found[: len(found) // 2]), merged(found[len(found) // 2 :]))
    assert lines_of(merged(halves)) == lines_of(merged(found))

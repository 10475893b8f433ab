# SPDX-License-Identifier: GPL-2.0-or-later
"""What a patch weighs before any run."""

import pytest

from reviewbot.verdict.weights import IN_FRAMES, NEVER_RAN, NO_CODE, ORDINARY, Edit, functions, weight

BEFORE = 'int f(int a)\n{\n\tputs("a /* b */");\n\treturn a;\n}\n'


def edit(after: str, path: str = "fs/fuse/dir.c", hunks: str = "") -> Edit:
    return Edit(path, BEFORE, after, hunks)


@pytest.mark.parametrize(
    "after",
    [BEFORE.replace("\treturn", "\t/* Say why. */\n\treturn"), BEFORE.replace("a;", "a;  // yes"), f"\n\n{BEFORE}"],
)
def test_comments_and_white_space_weigh_almost_nothing(after: str) -> None:
    assert weight([edit(after)]) == NO_CODE
    assert weight([]) == NO_CODE


@pytest.mark.parametrize("after", [BEFORE.replace("return a", "return a + 1"), BEFORE.replace("/* b */", "/* c */")])
def test_code_weighs_and_so_does_what_looks_like_a_comment_in_a_string(after: str) -> None:
    assert weight([edit(after)]) == ORDINARY


def test_other_files_than_c_weigh_when_they_change_at_all() -> None:
    assert weight([edit(f"# c\n{BEFORE}", "meson.build")]) == ORDINARY


def test_a_function_of_the_crash_weighs_more() -> None:
    hunks = "@@ -3 +3 @@ static int fuse_readdir(struct file *file)\n-\treturn a;\n+\treturn b;\n"
    assert weight([edit(BEFORE + "x", hunks=hunks)], functions("fuse_readdir:iterate_dir")) == IN_FRAMES
    assert weight([edit(BEFORE + "x", hunks=hunks)], functions("fuse_lookup")) == ORDINARY


def test_lines_that_no_test_ran_weigh_almost_nothing() -> None:
    assert weight([edit(BEFORE + "x")], lines=(4, 0)) == NEVER_RAN
    assert weight([edit(BEFORE + "x")], lines=(4, 1)) == ORDINARY
    assert weight([edit(BEFORE + "x")], lines=(0, 0)) == ORDINARY, "nothing of it was counted"

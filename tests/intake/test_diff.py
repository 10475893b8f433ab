# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths of a diff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.intake.gitapply import read_patch

GIT = "diff --git a/{0} b/{0}\nindex 1..2 100644\n--- a/{0}\n+++ b/{0}\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (GIT.format("fs/fuse/dev.c"), ("fs/fuse/dev.c",)),
        (GIT.format("a") + GIT.format("b"), ("a", "b")),
        ("--- a/old.c\t2026-01-01\n+++ b/old.c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n", ("old.c",)),
        ("diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n", ("x", "y")),
        ("diff --git a/bin b/bin\nindex 1..2 100644\nGIT binary patch\nliteral 3\nabc\n", ("bin",)),
        ("diff --git a/run b/run\nold mode 100644\nnew mode 100755\n", ("run",)),
        ("diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n", ("n",)),
        (
            "diff --git a/my file b/my file\n--- a/my file\n+++ b/my file\n@@ -1 +1 @@\n-a\n+b\n",
            ("my file",),
        ),
        (
            'diff --git "a/\\303\\244" "b/\\303\\244"\n--- "a/\\303\\244"\n+++ "b/\\303\\244"\n@@ -1 +1 @@\n-a\n+b\n',
            ("ä",),
        ),
        ("> diff --git a/q b/q\n> --- a/q\n> +++ b/q\n> @@ -1 +1 @@\n> -a\n> +b\n", ()),
        ("Some words\n--- a line of dashes\nand more\n", ()),
        ("", ()),
    ],
)
def test_paths(text: str, paths: tuple[str, ...]) -> None:
    assert read_patch(text).paths == paths


def test_removed_lines_that_look_like_headers_are_no_paths() -> None:
    text = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,3 +1,1 @@\n---- a/other\n-++ b/other\n x\n"
    assert read_patch(text).paths == ("f",)


@given(st.text(alphabet='dif -gtab/+@\n"\\0123,', max_size=300))
def test_nothing_makes_it_raise(text: str) -> None:
    assert isinstance(read_patch(text).paths, tuple)

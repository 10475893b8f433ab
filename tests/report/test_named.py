# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that a reply ends with names the same posting again."""

import shlex
import subprocess

import pytest

from reviewbot.model.posting import NEVER_SENT, Problem
from reviewbot.report import Record
from reviewbot.report.reproducer import command, named
from tests.report.records import PLAN as TESTED
from tests.report.records import POSTING, TREES

PLAN = TESTED.model_copy(update={"arguments": ()})

PICKED = Problem(kind="part-only", message="only a part")
RFC = POSTING.parts[0].model_copy(update={"rfc": True})


@pytest.mark.parametrize(
    ("change", "rfc", "words"),
    [
        ({}, True, POSTING.top),
        ({"asked": ("other@example.org",)}, False, f"{POSTING.top} other@example.org"),
        ({"asked": ("p 2@x",), "problems": (PICKED,)}, False, "--part-only 'p 2@x'"),
        ({"problems": (PICKED,)}, False, f"--part-only {POSTING.top}"),
        ({"manifest": "my posting.yaml", "top": "", "asked": ()}, False, "--manifest 'my posting.yaml'"),
        ({"top": f"0@{NEVER_SENT}", "source": "out dir"}, False, "--mbox 'out dir'"),
        (
            {"top": f"0@{NEVER_SENT}", "source": "out", "asked": (f"1@{NEVER_SENT}",), "problems": (PICKED,)},
            False,
            f"--mbox out --part-only 1@{NEVER_SENT}",
        ),
        ({"parts": (RFC,)}, True, f"--rfc {POSTING.top}"),
        ({"parts": (RFC,)}, False, POSTING.top),
    ],
)
def test_the_words(change: dict[str, object], rfc: bool, words: str) -> None:
    posting = POSTING.model_copy(update=change)
    plan = PLAN.model_copy(update={"rfc": rfc})
    assert " ".join(named(Record(run="r", tool="t", posting=posting, plan=plan))) == f"reviewbot apply-and-test {words}"


def test_the_options_are_those_of_the_run_and_bases_from_git_are_named_by_their_commit() -> None:
    plan = PLAN.model_copy(update={"arguments": ("--legs", "ext4", "--tests", "-g quick", "--base", "libfuse=master")})
    record = Record(run="r", tool="t", posting=POSTING, plan=plan, trees=TREES)
    assert named(record) == [
        "reviewbot", "apply-and-test", "--legs", "ext4", "--tests", "'-g quick'", "--base", "libfuse=master",
        "--base", "e2fsprogs=4d4d4d4d4d4d4d4d", POSTING.top,
    ]  # fmt: skip


def test_a_long_command_is_folded_and_is_the_same_for_a_shell() -> None:
    words = ["reviewbot", "apply-and-test", "--tests", "'generic/001 generic/002'", *("x" * 30 for _ in range(5))]
    folded = command(words)
    assert all(len(line) <= 72 for line in folded.splitlines()) and len(folded.splitlines()) > 2
    assert shlex.split(folded.replace("\\\n", "")) == shlex.split(" ".join(words))


@pytest.mark.parametrize("word", ["y" * 300, "'" + "generic/001 " * 30 + "'", "'" + "a b\\" * 60 + "'"])
def test_a_word_that_is_wider_than_a_line_is_cut_where_the_shell_joins_it(word: str) -> None:
    words = ["reviewbot", "apply-and-test", "--tests", word, "x@example.org"]
    folded = command(words)
    assert max(map(len, folded.splitlines())) <= 78
    said = subprocess.run(["sh", "-c", f"printf '%s\\n' {folded.strip()}"], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == shlex.split(" ".join(words))

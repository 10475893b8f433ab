# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of mixed stacks and of first parts."""

from reviewbot.model.comparison import Cell, Class, Compared, Comparison, Prefix
from reviewbot.model.results import Outcome
from reviewbot.report.mixes import compat_table, mix_lines, prefix_table
from reviewbot.report.notes import notes
from reviewbot.report.summary import summary_markdown
from reviewbot.report.words import apart
from tests.report.records import passing

FAILS = Cell(
    leg="fuse2fs",
    patched=("kernel",),
    passed=1,
    failed=("mount",),
    only_here=("mount",),
    outcome=Outcome.FAIL,
    reason="mount(8) failed",
)
PASSES = Cell(leg="fuse2fs", patched=("libfuse", "e2fsprogs"), passed=19, outcome=Outcome.PASS)
UNBUILT = Cell(leg="fuse2fs", patched=("libfuse",), built=False, outcome=Outcome.INFRA, reason="libfuse: x.c:1: error")


def test_each_stack_is_a_row_of_new_and_old_parts() -> None:
    record = passing().model_copy(update={"comparison": Comparison(cells=(FAILS, PASSES, UNBUILT))})
    table = compat_table(record)
    assert table and table.header == ("leg", "kernel", "libfuse", "e2fsprogs", "smoke")
    assert table.rows == (
        ("fuse2fs", "new", "old", "old", "1 pass, mount fails: mount(8) failed"),
        ("fuse2fs", "old", "new", "new", "all 19 pass"),
        ("fuse2fs", "old", "new", "old", "not built: libfuse: x.c:1: error"),
    )
    assert "## Old and new parts mixed" in summary_markdown(record)


def test_what_base_could_not_do_and_head_does_is_told() -> None:
    record = passing()
    assert record.results
    leg = next(leg for leg in record.results.legs if sum(test.suite == "smoke" for test in leg.tests) > 1)
    one, two = [test.test for test in leg.tests if test.suite == "smoke" and test.outcome is Outcome.PASS][:2]
    base = Comparison(smoke_on_base={leg.leg: {one: Outcome.FAIL, two: Outcome.NOTRUN}})
    assert apart(record.model_copy(update={"comparison": base})) == [
        f"fixed by the series: {leg.leg} smoke/{one} (FAIL on base)",
        f"newly running and passing: {leg.leg} smoke/{two}",
    ]


def test_a_feature_that_is_taken_away_is_told_with_the_words_of_the_posting() -> None:
    gone = Compared(
        leg="fuse2fs",
        suite="smoke",
        test="punch",
        outcome=Outcome.NOTRUN,
        kind=Class.WITHDRAWN,
        announced="refuse to punch holes",
    )
    record = passing().model_copy(update={"comparison": Comparison(tests=(gone,))})
    line = (
        "fuse2fs smoke/punch passes on base and cannot run on head, as announced by the posting: "
        "“refuse to punch holes”"
    )
    assert apart(record) == [line]
    assert line in summary_markdown(record).replace("\\", "")
    said = "1 test can no longer run, as announced by the posting: fuse2fs smoke/punch"
    assert said in [note.text for note in notes(record)]


def test_a_mail_names_only_the_stacks_that_do_not_pass() -> None:
    record = passing().model_copy(update={"comparison": Comparison(cells=(FAILS, PASSES))})
    assert mix_lines(record) == ["fuse2fs with only kernel patched: 1 pass, mount fails: mount(8) failed"]
    fine = passing().model_copy(update={"comparison": Comparison(cells=(PASSES,))})
    assert mix_lines(fine) == ["Old and new parts mixed: the quick checks of smoke pass on the mixed stack."]
    assert fine.plan
    whole = fine.model_copy(update={"plan": fine.plan.model_copy(update={"compat": True})})
    assert mix_lines(whole) == ["Old and new parts mixed: smoke passes on the mixed stack."]


def test_first_parts_say_what_can_be_merged_without_the_rest() -> None:
    prefixes = (
        Prefix(parts=1, part="kernel part 1/2", legs=(FAILS,)),
        Prefix(parts=2, part="libfuse part 1/1", problem="libfuse does not build"),
        Prefix(parts=3, part="e2fsprogs part 1/1", legs=(PASSES,)),
    )
    record = passing().model_copy(update={"comparison": Comparison(prefixes=prefixes)})
    table = prefix_table(record)
    assert table and table.header == ("applied", "fuse2fs")
    assert table.rows == (
        ("1 part, up to kernel part 1/2", "1 pass, mount fails: mount(8) failed"),
        ("2 parts, up to libfuse part 1/1", "not built: libfuse does not build"),
        ("3 parts, up to e2fsprogs part 1/1", "all 19 pass"),
    )
    assert "## First parts only" in summary_markdown(record)

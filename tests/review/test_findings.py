# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown of what the tools say."""

from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.review import BuildWarning, PatchBuild, ReviewFinding, Severity
from reviewbot.review.findings import of_build, tidy
from reviewbot.review.text import one_line, some_lines


def finding(
    message: str, tool: str = "x", severity: Severity = Severity.WARNING, file: str = "a.c", line: int = 1
) -> ReviewFinding:
    return ReviewFinding(tool=tool, severity=severity, message=message, file=file, line=line)


def test_the_worst_comes_first_then_file_and_line() -> None:
    found = tidy(
        [
            finding("n", severity=Severity.NOTE),
            finding("w", line=3),
            finding("v", line=2),
            finding("e", severity=Severity.ERROR, file="z.c"),
        ]
    )
    assert [f.message for f in found] == ["e", "v", "w", "n"]


def test_the_same_remark_is_shown_once() -> None:
    assert len(tidy([finding("w"), finding("w")])) == 1
    words = "trailing whitespace"
    both = [
        finding(f"TRAILING_WHITESPACE: {words}", "checkpatch"),
        finding(words, "whitespace"),
        finding(words, "whitespace", line=2),
    ]
    assert [(f.tool, f.line) for f in tidy(both)] == [("checkpatch", 1), ("whitespace", 2)]


def test_too_many_remarks_of_a_tool_end_in_their_number() -> None:
    found = tidy([*(finding(f"w{n:03}", line=n) for n in range(130)), finding("other", "y")])
    assert len(found) == 52 and found[-1].message == "and 80 more of x" and found[-1].severity is Severity.NOTE
    assert sum(f.tool == "y" for f in found) == 1


def test_a_failed_build_is_an_error_with_its_place_and_warnings_are_warnings() -> None:
    build = PatchBuild(
        commit="c",
        state="failed",
        error="unknown type",
        place="fs/a.c:12",
        detail="x\ny",
        warnings=(BuildWarning(tool="sparse", file="fs/b.c", line=3, message="cast"),),
    )
    assert [(f.tool, f.severity, f.file, f.line, f.message) for f in of_build(build)] == [
        ("sparse", "warning", "fs/b.c", 3, "cast"),
        ("build", "error", "fs/a.c", 12, "does not build with this patch: unknown type"),
    ]
    for place in ("", "Makefile", "a:b"):
        (found,) = of_build(build.model_copy(update={"place": place, "warnings": ()}))
        assert (found.file, found.line) == (place, 0)
    assert of_build(build.model_copy(update={"state": "skipped", "warnings": ()})) == []


@given(st.text(max_size=500))
def test_no_text_steers_a_terminal(text: str) -> None:
    line, lines = one_line(text, 100), some_lines(text)
    assert len(line) <= 100 and "\n" not in line
    for character in line + lines:
        assert character in "\n\t" or character.isprintable() or ord(character) >= 0xA0


def test_long_texts_are_cut_and_say_so() -> None:
    lines = some_lines("\n".join(str(n) for n in range(100)))
    assert lines.splitlines()[-1] == "… 89 more lines" and len(lines.splitlines()) == 12
    assert one_line("x" * 1000).endswith("…")

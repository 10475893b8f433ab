# SPDX-License-Identifier: GPL-2.0-or-later
"""What the author of a patch that does not apply is told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.stack import Candidate, Source
from reviewbot.trees import DoesNotApply
from reviewbot.trees.diffs import Hunk, files_of, hunks_of
from reviewbot.trees.evidence import nearest
from reviewbot.trees.probe import probe
from tests.repos import git
from tests.trees.series import (
    DAY,
    FILE,
    NUMBERED,
    START,
    Series,
    edited,
    local,
    new_repository,
    raw_mail,
    resolved,
    series,
    without_blobs,
    write,
)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Line 30 changed after v1 on master, after which 20 lines were put on top; `topic` changes lines 10 and 30."""
    folder = new_repository(tmp_path / "kernel")
    git(folder, "tag", "v1")
    write(folder, {FILE: edited(30, word="of upstream")}, "upstream: rename thirty", day=10)
    write(folder, {FILE: "top\n" * 20 + edited(30, word="of upstream")}, "upstream: more on top", day=20)
    git(folder, "checkout", "-q", "-b", "topic", "v1")
    write(folder, {FILE: edited(10)}, "topic: ten", day=11)
    write(folder, {FILE: edited(10, 30)}, "topic: thirty", day=11)
    git(folder, "checkout", "-q", "master")
    return folder


def refusal(found: Series, source: Path | Source, cache: Path, **more: object) -> DoesNotApply:
    candidates = more.pop("candidates", ())
    assert isinstance(candidates, tuple)
    with pytest.raises(DoesNotApply) as caught:
        resolved(found, source, cache, base=str(more.pop("base", "")), candidates=candidates)
    return caught.value


def test_the_lines_of_base_and_who_touched_them_last(kernel: Path, tmp_path: Path) -> None:
    found = without_blobs(series(kernel, "v1..topic")).but(date=START + 25 * DAY)
    error = refusal(found, kernel, tmp_path / "c")
    assert (error.subject, error.file) == ("topic: thirty", f"{FILE}:27")
    assert error.hunk.startswith("@@ -27,7 +27,7 @@")
    place = error.evidence.index(f"{FILE} at master, lines 47-53 (6 of 7 lines that the hunk expects are there):")
    assert error.evidence[place + 4] == "    50 line 30 of upstream"
    assert error.evidence[place + 8].startswith("last touched by ")
    assert "“upstream: rename thirty” (A, 2023-11-24)" in error.evidence[place + 8]


def test_the_bases_that_would_take_it_are_named(kernel: Path, tmp_path: Path) -> None:
    releases = (Candidate(tags="v*", why="releases"),)
    whole = series(kernel, "v1..topic")
    error = refusal(whole, kernel, tmp_path / "c", base="master", candidates=releases)
    assert "v1 would accept all 2 patches" in error.evidence
    first = raw_mail(kernel, "topic~1").replace(b" line 9\n", b" line nine\n")
    other = Series(whole.part, {**whole.mails, "p1@example.org": b"Message-ID: <p1@example.org>\n" + first})
    error = refusal(without_blobs(other), kernel, tmp_path / "c", base="master", candidates=releases)
    assert error.number == 1
    assert error.evidence[-1] == "none of 2 other bases would accept this patch"
    mine = without_blobs(series(kernel, "topic~1..topic"))
    error = refusal(mine, kernel, tmp_path / "c", base="master", candidates=releases)
    assert "v1 would accept this patch" in error.evidence


def test_imported_sources_have_no_history_and_say_so(kernel: Path, tmp_path: Path) -> None:
    error = refusal(series(kernel, "v1..topic"), Source(provider="dir", path=str(kernel)), tmp_path / "c")
    assert "the last change to these lines is unknown: the history of this source is not available" in error.evidence


def test_a_file_that_moved_is_pointed_at(kernel: Path, tmp_path: Path) -> None:
    found = series(kernel, "v1..topic")
    (kernel / "fs" / "new").mkdir()
    git(kernel, "mv", FILE, "fs/new/file.c")
    git(kernel, "commit", "-q", "-m", "moved")
    error = refusal(found, kernel, tmp_path / "c", base="master")
    assert f"{FILE} is not in master; there is fs/new/file.c" in error.evidence


def test_what_is_said_has_bounds(kernel: Path, tmp_path: Path) -> None:
    long = "".join(f"line {n} {'x' * 5000}\n" for n in range(400))
    write(kernel, {FILE: long}, "long", day=30)
    git(kernel, "checkout", "-q", "-b", "far")
    write(kernel, {FILE: long.replace("x", "y")}, "y", day=31)
    found = series(kernel, "master..far")
    git(kernel, "checkout", "-q", "master")
    write(kernel, {FILE: long.replace("x", "z")}, "z", day=32)
    error = refusal(without_blobs(found), kernel, tmp_path / "c", base="master")
    assert len(error.details) < 90
    assert max(len(line) for line in error.details if not line.startswith(("+", "-", " "))) < 400
    assert max(len(line) for line in error.hunk.splitlines()) <= 200


def test_a_hunk_is_found_where_most_of_it_stands_together() -> None:
    text = "a\nb\nc\n" * 20 + "p\nq\nr\ns\n" + "c\nb\na\n" * 20
    window = nearest(text, Hunk("f", 1, "@@", (" p", "-q", "+Q", " r", " s")))
    assert window is not None
    assert (window.first, window.lines, window.match) == (61, ("p", "q", "r", "s"), 4)


@given(
    st.text(alphabet="ab\n ", max_size=200), st.integers(-5, 500), st.lists(st.text("ab +-", max_size=3), max_size=9)
)
def test_a_window_is_always_inside_the_file(text: str, line: int, lines: list[str]) -> None:
    window = nearest(text, Hunk("f", line, "@@", tuple(lines)))
    if window is not None:
        count = len(text.removesuffix("\n").split("\n"))
        assert 1 <= window.first <= count
        assert window.first + len(window.lines) - 1 <= count


def test_a_probe_stops_where_git_am_stops_and_leaves_nothing(kernel: Path) -> None:
    repository = kernel / ".git"
    before = sorted(p for p in repository.rglob("*") if "index" not in p.name)
    diffs = [raw_mail(kernel, commit) for commit in ("topic~1", "topic", "topic~1")]
    found = probe(repository, git(kernel, "rev-parse", "v1"), diffs)
    assert (found.applied, found.total) == (2, 3)
    assert "error: patch failed: fs/fuse/file.c" in found.words
    assert probe(repository, git(kernel, "rev-parse", "v1"), diffs[:2]).all
    assert sorted(p for p in repository.rglob("*") if "index" not in p.name) == before


def test_the_headers_of_a_diff_are_read_as_git_means_them(tmp_path: Path) -> None:
    folder = new_repository(tmp_path / "r", {"gone": "x\n", "old name": NUMBERED, "run": "x\n", 'q"uote': "x\n"})
    git(folder, "mv", "old name", "new name")
    (folder / "run").chmod(0o755)
    (folder / "gone").unlink()
    (folder / 'q"uote').write_text("y\n")
    write(folder, {"made": "-- \n++ b/no\n"}, "all kinds")
    found = {file.new or file.old: file for file in files_of(raw_mail(folder, "HEAD"))}
    assert {name: (file.old, file.new) for name, file in found.items()} == {
        "gone": ("gone", ""),
        "made": ("", "made"),
        "new name": ("old name", "new name"),
        'q"uote': ('q"uote', 'q"uote'),
        "run": ("run", "run"),
    }
    assert found["run"].mode == "100755"
    assert found["made"].blob == ""
    assert found["gone"].blob
    assert [hunk.path for hunk in hunks_of(raw_mail(folder, "HEAD"))] == ["gone", "made", 'q"uote']


def test_a_local_source_is_read_only(kernel: Path, tmp_path: Path) -> None:
    before = git(kernel, "for-each-ref"), sorted((kernel / ".git").rglob("*"))
    resolved(series(kernel, "v1..topic"), local(kernel), tmp_path / "c", candidates=[Candidate(tags="v*", why="r")])
    assert (git(kernel, "for-each-ref"), sorted((kernel / ".git").rglob("*"))) == before

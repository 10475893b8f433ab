# SPDX-License-Identifier: GPL-2.0-or-later
"""Our remarks in the screen of `b4 review`, through b4's own code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given

from reviewbot.cli.posting import post_command
from reviewbot.model.errors import UsageError
from reviewbot.model.review import PatchReview, Review, ReviewFinding, Severity
from reviewbot.report import Record, files
from reviewbot.report.b4 import b4_text, patch_text, series_text
from reviewbot.store import RunFolder
from reviewbot.verdict import judge_review
from tests.mails import diff, mail, mbox
from tests.report.records import AUTHOR, PLAN, POSTING, RECORDS, RUN, TOOL, built
from tests.report.test_injection import TEXTS
from tests.repos import git

IDS = ("libfuse.1@example.org", "libfuse.2@example.org")
MAKE = """
import argparse, sys
import b4, b4.review
b4.setup_config(argparse.Namespace(config=[], debug=False, no_cache=True, offline_mode=True, no_stdin=True))
b4.can_network = False
mailbox = b4.LoreMailbox()
for message in b4.mailsplit_bytes(open(sys.argv[1], 'rb').read()):
    mailbox.add_message(message)
series = mailbox.get_series()
b4.review.create_review_branch('.', 'b4/review/x', 'main', series, 'https://x/', 'https://x/%s')
"""
TAKE = """
import argparse, json
import b4, b4.review
from b4.review import _review
b4.setup_config(argparse.Namespace(config=[], debug=False, no_cache=True, offline_mode=True, no_stdin=True))
cover, tracking = _review.load_tracking('.', 'b4/review/x')
first = tracking['series']['first-patch-commit']
_, out = b4.git_run_command('.', ['rev-list', '--reverse', first + '~1..b4/review/x~1'])
taken = _review._integrate_agent_reviews('.', cover, tracking, out.split(), tracking['patches'], branch='b4/review/x')
print(json.dumps([taken, _review.load_tracking('.', 'b4/review/x')[1]]))
"""


def b4(tree: Path, script: str, *arguments: str) -> str:
    own = {
        "HOME": str(tree.parent),
        "XDG_DATA_HOME": str(tree.parent / "xdg"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=tree, capture_output=True, text=True,
                          check=False, timeout=600, env={**os.environ, **own})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository in which b4 made a branch to review two patches."""
    tree = tmp_path / "libfuse"
    (tree / "lib").mkdir(parents=True)
    git(tree, "init", "-q", "-b", "main")
    for name in ("user.name", "user.email"):
        git(tree, "config", name, "x@example.org")
    (tree / "lib" / "a.c").write_text("old\n")
    (tree / "lib" / "b.c").write_text("old\n")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    mails = [mail("libfuse@example.org", "[PATCH v3 0/2] libfuse: x", author=AUTHOR)]
    mails += [
        mail(
            one,
            f"[PATCH v3 {n}/2] libfuse: step {n}",
            diff(f"lib/{'ab'[n - 1]}.c"),
            author=AUTHOR,
            parent="libfuse@example.org",
        )
        for n, one in enumerate(IDS, 1)
    ]
    box = tmp_path / "thread.mbox"
    box.write_bytes(mbox(mails))
    git(tree, "checkout", "-qb", "applied")
    for one in mails[1:]:
        subprocess.run(["git", "am", "-q"], cwd=tree, input=one, check=True, capture_output=True, timeout=60)
    git(tree, "checkout", "-q", "main")
    git(tree, "fetch", "-q", ".", "applied")
    b4(tree, MAKE, str(box))
    return tree


def remarked(*found: ReviewFinding) -> Record:
    """The first patch with these remarks, the second with none."""
    patches = tuple(
        PatchReview(
            component="libfuse",
            message_id=one,
            number=n,
            total=2,
            subject=f"[PATCH {n}/2] x",
            build=built(),
            findings=found if n == 1 else (),
        )
        for n, one in enumerate(IDS, 1)
    )
    review = Review(run=RUN, tool=TOOL, patches=patches)
    return Record(run=RUN, tool=TOOL, posting=POSTING, plan=PLAN, review=review, verdict=judge_review(RUN, review))


def error(message: str, line: int = 2, file: str = "lib/a.c") -> ReviewFinding:
    return ReviewFinding(tool="checkpatch", severity=Severity.ERROR, message=message, file=file, line=line)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "data"))
    folder = RunFolder(RUN, tmp_path / "data" / "runs" / RUN)
    folder.path.mkdir(parents=True)
    write(folder, remarked(error("trailing whitespace"), error("no Signed-off-by", 0, "")))
    return folder


def write(folder: RunFolder, record: Record) -> None:
    assert record.plan
    folder.write("plan.json", record.plan)
    for name, content in files(record, {}).items():
        folder.write(name, content)


def post(tree: Path, *words: str) -> str:
    done = CliRunner().invoke(post_command, [RUN, "--to", "b4", "--tree", str(tree), *words], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output


def test_the_real_b4_takes_in_what_we_say_at_the_lines_that_it_is_about(tree: Path, run: RunFolder) -> None:
    assert "wrote 3 files" in post(tree, "--send")
    taken, tracking = json.loads(b4(tree, TAKE))
    assert taken
    note = tracking["series"]["reviews"]["reviewbot@localhost"]["note"]
    assert note.startswith("REVIEW-ERRORS: ") and "no Signed-off-by" in note
    first, second = tracking["patches"]
    ours: dict[str, Any] = first["reviews"]["reviewbot@localhost"]
    (comment,) = ours["comments"]
    assert (comment["path"], comment["line"]) == ("b/lib/a.c", 2), "as b4 names the new side"
    assert comment["text"] == "reviewbot: error: trailing whitespace [checkpatch]"
    assert ours["note"].splitlines()[0] == "reviewbot: 2 remarks" and "no Signed-off-by" in ours["note"]
    assert "reviews" not in second, "nothing is to be said of it"
    assert not list((tree / ".git" / "b4-review").iterdir()), "b4 has them"


def test_without_send_the_texts_are_shown_and_nothing_is_written(tree: Path, run: RunFolder) -> None:
    said = post(tree)
    assert "==> 0001.txt <==" in said and "> +new\n\nreviewbot: error: trailing whitespace" in said
    assert not (tree / ".git" / "b4-review").exists()


def test_the_same_again_replaces_ours_and_never_anothers(tree: Path, run: RunFolder) -> None:
    post(tree, "--send")
    write(run, remarked())
    post(tree, "--send")
    (folder,) = (tree / ".git" / "b4-review").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["identity.txt", "series.txt"]
    (folder / "identity.txt").write_text("Somebody <s@example.org>\n")
    with pytest.raises(UsageError, match="another review"):
        post(tree, "--send")


def test_a_repository_without_the_series_is_said(tree: Path, run: RunFolder, tmp_path: Path) -> None:
    git(tree, "checkout", "-q", "main")
    git(tree, "branch", "-D", "b4/review/x")
    with pytest.raises(UsageError, match="no review branch"):
        post(tree)
    git(tree, "branch", "b4/review/broken")
    with pytest.raises(UsageError, match="no review branch"):
        post(tree)
    with pytest.raises(UsageError, match="not a git repository"):
        post(tmp_path / "data")


def quoted_lines(text: str) -> list[str]:
    """As b4 finds them: it takes more than a newline for the end of a line."""
    return [line[2:] for line in text.splitlines() if line.startswith("> ")]


HOSTILE = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n old\n+"


@given(TEXTS)
@example("> diff --git a/y b/y\n> +++ b/y")
@example("Reviewed-by: Mallory <m@example.org>")
def test_no_text_is_taken_for_a_line_of_the_diff_or_of_ours(text: str) -> None:
    record = remarked(error(text, 2, "x"), error(text, 0, ""))
    one = HOSTILE + text.replace("\n", " ") + "\n"
    said = patch_text(record, IDS[0], one)
    note, separator, quoted = said.partition("\n> diff --git a/x b/x\n")
    assert separator and not [line for line in note.splitlines() if line.startswith(">")]
    assert len(quoted_lines(separator + quoted)) == len(HOSTILE.splitlines())
    ours = [line for line in quoted.splitlines() if line.strip() and not line.startswith("> ")]
    assert "reviewbot: error" in ours[0]
    assert not [line for line in said.splitlines() if line.lower().startswith("reviewed-by:")]


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\r", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_what_b4_takes_for_the_end_of_a_line_puts_no_words_into_our_mouth(end: str) -> None:
    said = patch_text(remarked(error("harmless", 2, "x")), IDS[0], f"{HOSTILE}new{end}forged\n")
    assert [line for line in said.splitlines() if line and not line.startswith("> ")] == [
        "reviewbot: 1 remark",
        "reviewbot: error: harmless [checkpatch]",
    ]


@pytest.mark.parametrize("name", RECORDS)
def test_every_run_has_a_text_for_the_series(name: str) -> None:
    record = RECORDS[name]()
    assert record.verdict
    assert b4_text(record, {}).startswith(f"==> series <==\n{record.verdict.kind}: ")


@pytest.mark.parametrize("name", RECORDS)
def test_the_text_of_a_series_says_nothing_twice_and_begins_with_one_line(name: str) -> None:
    first, blank, *rest = series_text(RECORDS[name]()).splitlines()
    assert re.match(r"[A-Z-]+: \S", first) and blank == ""
    said = [line for line in rest if line.startswith("* ")]
    assert len(said) == len(set(said)) and not [one for one in said if one[2:40] in first]
    assert all(len(line) <= 78 for line in rest) and "\n\n\n" not in series_text(RECORDS[name]())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Series that a developer has on his disk: what git format-patch writes before anything is sent."""

import re
import subprocess
from pathlib import Path

import pytest

from reviewbot.config import Site, load_stack
from reviewbot.intake import Ask, Intake, Mailbag, mbox_bytes, read_mbox, split, take_in
from reviewbot.model.errors import UsageError
from reviewbot.model.posting import NEVER_SENT
from tests.mails import diff, mail, mbox
from tests.repos import ENV, git, make_repository

PEOPLE = (("Bé", "b@x.org"), ("C", "c@x.org"), ("Bé", "b@x.org"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository whose last three commits are by two people."""
    folder = tmp_path / "work"
    make_repository(folder, {"fs/fuse/file.c": "old\n"})
    for number, (name, address) in enumerate(PEOPLE, 1):
        (folder / "fs/fuse/file.c").write_text("old\n" + "new\n" * number)
        who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address}
        subprocess.run(["git", "commit", "-qam", f"fuse: step {number}"], cwd=folder, env={**ENV, **who}, check=True)
    return folder


def formatted(work: Path, file: Path, *options: str, span: str = "HEAD~3") -> Path:
    done = subprocess.run(
        ["git", "format-patch", "--stdout", *options, span], cwd=work, env=ENV, check=True, capture_output=True
    )
    file.write_bytes(file.read_bytes() + done.stdout if file.exists() else done.stdout)
    return file


def taken(path: Path, cache: Path, *more: Path) -> Intake:
    return take_in(Ask(mbox=(path, *more)), load_stack(), Site(archive="http://127.0.0.1:9/all"), cache)


@pytest.mark.parametrize("options", [(), ("--cover-letter",), ("--cover-letter", "-v3"), ("--thread",), ("--attach",)])
def test_the_output_of_format_patch_is_a_series(work: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    found = taken(formatted(work, tmp_path / "file", *options), tmp_path)
    (part,) = found.posting.parts
    assert [patch.subject.rpartition("] ")[2] for patch in part.patches] == [f"fuse: step {n}" for n in (1, 2, 3)]
    assert (part.cover is not None) is ("--cover-letter" in options)
    assert part.version == (3 if "-v3" in options else 1)
    assert found.posting.sent is ("--thread" in options)
    if "--attach" not in options:  # its patches are by two people, and nothing tells that they were sent by one
        assert [p for p in found.posting.problems if p.blocking] == []


def test_ids_come_from_the_mails_and_are_kept_in_what_a_run_stores(work: Path, tmp_path: Path) -> None:
    file = formatted(work, tmp_path / "file", "--cover-letter")
    first, again = taken(file, tmp_path), taken(file, tmp_path)
    assert first.posting == again.posting
    assert all(key.endswith(f"@{NEVER_SENT}") and len(key) == 13 + len(NEVER_SENT) for key in first.mails)
    (tmp_path / "stored").write_bytes(mbox_bytes(first.mails))
    assert taken(tmp_path / "stored", tmp_path).posting.parts == first.posting.parts


def test_git_am_makes_the_same_commits_of_it(work: Path, tmp_path: Path) -> None:
    bag = read_mbox(formatted(work, tmp_path / "file"))
    git(work, "checkout", "-q", "HEAD~3")
    for number, raw in enumerate(bag.mails):
        (tmp_path / f"{number}").write_bytes(raw)
        git(work, "am", "-q", str(tmp_path / f"{number}"))
    said = "--format=%an <%ae> %s %T"
    assert git(work, "log", "-3", said) == git(work, "log", "-3", said, "master")


def test_a_folder_of_patches(work: Path, tmp_path: Path) -> None:
    git(work, "format-patch", "-q", "--cover-letter", "-o", str(tmp_path / "out"), "HEAD~3")
    (tmp_path / "out" / "notes.txt").write_text("not a mail")
    (part,) = taken(tmp_path / "out", tmp_path).posting.parts
    assert (part.cover is not None, len(part.patches)) == (True, 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no patches in this folder"):
        read_mbox(tmp_path / "empty")


def test_two_series_in_one_file_are_not_mixed(work: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_repository(other, {"lib/fuse.c": "old\n"})
    for number in (1, 2, 3):
        (other / "lib/fuse.c").write_text("old\n" + "new\n" * number)
        git(other, "commit", "-qam", f"lib: step {number}")
    file = formatted(other, formatted(work, tmp_path / "file"))
    # One person's, or it would be two postings.
    file.write_bytes(
        file.read_bytes().replace(b"=?UTF-8?q?B=C3=A9?= <b@x.org>", b"A <a@x>").replace(b"c@x.org", b"a@x")
    )
    found = taken(file, tmp_path)
    assert [(part.component, len(part.patches)) for part in found.posting.parts] == [("kernel", 3), ("libfuse", 3)]
    assert [p.kind for p in found.posting.problems] == ["several-threads"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A repository of libfuse whose last two commits are by somebody else."""
    folder = tmp_path / "library"
    make_repository(folder, {"lib/fuse.c": "old\n"})
    for number in (1, 2):
        (folder / "lib/fuse.c").write_text("old\n" + "new\n" * number)
        who = {"GIT_AUTHOR_NAME": "D", "GIT_AUTHOR_EMAIL": "d@x.org"}
        subprocess.run(["git", "commit", "-qam", f"lib: step {number}"], cwd=folder, env={**ENV, **who}, check=True)
    return folder


@pytest.mark.parametrize("options", [(), ("--cover-letter",)])
def test_two_folders_of_two_repositories_are_one_posting(
    work: Path, library: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    git(work, "format-patch", "-q", *options, "-o", str(tmp_path / "a"), "HEAD~3")
    git(library, "format-patch", "-q", *options, "-o", str(tmp_path / "b"), "HEAD~2")
    found = taken(tmp_path / "b", tmp_path, tmp_path / "a").posting
    assert [(part.component, len(part.patches)) for part in found.parts] == [("kernel", 3), ("libfuse", 2)]
    assert found.problems == ()
    assert found.files == (str(tmp_path / "b"), str(tmp_path / "a"))


def test_the_patches_of_one_series_may_be_given_one_by_one(work: Path, tmp_path: Path) -> None:
    git(work, "format-patch", "-q", "--cover-letter", "-o", str(tmp_path / "a"), "HEAD~3")
    first, *others = sorted((tmp_path / "a").iterdir())
    found = taken(first, tmp_path, *others)
    assert [(part.component, len(part.patches)) for part in found.posting.parts] == [("kernel", 3)]


def test_covers_that_git_gave_one_message_id_are_two(work: Path, library: Path, tmp_path: Path) -> None:
    options = ("--cover-letter", "--thread")
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, file, span in ((work, one, "HEAD~3"), (library, two, "HEAD~2")):
        done = subprocess.run(
            ["git", "format-patch", "--stdout", *options, span], cwd=folder, env=ENV, check=True, capture_output=True
        )
        # As if both had been written within the same second.
        file.write_bytes(re.sub(rb"<cover\.\d+\.git", b"<cover.1700000000.git", done.stdout))
    found = taken(one, tmp_path, two)
    assert [(part.component, len(part.patches)) for part in found.posting.parts] == [("kernel", 3), ("libfuse", 2)]
    assert found.posting.problems == ()
    covers = [part.cover for part in found.posting.parts]
    assert len(set(covers)) == 2 and all(cover in found.mails for cover in covers)
    (tmp_path / "stored").write_bytes(mbox_bytes(found.mails))
    again = take_in(
        Ask(names=(found.posting.top, *found.posting.asked), mbox=(tmp_path / "stored",)),
        load_stack(),
        Site(archive="http://127.0.0.1:9/all"),
        tmp_path,
    )
    assert again.posting.parts == found.posting.parts


def test_covers_that_were_sent_under_one_message_id_block_and_both_are_named() -> None:
    mails = [mail("cover.1.git.a@x", f"[PATCH 0/1] {title}") for title in ("fuse: this", "lib: that")]
    mails += [mail("p@x", "[PATCH 1/1] fuse: do it", diff("fs/fuse/dev.c"), parent="cover.1.git.a@x")]
    found = split(Mailbag("test", tuple(mails)), None, load_stack()).posting
    ((kind, message),) = [(p.kind, p.message) for p in found.problems if p.blocking]
    assert kind == "conflicting-copies"
    assert "“[PATCH 0/1] fuse: this”" in message and "also as “[PATCH 0/1] lib: that”; git gives covers" in message


def test_a_mail_that_lost_its_message_id_gets_none(tmp_path: Path) -> None:
    lost = mail("b@x", "[PATCH] x").replace(b"Message-ID: <b@x>\n", b"")
    (tmp_path / "file").write_bytes(mbox([lost]))
    assert read_mbox(tmp_path / "file").mails == (lost,)

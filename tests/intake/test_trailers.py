# SPDX-License-Identifier: GPL-2.0-or-later
"""base-commit, change-id and prerequisites: taken from where git and b4 put them, and from nowhere else."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, split
from reviewbot.intake.diff import preimage_blobs
from reviewbot.intake.mail import parse_mail
from reviewbot.intake.trailers import Trailers, message_ids, read_trailers
from reviewbot.model.posting import Declared
from tests.mails import diff, mail

BASE, ONE, TWO = "ab" * 20, "01" * 20, "02" * 20
BLOCK = f"base-commit: {BASE}\nchange-id: 20261102-fuse-x-0a1b2c\nprerequisite-patch-id: {TWO}\n"


def declared(text: str, *, has_diff: bool = False) -> list[tuple[str, str]]:
    return [(d.kind, d.value) for d in read_trailers(text, has_diff=has_diff).declared]


def test_the_block_of_b4_in_a_cover() -> None:
    cover = (
        f"Words.\n\n---\nA Developer (2):\n      fuse: a\n\n---\n{BLOCK}prerequisite-change-id: 20240320-other-abc:v5\n"
        f"prerequisite-patch-id: {ONE}\nprerequisite-message-id: <a.b@x>\n\nBest regards,\n-- \nA <a@x>\n"
    )
    found = read_trailers(cover, has_diff=False)
    assert (found.base_commit, found.change_id) == (BASE, "20261102-fuse-x-0a1b2c")
    assert [(d.kind, d.value) for d in found.declared] == [
        ("patch-id", TWO),
        ("change-id", "20240320-other-abc:v5"),
        ("patch-id", ONE),
        ("message-id", "a.b@x"),
    ]


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (BASE, BASE),
        (BASE.upper(), BASE),
        (f"{BASE} (v6.18-rc3)", BASE),
        (f"<{BASE}>", BASE),
        ('abcdef123456 ("fuse: x")', "abcdef123456"),
        ("abcdef1", "abcdef1"),
        ("v6.18-rc3", "v6.18-rc3"),
        ("next-20261102", "next-20261102"),
        ("origin/for-next", "origin/for-next"),
        ("the one of last week", None),
        ("abcdef1 or so", None),
        ("-upload-pack=x", None),
        ("+x:y", None),
        ("a..b", None),
        ("HEAD^{/x}", None),
    ],
)
def test_a_base_is_a_commit_or_a_name_that_stands_alone(value: str, base: str | None) -> None:
    """One that cannot be found is told where bases are; one that was not read would be lost without a word."""
    assert read_trailers(f"Hi.\n\nbase-commit: {value}\n", has_diff=False).base_commit == base


@pytest.mark.parametrize(
    ("line", "base"),
    [
        (f"Base commit: {BASE}", BASE),
        ("Based-on: v6.18-rc3", "v6.18-rc3"),
        (f'Based-on: {BASE} ("fuse: x")', BASE),
        ("Based-on: <a.b@x>", None),
        ("Based-on: the thread of last week", None),
    ],
)
def test_a_base_in_other_words(line: str, base: str | None) -> None:
    found = read_trailers(f"Hi.\n\n{line}\n", has_diff=False)
    assert found.base_commit == base
    assert bool(found.declared) == (base is None), "what is no base is a prerequisite"


@pytest.mark.parametrize(
    ("place", "counts"),
    [
        ("message", False),
        ("quoted", False),
        ("indented", False),
        ("added line", False),
        ("below the message", True),
        ("below the diff", True),
        ("below the signature", True),
    ],
)
def test_where_in_a_patch_a_trailer_counts(place: str, counts: bool) -> None:
    line = f"prerequisite-patch-id: {ONE}"
    places = {"message": line, "quoted": f"> {line}", "indented": f"    {line}"}
    above = f"Do it.\n\n{places.get(place, '')}\n---\n{line if place == 'below the message' else ''}\n"
    hunk = f"@@ -1 +1,2 @@\n old\n+{line if place == 'added line' else 'x'}\n"
    below = f"{line}\n" if place == "below the diff" else ""
    text = f"{above}diff --git a/f b/f\n--- a/f\n+++ b/f\n{hunk}\n{below}-- \n2.39\n"
    text += f"\n{line}\n" if place == "below the signature" else ""
    assert declared(text, has_diff=True) == ([("patch-id", ONE)] if counts else [])


def test_what_git_format_patch_writes(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        settings = ["-c", "user.name=A", "-c", "user.email=a@x", "-c", "init.defaultBranch=m"]
        return subprocess.run(
            ["git", *settings, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (tmp_path / "f").write_text("0\n")
    git("add", "f")
    for number in range(4):
        (tmp_path / "f").write_text("".join(f"{n}\n" for n in range(number + 1)))
        git("commit", "-qam", f"change {number}")
    base = git("rev-parse", "HEAD~3").strip()
    text = git("format-patch", "--stdout", f"--base={base}", "-1")
    found = read_trailers(text, has_diff=True)
    shown = [git("show", f"HEAD~{n}") for n in (2, 1)]
    ids = [
        subprocess.run(["git", "patch-id", "--stable"], input=s, capture_output=True, text=True, check=True).stdout
        for s in shown
    ]
    assert found.base_commit == base
    assert [d.value for d in found.declared] == [line.split()[0] for line in ids]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("<a.b@x>", ["a.b@x"]),
        ("a.b@x", ["a.b@x"]),
        ("id:a.b@x", ["a.b@x"]),
        ('<a.b@x> ("[PATCH v2] fuse: mail me@home")', ["a.b@x"]),
        ("https://lore.kernel.org/all/a.b@x/", ["a.b@x"]),
        ("https://lore.kernel.org/r/a.b%40x", ["a.b@x"]),
        ("https://patch.msgid.link/a.b@x", ["a.b@x"]),
        ("<a@x> <b@y>", ["a@x", "b@y"]),
        ("a@x, b@y", ["a@x", "b@y"]),
        ("patch-1234", []),
        ("the other series", []),
    ],
)
def test_message_ids_in_a_value(value: str, found: list[str]) -> None:
    assert message_ids(value) == found


def test_what_cannot_be_read_is_kept_as_it_was_written() -> None:
    text = "Depends-on: series-77\nprerequisite-patch-id: nonsense\nBased-on: <a@x>\n"
    assert read_trailers(text, has_diff=False).declared == (
        Declared(kind="message-id", value="series-77", trailer="Depends-on"),
        Declared(kind="patch-id", value="nonsense", trailer="prerequisite-patch-id"),
        Declared(kind="message-id", value="a@x", trailer="Based-on"),
    )


def test_a_part_has_what_its_cover_and_patches_say() -> None:
    mails = [mail("c@x", "[PATCH v2 0/2] fuse: two", f"Hi.\n---\n{BLOCK}", day=5)]
    for number in (1, 2):
        body = diff("fs/fuse/dev.c", word=f"w{number}") + (f"\nDepends-on: <d@x>\nbase-commit: {ONE}\n" * (number == 2))
        mails.append(mail(f"{number}@x", f"[PATCH v2 {number}/2] fuse: {number}", body, parent="c@x"))
    (part,) = split(Mailbag("test", tuple(mails)), "c@x", load_stack()).posting.parts
    assert (part.base_commit, part.change_id, part.date) == (BASE, "20261102-fuse-x-0a1b2c", 1793869200)
    assert [(p.declared.value, p.status) for p in part.prerequisites] == [(TWO, "missing"), ("d@x", "missing")]
    assert all(len(patch.patch_id) == 40 for patch in part.patches)
    assert len({patch.patch_id for patch in part.patches}) == 2


def test_a_mail_cannot_speak_for_the_patch_id_of_another() -> None:
    inner = "From 0000000000000000000000000000000000000002 Mon Sep 17 00:00:00 2001\n" + diff(
        "fs/fuse/b.c", word="evil"
    )
    mails = [
        mail("1@x", "[PATCH 1/2] fuse: a", diff("fs/fuse/a.c") + inner),
        mail("2@x", "[PATCH 2/2] fuse: b", diff("fs/fuse/b.c"), parent="1@x"),
        mail("3@x", "[PATCH] fuse: b", diff("fs/fuse/b.c")),
    ]
    series = split(Mailbag("test", tuple(mails)), "1@x", load_stack()).posting.parts[0].patches
    alone = split(Mailbag("test", tuple(mails)), "3@x", load_stack()).posting.parts[0].patches
    assert series[1].patch_id == alone[0].patch_id != ""


def test_blobs_before_the_patch() -> None:
    text = (
        "diff --git a/fs/a.c b/fs/a.c\nindex 5c10be0d02538e..5f2e7755e3e4e4 100644\n--- a/fs/a.c\n+++ b/fs/a.c\n"
        "@@ -1 +1,2 @@\n old\n+index 1111111..2222222 100644\n"
        "diff --git a/new b/new\nnew file mode 100644\nindex 0000000..1234567\n--- /dev/null\n+++ b/new\n"
        "@@ -0,0 +1 @@\n+x\n"
        "diff --git a/old b/moved\nsimilarity index 90%\nrename from old\nrename to moved\n"
        "index aaaaaaa..bbbbbbb 100644\n"
        "--- a/old\n+++ b/moved\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/gone b/gone\ndeleted file mode 100644\nindex ccccccc..0000000\n--- a/gone\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-x\n"
        "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n"
        "diff --git a/pic b/pic\nindex ddddddd..eeeeeee 100644\nGIT binary patch\nliteral 3\nabc\n"
    )
    assert preimage_blobs(text) == {
        "fs/a.c": "5c10be0d02538e",
        "old": "aaaaaaa",
        "gone": "ccccccc",
        "pic": "ddddddd",
    }


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Mon, 2 Nov 2026 09:00:00 +0000", 1793610000), ("Mon, 2 Nov 2026 10:00:00 +0100", 1793610000), ("yesterday", 0),
     ("Mon, 2 Nov 99999999999 09:00:00 +0000", None), ("Mon, 99 Nov 2026 09:00:00 +0000", None)],
)  # fmt: skip
def test_dates_as_they_come(date: str, seconds: int | None) -> None:
    found = parse_mail(f"Message-ID: <a@x>\nDate: {date}\n\nHi\n".encode())
    assert found is not None
    assert found.date == seconds or (seconds is None and 0 <= found.date <= 253402300799)


WORDS = st.sampled_from([
    "base-commit: " + BASE, "change-id: a-b", "prerequisite-patch-id: ", ONE, "Depends-on: ", "<a@x>", "---",
    "diff --git a/f b/f", "@@ -1,9 +1 @@", "> ", "\n", " ", "-", "+", "--- a/f", "https://", "%40", "Supersedes: <b@x>",
])  # fmt: skip


@given(st.lists(WORDS | st.text(max_size=5), max_size=30), st.booleans())
def test_whatever_a_mail_holds_is_read_or_left(words: list[str], has_diff: bool) -> None:
    found = read_trailers("".join(words), has_diff=has_diff)
    assert isinstance(found, Trailers)
    assert all(d.value for d in found.declared)
    preimage_blobs("".join(words))


@given(
    st.lists(st.sampled_from(["patch-id", "change-id", "message-id"]), max_size=6),
    st.text("> |\t", min_size=1, max_size=3),
)
def test_the_order_is_kept_and_quoted_lines_are_none(kinds: list[str], quote: str) -> None:
    values = {"patch-id": ONE[:-2], "change-id": "20240101-x-", "message-id": "m@x"}
    lines = [f"prerequisite-{kind}: {values[kind]}{n:02}" for n, kind in enumerate(kinds)]
    assert [kind for kind, _ in declared("\n".join(lines))] == kinds
    assert declared("\n".join(quote + line for line in lines)) == []

# SPDX-License-Identifier: GPL-2.0-or-later
"""What is announced is what `git am` would apply: our reading of mails against git's own."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.intake.gitam import patch_in
from reviewbot.intake.gitapply import PatchText
from tests.intake.patches import taken, written_by_git


def ours(raw: bytes) -> PatchText:
    return patch_in(email.message_from_bytes(raw, policy=email.policy.compat32), raw)


def agree(raw: bytes) -> None:
    """Either we refuse the mail, or git takes exactly the files that we announce."""
    found = ours(raw)
    if found.trouble:
        return
    theirs = taken(raw)
    if not found.paths:
        assert not theirs.paths, theirs.paths
        return
    assert theirs.paths is not None, found
    moved = {line.removeprefix("rename from ") for line in found.text.split("\n") if line.startswith("rename from ")}
    assert set(found.paths) - moved <= theirs.paths <= set(found.paths)


@pytest.mark.parametrize("number", range(15))
def test_what_git_writes_is_read_as_git_reads_it(number: int) -> None:
    raw = written_by_git()[number]
    found = ours(raw)
    assert (found.trouble, bool(found.paths)) == ("", True)
    agree(raw)


LINES = (
    "", " ", "+", "-", "-- ", "---", "@@ -1 +1 @@", "@@ -1,2 +1,3 @@ x", "diff --git a/x b/x", "--- a/x", "+++ b/x",
    "--- x", "+++ x.orig", "--- linux/fs/x\t2026-01-01", "+++ linux/fs/x", "new file mode 100644", "old mode 100644",
    "rename from x", "rename to y", "copy from x", "copy to z", "index 1234567..89abcde 100644",
    "\\ No newline at end of file", "GIT binary patch", "literal 3", "KcmZQ%U|?V", "Binary files a/x and b/x differ",
    "Index: x", "deleted file mode 100644", "--- /dev/null", "+++ /dev/null",
    'diff --git "a/\\303\\244" "b/\\303\\244"', "diff --git x x", "diff --git a/my file b/my file",
    "similarity index 100%", "-->8--", ">From x", "From: x", "Content-Type: text/plain; format=flowed",
    " 3 files changed, 4 insertions(+)",
)  # fmt: skip


@given(st.data())
def test_broken_patches_are_refused_or_read_as_git_reads_them(data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(written_by_git()))
    lines = raw.split(b"\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(("drop", "double", "insert", "replace", "cut", "swap", "join"))):
            case "drop":
                del lines[at : at + data.draw(st.integers(1, 3))]
            case "double":
                lines.insert(at, lines[at])
            case "insert":
                lines.insert(at, data.draw(st.sampled_from(LINES)).encode())
            case "replace":
                lines[at] = data.draw(st.sampled_from(LINES)).encode()
            case "cut":
                lines = lines[: at + 1]
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines[at : at + 2] = [b"".join(lines[at : at + 2])]
        lines = lines or [b""]
    agree(b"\n".join(lines) + data.draw(st.sampled_from((b"", b"\n"))))


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=12))
def test_heaps_of_lines_that_look_like_patches(lines: list[str]) -> None:
    agree(b"Message-ID: <x@example.org>\nSubject: [PATCH] x\n\nWords.\n---\n" + "\n".join(lines).encode() + b"\n")

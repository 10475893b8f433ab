# SPDX-License-Identifier: GPL-2.0-or-later
"""Carriage returns that a patch lost on its way."""

from collections.abc import Callable

from reviewbot.trees.diffs import files_of, hunks_of


def with_crlf(mail: bytes, diff: bytes, content: Callable[[str], bytes]) -> bytes:
    """The mail with CRLF in the hunks of files that have CRLF throughout; the same object if nothing is to be done.

    content: bytes of a file of the tree, by its path; empty if there is none. For `git am --keep-cr`.
    """
    head, gap, body = mail.replace(b"\r\n", b"\n").partition(b"\n\n")
    if body != diff:  # it was encoded, so its line ends are as they were sent
        return mail
    wanted = {file.old for file in files_of(diff) if file.old and _is_crlf(content(file.old))}
    if not wanted:
        return mail
    hunks = iter(hunks_of(diff))
    out: list[bytes] = []
    left = 0
    convert = False
    for line in body.split(b"\n"):
        if left:
            left -= 1
            out.append(line + b"\r" if convert and line[:1] in (b" ", b"+", b"-") else line)
            continue
        if line.startswith(b"@@ -") and (hunk := next(hunks, None)):
            left, convert = len(hunk.lines), hunk.path in wanted
        out.append(line)
    return head + gap + b"\n".join(out)


def _is_crlf(content: bytes) -> bool:
    return b"\r\n" in content and content.count(b"\n") == content.count(b"\r\n")

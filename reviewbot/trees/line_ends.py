# SPDX-License-Identifier: GPL-2.0-or-later
"""Carriage returns that a patch lost on its way, or got there."""

import email
import email.policy
import io
import re
from collections.abc import Callable
from email.generator import BytesGenerator
from email.message import Message

from reviewbot.trees.diffs import files_of, hunks_of

_CR_IN_HEADER = re.compile(rb"^(?:diff --git |\+\+\+ |@@ -)[^\n]*\r$", re.MULTILINE)
_AS_IT_IS = email.policy.compat32.clone(max_line_length=None)


def without_quoted_cr(mail: bytes) -> bytes:
    """A mail whose encoded text has CRLF line ends, as RFC 2045 asks, with plain ones; other mails as they are.

    git am takes such carriage returns for content. One that only some lines of a diff have is content.
    """
    head = mail[: 1 << 16].lower()
    if b"base64" not in head and b"quoted-printable" not in head:
        return mail
    message = email.message_from_bytes(mail, policy=_AS_IT_IS)
    texts = [(part, data) for part in message.walk() if (data := _encoded_text(part))]
    if not any(_CR_IN_HEADER.search(data) for _, data in texts):
        return mail
    for part, data in texts:
        part.set_payload(data.replace(b"\r\n", b"\n").decode("ascii", "surrogateescape"))
        part.replace_header("Content-Transfer-Encoding", "8bit")
    out = io.BytesIO()
    BytesGenerator(out, mangle_from_=False, policy=_AS_IT_IS).flatten(message)
    return out.getvalue()


def _encoded_text(part: "Message[str, str]") -> bytes:
    """The text of a part that a transfer encoding hides; empty if there is none."""
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if part.is_multipart() or encoding not in ("base64", "quoted-printable"):
        return b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) and b"\r\n" in payload else b""


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

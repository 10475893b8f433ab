# SPDX-License-Identifier: GPL-2.0-or-later
"""Small postings for tests, in the thread structure of the real ones."""

from collections.abc import Sequence

TOP = "top@example.org"
AUTHOR = "A Developer <dev@example.org>"
PATHS = {"kernel": "fs/fuse/file.c", "libfuse": "lib/fuse.c", "e2fsprogs": "misc/fuse2fs.c"}


def mail(
    message_id: str,
    subject: str,
    body: str = "Hello.\n",
    *,
    parent: str = "",
    author: str = AUTHOR,
    to: str = "linux-fsdevel@vger.kernel.org",
    day: int = 2,
) -> bytes:
    """One mail as an archive gives it; day: of November 2026."""
    lines = [
        f"From: {author}",
        f"To: {to}",
        f"Date: {day} Nov 2026 09:00:00 +0000",
        f"Subject: {subject}",
        f"Message-ID: <{message_id}>",
    ]
    if parent:
        lines += [f"In-Reply-To: <{parent}>", f"References: <{parent}>"]
    lines += ["MIME-Version: 1.0", 'Content-Type: text/plain; charset="utf-8"', "Content-Transfer-Encoding: 8bit", ""]
    return ("\n".join(lines) + "\n" + body).encode()


def diff(*paths: str, word: str = "new") -> str:
    """A patch body that adds one line to each path (whose only line is `old`)."""
    text = "Do it.\n\nSigned-off-by: A Developer <dev@example.org>\n---\n"
    for path in paths:
        text += f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n old\n+{word}\n"
    return text + "-- \n2.39.5\n"


def posting(components: Sequence[str] = ("kernel", "libfuse", "e2fsprogs"), *, patches: int = 2) -> list[bytes]:
    """A top cover, one cover per component, `patches` patches below each."""
    found = [mail(TOP, "[PATCHBLIZZARD v2] several things at once")]
    for component in components:
        cover = f"{component}@example.org"
        found.append(mail(cover, f"[PATCHSET v2 1/1] {component}: change it", parent=TOP))
        for number in range(1, patches + 1):
            name = PATHS[component] if number == 1 else PATHS[component].replace(".c", f"{number}.c")
            found.append(
                mail(
                    f"{component}.{number}@example.org",
                    f"[PATCH {number}/{patches}] {component}: step {number}",
                    diff(name),
                    parent=cover,
                )
            )
    return found


def mbox(mails: Sequence[bytes]) -> bytes:
    """As a file."""
    return b"".join(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + m + b"\n" for m in mails)

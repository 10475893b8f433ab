# SPDX-License-Identifier: GPL-2.0-or-later
"""What the files that a diff touches held before. Text in, blob ids out."""

import re

from reviewbot.intake.gitnames import NULL, both_sides, git_name

HUNK = re.compile(r"^@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_INDEX = re.compile(r"^index ([0-9a-f]{4,64})\.\.[0-9a-f]{4,64}(?: \d{6})?\s*$")


def preimage_blobs(text: str) -> dict[str, str]:
    """Path before the patch -> abbreviated blob id of its content then, from `index` lines; new files are left out."""
    found: dict[str, str] = {}
    lines = text.split("\n")
    old_left = new_left = 0
    for number, line in enumerate(lines):
        if old_left > 0 or new_left > 0:
            old_left -= line[:1] in ("-", " ", "")
            new_left -= line[:1] in ("+", " ", "")
        elif line.startswith("diff --git "):
            header = lines[number + 1 : number + 12]
            ends = (at for at, below in enumerate(header) if below.startswith(("diff --git ", "@@ ", "GIT binary")))
            header = header[: next(ends, len(header))]
            blob = next((match[1] for below in header if (match := _INDEX.match(below))), "")
            path = _old_path(line[11:], header)
            if blob.strip("0") and path:
                found.setdefault(path, blob)
        elif match := HUNK.match(line):
            old_left, new_left = int(match[1] or 1), int(match[2] or 1)
    return found


def _old_path(names: str, header: list[str]) -> str:
    for below in header:
        for key, strip in (("rename from ", 0), ("copy from ", 0), ("--- ", 1)):
            if below.startswith(key):
                path = git_name(below[len(key) :], strip)
                return "" if path == NULL else path
    return both_sides(names)

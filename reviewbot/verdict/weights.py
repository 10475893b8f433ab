# SPDX-License-Identifier: GPL-2.0-or-later
"""How likely each patch of a part is to have brought a failure, before any run. Pure.

Only a beginning: runs decide, and a patch that weighs little is found, too, after some more of them.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

ORDINARY = 1.0
NO_CODE = 0.02
"""Comments, white space, documents. Not zero: __LINE__ and generated text may still matter."""
NEVER_RAN = 0.05
"""Of its lines with code none ran in the tests."""
IN_FRAMES = 8.0
"""It changes a function that is in the stack of the crash."""
_PIECES = re.compile(
    r"(?P<comment>/\*.*?\*/|//[^\n]*)"
    r"|(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')",
    re.DOTALL,
)
_SPACE = re.compile(r"\s+")
_NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
_HUNK = re.compile(r"^@@ [^@]* @@ ?(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Edit:
    """One file that a patch changes."""

    path: str
    before: str
    after: str
    hunks: str = ""
    """The change as a diff, whose hunks name the function that they are in."""


def weight(edits: Collection[Edit], frames: Collection[str] = (), lines: tuple[int, int] | None = None) -> float:
    """frames: functions of the crash. lines: with code, and of these those that ran; None: it was not measured."""
    changing = [edit for edit in edits if not _same_code(edit)]
    if not changing:
        return NO_CODE
    if lines and lines[0] and not lines[1]:
        return NEVER_RAN
    touched = {name for edit in changing for place in _HUNK.findall(edit.hunks) for name in _NAME.findall(place)}
    return IN_FRAMES if touched.intersection(frames) else ORDINARY


def functions(fingerprint: str) -> tuple[str, ...]:
    """Those that a crash's fingerprint names: `fuse_readdir:iterate_dir`."""
    return tuple(re.findall(r"[A-Za-z_]\w{2,}", fingerprint))


def _same_code(edit: Edit) -> bool:
    """Whether the C code is the same but for comments and white space; of other files whether they are the same."""
    if not edit.path.endswith((".c", ".h")):
        return edit.before == edit.after
    return _code(edit.before) == _code(edit.after)


def _code(text: str) -> str:
    """Without comments; white space is one space, but in strings. Lines of the preprocessor end where they end."""
    bare = _PIECES.sub(lambda found: found["text"] or " ", text)
    return "\n".join(_SPACE.sub(" ", line).strip() for line in bare.splitlines() if line.strip())

# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's kernel said, and what it means for a step."""

from dataclasses import dataclass
from typing import Any

from reviewbot.crash.splats import fingerprint, judge, splat_blocks
from reviewbot.model.protocol import TAIL

EXCERPT = 4096
"""Characters of a splat that a reply keeps."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Kernel messages, judged."""

    crash: bool
    """There is a splat that explains why a machine or a step came to no end."""
    line: str
    """Class, fingerprint and title of the weightiest, or empty."""
    fields: dict[str, Any]
    """Of a StepReply."""


def heard(*messages: str) -> Heard:
    """What the kernel's messages say of splats, from dmesg or from each of its consoles. Raises ConfigError."""
    found = judge([block for said in messages for block in splat_blocks(said)])
    fields = {"allowed": "\n".join(block.text for block in found.allowed)[:TAIL], "splat_note": found.note}
    worst = found.worst
    if worst is None:
        return Heard(False, "", fields)
    where = fingerprint(worst)
    fields |= {"splat": worst.title, "crash": worst.kind, "fingerprint": where, "splat_text": worst.text[:EXCERPT]}
    return Heard(found.crash, f"{worst.kind}: {where + ' ' if where else ''}({worst.title})", fields)

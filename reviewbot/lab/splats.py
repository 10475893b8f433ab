# SPDX-License-Identifier: GPL-2.0-or-later
"""Find what a kernel says when it breaks. Text in, one line out."""

import functools
import re

from reviewbot.config import load_yaml
from reviewbot.host.data import data_path
from reviewbot.model.base import Model


class Splat(Model):
    """One pattern of `qemu/splats.yaml`."""

    pattern: str
    why: str
    fatal: bool
    """True: whatever the test said, the kernel crashed."""


class Splats(Model):
    """The file."""

    splats: tuple[Splat, ...]


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], bool], ...]:
    found = load_yaml(data_path("qemu/splats.yaml"), Splats)
    return tuple((re.compile(splat.pattern, re.MULTILINE), splat.fatal) for splat in found.splats)


def find_splat(messages: str) -> tuple[str, bool]:
    """First line of the first splat (a fatal one if any), and whether it is fatal; `("", False)` if there is none."""
    hits = [(match.start(), fatal, match) for pattern, fatal in _patterns() if (match := pattern.search(messages))]
    if not hits:
        return "", False
    _, fatal, match = min(hits, key=lambda hit: (not hit[1], hit[0]))
    line = messages[messages.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0]
    return re.sub(r"^\[\s*[\d.]+\]\s*", "", line).strip()[:200], fatal

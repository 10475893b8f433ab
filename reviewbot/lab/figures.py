# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's figures, taken with distrust."""

import re
from typing import Any, cast

from reviewbot.lab.channel import number
from reviewbot.model.figures import ServerFigures

MAX_OPCODES = 100
_OPCODE = re.compile(r"[A-Z0-9_]{1,40}")


def server_figures(told: object) -> ServerFigures | None:
    """What can be true of what the agent told of a step's servers; None when it told nothing."""
    if not isinstance(told, dict):
        return None
    words = cast(dict[str, Any], told)
    late, umounts = _count(words, "umounts_late"), _count(words, "umounts")
    return ServerFigures(
        cpu_seconds=_known(words, "cpu_seconds"),
        pss_kib=int(_known(words, "pss_kib") or 0) or None,
        pss_samples=_count(words, "pss_samples"),
        mounts=_count(words, "mounts"),
        umounts=umounts,
        umount_seconds_max=_known(words, "umount_seconds_max"),
        umount_seconds_total=_known(words, "umount_seconds_total") or 0.0,
        umounts_late=min(late, umounts),
        requests=_requests(words.get("requests")),
    )


def _known(words: dict[str, Any], key: str) -> float | None:
    """A finite number that is not negative, or None."""
    value = number(words, key)
    told = isinstance(words.get(key), (int, float)) and not isinstance(words[key], bool)
    return value if told and value >= 0 and (value or not words[key]) else None


def _count(words: dict[str, Any], key: str) -> int:
    return int(_known(words, key) or 0)


def _requests(told: object) -> dict[str, int] | None:
    if not isinstance(told, dict):
        return None
    words = cast(dict[str, Any], told)
    named = [str(name) for name in words if _OPCODE.fullmatch(str(name)) and _count(words, str(name))]
    return {name: _count(words, name) for name in sorted(named, key=lambda n: (-_count(words, n), n))[:MAX_OPCODES]}

# SPDX-License-Identifier: GPL-2.0-or-later
"""When the watch over a box's disk counts what its file system grew by, and not what it finds there."""

from pathlib import Path
from typing import Any

import pytest

from reviewbot.host import watch

GIB = 1 << 30
LIMITS = {"memory": 8 * GIB, "disk": 24 * GIB, "processes": 4096, "inodes": 1_000_000}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty folder, and how its file system is said to be: bytes in use, bytes left."""
    said = {"used": 100 * GIB, "left": 200 * GIB}
    monkeypatch.setattr(watch, "_used", lambda place: (said["used"], 1000))
    monkeypatch.setattr(watch, "_left", lambda place: said["left"])
    plan = {"sums": LIMITS, "events": [("memory", "/nowhere", "oom"), ("processes", "/nowhere", "max")]}
    return said, watch.Watch(plan, {str(tmp_path): str(tmp_path)}, 0)


@pytest.mark.parametrize(
    ("grown", "left", "found"),
    [
        (25 * GIB, GIB - 1, ("disk", LIMITS["disk"])),
        (25 * GIB, GIB, None),
        (24 * GIB, GIB - 1, None),
        (0, 0, None),
    ],
    ids=["no room left", "room left: others wrote it", "within the limit", "full before"],
)
def test_what_nobody_can_find_counts_once_the_disk_is_nearly_full(
    disk: Any, grown: int, left: int, found: tuple[str, int] | None
) -> None:
    said, watched = disk
    assert watched.exceeded() is None
    said["used"] += grown
    said["left"] = left
    assert watched.exceeded() == found

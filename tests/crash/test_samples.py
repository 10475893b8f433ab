# SPDX-License-Identifier: GPL-2.0-or-later
"""Splats that others met: syzkaller's report samples with syzbot's titles, where a folder of them is at hand.

`REVIEWBOT_SPLATS=FOLDER`, else `../shared/fixtures/splats`: logs, and an `index.json` with title and function of each.
"""

import functools
import json
import os
from pathlib import Path

import pytest

from reviewbot.crash.splats import Block, fingerprint, judge, splat_blocks
from reviewbot.model.splats import SplatClass
from tests.conftest import SHARED

FOLDER = Path(os.environ.get("REVIEWBOT_SPLATS", "") or SHARED / "fixtures" / "splats")
CLASSES: dict[str, set[SplatClass]] = {
    "KASAN": {"kasan"}, "KMSAN": {"kasan"}, "KCSAN": {"kcsan"}, "KFENCE": {"kfence"}, "UBSAN": {"ubsan"},
    "memory leak": {"kmemleak"}, "INFO: task": {"hung-task"}, "INFO: rcu": {"rcu-stall"},
    "BUG: soft lockup": {"soft-lockup"}, "BUG: workqueue lockup": {"soft-lockup"},
    "BUG: unable to handle": {"oops"}, "BUG: stack guard": {"oops"}, "general protection": {"oops"},
    "divide error": {"oops"}, "stack segment": {"oops"}, "int3": {"oops"}, "PANIC: ": {"oops"},
    "kernel stack overflow": {"oops", "panic"}, "Internal error": {"oops"}, "Unhandled fault": {"oops"},
    "Alignment trap": {"oops"}, "kernel BUG": {"bug"}, "invalid opcode": {"bug"},
    "possible deadlock": {"lockdep"}, "inconsistent lock": {"lockdep"}, "INFO: trying": {"lockdep"},
    "INFO: suspicious": {"lockdep"}, "WARNING: bad unlock": {"lockdep"}, "WARNING: held lock": {"lockdep"},
    "WARNING: still has": {"lockdep"}, "WARNING: lock held": {"lockdep"}, "WARNING: locking bug": {"lockdep"},
    "WARNING: nested lock": {"lockdep"}, "WARNING: suspicious RCU": {"lockdep"}, "WARNING": {"warn"},
    "BUG: using": {"lockdep"}, "BUG: bad unlock": {"lockdep"}, "BUG: held lock": {"lockdep"},
    "BUG: still has": {"lockdep"}, "BUG: lock held": {"lockdep"}, "BUG: MAX_": {"warn"},
    "BUG: ": {"bug"}, "VFS: ": {"bug"}, "unregister_netdevice": {"bug"}, "attempt to": {"bug"},
    "kernel panic": {"panic"}, "unexpected kernel reboot": {"reboot"},
}  # fmt: skip
"""How a title begins, the more special first -> our class."""

pytestmark = pytest.mark.skipif(
    not (FOLDER / "index.json").is_file(), reason=f"no samples in {FOLDER}; REVIEWBOT_SPLATS names a folder of them"
)


@functools.cache
def samples() -> dict[str, tuple[str, str, Block | None]]:
    """Name -> syzbot's title, its function, and what is found."""
    index = json.loads((FOLDER / "index.json").read_text())
    return {
        name: (
            said["title"] or "",
            said["function"] or "",
            judge(splat_blocks((FOLDER / name).read_text(errors="replace"))).worst,
        )
        for name, said in index.items()
    }


def crashes() -> dict[str, tuple[str, str, Block | None]]:
    return {name: sample for name, sample in samples().items() if sample[0]}


def share(good: set[str]) -> float:
    return len(good) / len(crashes())


def test_the_function_at_fault_is_syzbots() -> None:
    found = {name: fingerprint(block).split(":") if block else [] for name, (_, _, block) in crashes().items()}
    exact = {name for name, (_, function, _) in crashes().items() if found[name][:1] == [function]}
    within = {name for name, (_, function, _) in crashes().items() if function in found[name]}
    assert share(exact) >= 0.85, sorted(set(crashes()) - exact)
    assert share(within) >= 0.95, sorted(set(crashes()) - within)


def test_the_class_is_that_of_the_title() -> None:
    right = {
        name
        for name, (title, _, block) in crashes().items()
        if block and block.kind in next((kinds for words, kinds in CLASSES.items() if title.startswith(words)), ())
    }
    assert share(right) >= 0.98, sorted(set(crashes()) - right)


def test_the_title_is_syzbots() -> None:
    same = {name for name, (title, _, block) in crashes().items() if block and block.title == title}
    assert share(same) >= 0.85, sorted(set(crashes()) - same)


def test_a_log_without_a_crash_has_no_splat() -> None:
    assert {name: block for name, (title, _, block) in samples().items() if block and not title} == {}

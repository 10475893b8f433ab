# SPDX-License-Identifier: GPL-2.0-or-later
"""Which control groups of a machine are used, and what is asked of them.

Here they are files in folders, as version 2 names them: the kernel's own are attacked in tests/hostile/test_sums.py.
"""

from pathlib import Path

import pytest

from reviewbot.host import cgroups
from reviewbot.host.limits import Limits
from reviewbot.host.watch import Watch

LIMITS = Limits(memory=1 << 30, processes=100)


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hierarchy of version 2: user.slice hands both controllers down, the group of this process none."""
    (tmp_path / "user.slice" / "mine").mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    for folder, words in ((".", "cpu memory pids"), ("user.slice", "memory pids"), ("user.slice/mine", "")):
        (tmp_path / folder / "cgroup.subtree_control").write_text(f"{words}\n")
    monkeypatch.setattr(cgroups, "_TOP", tmp_path)
    monkeypatch.setattr(cgroups, "_mine", lambda: {"unified": "/user.slice/mine"})
    monkeypatch.setattr(cgroups, "_PATIENCE", 0.0)  # a folder with files cannot be removed as a group can
    return tmp_path


def test_the_nearest_group_that_hands_down_both_controllers_is_the_parent(top: Path) -> None:
    found = cgroups._v2()
    assert found and found.parents == (("unified", top / "user.slice"),)
    (top / "user.slice" / "cgroup.subtree_control").write_text("memory\n")
    found = cgroups._v2()
    assert found and found.parents == (("unified", top),)


def test_without_one_of_the_controllers_version_2_is_not_used(top: Path) -> None:
    for folder in (top, top / "user.slice"):
        (folder / "cgroup.subtree_control").write_text("cpu memory\n")
    assert cgroups._v2() is None
    (top / "cgroup.controllers").unlink()
    assert cgroups._v2() is None, "a hybrid machine, whose controllers are in version 1"


def test_a_group_of_version_2_has_the_limits_and_tells_what_it_refused(top: Path) -> None:
    found = cgroups._v2()
    assert found
    with cgroups._made(found, LIMITS) as group:
        (procs,) = map(Path, group.join)
        place = procs.parent
        assert place.parent == top / "user.slice"
        written = {path.name: path.read_text() for path in place.iterdir()}
        assert written == {
            "memory.max": str(1 << 30),
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "pids.max": "100",
        }
        plan = {
            "sums": {"memory": 1 << 30, "processes": 100, "disk": 1 << 40, "inodes": 1 << 20},
            "events": [[event.what, event.file, event.key] for event in group.events],
        }
        (place / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
        watch = Watch(plan, {}, 1)
        assert watch.refused() is None
        (place / "memory.events").write_text("low 0\noom 4\noom_kill 1\n")
        assert watch.refused() == ("memory", 1 << 30)
        (place / "memory.events").write_text("oom_kill 0\n")
        (place / "pids.events").write_text("max 7\n")
        assert watch.refused() == ("processes", 100)


def test_a_scope_is_asked_for_the_same_limits_and_nothing_is_guessed_without_a_users_systemd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = cgroups._scope_words(LIMITS)
    assert {"MemoryMax=1073741824", "MemorySwapMax=0", "TasksMax=100"} <= set(words) and words[-1] == "--"
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    assert not cgroups._scope_works()

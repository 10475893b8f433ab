# SPDX-License-Identifier: GPL-2.0-or-later
"""Control groups: the kernel counts the memory and the processes of a box as a whole.

Version 2, or the memory and pids controllers of version 1; made directly where we may (root), else by systemd as a
scope of the user's. Where there is neither, `reviewbot.host.watch` counts.
"""

import contextlib
import functools
import itertools
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.limits import Limits
from reviewbot.host.process import run
from reviewbot.model.errors import InfraError

_TOP = Path("/sys/fs/cgroup")
_SERIAL = itertools.count()
_PATIENCE = 10.0
"""Seconds until a group is empty whose processes were killed."""


@dataclass(frozen=True, slots=True)
class Event:
    """`what` was refused when the number after `key` in a file grows."""

    what: str
    file: str
    key: str


@dataclass(frozen=True, slots=True)
class Group:
    """Control groups of one box."""

    words: tuple[str, ...] = ()
    """A command that starts another one inside of the group."""
    join: tuple[str, ...] = ()
    """Files that a process writes its number to."""
    events: tuple[Event, ...] = ()
    """Paths that begin with `own/` are below the group that the words made."""


@dataclass(frozen=True, slots=True)
class Means:
    """What this machine has for us. `kind`: `v2`, `v1`, `scope`, or `none`."""

    kind: str
    parents: tuple[tuple[str, Path], ...] = ()
    """Controller -> the group that ours are made below."""
    says: str = ""


@functools.cache
def means() -> Means:
    """Tried once: a group that can be made and entered."""
    for found in (_v2(), _v1()):
        if found and _works(found):
            return found
    if _scope_works():
        return Means("scope", says="scopes of the user's systemd")
    return Means("none", says="none available to this user: a watchdog limits memory and processes")


def _mine() -> dict[str, str]:
    """Controller -> our own group in its hierarchy; of version 2 under the name `unified`."""
    found = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(",") if controllers else ("unified",):
            found[name] = path
    return found


def _v2() -> Means | None:
    """The nearest group above us whose children have both controllers."""
    path = _mine().get("unified")
    if path is None or not (_TOP / "cgroup.controllers").exists():
        return None
    place = _TOP / path.lstrip("/")
    for parent in (place, *place.parents):
        with contextlib.suppress(OSError):
            if {"memory", "pids"} <= set((parent / "cgroup.subtree_control").read_text().split()):
                return Means("v2", (("unified", parent),), f"version 2, below {parent}")
        if parent == _TOP:
            break
    return None


def _v1() -> Means | None:
    mine = _mine()
    parents = []
    for name in ("memory", "pids"):
        parent = _TOP / name / mine.get(name, "/").lstrip("/")
        if name not in mine or not (parent / "cgroup.procs").exists():
            return None
        parents.append((name, parent))
    return Means("v1", tuple(parents), "version 1, memory and pids")


def _works(found: Means) -> bool:
    try:
        with _made(found, Limits()) as group:
            run(["sh", "-c", 'for file in "$@"; do echo $$ > "$file" || exit; done', "sh", *group.join], timeout=10)
    except (OSError, InfraError):
        return False
    return True


def _scope_words(limits: Limits) -> tuple[str, ...]:
    return (
        "systemd-run", "--user", "--scope", "--quiet", "--collect", "-p", f"MemoryMax={limits.bytes_of_memory}",
        "-p", "MemorySwapMax=0", "-p", f"TasksMax={limits.processes}", "--",
    )  # fmt: skip


def scope_environment() -> dict[str, str]:
    """What systemd-run needs to find the user's systemd."""
    wanted = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
    return {name: os.environ[name] for name in wanted if name in os.environ}


def _scope_works() -> bool:
    if shutil.which("systemd-run") is None or not scope_environment():
        return False
    words = [*_scope_words(Limits()), "sh", "-c", "cat /sys/fs/cgroup/$(sed -n s/^0:://p /proc/self/cgroup)/pids.max"]
    try:
        done = run(words, env=scope_environment(), timeout=10, split=True)
    except InfraError:
        return False
    return done.output.strip() == str(Limits().processes)


@contextlib.contextmanager
def group(limits: Limits) -> Iterator[Group]:
    """The control groups of a box; whatever is left in them in the end is killed. Raises OSError."""
    found = means()
    if found.kind == "scope":
        events = (Event("memory", "own/memory.events", "oom_kill"), Event("processes", "own/pids.events", "max"))
        yield Group(words=_scope_words(limits), events=events)
    elif found.kind == "none":
        yield Group()
    else:
        with _made(found, limits) as made:
            yield made


@contextlib.contextmanager
def _made(found: Means, limits: Limits) -> Iterator[Group]:
    name = f"reviewbot-{os.getpid()}-{next(_SERIAL)}"
    places = [(controller, parent / name) for controller, parent in found.parents]
    join: list[str] = []
    events: list[Event] = []
    with contextlib.ExitStack() as stack:
        for controller, place in places:
            _sweep(place.parent)
            place.mkdir()
            stack.callback(_remove, place)
            for file, value in _settings(controller, limits):
                with contextlib.suppress(FileNotFoundError):  # no swap accounting: then there is no file for it
                    (place / file).write_text(str(value))
            join.append(str(place / "cgroup.procs"))
            events += _events(controller, place)
        yield Group(join=tuple(join), events=tuple(events))


def _settings(controller: str, limits: Limits) -> tuple[tuple[str, int], ...]:
    memory, processes = limits.bytes_of_memory, limits.processes
    return {
        "unified": (("memory.max", memory), ("memory.swap.max", 0), ("memory.oom.group", 1), ("pids.max", processes)),
        "memory": (("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)),
        "pids": (("pids.max", processes),),
    }[controller]


def _events(controller: str, place: Path) -> tuple[Event, ...]:
    memory = {"unified": "memory.events", "memory": "memory.oom_control"}.get(controller)
    pids = {"unified": "pids.events", "pids": "pids.events"}.get(controller)
    return (
        *((Event("memory", str(place / memory), "oom_kill"),) if memory else ()),
        *((Event("processes", str(place / pids), "max"),) if pids else ()),
    )


def _remove(place: Path) -> None:
    """Kill what is in a group, wait until it is empty, remove it."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            place.rmdir()
            return
        with contextlib.suppress(OSError, ValueError):
            for pid in map(int, (place / "cgroup.procs").read_text().split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _sweep(parent: Path) -> None:
    """Remove empty groups of ours whose maker is gone: it was killed."""
    with contextlib.suppress(OSError):
        for place in parent.glob("reviewbot-*-*"):
            maker = place.name.split("-")[1]
            if maker.isdigit() and not Path("/proc", maker).exists():
                with contextlib.suppress(OSError):
                    place.rmdir()

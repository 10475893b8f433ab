# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done with names: made, looked at, renamed, removed, listed; by one process or by several at once."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from guest import Failed, run, write
from smoke.metadata import drop_caches

from bench.rounds import Row, Taken, fresh, turns

Work = Callable[[str, range], object]
"""Gets a process's own folder and the numbers of its files."""
BATCHES = 4
TAR = "/tmp/bench.tar"
FOLDERS, IN_EACH = 4, 12
"""Of the archive that is unpacked."""


def at_once(works: list[Callable[[], object]]) -> float:
    """Seconds until all of them have ended, each in a process of its own, from the moment they all may begin.

    Raises Failed when one did not do its work.
    """
    (ready_in, ready_out), (go_in, go_out) = os.pipe(), os.pipe()
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(go_out)
                os.write(ready_out, b"r")
                os.read(go_in, 1)
                work()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(ready_out)
    os.close(go_in)
    waiting = len(works)
    while waiting and (told := os.read(ready_in, waiting)):
        waiting -= len(told)
    began = time.monotonic()
    os.close(go_out)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    took = time.monotonic() - began
    os.close(ready_in)
    if any(ended):
        raise Failed(f"{sum(map(bool, ended))} of {len(works)} processes failed")
    return took


def _create(folder: str, numbers: range) -> None:
    for number in numbers:
        os.close(os.open(f"{folder}/f{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def _stat(folder: str, numbers: range) -> None:
    for number in numbers:
        os.stat(f"{folder}/f{number}")


def _rename(folder: str, numbers: range) -> None:
    for number in numbers:
        os.rename(f"{folder}/f{number}", f"{folder}/g{number}")


def _unlink(folder: str, numbers: range) -> None:
    for number in numbers:
        os.unlink(f"{folder}/g{number}")


PHASES: dict[str, Work] = {"create": _create, "stat": _stat, "rename": _rename, "unlink": _unlink}


def files(order: dict[str, Any]) -> dict[str, Row]:
    """Rows in the order of PHASES: `files` in all, shared by `threads` processes, each in a folder of its own.

    They come in batches, and the quickest counts: others were disturbed by what else the host does.
    """
    threads = order["threads"]
    batch = order["files"] // threads // BATCHES
    rows = {name: Row(threads * batch) for name in order["rows"]}
    fresh()
    for side, place, number in turns(order["rounds"]):
        folders = [f"{place}/{number}.{thread}" for thread in range(threads)]
        for folder in folders:
            os.mkdir(folder)
        for row, phase in zip(rows.values(), PHASES.values(), strict=True):
            took = []
            for first in range(0, BATCHES * batch, batch):
                drop_caches()
                numbers = range(first, first + batch)
                with Taken() as taken:
                    took.append(at_once([partial(phase, folder, numbers) for folder in folders]))
                row.count(side, taken, 1 / BATCHES)
            row.add(side, min(took))
        for folder in folders:
            os.rmdir(folder)
    return rows


def untar(order: dict[str, Any]) -> dict[str, Row]:
    """An archive of small files, unpacked by tar(1) in `threads` processes at once."""
    threads, (name,) = order["threads"], order["rows"]
    row = Row(threads * FOLDERS * IN_EACH)
    _make_archive()
    fresh()
    for side, place, number in turns(order["rounds"]):
        folders = [f"{place}/{number}.{thread}" for thread in range(threads)]
        for folder in folders:
            os.mkdir(folder)
        with Taken() as taken:
            took = at_once([_unpack(folder) for folder in folders])
        row.add(side, took, taken)
        run("rm", "-rf", *folders)
    return {name: row}


def _unpack(folder: str) -> Callable[[], object]:
    return lambda: os.execvp("tar", ["tar", "-xf", TAR, "-C", folder])


def _make_archive() -> None:
    if os.path.exists(TAR):
        return
    for folder in range(FOLDERS):
        os.makedirs(f"{TAR}.d/{folder}", exist_ok=True)
        for number in range(IN_EACH):
            write(f"{TAR}.d/{folder}/f{number}", os.urandom(1024 * (1 + number)))
    run("tar", "-cf", TAR, "-C", f"{TAR}.d", ".")


def readdir(order: dict[str, Any]) -> dict[str, Row]:
    """Every name of a folder with `files` entries."""
    entries, (name,) = order["files"], order["rows"]

    def fill(place: str) -> None:
        os.mkdir(f"{place}/many")
        for number in range(entries):
            os.mknod(f"{place}/many/entry-{number:06}")

    row = Row(entries)
    fresh(fill)
    for side, place, _ in turns(order["rounds"]):
        with Taken() as taken:
            began = time.monotonic()
            with os.scandir(f"{place}/many") as there:
                seen = sum(1 for _ in there)
            took = time.monotonic() - began
        if seen != entries:
            raise Failed(f"{place}: {seen} of {entries} entries were listed")
        row.add(side, took, taken)
    return {name: row}


def ended(child: int, until: float) -> int | None:
    """Exit status of a child, negative for a signal; None when it has not ended by then, which is monotonic time."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.005)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

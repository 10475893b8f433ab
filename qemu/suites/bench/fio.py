# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs of fio, and what its JSON says of them."""

import ctypes
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from guest import MNT, Failed, NotRun, read

from bench.rounds import LEG, Row, Taken, fresh, turns

_libc = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
PLACE = "/tmp/bench"
"""Where fio leaves what its commands say."""


Job = dict[str, Any]
"""`row`; `fio`: its options; `file`: `written`, `unwritten` (allocated, no more) or `new`."""
FIRST = "echo 3 >/proc/sys/vm/drop_caches"
"""Before each job, by fio itself: its start takes longer than most jobs, so they share one."""
_WAIT = {"exec_prerun": f"{FIRST}; cat {{}}", "exec_postrun": "cat {}", "stonewall": 1}
"""fio writes what these say into JOB.prerun.txt and JOB.postrun.txt."""


def argv(jobs: Sequence[Job], folder: str, file_of: Callable[[Job], str], counters: Sequence[str]) -> list[str]:
    """One job after the other in one thread of one process, so that it is the filesystem that is measured."""
    words = ["fio", "--output-format=json"]
    for job in jobs:
        counting = {name: word.format(" ".join(counters)) if isinstance(word, str) else word
                    for name, word in (_WAIT.items() if counters else ())}  # fmt: skip
        options = {
            "name": job["row"], "thread": 1, "ioengine": "psync", "fallocate": "none", "directory": folder,
            "filename": file_of(job), "randrepeat": 1, **counting, **job["fio"],
        }  # fmt: skip
        words += [f"--{name}={value}" for name, value in options.items()]
    return words


def run_fio(words: list[str]) -> dict[str, dict[str, Any]]:
    """Name of each job -> what fio's JSON says of it. Raises Failed with fio's last words, NotRun where there is none.

    fio may say something else before the JSON begins.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotRun("fio is not installed in the guest") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no output"]
        raise Failed(f"fio ended with status {done.returncode}: {last[-1]}")
    try:
        return {job["jobname"]: job for job in json.loads(done.stdout[done.stdout.index("{\n") :])["jobs"]}
    except (ValueError, KeyError, TypeError) as why:
        raise Failed(f"fio's output could not be parsed: {why!r}") from None


def seconds(job: dict[str, Any], *, synced: bool) -> tuple[float, float]:
    """(seconds, MiB moved) of a job. Raises Failed.

    Of a job that ends with an fsync, `synced`, the time is that of the whole job, which fio tells in ms; of others it
    is that of its middle operation times their number: a host that does something else meanwhile makes some wait.
    """
    try:
        kinds = [job[kind] for kind in ("read", "write")]
        moved = sum(kind["io_bytes"] for kind in kinds)
        whole = sum(kind["runtime"] for kind in kinds) / 1e3
        took = whole if synced else sum(_middle(kind) * kind["total_ios"] for kind in kinds) / 1e9
        error = job["error"]
    except (KeyError, TypeError) as why:
        raise Failed(f"fio's output could not be parsed: {why!r}") from None
    if error or not moved or took <= 0:
        raise Failed(f"fio moved {moved} bytes in {took} s, error {error}")
    return took, moved / MIB


def _middle(kind: dict[str, Any]) -> float:
    """Nanoseconds of the operation that half of all take longer than; 0 without any."""
    return float(kind["clat_ns"]["percentile"]["50.000000"]) if kind["total_ios"] else 0.0


def fio(order: dict[str, Any]) -> dict[str, Row]:
    """Rows as `jobs` has them; all jobs of a round are run by one process."""
    jobs: list[Job] = order["jobs"]
    rows = {job["row"]: Row() for job in jobs}
    os.makedirs(PLACE, exist_ok=True)
    os.chdir(PLACE)

    def lay(folder: str) -> None:
        for job in jobs:
            if job["file"] == "written":
                _write(f"{folder}/{job['row']}", _bytes(job["fio"]["size"]))

    fresh(lay)
    for side, folder, number in turns(order["rounds"]):
        one_time = [job for job in jobs if job["file"] != "written"]
        for job in one_time:
            if job["file"] == "unwritten":
                _allocate(f"{folder}/{_name(number, job)}", _bytes(job["fio"]["size"]))
        told = run_fio(argv(jobs, folder, partial(_name, number), Taken.counters()))
        for job in jobs:
            name, row = job["row"], rows[job["row"]]
            took, row.work = seconds(told.get(name, {}), synced=bool(job["fio"].get("end_fsync")))
            row.add(side, took, Taken().between(_said(name, "prerun"), _said(name, "postrun")))
        for job in one_time:
            os.unlink(f"{folder}/{_name(number, job)}")
    return rows


def bare(order: dict[str, Any]) -> dict[str, Row]:
    """The same job with all that is counted, and with nothing but fio's own clock."""
    (job,) = order["jobs"]
    row = Row()
    fresh(lambda folder: _write(f"{folder}/{job['row']}", _bytes(job["fio"]["size"])))
    words = argv([job], MNT, lambda job: job["row"], ())
    Taken.counters()
    for side, _, _ in turns(order["rounds"]):
        counted = side == LEG  # the other turn is that of the job alone
        Taken.count(counted)
        with Taken() as taken:
            told = run_fio(words)
        took, row.work = seconds(told.get(job["row"], {}), synced=False)
        row.add(side, took, taken if counted else None)
    return {job["row"]: row}


def _name(number: int, job: Job) -> str:
    return job["row"] if job["file"] == "written" else f"{job['row']}.{number}"


def _said(job: str, when: str) -> str:
    try:
        return read(f"{job}.{when}.txt").decode(errors="replace")
    except OSError:
        return ""


def _bytes(size: str) -> int:
    units = {"k": 10, "m": 20, "g": 30}
    return int(size[:-1]) << units[size[-1]] if size[-1] in units else int(size)


def _write(path: str, size: int) -> None:
    block = os.urandom(65536)
    with open(path, "wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[: size - at])
        os.fsync(file.fileno())


def _allocate(path: str, size: int) -> None:
    """By fallocate(2): posix_fallocate(3) writes instead where that is not supported, and overwrites are measured."""
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        if _libc.fallocate(handle, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
            raise NotRun(f"no fallocate here ({os.strerror(ctypes.get_errno())})")
        os.fsync(handle)
    finally:
        os.close(handle)

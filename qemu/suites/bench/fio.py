# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs of fio, and what its JSON says of them."""

import json
import os
import subprocess
from typing import Any

from guest import MNT, Failed, NotRun

from bench.rounds import EXT4, LEG, Row, Taken, fresh, turns

MIB = 1 << 20


def argv(options: dict[str, Any], folder: str, file: str) -> list[str]:
    """One job in one thread of one process, so that it is the filesystem that is measured."""
    words = {
        "name": "job", "thread": 1, "ioengine": "psync", "fallocate": "none", "directory": folder, "filename": file,
        "output-format": "json", "randrepeat": 1, "overwrite": 0, **options,
    }  # fmt: skip
    return ["fio", *(f"--{name}={value}" for name, value in words.items())]


def seconds(said: str, *, synced: bool) -> tuple[float, float]:
    """(seconds, MiB moved) of the only job, from fio's JSON. Raises Failed.

    fio may say something else before the JSON begins. Of a job that ends with an fsync, `synced`, the time is that of
    the whole job, which fio tells in ms; of others the sum over its operations, which it tells in ns.
    """
    try:
        (job,) = json.loads(said[said.index("{\n") :])["jobs"]
        kinds = [job[kind] for kind in ("read", "write")]
        moved = sum(kind["io_bytes"] for kind in kinds)
        whole = sum(kind["runtime"] for kind in kinds) / 1e3
        took = whole if synced else sum(kind["lat_ns"]["mean"] * kind["total_ios"] for kind in kinds) / 1e9
        error = job["error"]
    except (ValueError, KeyError, TypeError) as why:
        raise Failed(f"fio said what cannot be read: {why!r}") from None
    if error or not moved or took <= 0:
        raise Failed(f"fio moved {moved} bytes in {took} s, error {error}")
    return took, moved / MIB


def run_fio(options: dict[str, Any], folder: str, file: str) -> tuple[float, float]:
    """As `seconds`. Raises Failed with fio's last words, NotRun where there is none."""
    try:
        done = subprocess.run(argv(options, folder, file), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotRun("fio is not installed in the guest") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise Failed(f"fio ended with status {done.returncode}: {last[-1]}")
    return seconds(done.stdout, synced=bool(options.get("end_fsync")))


def job(order: dict[str, Any]) -> dict[str, Row]:
    """`fio`: the options of the job; `file`: `written`, `unwritten` (allocated, no more) or `new`."""
    options, (name,) = order["fio"], order["rows"]
    size = _bytes(options["size"])
    row = Row()

    def lay(folder: str) -> None:
        if order.get("file") == "written":
            _write(f"{folder}/file", size)

    fresh(lay)
    for side, folder, number in turns(order["rounds"]):
        file = "file" if order.get("file") == "written" else f"file{number}"
        if order.get("file") == "unwritten":
            _allocate(f"{folder}/{file}", size)
        with Taken() as taken:
            took, row.work = run_fio(options, folder, file)
        row.add(side, took, taken)
        if order.get("file") != "written" and number:
            os.unlink(f"{folder}/file{number - 1}")
    return {name: row}


def bare(order: dict[str, Any]) -> dict[str, Row]:
    """The same job with all that is measured, and with nothing but fio's own clock."""
    options, (name,) = order["fio"], order["rows"]
    fresh(lambda folder: _write(f"{folder}/file", _bytes(options["size"])))
    row = Row()
    with Taken():
        pass  # requests are counted from here on
    for side, _, _ in turns(order["rounds"]):
        if side == EXT4:  # whose turn is that of the job alone
            Taken.count(False)
            took, row.work = run_fio(options, MNT, "file")
            Taken.count(True)
        else:
            with Taken() as taken:
                took, row.work = run_fio(options, MNT, "file")
        row.add(side, took, taken if side == LEG else None)
    return {name: row}


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
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        os.posix_fallocate(handle, 0, size)
        os.fsync(handle)
    except OSError as error:
        raise NotRun(f"no fallocate here ({error.strerror})") from None
    finally:
        os.close(handle)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Several writers at once, with verification of what they wrote. Bounded by operations: seconds mean little here."""

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from guest import Failed, equal, folder, read, remount, run, write

ROUNDS = 60
"""Of each thread of `parallel`."""
SOON = 100
"""Times that a directory is tried, a tenth of a second apart."""


def fio() -> None:
    """Two threads of random writes in two files; fio reads all back and compares checksums."""
    place = folder("fio")
    _run(
        "fio",
        "--name=verify",
        f"--directory={place}",
        "--thread",
        "--numjobs=2",
        "--rw=randwrite",
        "--bs=4k",
        "--size=1m",
        "--ioengine=psync",
        "--fallocate=none",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--do_verify=1",
        "--fsync=64",
        "--end_fsync=1",
        "--randrepeat=1",
        "--group_reporting",
    )


def stress() -> None:
    """stress-ng's file stressors at the same time, each verifying its own work."""
    place = folder("stress")
    _run(
        "stress-ng",
        "--temp-path",
        place,
        "--verify",
        "--timeout",
        "60s",
        "--no-rand-seed",
        "--hdd",
        "1",
        "--hdd-bytes",
        "1m",
        "--hdd-write-size",
        "32k",
        "--hdd-ops",
        "64",
        "--rename",
        "1",
        "--rename-ops",
        "150",
        "--dentry",
        "1",
        "--dentries",
        "64",
        "--dentry-ops",
        "128",
        "--seek",
        "1",
        "--seek-size",
        "1m",
        "--seek-ops",
        "64",
    )


def parallel() -> None:
    """Threads that create, rename, list and remove in the same directories, in both orders, and look into one that is
    renamed; then all is consistent.
    """
    place = folder("parallel")
    for name in ("a", "b", "here"):
        os.mkdir(f"{place}/{name}")
    write(f"{place}/here/file", b"found")
    a, b, log = f"{place}/a", f"{place}/b", f"{place}/log"
    works = [
        lambda: _back_and_forth(a, b, "one"),
        lambda: _back_and_forth(b, a, "two"),
        lambda: _churn(a),
        lambda: _churn(b),
        lambda: _list(place),
        lambda: _move_folder(f"{place}/here", f"{place}/there"),
        lambda: _look_into(f"{place}/here", f"{place}/there"),
        lambda: _look_into(f"{place}/there", f"{place}/here"),
        lambda: _look_into(f"{place}/here", f"{place}/there"),
        lambda: _append(log, b"1"),
        lambda: _append(log, b"2"),
    ]
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result()
    for _ in ("as cached", "from the disk"):
        equal(sorted(os.listdir(a)), ["one"], "entries of one directory")
        equal(sorted(os.listdir(b)), ["two"], "entries of the other directory")
        equal(read(f"{place}/here/file"), b"found", "a file in a folder that was renamed meanwhile")
        content = read(log)
        equal((content.count(b"1" * 100), len(content)), (ROUNDS, 200 * ROUNDS), "lines of one writer, bytes of both")
        remount()


def _back_and_forth(here: str, there: str, name: str) -> None:
    write(f"{here}/{name}", b"")
    for _ in range(ROUNDS):
        os.rename(f"{here}/{name}", f"{there}/{name}")
        os.rename(f"{there}/{name}", f"{here}/{name}")


def _churn(place: str) -> None:
    for number in range(ROUNDS):
        os.mkdir(f"{place}/d{number}")
        write(f"{place}/d{number}/f", b"x" * 5000)
        os.unlink(f"{place}/d{number}/f")
        _rmdir_soon(f"{place}/d{number}")


def _rmdir_soon(path: str) -> None:
    """libfuse renames a file that is removed before the kernel's RELEASE of it came, and removes it then."""
    for _ in range(SOON):
        with contextlib.suppress(OSError):
            os.rmdir(path)
            return
        time.sleep(0.1)
    os.rmdir(path)


def _list(place: str) -> None:
    for _ in range(ROUNDS):
        for name in ("a", "b"):
            for entry in os.listdir(f"{place}/{name}"):
                os.path.exists(f"{place}/{name}/{entry}")


def _move_folder(here: str, there: str) -> None:
    for _ in range(2 * ROUNDS):
        os.rename(here, there)
        os.rename(there, here)


def _look_into(*places: str) -> None:
    """In both places, as the folder is in one of them only."""
    for _ in range(3 * ROUNDS):
        for place in places:
            with contextlib.suppress(FileNotFoundError):
                os.stat(f"{place}/file")


def _append(path: str, letter: bytes) -> None:
    """In whole lines of 100 bytes, each with one write(2)."""
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for _ in range(ROUNDS):
        os.write(handle, letter * 100)
    os.close(handle)


def interrupt() -> None:
    """Processes that are killed in the middle of their calls leave a filesystem that works."""
    place = folder("interrupt")
    for number in range(12):
        child = os.fork()
        if child == 0:
            _busy(f"{place}/{number % 3}")
        time.sleep(0.02 + number * 0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    write(f"{place}/after", b"works")
    remount()
    equal(read(f"{place}/after"), b"works", "a file that was written after the kills")
    for name in os.listdir(place):
        os.unlink(f"{place}/{name}")


def _busy(path: str) -> None:
    """Never returns."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    while True:
        os.pwrite(handle, b"k" * 65536, 0)
        os.fsync(handle)
        os.path.exists(f"{path}-absent")
        os.listdir(os.path.dirname(path))


def _run(*argv: str) -> None:
    done = run(*argv, check=False)
    print(done.stdout[-3000:], end="")
    if done.returncode:
        words = [line for line in done.stdout.splitlines() if "fail" in line or "verify" in line or "error" in line]
        last = words[0] if words else (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise Failed(f"{argv[0]} ended with status {done.returncode}: {last.strip()}")


CHECKS = {"parallel": parallel, "interrupt": interrupt, "fio": fio, "stress": stress}

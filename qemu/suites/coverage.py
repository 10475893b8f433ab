# SPDX-License-Identifier: GPL-2.0-or-later
"""The last step of a machine whose stack counts what it runs: bring all counters together in one folder.

A program writes its counters when it exits, so servers must go first; the kernel's are read from debugfs. `notes` says
what is missing, one line each.
"""

import os
import subprocess
import time

from archive import STEP_LIMIT
from guest import RUN, deaths

COUNTERS = f"{RUN}/gcov"
KERNEL = "/sys/kernel/debug/gcov"
_WAIT = 60.0


def end_check() -> None:
    """A `check` that waits for its next test unmounts and ends when there is none."""
    turns = f"{RUN}/fstests"
    if not os.path.exists(f"{turns}/idle"):
        return
    with open(f"{turns}/pid") as file:
        pid = file.read().strip()
    with open(f"{turns}/turn", "w") as file:
        file.write("\n")
    until = time.monotonic() + _WAIT
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.05)


def unmount() -> list[str]:
    """Unmount everything that a server serves; what could not be."""
    with open("/proc/self/mounts") as file:
        mounts = [line.split()[:3] for line in file]
    places = [place for _, place, kind in mounts if kind.split(".")[0] in ("fuse", "fuseblk")]
    failed = []
    for place in reversed(places):
        done = subprocess.run(["umount", place], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            failed.append(f"{place} could not be unmounted, so its server did not write its counters")
    return failed


def kernel() -> list[str]:
    """Copy the kernel's counters, named as programs name theirs: `#obj#fs#fuse#dir.gcda`."""
    if not os.path.isdir(KERNEL):
        return ["this kernel has no counters"]
    for folder, _, names in os.walk(KERNEL):
        for name in names:
            if name.endswith(".gcda"):
                path = f"{folder}/{name}"
                with open(path, "rb") as source:
                    content = source.read()
                with open(f"{COUNTERS}/{path[len(KERNEL) :].replace('/', '#')}", "wb") as target:
                    target.write(content)
    return []


def too_many() -> list[str]:
    """What does not fit through the results port."""
    size = sum(entry.stat().st_size + 1024 for entry in os.scandir(COUNTERS))  # each has a header in the archive
    return [f"{size >> 20} MiB of counters, of which {STEP_LIMIT >> 20} came back"] if size > STEP_LIMIT else []


def main(_: list[str]) -> int:
    os.makedirs(COUNTERS, exist_ok=True)
    killed = [f"a server was killed and wrote no counters: {line}" for line in deaths()]
    end_check()
    notes = [*killed, *unmount(), *kernel(), *too_many()]
    with open(f"{COUNTERS}/notes", "w") as file:
        file.writelines(f"{note}\n" for note in notes)
    print(f"{len(os.listdir(COUNTERS)) - 1} files of counters")
    return 0

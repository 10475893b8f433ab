# SPDX-License-Identifier: GPL-2.0-or-later
"""FUSE servers that died: the agent looks for them after each step, which they belong to.

`mount.fuse.ext4` leaves `dead/PID` for each; here its core becomes `dead/PID.backtrace`, with which the host gets it.
A core is not given to the host: it is large, and the debugger would read there what a guest made up.
"""

import glob
import os
import time

from texts import read

RUN = "/run/reviewbot"
DEAD = RUN + "/dead"
MOST = 2
"""Cores of one step that are looked at; the rest is the same, most likely."""
GDB_LIMIT = 14.0
"""Seconds for one core; an emulated machine that does nothing else needs two."""
PATIENCE = 2.0
"""Seconds from a server's end to its supervisor's word."""
TEXT = 256 << 10
"""Bytes of a backtrace that are kept."""
GDB = ("gdb", "-nx", "-nh", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set width 0",
       "-ex", "bt 64", "-ex", "echo \\n== all threads\\n", "-ex", "thread apply all -s bt 24")  # fmt: skip
_missed: set[str] = set()
"""Servers that are gone without a word: their supervisor was killed, too."""


def died() -> bool:
    """Whether the step that ended has left a death; waits for the word of one that is just happening."""
    until = time.monotonic() + PATIENCE
    while gone := _gone():
        if time.monotonic() > until:
            _missed.update(gone)
            break
        time.sleep(0.02)
    return bool(_dead())


def _gone() -> list[str]:
    """Servers that are no more, and of which nothing was noted yet."""
    try:
        names = os.listdir(RUN + "/servers")
    except OSError:
        return []
    found = []
    for name in names:
        if not name.endswith(".pid") or name[:-3] + "status" in names:
            continue
        pid = read(f"{RUN}/servers/{name}").strip()
        gone = pid and pid not in _missed and not os.path.exists(f"/proc/{pid}")
        if gone and not os.path.exists(f"{RUN}/servers/{name[:-3]}status"):
            found.append(pid)
    return found


def _dead() -> list[str]:
    try:
        return sorted(name for name in os.listdir(DEAD) if name.isdigit())
    except OSError:
        return []


def examine() -> str:
    """Make a backtrace of each core of a server that died, and remove it."""
    for number, pid in enumerate(_dead()):
        words = dict(line.partition(" ")[::2] for line in read(f"{DEAD}/{pid}").splitlines())
        for core in glob.glob(f"/core.*.{pid}"):
            if number < MOST:
                _trace(_program(words.get("server", "")), core, f"{DEAD}/{pid}.backtrace")
            os.unlink(core)
    return ""


def _program(server: str) -> str:
    places = (f"/stack/{place}/{server}" for place in ("sbin", "bin"))
    return next((path for path in places if os.path.isfile(path)), server)


def _trace(program: str, core: str, to: str) -> None:
    import subprocess

    try:
        said = subprocess.run([*GDB, program, core], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=GDB_LIMIT, check=False).stdout  # fmt: skip
    except subprocess.TimeoutExpired as error:
        said = (error.output or b"") + b"\n[gdb did not end]\n"
    except OSError as error:
        said = f"[no gdb: {error.strerror}]\n".encode()
    with open(to, "wb") as file:
        file.write(said[:TEXT])

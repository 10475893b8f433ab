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
PATIENCE = 60.0
"""Seconds from a server's end to its supervisor's word, on a host that is crowded; the wait ends with the word."""
ALONE = 2.0
"""The same when the supervisor is no more."""
_PF_EXITING, _SIGKILL = 0x4, 1 << 8
TEXT = 256 << 10
"""Bytes of a backtrace that are kept."""
GDB = ("gdb", "-nx", "-nh", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set width 0",
       "-ex", "bt 64", "-ex", "echo \\n== all threads\\n", "-ex", "thread apply all -s bt 24")  # fmt: skip
_missed: set[str] = set()
"""Servers that are gone without a word: their supervisor was killed, too."""


def died() -> bool:
    """Whether the step that ended has left a death; waits for the word of one that is just happening."""
    began = time.monotonic()
    while gone := _gone():
        waited = time.monotonic() - began
        _missed.update(pid for pid, told in gone.items() if waited > (PATIENCE if told else ALONE))
        time.sleep(0.02)
    return bool(_dead())


def _gone() -> dict[str, bool]:
    """Servers that are no more, and of which nothing was noted yet -> whether somebody is there to note it."""
    try:
        names = os.listdir(RUN + "/servers")
    except OSError:
        return {}
    found = {}
    for name in names:
        if not name.endswith(".pid") or name[:-3] + "status" in names:
            continue
        pid = read(f"{RUN}/servers/{name}").strip()
        gone = pid and pid not in _missed and ending(pid)
        if gone and not os.path.exists(f"{RUN}/servers/{name[:-3]}status"):
            supervisor = read(f"{RUN}/servers/{name[:-3]}supervisor").strip()
            found[pid] = bool(supervisor) and not ending(supervisor)
    return found


def ending(pid: str) -> bool:
    """Whether a process has ended or is ending. Its clients may see that long before its parent does."""
    words = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not words or words[0] in "ZX" or int(words[6]) & _PF_EXITING:
        return True
    pending = [
        line.split()[1] for line in read(f"/proc/{pid}/status").splitlines() if line[:7] in ("SigPnd:", "ShdPnd:")
    ]
    return any(int(mask, 16) & _SIGKILL for mask in pending)


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
        said = subprocess.run(
            [*GDB, program, core],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=GDB_LIMIT,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as error:
        said = (error.output or b"") + b"\n[gdb did not end]\n"
    except OSError as error:
        said = f"[no gdb: {error.strerror}]\n".encode()
    with open(to, "wb") as file:
        file.write(said[:TEXT])

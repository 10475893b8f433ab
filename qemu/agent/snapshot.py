# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's side of a machine that is saved once and restored many times.

`warm` before it is saved: what costs every machine the same is done, and nothing of a leg. `freshen` in every machine,
restored or not, before anything else: two copies of one machine must not draw the same random numbers.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time

TYPE_CHECKING = False  # that of `typing`, whose import costs too much here
if TYPE_CHECKING:
    from typing import Any

_RNDADDENTROPY, _RNDRESEEDCRNG = 0x40085203, 0x5207
_READ = ("/stack/bin", "/stack/sbin", "/stack/lib", "/stack/helpers", "/stack/agent", "/stack/suites")
"""What most steps of most legs start, or load."""
_IMPORT = "import sys; sys.path[:0] = ['/stack/agent', '/stack/suites']; [__import__(name) for name in sys.argv[1:]]"


def freshen(order: dict[str, Any]) -> None:
    """Random bytes and the time of day (`entropy`, hex; `now`, seconds since 1970) are the host's."""
    entropy = bytes.fromhex(order.get("entropy", ""))
    if entropy:
        random = os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)
        fcntl.ioctl(random, _RNDADDENTROPY, struct.pack("ii", 8 * len(entropy), len(entropy)) + entropy)
        fcntl.ioctl(random, _RNDRESEEDCRNG)  # without it the old state lives for up to a minute
        os.close(random)
    if "now" in order:
        time.clock_settime(time.CLOCK_REALTIME, order["now"])


def warm(env: dict[str, str]) -> None:
    """Programs in the page cache, the suites' modules compiled, the agent's own imported.

    env: what a step would get.
    """
    from start import ready

    ready()
    for module in ("archive", "deaths", "hang"):
        __import__(module)
    if os.path.exists("/stack/fstests/check"):
        run(["/stack/suites/fstests/tree"], env)
    for folder in _READ:
        for root, _, names in os.walk(folder):
            for name in names:
                touch(f"{root}/{name}")
    modules = [name.removesuffix(".py") for name in os.listdir("/stack/suites") if is_module(name)]
    run(["/usr/bin/python3", "-S", "-c", _IMPORT, *modules], {**env, "PYTHONPYCACHEPREFIX": "/run/reviewbot/pycache"})


def is_module(name: str) -> bool:
    path = f"/stack/suites/{name}"
    return os.path.exists(f"{path}/__init__.py") or (name.endswith(".py") and name != "run.py")


def touch(path: str) -> None:
    try:
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass
    except OSError:
        return


def run(argv: list[str], env: dict[str, str]) -> None:
    """To its end; what it says is for the console only."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    os.waitpid(os.posix_spawn(argv[0], argv, env, file_actions=actions), 0)

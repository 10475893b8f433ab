# SPDX-License-Identifier: GPL-2.0-or-later
"""How the agent starts the command of a step.

A suite of ours, `python3 -S /stack/suites/run.py SUITE WORD…`, is a fork of the agent that goes on as that program:
under emulation a new interpreter costs 0.3 s until it has what the agent has, and a leg has some twenty such steps.
"""

import os
import signal
import sys

from texts import write

SUITE = ["python3", "-S", "/stack/suites/run.py"]
IMPORTED = (
    "concurrent.futures.thread", "contextlib", "ctypes", "dataclasses", "errno", "fcntl", "glob", "hashlib",
    "itertools", "json", "mmap", "random", "re", "resource", "select", "shutil", "signal", "socket", "stat",
    "struct", "subprocess", "threading", "traceback", "zlib",
)  # fmt: skip
"""What suites import of the standard library; they read their settings when they are imported, so not themselves."""
# Python ignores these two; a test must not, or `zgrep | head` complains of a broken pipe.
_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ)
_MOST_FILES = 4096
"""Descriptors that the agent never reaches."""


def ready() -> None:
    """Import once what each suite would."""
    for name in IMPORTED:
        __import__(name)


def start(argv: list[str], env: dict[str, str], output: int) -> int:
    """Process id of the command, in a session of its own: nothing to read, both its outputs are `output`.

    Raises OSError when it cannot be started.
    """
    if argv[:3] == SUITE:
        ready()
        pid = os.fork()
        if pid == 0:
            become(argv[3:], env, output)
        return pid
    actions = [
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    ]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True, setsigdef=_DEFAULT)


def become(words: list[str], env: dict[str, str], output: int) -> None:
    """Be a new Python that runs the suite `words[0]`; never returns."""
    status = 1
    try:
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, _MOST_FILES)  # the agent's ports and disk are nobody's business
        os.environ.clear()
        os.environ.update(env)
        write("/proc/self/comm", "/".join(words[:2])[:15])  # what reports of hangs and crashes call it
        sys.argv = [SUITE[-1], *words]
        sys.pycache_prefix = env.get("PYTHONPYCACHEPREFIX")
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        status = run(words)
        sys.stdout.flush()
    finally:
        os._exit(status)


def run(words: list[str]) -> int:
    """What the interpreter makes of `sys.exit(main())` and of an error."""
    try:
        ended = __import__(words[0]).main(words[1:])
    except SystemExit as end:
        ended = end.code
    except BaseException:
        sys.stdout.flush()
        sys.excepthook(*sys.exc_info())
        return 1
    if ended is None or isinstance(ended, int):
        return (ended or 0) & 0xFF
    print(ended, file=sys.stderr)
    return 1

# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a box runs as, and the folders that belong to it."""

import functools
import grp
import os
import pwd
import sys
from pathlib import Path

from reviewbot.host.process import run, tidy
from reviewbot.host.rootless import as_root

_FIRST = 1_900_000_000
"""Ids from here on belong to nothing by systemd's table (systemd.io/UIDS-GIDS): above those of containers."""
_STEP = 65_536
_TOP = Path(__file__).parents[2]
STAGE = (sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(_TOP)!r});"
         " from reviewbot.host.stage import main; sys.exit(main(sys.argv[1]))")  # fmt: skip
"""The program `reviewbot.host.stage`, without what this Python's site adds: it starts in a tenth of the time."""


@functools.cache
def owner() -> int:
    """The id, of user and group, that code in a box runs with when root calls us: root's first subordinate one, or one
    that neither an account nor subordinate ids have. 0 for an ordinary user, whose subordinate ids are known only
    inside of the namespace that has them.
    """
    if os.geteuid() != 0:
        return 0
    ranges = _subordinate()
    if mine := [first for name, first, _ in ranges if name in ("root", "0")]:
        return mine[0]
    taken = {(first, count) for _, first, count in ranges}
    for number in range(_FIRST, 1 << 31, _STEP):
        if not _account(number) and not any(first <= number < first + count for first, count in taken):
            return number
    return _FIRST


def _subordinate() -> list[tuple[str, int, int]]:
    """User, first id and number of ids of each line of /etc/subuid and /etc/subgid."""
    found = []
    for table in (Path("/etc/subuid"), Path("/etc/subgid")):
        for line in table.read_text().splitlines() if table.exists() else ():
            name, _, numbers = line.partition(":")
            first, _, count = numbers.partition(":")
            if first.strip().isdigit() and count.strip().isdigit():
                found.append((name, int(first), int(count)))
    return found


def _account(number: int) -> bool:
    for find in (pwd.getpwuid, grp.getgrgid):
        try:
            find(number)
        except KeyError:
            continue
        return True
    return False


def remove(path: Path) -> None:
    """Remove a folder or file that a box wrote, however deep it is and whatever its permissions are.

    No link is followed. Nothing happens if it is not there. Raises CommandFailed.
    """
    if os.path.lexists(path):
        tidy([*as_root(), "rm", "-rf", "--one-file-system", "--", path])


def give(path: Path) -> None:
    """Make a folder that we made, and all in it, the box's own, so that code in a box may read and change all of it.

    A box does this with what it has bound writable. Raises CommandFailed.
    """
    if words := as_root():
        run([*words, *STAGE, path.absolute()], timeout=3600)
    else:
        run(["chown", "-hR", f"{owner()}:{owner()}", "--", path], timeout=3600)

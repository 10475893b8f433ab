# SPDX-License-Identifier: GPL-2.0-or-later
"""How boxes are entered on this host: by which user, through which namespaces, with which filter."""

import functools
import os
import shutil
from dataclasses import dataclass

from reviewbot.host import cgroups, seccomp
from reviewbot.host.box import owner
from reviewbot.host.process import (
    ToolMissing,
    run,
)
from reviewbot.host.rootless import as_root
from reviewbot.host.stage import Refused, subordinate
from reviewbot.model.errors import InfraError


@dataclass(frozen=True, slots=True)
class WayIn:
    """How boxes are entered here, with all that this machine can give."""

    bwrap: str
    words: tuple[str, ...]
    """Before stage.py: they make it root of a mount namespace."""
    owner: int | None
    """Who code in the box is on the host; None: one of the user's subordinate ids, 0: the caller."""
    own_user: str
    """Why it is the caller."""
    filter: bytes
    no_filter: str
    """Why there is none."""
    locks: bool
    """bubblewrap can forbid further user namespaces."""


@functools.cache
def way_in() -> WayIn:
    if (bwrap := shutil.which("bwrap")) is None:
        raise ToolMissing("bwrap")
    words: tuple[str, ...] = ("unshare", "--mount", "--propagation", "private", "--")
    who: int | None = owner()
    own_user = ""
    if os.geteuid() != 0:
        words, who, own_user = _subordinate()
    try:
        program, no_filter = seccomp.program(counted=cgroups.means().kind != "none"), ""
    except seccomp.NoSeccomp as error:
        program, no_filter = b"", str(error)
    locks = "--disable-userns" in run([bwrap, "--help"], timeout=10, check=False).output
    return WayIn(bwrap, words, who, own_user, program, no_filter, locks)


def _subordinate() -> tuple[tuple[str, ...], int | None, str]:
    """Words, owner and what is missing, for an ordinary user."""
    try:
        words = as_root()
        subordinate(run([*words, "cat", "/proc/self/uid_map"], timeout=10).output)
    except (InfraError, Refused, ValueError) as error:
        alone = ("unshare", "--user", "--map-root-user", "--mount", "--")
        return alone, 0, f"this user has no subordinate ids that newuidmap can map ({error})"
    return words, None, ""

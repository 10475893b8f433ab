# SPDX-License-Identifier: GPL-2.0-or-later
"""A build root of a few megabytes: programs of this host and the libraries they need."""

import shutil
import subprocess
from pathlib import Path

from reviewbot.host.sandbox import MOUNT_POINTS

PROGRAMS = ("tar", "bash", "mkfifo", "ln", "mkdir", "chmod", "rm", "cat", "touch", "cp")


def small_root(root: Path) -> Path:
    """Made where `root` says."""
    for name in (*MOUNT_POINTS, "usr/bin", "proc", "dev", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for program in PROGRAMS:
        found = shutil.which(program)
        assert found, program
        shutil.copy(found, root / "usr/bin" / program)
        said = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in (Path(word) for word in said.split() if word.startswith("/")):
            place = root / str(library).lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy(library, place)
    return root

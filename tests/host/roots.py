# SPDX-License-Identifier: GPL-2.0-or-later
"""Build roots for tests: made of a few of this host's programs, or of its whole /usr."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from reviewbot.host.sandbox import MOUNT_POINTS, Bind

PROGRAMS = ("tar", "bash", "mkfifo", "ln", "mkdir", "chmod", "rm", "cat", "touch", "cp")


def small_root(root: Path, more: Sequence[str] = ()) -> Path:
    """Made where `root` says. more: programs besides the usual ones."""
    for name in (*MOUNT_POINTS, "usr/bin", "proc", "dev", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for program in (*PROGRAMS, *more):
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


def host_root(root: Path) -> dict[str, Bind]:
    """Make empty folders at `root`; with the binds that are returned, a box sees the host's programs there."""
    for name in (*MOUNT_POINTS, "usr", "proc", "dev", "tmp"):
        (root / name).mkdir(parents=True)
    binds = {"/usr": Bind(Path("/usr"))}
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
        elif Path("/", name).is_dir():
            (root / name).mkdir()
            binds[f"/{name}"] = Bind(Path("/", name))
    return binds

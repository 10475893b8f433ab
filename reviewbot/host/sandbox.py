# SPDX-License-Identifier: GPL-2.0-or-later
"""The box in which everything runs that a patch can influence."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.process import Completed, run

MEMORY = 12 << 30
"""Bytes of address space that a process in the sandbox has."""

MOUNT_POINTS = ("src", "obj", "out", "stack", "recipe", "kconfigs")
"""Empty folders of the build root that binds go to."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder of the host inside the sandbox."""

    path: Path
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """bubblewrap around a build root.

    No network, no devices but null and its like, nothing of the host but the binds, no capabilities, own user, pid,
    ipc, mount, network, uts and cgroup namespaces; all of it dies with us. Limits: wall time (`timeout`), and per
    process address space and file size. The sum over processes is not limited.
    """

    root: Path

    def run(
        self, argv: Sequence[str], *, binds: Mapping[str, Bind], log: Path, timeout: float,
        env: Mapping[str, str] | None = None, cwd: str = "/src", check: bool = True, stdin: bytes = b"",
        stdout: Path | None = None, memory: int = MEMORY, file_size: int = 8 << 30, log_limit: int | None = None,
    ) -> Completed:  # fmt: skip
        """Run to the end; output goes to `log`, but stdout to its own file if one is named.

        memory, file_size: bytes per process; `log` and `stdout` do not grow beyond `file_size` either, and a program
        that writes more dies of it. log_limit: bytes that go to the log; what is said beyond is dropped. A bind may
        go to a folder that the build root does not have. Raises CommandFailed, CommandTimeout, ToolMissing.
        """
        settings = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "JOBS": str(os.cpu_count() or 1), **(env or {}),
        }  # fmt: skip
        words = ["prlimit", f"--as={memory}", f"--fsize={file_size}", "--core=0", "bwrap", "--unshare-all",
                 "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "build",
                 *self._root(binds), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # fmt: skip
        for target, bind in binds.items():
            words += ["--bind" if bind.writable else "--ro-bind", str(bind.path), target]
        for name, value in settings.items():
            words += ["--setenv", name, value]
        words += ["--remount-ro", "/", "--chdir", cwd, "--", *argv]
        return run(words, log=log, log_limit=log_limit, timeout=timeout, check=check, stdin=stdin, stdout=stdout)

    def _root(self, targets: Iterable[str]) -> list[str]:
        """The build root as `/`. bubblewrap cannot make a mount point inside a read-only bind, so if one is missing
        the root's entries are laid out one by one.
        """
        if all((self.root / target.lstrip("/")).exists() for target in targets):
            return ["--ro-bind", str(self.root), "/"]
        words = ["--tmpfs", "/"]
        for entry in sorted(self.root.iterdir()):
            if entry.is_symlink():
                words += ["--symlink", str(entry.readlink()), f"/{entry.name}"]
            elif entry.is_dir() and entry.name not in ("proc", "dev", "tmp"):
                words += ["--ro-bind", str(entry), f"/{entry.name}"]
        return words

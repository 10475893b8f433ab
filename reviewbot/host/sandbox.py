# SPDX-License-Identifier: GPL-2.0-or-later
"""The box in which everything runs that a patch can influence."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.process import Completed, run

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
    ipc, mount, network, uts and cgroup namespaces; all of it dies with us. Limits: wall time (`timeout`), 12 GiB of
    address space and 8 GiB of file size per process. The sum over processes is not limited.
    """

    root: Path

    def run(
        self, argv: Sequence[str], *, binds: Mapping[str, Bind], log: Path, timeout: float,
        env: Mapping[str, str] | None = None, cwd: str = "/src", check: bool = True, stdin: bytes = b"",
    ) -> Completed:  # fmt: skip
        """Run to the end; output goes to `log`. Raises CommandFailed, CommandTimeout, ToolMissing."""
        settings = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "JOBS": str(os.cpu_count() or 1), **(env or {}),
        }  # fmt: skip
        words = ["prlimit", f"--as={12 << 30}", f"--fsize={8 << 30}", "--core=0", "bwrap", "--unshare-all",
                 "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "build",
                 "--ro-bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # fmt: skip
        for target, bind in binds.items():
            words += ["--bind" if bind.writable else "--ro-bind", str(bind.path), target]
        for name, value in settings.items():
            words += ["--setenv", name, value]
        return run([*words, "--chdir", cwd, "--", *argv], log=log, timeout=timeout, check=check, stdin=stdin)

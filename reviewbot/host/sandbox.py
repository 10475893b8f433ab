# SPDX-License-Identifier: GPL-2.0-or-later
"""The box in which everything runs that a patch can influence."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from reviewbot.host.box import STAGE, owner
from reviewbot.host.process import CommandFailed, CommandTimeout, Completed, LimitExceeded, ToolMissing, run
from reviewbot.host.rootless import as_root
from reviewbot.host.stage import TOP
from reviewbot.model.errors import InfraError

MEMORY = 12 << 30
"""Bytes of address space that a process in the sandbox has."""

LOG_LIMIT = 64 << 20
"""Bytes that are kept of what the build of a component says; those of a kernel with W=1 are a few MiB."""

MOUNT_POINTS = ("src", "obj", "out", "stack", "recipe", "kconfigs")
"""Empty folders of the build root that binds go to."""
USER = 1000
"""Who code in the box believes to be."""

_NOT_OF_THE_ROOT = ("proc", "dev", "sys", "tmp", "run")


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder or file of the host inside the sandbox. `path` itself may not be a symbolic link.

    With `lower`, folders of which the first is the topmost, the box sees them all as one. What it changes goes to
    `path`, a folder that is thrown away, and `lower` stays as it is; where the machine has no overlayfs, `path` gets a
    copy. Without `writable`, what is in `path` itself lies above `lower`, and nothing can be changed.

    A writable `path` is given to the user that the box runs as, with all that is in it, unless it is that user's.
    """

    path: Path
    writable: bool = False
    lower: tuple[Path, ...] = ()


class BoxBroken(InfraError):
    """A box could not be set up on this machine."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """bubblewrap around a build root.

    No network, no devices but null and its like, nothing of the host but the binds, no capabilities, own user, pid,
    ipc, mount, network, uts and cgroup namespaces; all of it dies with us. On the host its processes belong to a user
    that owns nothing (`reviewbot.host.box.owner`; of an ordinary user, one of the subordinate ids), and so do the files
    that they write. Limits: wall time (`timeout`), and per process address space and file size.
    """

    root: Path

    def run(
        self, argv: Sequence[str], *, binds: Mapping[str, Bind], log: Path, log_limit: int, timeout: float,
        env: Mapping[str, str] | None = None, cwd: str = "/src", check: bool = True, stdin: bytes = b"",
        stdout: Path | None = None, memory: int = MEMORY, file_size: int = 8 << 30,
    ) -> Completed:  # fmt: skip
        """Run to the end; output goes to `log`, but stdout to its own file if one is named.

        log_limit: bytes that go to the log; what is said beyond is dropped. memory, file_size: bytes per process;
        `stdout` does not grow beyond `file_size` either, and a program that writes more dies of it. A bind may go to a
        folder that the build root does not have.
        Raises CommandFailed, LimitExceeded (CommandTimeout is one), ToolMissing, BoxBroken.
        """
        limits = {"AS": memory, "FSIZE": file_size, "CORE": 0}
        with tempfile.TemporaryFile("w+") as report, self._plan(argv, binds, env or {}, cwd, limits, report) as plan:
            words = [*self._words(), sys.executable, "-I", "-S", str(STAGE), str(plan)]
            try:
                done = run(
                    words, env={}, bare=True, log=log, log_limit=log_limit, timeout=timeout, check=check, stdin=stdin,
                    stdout=stdout, stdout_limit=file_size, pass_fds=(plan, report.fileno()),
                )  # fmt: skip
            except CommandFailed as error:
                _believe(report, error.tail)
                raise CommandFailed(argv, error.status, error.tail, log=log) from None
            except CommandTimeout as error:
                raise CommandTimeout(argv, error.timeout, error.tail) from None
            except LimitExceeded as error:
                raise LimitExceeded(error.what, error.limit, argv=argv, tail=error.tail) from None
            _believe(report, done.output)
        return replace(done, argv=tuple(argv))

    @staticmethod
    def _words() -> tuple[str, ...]:
        return as_root() or ("unshare", "--mount", "--propagation", "private", "--")

    @contextmanager
    def _plan(
        self, argv: Sequence[str], binds: Mapping[str, Bind], env: Mapping[str, str], cwd: str,
        limits: Mapping[str, int], report: IO[str],
    ) -> Iterator[int]:  # fmt: skip
        """The number of an open file that tells stage.py what to do. Raises ToolMissing."""
        if (program := shutil.which("bwrap", path=f"{os.environ.get('PATH', '')}:/usr/bin")) is None:
            raise ToolMissing("bwrap")
        places: list[dict[str, Any]] = [{"path": str(self.root.absolute()), "writable": False, "lower": []}]
        for bind in binds.values():
            lower = [str(path.absolute()) for path in bind.lower]
            places.append({"path": str(bind.path.absolute()), "writable": bind.writable, "lower": lower})
        plan = {
            "bwrap": program, "argv": list(argv), "owner": owner(),
            "rootless": os.geteuid() != 0, "places": places,
            "limits": dict(limits), "report": report.fileno(), "words": self._bubblewrap(binds, env, cwd),
        }  # fmt: skip
        with tempfile.TemporaryFile("w+") as file:
            json.dump(plan, file)
            file.seek(0)
            yield file.fileno()

    def _bubblewrap(self, binds: Mapping[str, Bind], env: Mapping[str, str], cwd: str) -> list[str]:
        settings = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "JOBS": str(os.cpu_count() or 1), **env,
        }  # fmt: skip
        words = ["--unshare-all", "--unshare-user", "--disable-userns", "--uid", str(USER), "--gid", str(USER),
                 "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "build",
                 *self._root(binds), "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys",
                 "--dev", "/dev", "--tmpfs", "/tmp"]  # fmt: skip
        for number, (target, bind) in enumerate(binds.items(), 1):
            words += ["--bind" if bind.writable else "--ro-bind", f"{TOP}/{number}", target]
        for name, value in settings.items():
            words += ["--setenv", name, value]
        return [*words, "--remount-ro", "/", "--chdir", cwd]

    def _root(self, targets: Mapping[str, Bind]) -> list[str]:
        """The build root as `/`. bubblewrap cannot make a mount point inside a read-only bind, so if one is missing
        the root's entries are laid out one by one.
        """
        if all((self.root / target.lstrip("/")).exists() for target in targets):
            return ["--ro-bind", f"{TOP}/0", "/"]
        if not self.root.is_dir():
            raise BoxBroken(f"the box could not be set up: there is no build root at {self.root}")
        words = ["--tmpfs", "/"]
        for entry in sorted(self.root.iterdir()):
            if entry.is_symlink():
                words += ["--symlink", str(entry.readlink()), f"/{entry.name}"]
            elif entry.is_dir() and entry.name not in _NOT_OF_THE_ROOT:
                words += ["--ro-bind", f"{TOP}/0/{entry.name}", f"/{entry.name}"]
        return words


def _believe(report: IO[str], said: str) -> None:
    """Raises BoxBroken when stage.py reports that the box was never there."""
    report.seek(0)
    text = report.read()
    if text and (problem := json.loads(text).get("problem")):
        lines = [line for line in said.splitlines() if line.startswith("bwrap: ")]
        if any(line.startswith("bwrap: execvp ") for line in lines):
            return  # the box was there, the program was not
        problem = lines[-1] if lines else problem
        raise BoxBroken(f"the box could not be set up: {problem}", hint="`reviewbot doctor` looks for the reason")

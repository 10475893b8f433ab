# SPDX-License-Identifier: GPL-2.0-or-later
"""The box in which everything runs that a patch can influence."""

import contextlib
import functools
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from reviewbot.host import cgroups
from reviewbot.host.box import STAGE
from reviewbot.host.limits import Limits, rules
from reviewbot.host.process import (
    CommandFailed,
    CommandTimeout,
    Completed,
    LimitExceeded,
    background,
    run,
)
from reviewbot.host.stage import TOP
from reviewbot.host.walls import SCRIPT, Wall, WallMissing, judge, read
from reviewbot.host.way_in import WayIn, way_in
from reviewbot.model.errors import InfraError

MEMORY = 12 << 30
"""Bytes of address space that a process in the sandbox has."""

LOG_LIMIT = 64 << 20
"""Bytes that are kept of what the build of a component says; those of a kernel with W=1 are a few MiB."""

MOUNT_POINTS = ("src", "obj", "out", "stack", "recipe", "kconfigs")
"""Empty folders of the build root that binds go to."""
USER = 1000
"""Who code in the box believes to be."""

_CORE = 1
"""Of RLIMIT_CORE: no core is written and, unlike with 0, none is handed to a program of the host that takes cores."""
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_OF_THE_ROOT = ("proc", "dev", "sys", "tmp", "run")


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder or file of the host inside the sandbox. `path` itself may not be a symbolic link.

    With `lower`, folders of which the first is the topmost, the box sees them all as one. What it changes goes to
    `path`, a folder that is thrown away, and `lower` stays as it is; where the machine has no overlayfs, or the site
    does without, `path` gets a copy. Without `writable`, what is in `path` itself lies above `lower`, and nothing can
    be changed; whiteouts in it hide names of `lower` where there is an overlay (`overlays`), and where there should be
    one and cannot, there is no box.

    A writable `path` is given to the user that the box runs as, with all that is in it, unless it is that user's; so is
    what lies below it. Of any other the box reads what everybody may read.
    """

    path: Path
    writable: bool = False
    lower: tuple[Path, ...] = ()


class BoxBroken(InfraError):
    """A box could not be set up on this machine."""


@dataclass(frozen=True, slots=True)
class Running:
    """A command in a box, while it runs."""

    process: "subprocess.Popen[bytes]"
    """Its input, output and end."""
    _report: IO[str]

    def exceeded(self) -> LimitExceeded | None:
        """After its end: what it used too much of. Raises BoxBroken if the box was never there."""
        return _read(self._report, (), "")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """bubblewrap around a build root.

    No network, no devices but null and its like, nothing of the host but the binds, no capabilities, own user, pid,
    ipc, mount, network, uts and cgroup namespaces, a system call filter; all of it dies with us. On the host its
    processes belong to a user that owns nothing (`reviewbot.host.box.owner`; of an ordinary user, one of the
    subordinate ids), and so do the files that they write. What it may use in sum is in `reviewbot.host.limits`.
    """

    root: Path

    def run(
        self,
        argv: Sequence[str],
        *,
        binds: Mapping[str, Bind],
        log: Path,
        log_limit: int,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: str = "/src",
        check: bool = True,
        stdin: bytes = b"",
        stdout: Path | None = None,
        memory: int = MEMORY,
        file_size: int = 8 << 30,
        limits: Limits | None = None,
    ) -> Completed:
        """Run to the end; output goes to `log`, but stdout to its own file if one is named.

        log_limit: bytes that go to the log; what is said beyond is dropped. memory (of addresses), file_size: bytes per
        process; `stdout` does not grow beyond `file_size` either, and a program that writes more dies of it. limits: of
        all processes together, instead of the site's. A bind may go to a folder that the build root does not have.
        Raises CommandFailed, LimitExceeded (CommandTimeout is one), ToolMissing, BoxBroken, WallMissing.
        """
        require()
        limits = limits or rules().limits
        each = {"AS": memory, "FSIZE": file_size, "CORE": _CORE}
        with self._entered(argv, binds, env or {}, cwd, each, limits, ()) as entry:
            try:
                done = run(
                    entry.words,
                    env=entry.env,
                    bare=True,
                    log=log,
                    log_limit=log_limit,
                    timeout=timeout,
                    check=check,
                    stdin=stdin,
                    stdout=stdout,
                    stdout_limit=file_size,
                    output_limit=limits.output,
                    pass_fds=entry.files,
                )
            except CommandFailed as error:
                if exceeded := _read(entry.report, argv, error.tail):
                    raise exceeded from None
                raise CommandFailed(argv, error.status, error.tail, log=log) from None
            except CommandTimeout as error:
                raise CommandTimeout(argv, error.timeout, error.tail) from None
            except LimitExceeded as error:
                raise LimitExceeded(error.what, error.limit, argv=argv, tail=error.tail) from None
            if exceeded := _read(entry.report, argv, done.output):
                raise exceeded
        return replace(done, argv=tuple(argv))

    @contextmanager
    def background(
        self,
        argv: Sequence[str],
        *,
        binds: Mapping[str, Bind],
        log: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        pass_fds: Sequence[int] = (),
        devices: Sequence[str] = (),
        memory: int = MEMORY,
        file_size: int = 8 << 30,
        limits: Limits | None = None,
    ) -> Iterator[Running]:
        """A command that lives as long as the `with` block, as `process.background`. pass_fds: open files that it gets
        under the same numbers. devices: such as /dev/kvm, if we may open them.

        Raises ToolMissing, BoxBroken, WallMissing.
        """
        require()
        each = {"AS": memory, "FSIZE": file_size, "CORE": _CORE}
        with (
            self._entered(argv, binds, env or {}, cwd, each, limits or rules().limits, devices) as entry,
            background(
                entry.words,
                env=entry.env,
                bare=True,
                log=log,
                stdin=stdin,
                stdout=stdout,
                pass_fds=(*entry.files, *pass_fds),
            ) as process,
        ):
            yield Running(process, entry.report)

    @contextmanager
    def _entered(
        self,
        argv: Sequence[str],
        binds: Mapping[str, Bind],
        env: Mapping[str, str],
        cwd: str,
        each: Mapping[str, int],
        limits: Limits,
        devices: Sequence[str],
    ) -> Iterator["_Entry"]:
        """How the command is started: by stage.py, which gets its plan as an open file. Raises ToolMissing."""
        way = way_in()
        with contextlib.ExitStack() as stack:
            group = stack.enter_context(cgroups.group(limits))
            report = stack.enter_context(tempfile.TemporaryFile("w+"))
            files = [report.fileno()]
            words = self._bubblewrap(binds, env, cwd, limits, devices)
            if way.filter:
                file = stack.enter_context(tempfile.TemporaryFile())
                file.write(way.filter)
                file.seek(0)
                files.append(file.fileno())
                words = ["--seccomp", str(file.fileno()), *words]
            if way.locks:
                words = ["--disable-userns", *words]
            counted = {event.what for event in group.events}
            # The watchdog is to see that there are too many: that takes a while on a busy machine.
            more = {} if "processes" in counted else {"NPROC": 2 * limits.processes}
            plan = {
                "bwrap": way.bwrap,
                "argv": list(argv),
                "owner": way.owner,
                "rootless": os.geteuid() != 0,
                "places": self._places(binds),
                "limits": {**each, **more},
                "report": report.fileno(),
                "words": words,
                "devices": list(devices),
                "overlay": rules().overlay,
                "join": group.join,
                "events": [[event.what, event.file, event.key] for event in group.events],
                "sums": {
                    "memory": limits.bytes_of_memory,
                    "processes": limits.processes,
                    "disk": limits.disk,
                    "inodes": limits.inodes,
                },
            }
            file_of_plan = stack.enter_context(tempfile.TemporaryFile("w+"))
            json.dump(plan, file_of_plan)
            file_of_plan.seek(0)
            files.append(file_of_plan.fileno())
            call = (*group.words, *way.words, *STAGE, str(file_of_plan.fileno()))
            yield _Entry(call, {"PATH": _PATH, **(cgroups.scope_environment() if group.words else {})}, files, report)

    def _places(self, binds: Mapping[str, Bind]) -> list[dict[str, Any]]:
        """What stage.py lays out: the root, and each bind, under its number."""
        places: list[dict[str, Any]] = [{"path": str(self.root.absolute()), "writable": False, "lower": []}]
        for bind in binds.values():
            lower = [str(path.absolute()) for path in bind.lower]
            places.append({"path": str(bind.path.absolute()), "writable": bind.writable, "lower": lower})
        return places

    def _bubblewrap(
        self, binds: Mapping[str, Bind], env: Mapping[str, str], cwd: str, limits: Limits, devices: Sequence[str]
    ) -> list[str]:
        settings = {
            "PATH": _PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC", "JOBS": str(os.cpu_count() or 1), **env,
        }  # fmt: skip
        room = ["--size", str(limits.room), "--tmpfs"]
        words = ["--unshare-all", "--unshare-user", "--uid", str(USER), "--gid", str(USER),
                 "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "build",
                 *self._root(binds), "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys",
                 "--ro-bind-try", "/proc/pressure", "/proc/pressure",
                 "--dev", "/dev", *room, "/dev/shm", *room, "/tmp"]  # fmt: skip
        for device in devices:
            words += ["--dev-bind", f"{TOP}/dev/{Path(device).name}", f"/dev/{Path(device).name}"]
        for number, (target, bind) in enumerate(binds.items(), 1):
            words += ["--bind" if bind.writable else "--ro-bind", f"{TOP}/{number}", target]
        for name, value in settings.items():
            words += ["--setenv", name, value]
        return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", cwd]

    def _root(self, targets: Mapping[str, Bind]) -> list[str]:
        """The build root as `/`. bubblewrap cannot make a mount point inside a read-only bind, so if one is missing
        the root's entries are laid out one by one.
        """
        if all((self.root / target.lstrip("/")).exists() for target in targets):
            return ["--ro-bind", f"{TOP}/0", "/"]
        if not self.root.is_dir():
            raise BoxBroken(f"the sandbox could not be set up: there is no build root at {self.root}")
        words = ["--size", "16777216", "--tmpfs", "/"]
        for entry in sorted(self.root.iterdir()):
            if entry.is_symlink():
                words += ["--symlink", str(entry.readlink()), f"/{entry.name}"]
            elif entry.is_dir() and entry.name not in _NOT_OF_THE_ROOT:
                words += ["--ro-bind", f"{TOP}/0/{entry.name}", f"/{entry.name}"]
        return words


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command line, its environment, the open files that it gets, and the one that it reports to."""

    words: tuple[str, ...]
    env: Mapping[str, str]
    files: Sequence[int]
    report: IO[str]


def _read(report: IO[str], argv: Sequence[str], said: str) -> LimitExceeded | None:
    """What stage.py reports: what there was too much of. Raises BoxBroken when the box was never there."""
    report.seek(0)
    if not (text := report.read()):
        return None
    told = json.loads(text)
    if problem := told.get("problem"):
        lines = [line for line in said.splitlines() if line.startswith("bwrap: ")]
        if any(line.startswith("bwrap: execvp ") for line in lines):
            return None  # the box was there, the program was not
        problem = lines[-1] if lines else problem
        raise BoxBroken(f"the sandbox could not be set up: {problem}", hint="run `reviewbot doctor` to find the cause")
    if exceeded := told.get("exceeded"):
        return LimitExceeded(exceeded[0], exceeded[1], argv=argv, tail="\n".join(said.splitlines()[-12:]))
    return None


def examine() -> tuple[Wall, ...]:
    """What holds on this machine, tried from inside of a box. Once per process."""
    return _examined()[0]


def overlays() -> bool:
    """Whether boxes see layers through overlayfs here; else what is writable is copied."""
    return rules().overlay and _examined()[1]


@functools.cache
def _examined() -> tuple[tuple[Wall, ...], bool]:
    """The walls, and whether layers are overlaid."""
    no_box = ""
    told: dict[str, str] = {}
    way: WayIn | None = None
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as name:
        root, binds = Path(name) / "root", {"/usr": Bind(Path("/usr"))}
        for folder in ("usr", "proc", "dev", "tmp", "layers"):
            (root / folder).mkdir(parents=True)
        binds["/layers"] = _two_layers(Path(name))
        for place in (path for path in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64")) if path.exists()):
            if place.is_symlink():
                (root / place.name).symlink_to(place.readlink())
            else:
                (root / place.name).mkdir()
                binds[str(place)] = Bind(place)
        try:
            way = way_in()
            try:
                told = _tried(root, binds)
            except BoxBroken:
                del binds["/layers"]
                (root / "layers").rmdir()
                told = _tried(root, binds)
        except (InfraError, OSError) as error:
            no_box = str(error)
    walls = judge(told, own_user=way.own_user if way else "", no_seccomp=way.no_filter if way else "", no_box=no_box)
    return walls, told.get("layers") == "overlaid"


def _tried(root: Path, binds: Mapping[str, Bind]) -> dict[str, str]:
    """What a box says of its walls. Raises InfraError, OSError when there is none."""
    with Sandbox(root)._entered(["sh", "-c", SCRIPT], binds, {}, "/", {"CORE": _CORE}, Limits(), ()) as entry:
        done = run(entry.words, env=entry.env, bare=True, pass_fds=entry.files, timeout=60, check=False)
        _read(entry.report, (), done.output)
        return read(done.output)


def _two_layers(folder: Path) -> Bind:
    """Of a file, and a layer above that hides it."""
    top, low = folder / "top", folder / "low"
    for place in (top, low):
        place.mkdir()
    (low / "hidden").touch()
    with contextlib.suppress(OSError):
        os.mknod(top / "hidden", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    return Bind(top, lower=(low,))


def require() -> None:
    """Raises WallMissing unless all walls hold here, but for those that the site does without."""
    if missing := tuple(wall for wall in examine() if not wall.holds and wall.name not in rules().without):
        raise WallMissing(missing)

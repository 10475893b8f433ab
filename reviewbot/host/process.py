# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way to run a process."""

import contextlib
import ctypes
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from reviewbot.host import cancel
from reviewbot.model.errors import DiskFull, InfraError

PACKAGES = {
    "git": "git", "qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "bwrap": "bubblewrap",
    "mke2fs": "e2fsprogs", "xz": "xz-utils", "dpkg-source": "dpkg-dev", "public-inbox-httpd": "public-inbox",
    "sbatch": "slurm-client", "squeue": "slurm-client", "scancel": "slurm-client",
}  # fmt: skip
"""Program -> Debian package that has it."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_TAIL_LINES = 12
_NO_SPACE = re.compile(r"\bNo space left on device\b|\bDisk quota exceeded\b")
_FULL = 1 << 20
"""Bytes: a disk with less room than this is full."""
_NEARLY_FULL = 1 << 30
"""Bytes: a disk with less room may have been full a moment ago, if a command says so: most remove what they began."""
_live: "set[subprocess.Popen[bytes]]" = set()


@dataclass(frozen=True, slots=True)
class Completed:
    """A process that ended. `output` holds stdout (and stderr, unless it was kept apart) as text."""

    argv: tuple[str, ...]
    status: int
    output: str
    errors: str
    seconds: float


class CommandFailed(InfraError):
    """Carries the command, its status (negative: signal) and the last lines it said."""

    def __init__(self, argv: Sequence[str], status: int, tail: str, *, log: Path | None = None) -> None:
        words = tail.strip().splitlines()[-1] if tail.strip() else "no output"
        super().__init__(f"`{shlex.join(argv)[:160]}` exited with status {status}: {words}")
        self.argv, self.status, self.tail, self.log = tuple(argv), status, tail, log


Limit = Literal["memory", "processes", "disk", "inodes", "output", "time"]
_UNITS: Mapping[Limit, str] = {
    "memory": "bytes of memory", "processes": "processes", "disk": "bytes of disk", "inodes": "files",
    "output": "bytes of output", "time": "seconds",
}  # fmt: skip


class LimitExceeded(InfraError):
    """The command used more than it may of one thing, and was ended.

    limit: bytes of memory (of all its processes), disk or output; number of processes or of files; seconds.
    """

    def __init__(self, what: Limit, limit: float, *, argv: Sequence[str], tail: str = "", words: str = "") -> None:
        super().__init__(words or f"`{shlex.join(argv)[:160]}` wanted more than {limit:.0f} {_UNITS[what]}")
        self.what, self.limit, self.argv, self.tail = what, limit, tuple(argv), tail

    @property
    def amount(self) -> str:
        """`1073741824 bytes of output`."""
        return f"{self.limit:.0f} {_UNITS[self.what]}"


class CommandTimeout(LimitExceeded):
    """The command did not end within its limit (seconds) and was killed."""

    def __init__(self, argv: Sequence[str], timeout: float, tail: str = "") -> None:
        words = f"`{shlex.join(argv)[:160]}` did not finish within {timeout:.0f} s"
        super().__init__("time", timeout, argv=argv, tail=tail, words=words)
        self.timeout = timeout


class ToolMissing(InfraError):
    """A program that we need is not installed."""

    def __init__(self, tool: str) -> None:
        package = PACKAGES.get(tool)
        super().__init__(
            f"`{tool}` is not installed",
            hint=f"apt-get install {package}" if package else "`reviewbot doctor` lists what to install",
        )
        self.tool = tool


@contextlib.contextmanager
def _registered(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)

    _live.add(process)
    try:
        with cancel.current().ending(end):
            # A signal that came while it was being started is lost: Python drops what is raised in its own fork hooks.
            cancel.check()
            yield
    finally:
        _live.discard(process)


def stop_all() -> None:
    """End every process that is still there, however it resists, and start no other."""
    cancel.ALL.cancel()
    for process in tuple(_live):
        kill_group(process, grace=1.0)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment from scratch; only what reaches the network or names the user is inherited."""
    keep = ("PATH", "HOME", "USER", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
            "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY",
            "NO_PROXY")  # fmt: skip
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env.setdefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    env["LC_ALL"] = "C.UTF-8"
    env["TZ"] = "UTC"
    env.update(extra or {})
    return env


def _die_with_parent() -> None:
    """Runs in the child between fork and exec: no process of ours outlives us."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(process: "subprocess.Popen[bytes]", grace: float = 2.0) -> None:
    """End the process and all its children: SIGTERM, then SIGKILL after `grace` seconds."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        # The leader is gone; children that ignored SIGTERM still belong to its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return


@contextlib.contextmanager
def background(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    pass_fds: Sequence[int] = (),
    bare: bool = False,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives as long as the `with` block. stdout and stderr go to `log`, or nowhere.

    stdin, stdout: subprocess.PIPE to write to it or read from it.

    Raises ToolMissing when there is no such program.
    """
    errors: int | IO[bytes] = log if log is not None else subprocess.DEVNULL
    out = stdout if stdout is not None else errors
    process = _start([os.fspath(word) for word in argv], cwd, env, stdin, out, errors, pass_fds, bare=bare)
    try:
        with _registered(process):
            yield process
    finally:
        if process.poll() is None:
            kill_group(process)


def _start(
    command: list[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    pass_fds: Sequence[int] = (),
    *,
    bare: bool = False,
) -> "subprocess.Popen[bytes]":
    """In a process group of its own, which dies with us. bare: `env` is all of its environment. Raises ToolMissing."""
    cancel.check()
    try:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env or {}) if bare else environment(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.exists():
            raise
        raise ToolMissing(command[0]) from error


def tidy(argv: Sequence[str | os.PathLike[str]]) -> None:
    """Run what removes something of ours to its end, also after its run was cancelled. Raises CommandFailed."""
    done = subprocess.run(
        argv,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    if done.returncode:
        raise CommandFailed([os.fspath(word) for word in argv], done.returncode, done.stderr.decode(errors="replace"))


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 600.0,
    log: Path | None = None,
    log_limit: int | None = None,
    check: bool = True,
    split: bool = False,
    stdout: Path | None = None,
    stdout_limit: int | None = None,
    output_limit: int | None = None,
    pass_fds: Sequence[int] = (),
    bare: bool = False,
) -> Completed:
    """Run `argv` to its end and return what it said.

    argv: a list, never a shell line. env: added to `environment()`, or with `bare` all of it. timeout: seconds.
    log: file that gets the output while the process runs (appended); the returned output is then its last MiB.
    log_limit: bytes that go to the log at most; what is said after that is read and dropped.
    split: keep stderr apart from stdout. check: raise CommandFailed for any status but 0.
    stdout: file that gets stdout by itself (written anew), the rest going to `log`; it is then not in the output.
    stdout_limit: bytes of it; after them nobody reads any more, and a program that writes more gets SIGPIPE.
    With a limit the command writes to a pipe, and cannot do anything to the file itself.
    output_limit: bytes that it may say through such pipes; it is ended when it says more.
    Raises CommandFailed, LimitExceeded (CommandTimeout is one), ToolMissing, DiskFull. On any exception (Ctrl-C too)
    its whole process group dies.
    """
    command = [os.fspath(word) for word in argv]
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        errors_to: int | IO[bytes] = subprocess.PIPE if split and log is None else subprocess.STDOUT
        said_to: int | IO[bytes] = subprocess.PIPE
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            said_to = stack.enter_context(log.open("ab"))
        if stdout is not None:
            said_to, errors_to = stack.enter_context(stdout.open("wb")), said_to
        copies = _Copies(
            out=(said_to, stdout_limit if stdout is not None else log_limit),
            err=(errors_to, log_limit if stdout is not None else None),
            most=output_limit,
        )
        source = subprocess.PIPE if stdin else subprocess.DEVNULL
        process = _start(command, cwd, env, source, copies.out_to, copies.err_to, pass_fds, bare=bare)
        stack.callback(copies.begin(process, stop_reading=stdout is not None))
        try:
            with _registered(process):
                out, err = process.communicate(stdin or None, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            kill_group(process)
            raise CommandTimeout(command, timeout, _tail(log, error.output or b"")) from error
        except BaseException:
            kill_group(process)
            raise
    cancel.check()  # what a killed process said is no answer
    if copies.exceeded and output_limit is not None:
        raise LimitExceeded("output", output_limit, argv=command, tail=_tail(log, b""))
    seconds = time.monotonic() - started
    output = _last(log) if log is not None else (out or b"").decode(errors="replace")
    errors = (err or b"").decode(errors="replace")
    if check and process.returncode:
        if no_room(*filter(None, (cwd, log, stdout)), said=f"{output}\n{errors}"):
            raise DiskFull(command[0])
        said = (errors if errors.strip() else output).strip().splitlines()[-_TAIL_LINES:]
        raise CommandFailed(command, process.returncode, "\n".join(said), log=log)
    return Completed(tuple(command), process.returncode, output, errors, seconds)


class _Copies:
    """The pipes between a command and the files that get a bounded part of what it says."""

    def __init__(
        self, *, out: tuple[int | IO[bytes], int | None], err: tuple[int | IO[bytes], int | None], most: int | None
    ) -> None:
        self._out, self._err, self._most = out, err, most
        self._said = 0
        self._lock = threading.Lock()
        self.out_to, self.err_to = self._way(*out), self._way(*err)

    @property
    def exceeded(self) -> bool:
        return self._most is not None and self._said > self._most

    @staticmethod
    def _way(sink: int | IO[bytes], limit: int | None) -> int | IO[bytes]:
        return sink if isinstance(sink, int) or limit is None else subprocess.PIPE

    def begin(self, process: "subprocess.Popen[bytes]", *, stop_reading: bool) -> Callable[[], None]:
        """Copy from now on; returns what waits for the end. stop_reading: of stdout, beyond the limit."""
        threads = []
        if not isinstance(sink := self._out[0], int) and (limit := self._out[1]) is not None and process.stdout:
            threads.append(self._copying(process, process.stdout, sink, limit, stop_reading))
            process.stdout = None  # communicate() must leave it to the copier
        if not isinstance(sink := self._err[0], int) and (limit := self._err[1]) is not None and process.stderr:
            threads.append(self._copying(process, process.stderr, sink, limit, False))
            process.stderr = None

        def end() -> None:
            for thread in threads:
                thread.join(5.0)

        return end

    def _copying(
        self, process: "subprocess.Popen[bytes]", source: IO[bytes], sink: IO[bytes], limit: int, stop_reading: bool
    ) -> threading.Thread:
        """Copies up to `limit` bytes until the source ends. After that it reads on, so that nobody hangs on a full
        pipe, or closes it (`stop_reading`), so that who writes more learns of it.
        """

        def copy() -> None:
            left = limit
            with source:
                while chunk := os.read(source.fileno(), 1 << 16):
                    with contextlib.suppress(OSError, ValueError):  # a full disk, a log that was closed meanwhile
                        sink.write(chunk[:left])
                        sink.flush()
                    if self._count(len(chunk)):
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(process.pid, signal.SIGKILL)
                    if stop_reading and len(chunk) > left:
                        break
                    left = max(0, left - len(chunk))

        thread = threading.Thread(target=copy, daemon=True)
        thread.start()
        return thread

    def _count(self, number: int) -> bool:
        with self._lock:
            self._said += number
        return self.exceeded


def no_room(*places: Path, said: str = "") -> bool:
    """Whether the disk of one of these files or folders is full, as statvfs(2) tells.

    said: the words of a command that failed. They are no proof, since a tree's own scripts can print them: a disk
    that has more than a GiB left was not full, whatever they say.
    """
    limit = _NEARLY_FULL if _NO_SPACE.search(said) else _FULL
    for place in places:
        there = next((folder for folder in (place, *place.absolute().parents) if folder.exists()), None)
        if there is None:
            continue
        disk = os.statvfs(there)
        if not disk.f_blocks:
            continue  # procfs and its like
        if disk.f_bavail * disk.f_frsize < limit or (disk.f_files and disk.f_favail == 0):
            return True
    return False


def _last(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 20)))
        return file.read().decode(errors="replace")


def _tail(log: Path | None, output: bytes) -> str:
    text = _last(log) if log is not None else output.decode(errors="replace")
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])

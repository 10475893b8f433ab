# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls reviewbot: root, and an ordinary user. Root's tests make an account for that one, and remove it."""

import contextlib
import dataclasses
import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot.host import cgroups
from reviewbot.host.box import remove
from reviewbot.host.locks import locked
from reviewbot.host.paths import cache_dir
from tests.hostile.attack import Told, Wishes

REPOSITORY = Path(__file__).parents[2]
PREFIX = "rb-test-"
SECRET = {"https_proxy": "http://user:s3cr3t@proxy", "GITHUB_TOKEN": "s3cr3t"}
"""Of the caller's environment."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who starts programs of ours. `home`: a folder of theirs that nobody else may enter."""

    name: str
    uid: int
    home: Path
    python: tuple[str, ...]
    """Words that run Python as this user, with this repository's modules."""
    cache: Path
    """Where this user sees the cache of who runs the tests."""

    def run(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, terminal: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """terminal: an open one, which becomes the controlling terminal of what is started."""

        def take_terminal() -> None:
            import fcntl
            import termios

            os.setsid()
            fcntl.ioctl(terminal or 0, termios.TIOCSCTTY, 0)

        return subprocess.run(
            [*self.python, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **SECRET, **(env or {})},
            pass_fds=() if terminal is None else (terminal,),
            preexec_fn=None if terminal is None else take_terminal,
        )

    def attack(
        self,
        script: str,
        *,
        counted: bool = True,
        log_limit: int = 1 << 20,
        timeout: float = 300.0,
        terminal: int | None = None,
        layered: bool = False,
        **limits: int,
    ) -> tuple[Told, Path]:
        """What the script said in a box of this caller, and the folder that was /out."""
        folder = self.home / f"attack-{secrets.token_hex(8)}"
        folder.mkdir()
        os.chown(folder, self.uid, -1)
        wishes = Wishes(script, limits, counted, log_limit, timeout, layered)
        done = self.run(
            "-m", "tests.hostile.attack", str(folder), stdin=json.dumps(dataclasses.asdict(wishes)), terminal=terminal
        )
        assert done.returncode == 0, done.stderr
        return Told(**json.loads(done.stdout)), folder / "out"


@contextlib.contextmanager
def root_calls(folder: Path) -> Iterator[Caller]:
    if os.geteuid() != 0:
        pytest.skip("not run by root")
    home = folder / "root"
    home.mkdir(mode=0o700)
    words = ("env", f"PYTHONPATH={REPOSITORY}", sys.executable)
    yield Caller("root", 0, home, words, cache_dir())
    remove(home)


@contextlib.contextmanager
def user_calls(folder: Path) -> Iterator[Caller]:
    """This user, or if that is root one who is made for it."""
    if os.geteuid() != 0:
        own = ("env", f"PYTHONPATH={REPOSITORY}", sys.executable)
        yield Caller("user", os.geteuid(), folder, own, cache_dir())
        return
    if missing := [name for name in ("useradd", "userdel", "setpriv", "newuidmap") if not shutil.which(name)]:
        pytest.skip(f"{missing[0]} is not installed: no ordinary user can be made")
    with _account() as account, _groups(account.pw_uid) as groups:
        home = Path(account.pw_dir)
        # Neither this repository nor this Python need be where others may look.
        site = Path(pytest.__file__).parents[1]
        seen = {"repository": REPOSITORY, "python": Path(sys.base_prefix), "site": site, "cache": cache_dir()}
        cache_dir().mkdir(parents=True, exist_ok=True)
        for name in seen:
            (home / name).mkdir()
        binds = "; ".join(f"mount --bind '{path}' '{home / name}'" for name, path in seen.items())
        joins = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in groups)
        program = home / "python" / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        words = (
            "unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{binds}; {joins or ":"}; exec "$@"', "sh",
            "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", "--",
            # A Python that was built with its library beside it must not find another one.
            "env", f"LD_LIBRARY_PATH={home / 'python' / 'lib'}",
            f"PYTHONPATH={home / 'repository'}:{home / 'site'}", str(program),
        )  # fmt: skip
        yield Caller("user", account.pw_uid, home, words, home / "cache")
        remove(home)


@contextlib.contextmanager
def _groups(uid: int) -> Iterator[list[Path]]:
    """Control groups in which a user may make others, as systemd delegates them; none if the machine has none."""
    found = []
    for _, parent in cgroups.means().parents if cgroups.means().kind == "v1" else ():
        group = parent / f"{PREFIX}{os.getpid()}"
        group.mkdir(exist_ok=True)
        for path in (group, group / "cgroup.procs", group / "tasks"):
            os.chown(path, uid, -1)
        found.append(group)
    try:
        yield found
    finally:
        for group in found:
            group.rmdir()


@contextlib.contextmanager
def _account() -> Iterator[pwd.struct_passwd]:
    name = f"{PREFIX}{os.getpid()}"
    lock = Path("/tmp") / f"{PREFIX}accounts.lock"  # useradd(8) gives up when another one is at work
    with locked(lock):
        for entry in pwd.getpwall():  # of tests that were killed
            left = entry.pw_name.removeprefix(PREFIX)
            if left != entry.pw_name and left.isdigit() and not Path("/proc", left).exists():
                subprocess.run(["userdel", "--remove", "--force", entry.pw_name], capture_output=True, check=False)
        subprocess.run(["useradd", "--create-home", name], check=True, capture_output=True)
    try:
        account = pwd.getpwnam(name)
        Path(account.pw_dir).chmod(0o700)
        yield account
    finally:
        with locked(lock):
            subprocess.run(["userdel", "--remove", "--force", name], check=True, capture_output=True)

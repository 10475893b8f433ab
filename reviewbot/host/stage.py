# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands between us and bubblewrap: lays out what a box sees, starts bubblewrap without any right, and outlives it.

A program of its own with nothing but the standard library: `reviewbot.host.box.STAGE` and one argument. That is the
number of an open file with a JSON object (`reviewbot.host.sandbox` writes it), or the path of a folder, which is then
only given to the user of an ordinary user's boxes. It runs as root in a mount namespace of its own, or as an ordinary
user's root in a user namespace (`reviewbot.host.rootless`). What it mounts is gone when it ends, whatever ended it. Its
report, a JSON object, goes to the file whose number the plan gives.
"""

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

from reviewbot.host.watch import TICK, Exceeded, Watch

TOP = "/tmp"
"""Where the box's folders are laid out: everybody may pass through, and bubblewrap finds all by short names."""
SMALL = 65000
"""Inside an ordinary user's namespace: an id that Debian gives to nobody."""

_BIND, _REC = 4096, 16384
_NOSUID, _NODEV = 2, 4
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP = 1, 24
_CAP_SETFCAP = 31
_KEYCTL_X86, _JOIN_SESSION_KEYRING = 250, 1
_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The box cannot be set up."""


def main(what: str) -> int:
    if what.isdigit():
        return stage(int(what))
    _chown(subordinate(Path("/proc/self/uid_map").read_text()), what)
    return 0


def stage(number: int) -> int:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with os.fdopen(number) as file:
        plan = json.load(file)
    report: dict[str, Any] = {}
    try:
        os.chdir("/")
        os.umask(0o022)
        owner = plan["owner"]
        if owner is None:
            owner = subordinate(Path("/proc/self/uid_map").read_text())
        devices = {Path(path).name: _open(path) for path in plan["devices"]}
        writable = lay_out(plan["places"], owner, rootless=plan["rootless"], overlay=plan["overlay"])
        lay_devices(devices, owner, plan["rootless"])
        _libc.syscall(_KEYCTL_X86, _JOIN_SESSION_KEYRING, None)
        os.set_inheritable(plan["report"], False)
        status, there, report["exceeded"] = run_box(plan, owner, writable)
        report["status"] = status
        if not there and not report["exceeded"]:
            report["problem"] = "bubblewrap could not set it up"
        if plan["rootless"] and owner:
            # What lies over `lower` is not: it is thrown away, and to change the owner of a file would copy it up.
            take_back([place for place, changed in writable.items() if place == changed])
    except (Refused, OSError) as error:
        report["problem"] = str(error)
        status = 125
    with contextlib.suppress(OSError), os.fdopen(plan["report"], "w") as out:
        json.dump(report, out)
    return status


def subordinate(table: str) -> int:
    """Of a namespace's /proc/self/uid_map: an id that nobody uses. Raises Refused if only the caller's own is there."""
    rows = [tuple(map(int, line.split())) for line in table.splitlines()]
    last = max(first + count - 1 for first, _, count in rows)
    if last < 1:
        raise Refused("this user has no subordinate ids")
    return min(SMALL, last)


def lay_out(places: list[dict[str, Any]], owner: int, *, rootless: bool, overlay: bool) -> dict[str, str]:
    """Mount each place below TOP, under its number. Returns the writable ones, and where what changes in each is.

    A path of the host is followed up to its last part, which may not be a link: something untrusted could have put
    one there. All are opened before anything is mounted over.
    """
    opened = [[_open(path) for path in (place["path"], *place["lower"])] for place in places]
    _mount("tmpfs", TOP, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=16m")
    writable = {}
    for number, (place, handles) in enumerate(zip(places, opened, strict=True)):
        target = Path(TOP, str(number))
        if Path(f"/proc/self/fd/{handles[0]}").is_dir():
            target.mkdir()
        else:
            target.touch()
        _mount(f"/proc/self/fd/{handles[0]}", str(target), "", _BIND | _REC, "")
        if place["writable"]:
            if owner and target.stat().st_uid != owner:
                _chown(owner, str(target))
            writable[str(target)] = str(target)
        if place["lower"]:
            changed = Path(TOP, f"{number}.changed")
            changed.mkdir()
            _mount(str(target), str(changed), "", _BIND | _REC, "")
            _layer(number, target, handles[1:], place["writable"], owner, rootless=rootless, overlay=overlay)
            if place["writable"]:
                writable[str(target)] = str(changed)
        for handle in handles:
            os.close(handle)
    return writable


def lay_devices(devices: dict[str, int], owner: int, rootless: bool) -> None:
    """Device nodes below TOP/dev. In root's box they are its user's own, in an ordinary user's as the host has them.

    devices: name -> open file.
    """
    if not devices:
        return
    Path(TOP, "dev").mkdir()
    _mount("tmpfs", f"{TOP}/dev", "tmpfs", _NOSUID, "mode=0755,size=1m")
    for name, handle in devices.items():
        target = Path(TOP, "dev", name)
        if rootless:
            target.touch()
            _mount(f"/proc/self/fd/{handle}", str(target), "", _BIND, "")
        else:
            os.mknod(target, stat.S_IFCHR | 0o600, os.fstat(handle).st_rdev)
            os.chown(target, owner, owner)
        os.close(handle)


def _layer(
    number: int, top: Path, lower: list[int], writable: bool, owner: int, *, rootless: bool, overlay: bool
) -> None:
    """Mount over `top` what is in it above the folders below; changes go to `top/upper`. Copies where it must."""
    below = ":".join(f"/proc/self/fd/{handle}" for handle in lower)
    for handle in lower:
        if writable and owner and os.fstat(handle).st_uid != owner:  # who may not write to it may not replace it
            _command("chown", "-hR", f"{owner}:{owner}", f"/proc/self/fd/{handle}/.", pass_fds=lower)
    names = {name: top / name for name in ("upper", "work", "copy")}
    if writable:
        for name in ("upper", "work"):
            if not names[name].exists():
                names[name].mkdir()
                os.chown(names[name], owner, owner)
        options = f"lowerdir={below},upperdir={names['upper']},workdir={names['work']}"
    else:
        options = f"lowerdir={top}:{below}"
    options += ",userxattr" if rootless else ",index=off,metacopy=off,redirect_dir=off"
    place = Path(TOP, f"{number}.merged")
    place.mkdir()
    try:
        if not overlay:
            raise OSError(errno.EOPNOTSUPP, "waived in the site file")
        _mount("overlay", str(place), "overlay", _NOSUID | _NODEV, options)
    except OSError as error:
        if overlay and not writable and _hides(top):
            raise Refused(f"{error}, but what is deleted needs it; use `box: {{layers: copied}}` instead") from None
        place = _copied(top, lower, names["copy"] if writable else place, owner if writable else None)
    _mount(str(place), str(top), "", _BIND | _REC, "")


def _copied(top: Path, lower: list[int], place: Path, owner: int | None) -> Path:
    """The layers in one folder, for a machine without overlayfs. A writable one is made once and kept."""
    if owner is None:
        _mount("tmpfs", str(place), "tmpfs", _NOSUID | _NODEV, "mode=0755")
    elif place.exists():
        return place
    else:
        place.mkdir()
        os.chown(place, owner, owner)
    sources = [f"/proc/self/fd/{handle}/." for handle in reversed(lower)]
    for source in sources if owner is not None else [*sources, f"{top}/."]:
        _command("cp", "-a", "--reflink=auto", source, str(place), pass_fds=lower)
    return place


def _hides(top: Path) -> bool:
    """Whether there is a whiteout, which a copy would show as a device."""
    places = (os.lstat(Path(folder, name)) for folder, _, names in os.walk(top) for name in names)
    return any(stat.S_ISCHR(place.st_mode) and place.st_rdev == 0 for place in places)


def take_back(given: list[str]) -> None:
    """What an ordinary user's box wrote is the user's again."""
    for path in given:
        _chown(0, path)


def run_box(plan: dict[str, Any], owner: int, folders: dict[str, str]) -> tuple[int, bool, Exceeded | None]:
    """Start bubblewrap as a user that owns nothing, and watch over it until its end.

    Returns its status, whether the program in the box began, and what there was too much of.
    """
    status_read, status_write = os.pipe()
    arguments = os.memfd_create("words", 0)
    words = ["--json-status-fd", str(status_write), *plan["words"]]
    os.write(arguments, b"".join(word.encode() + b"\0" for word in words))
    os.lseek(arguments, 0, os.SEEK_SET)
    child = os.fork()
    if child == 0:
        try:
            os.set_inheritable(status_write, True)
            _join(plan["join"])
            # An ordinary user may have a device by a group, /dev/kvm for one.
            _become(owner, plan["limits"], keep_groups=bool(plan["devices"]) and plan["rootless"])
            os.execve(plan["bwrap"], ["bwrap", "--args", str(arguments), "--", *plan["argv"]], {})
        except BaseException as error:
            os.write(2, f"the sandbox was not started: {error}\n".encode())
            os._exit(125)
    os.close(status_write)
    os.close(arguments)
    exceeded = _watched(child, Watch(_own_group(plan), folders, child))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with os.fdopen(status_read) as file:
        told = file.read()
    # Who was killed from outside, the kernel's choice when memory is scarce, tells no status of the program.
    began = not code or "exit-code" in told or (code < 0 and "child-pid" in told)
    return 128 - code if code < 0 else code, began, exceeded


def _watched(child: int, watch: Watch) -> Exceeded | None:
    """Until the child ends. It is killed, and with it all of the box, when there is too much of something."""
    handle = os.pidfd_open(child)
    exceeded = None
    while not select.select([handle], [], [], TICK)[0]:
        if exceeded := watch.exceeded():
            os.kill(child, signal.SIGKILL)
            break
    os.close(handle)
    return exceeded or watch.exceeded()


def _own_group(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan, with the place of the control group that systemd-run put this process into."""
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"), "/")
    events = [
        (what, file.replace("own/", f"/sys/fs/cgroup{own}/", 1) if file.startswith("own/") else file, key)
        for what, file, key in plan["events"]
    ]
    return {**plan, "events": events}


def _join(groups: list[str]) -> None:
    """Enter the box's control groups, and be the first that the kernel kills when memory is scarce."""
    for file in groups:
        Path(file).write_text(str(os.getpid()))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _become(owner: int, limits: dict[str, int], *, keep_groups: bool) -> None:
    """This process is `owner` from now on, with no capability and no group, and dies with its parent."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would the box
        signal.signal(number, signal.SIG_DFL)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        # To map id 0 of this namespace into the box's takes CAP_SETFCAP (Linux 5.12); bubblewrap drops it after that.
        if owner or capability != _CAP_SETFCAP:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if owner:  # else the site does without: the box has the caller's own id
        if not keep_groups:
            os.setgroups([])
        os.setresgid(owner, owner, owner)
        os.setresuid(owner, owner, owner)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of the user cleared it
    if os.getppid() == 1:
        os._exit(125)


def _open(path: str) -> int:
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    if stat.S_ISLNK(os.fstat(handle).st_mode):
        raise Refused(f"{path} is a symbolic link")
    return handle


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    done = _libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)
    if done:
        number = ctypes.get_errno()
        raise OSError(number, f"mount: {os.strerror(number)}", target)


def _chown(owner: int, path: str) -> None:
    _command("chown", "-hR", f"{owner}:{owner}", path)


def _command(*words: str, pass_fds: list[int] | tuple[int, ...] = ()) -> None:
    program = shutil.which(words[0], path="/usr/bin:/bin:/usr/sbin:/sbin") or words[0]
    done = subprocess.run(
        [program, *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=pass_fds,
    )
    if done.returncode:
        raise Refused(f"{words[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")

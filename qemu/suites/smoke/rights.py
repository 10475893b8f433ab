# SPDX-License-Identifier: GPL-2.0-or-later
"""Who owns what is made, with which mode, and whom a mode keeps out."""

import os
import stat
from collections.abc import Callable

from guest import NotRun, equal, expect, folder, read, write

from smoke.metadata import drop_caches

USER, GROUP = 70001, 70005
"""Too large for 16 bits: the upper half has a place of its own in an inode."""


def owners() -> None:
    """What another user makes belongs to that user; a directory in a setgid directory has that bit, too."""
    os.chdir(folder("owners"))
    _make_as_user(".", 0o2777)
    for name in ("file", "directory", "link"):
        equal(os.lstat(name).st_uid, USER, f"owner of a {name} that user {USER} made")
    bits = os.stat("directory").st_mode & stat.S_ISGID
    equal(oct(bits), oct(stat.S_ISGID), "setgid bit of a directory in a setgid directory")
    os.mkdir("plain")
    _make_as_user("plain", 0o777)
    for name in ("file", "directory", "link"):
        equal(os.lstat(f"plain/{name}").st_gid, USER, f"group of a {name} that a user of group {USER} made")


def setgid() -> None:
    """What is made in a setgid directory belongs to the directory's group."""
    place = folder("setgid")
    os.chown(place, 0, GROUP)
    _make_as_user(place, 0o2777)
    for name in ("file", "directory", "link"):
        equal(os.lstat(f"{place}/{name}").st_gid, GROUP, f"group of a {name} in a setgid directory")


def _make_as_user(place: str, mode: int) -> None:
    os.chmod(place, mode)

    def make() -> None:
        write(f"{place}/file", b"")
        os.mkdir(f"{place}/directory")
        os.symlink("x", f"{place}/link")

    if as_user(USER, make) is None:
        raise NotRun("only the server's own user may make files here")
    drop_caches()


def umask() -> None:
    """The umask takes bits from the mode of what is made, and only from that."""
    os.chdir(folder("umask"))
    for mask in (0, 0o027):
        os.umask(mask)
        os.close(os.open(f"f{mask:o}", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(f"d{mask:o}", 0o777)
        os.mknod(f"n{mask:o}", stat.S_IFREG | 0o666)
        drop_caches()
        for name, mode in (("f", 0o666), ("d", 0o777), ("n", 0o666)):
            now, wanted = os.stat(f"{name}{mask:o}").st_mode & 0o7777, mode & ~mask
            equal(f"0{now:o}", f"0{wanted:o}", f"mode of {name}{mask:o}")


def search() -> None:
    """Modes of a directory and of the file in it keep another user out, or do not."""
    os.chdir(folder("search"))
    os.mkdir("closed")
    write("closed/f", b"secret")
    os.chmod("closed/f", 0o644)
    for mode, may_read, may_list in ((0o700, False, False), (0o711, True, False), (0o755, True, True)):
        os.chmod("closed", mode)
        found = as_user(USER, lambda: read("closed/f"))
        equal(found, b"secret" if may_read else None, f"what another user reads in a directory of mode 0{mode:o}")
        found = as_user(USER, lambda: " ".join(os.listdir("closed")).encode())
        equal(found, b"f" if may_list else None, f"what another user lists of a directory of mode 0{mode:o}")
    refused: tuple[tuple[str, Callable[[], None]], ...] = (
        ("writes to a file of mode 0644 of", lambda: os.truncate("closed/f", 0)),
        ("changes the mode of a file of", lambda: os.chmod("closed/f", 0o666)),
        ("changes the owner of a file of", lambda: os.chown("closed/f", USER, -1)),
        ("makes a file in a directory of mode 0755 of", lambda: os.mkdir("closed/mine")),
        ("removes a file from a directory of mode 0755 of", lambda: os.unlink("closed/f")),
        ("sets the times of a file of", lambda: os.utime("closed/f", (1, 1))),
        ("sets a trusted.* attribute of a file of", lambda: os.setxattr("closed/f", "trusted.x", b"")),
    )
    for what, change in refused:
        expect(as_user(USER, change) is None, f"another user {what} root's")
    os.chmod("closed", 0o1777)
    found = as_user(USER, lambda: os.unlink("closed/f"))
    expect(found is None, "another user removes a file of root's from a sticky directory")
    found = as_user(USER, lambda: os.rename("closed/f", "closed/g"))
    expect(found is None, "another user renames a file of root's in a sticky directory")


def as_user(user: int, work: Callable[[], bytes | None]) -> bytes | None:
    """The bytes that another user gets, if any; None when refused."""
    inside, outside = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        try:
            found = work()
            os.write(outside, b"+" + found if isinstance(found, bytes) else b"+")
        except PermissionError:
            os.write(outside, b"-")
        except OSError as error:
            os.write(outside, str(error).encode()[:100])
        finally:
            os._exit(0)
    os.close(outside)
    answer = os.read(inside, 100)
    os.close(inside)
    os.waitpid(child, 0)
    expect(
        answer[:1] in (b"+", b"-"),
        f"what user {user} did failed in an unexpected way: {answer.decode(errors='replace')}",
    )
    return answer[1:] if answer[:1] == b"+" else None


CHECKS = {"owners": owners, "setgid": setgid, "umask": umask, "search": search}

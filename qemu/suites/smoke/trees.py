# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operations on names, always the same ones, and what each must answer and leave."""

import errno
import os
import random
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from guest import Failed, equal, folder, remount

from smoke import walks
from smoke.metadata import drop_caches

_SEED = 6
_COUNT = 300
"""Operations."""
_MOUNTS = 6
_MEDIUM, _LONG = "x" * 40, "y" * 200
_SOON = 50
"""Times that something is tried, a tenth of a second apart (see load.py)."""


@dataclass
class _Node:
    """What the model knows of an inode. content: of a file its bytes, of a symbolic link its target."""

    kind: int
    mode: int = 0o644
    content: bytes = b""
    owner: int = 0
    names: int = 1
    entries: "dict[str, _Node]" = field(default_factory=dict)
    attributes: dict[str, bytes] = field(default_factory=dict)

    @property
    def links(self) -> int:
        """What st_nlink is."""
        folders = sum(one.kind == stat.S_IFDIR for one in self.entries.values())
        return 2 + folders if self.kind == stat.S_IFDIR else self.names


def names() -> None:
    """Files, folders and links are made, renamed, changed and removed: each call ends as a model says, and what is left
    is what the model has.
    """
    walk = take(folder("random-names"), _SEED, _COUNT)
    print(f"{_COUNT} operations, {walk.done} of which changed something")


def take(top: str, seed: int, count: int) -> "_Walk":
    """So many operations in an empty folder. Raises Failed."""
    walk = _Walk(top, random.Random(seed))
    for number in range(count):
        walk.step()
        if number % 75 == 74 or number == count - 1:
            drop_caches(3)
            walk.whole()
    return walk


def mounts() -> None:
    """The same, and operations on one file, in several mounts: a server may go wrong in some of them only."""
    for number in range(_MOUNTS):
        place = folder("mounts")
        os.mkdir(f"{place}/names")
        take(f"{place}/names", _SEED + number, _COUNT // 8)
        walks.take(f"{place}/f", _SEED + number, _COUNT // 8)
        os.chdir("/")
        remount()


class _Walk:
    NAMES = ("a", "b", "c", "d", "e", "f", _MEDIUM, _LONG)

    def __init__(self, top: str, dice: random.Random) -> None:
        self.top, self.dice, self.root = top, dice, _Node(stat.S_IFDIR, 0o755)
        self.done = 0
        self.log: list[str] = []
        self.ways = [self._create] * 3 + [self._mkdir] * 3 + [self._rename] * 4 + [self._unlink] * 2
        self.ways += [self._rmdir, self._symlink, self._link, self._write, self._chmod, self._chown]
        with walks.lacking():
            os.setxattr(top, "user.try", b"")
            os.removexattr(top, "user.try")
            self.ways += [self._setxattr, self._setxattr, self._removexattr]

    def step(self) -> None:
        self.dice.choice(self.ways)()

    def whole(self) -> None:
        """Raises Failed unless everything is as the model has it."""
        self._same("", self.root)

    def _same(self, path: str, node: _Node) -> None:
        now, where = os.lstat(self.top + path), path or "the top"
        self._equal(stat.S_IFMT(now.st_mode), node.kind, f"type of {where}")
        self._equal(now.st_nlink, node.links, f"link count of {where}")
        if node.kind != stat.S_IFLNK:
            self._equal(
                (oct(now.st_mode & 0o7777), now.st_uid), (oct(node.mode), node.owner), f"mode, owner of {where}"
            )
        if node.kind == stat.S_IFDIR:
            self._equal(self._listed(path), sorted(node.entries), f"entries of {where}")
            for name, entry in node.entries.items():
                self._same(f"{path}/{name}", entry)
            return
        self._equal(now.st_size, len(node.content), f"size of {where}")
        self._equal(self._content(path, node), node.content, f"content of {where}")
        if node.kind == stat.S_IFREG and self._setxattr in self.ways:
            found = {
                name: os.getxattr(self.top + path, name) for name in os.listxattr(self.top + path) if "user" in name
            }
            self._equal(found, node.attributes, f"attributes of {where}")

    def _content(self, path: str, node: _Node) -> bytes:
        if node.kind == stat.S_IFLNK:
            return os.fsencode(os.readlink(self.top + path))
        with open(self.top + path, "rb") as file:
            return file.read()

    def _listed(self, path: str) -> list[str]:
        """libfuse gives files another name that are removed before the kernel's RELEASE of them came."""
        for _ in range(_SOON):
            found = sorted(os.listdir(self.top + path))
            if not any(name.startswith(".fuse_hidden") for name in found):
                break
            time.sleep(0.1)
        return found

    def _equal(self, got: object, wanted: object, what: str) -> None:
        try:
            equal(got, wanted, what)
        except Failed as why:
            words = f"{why}, after {len(self.log)} operations; the last: {', '.join(self.log[-3:])}"
            raise Failed(words.replace(_LONG, "long").replace(_MEDIUM, "medium")) from None

    def _folders(self, path: str, node: _Node) -> list[tuple[str, _Node]]:
        found = [(path, node)]
        for name, entry in node.entries.items():
            if entry.kind == stat.S_IFDIR:
                found += self._folders(f"{path}/{name}", entry)
        return found

    def _somewhere(self) -> tuple[str, _Node, str, _Node | None]:
        """Path, folder, name in it, what has that name. At most three folders deep."""
        some = [(path, node) for path, node in self._folders("", self.root) if path.count("/") < 3]
        path, place = self.dice.choice(some)
        name = self.dice.choice(self.NAMES)
        return f"{path}/{name}", place, name, place.entries.get(name)

    def _there(self, kind: int) -> tuple[str, _Node, str, _Node] | None:
        """As _somewhere, of something of this kind; None where there is nothing."""
        some = [
            (f"{path}/{name}", node, name, entry)
            for path, node in self._folders("", self.root)
            for name, entry in node.entries.items()
            if entry.kind == kind
        ]
        return self.dice.choice(some) if some else None

    def _call(self, words: str, wanted: int, call: Callable[[], object]) -> bool:
        """Whether the call changed something. Raises Failed when it ends in another way than it should."""
        self.log.append(words)
        for _ in range(_SOON):
            got = 0
            try:
                call()
            except OSError as error:
                got = error.errno or -1
            if got == wanted or got != errno.ENOTEMPTY:
                break
            time.sleep(0.1)
        names = {0: "success", **errno.errorcode}
        self._equal(names.get(got, str(got)), names[wanted], words)
        self.done += not wanted
        return not wanted

    def _make(self, words: str, node: _Node, call: Callable[[str], object]) -> None:
        path, place, name, old = self._somewhere()
        if self._call(f"{words} {path}", errno.EEXIST if old else 0, lambda: call(self.top + path)):
            place.entries[name] = node

    def _create(self) -> None:
        content = self.dice.randbytes(self.dice.choice((0, 10, 5000)))

        def call(path: str) -> None:
            with open(path, "xb") as file:
                file.write(content)

        self._make("open(2) of new", _Node(stat.S_IFREG, 0o644, content), call)

    def _mkdir(self) -> None:
        self._make("mkdir(2)", _Node(stat.S_IFDIR, 0o755), os.mkdir)

    def _symlink(self) -> None:
        target = "t" * self.dice.choice((1, 59, 60, 200))
        self._make("symlink(2)", _Node(stat.S_IFLNK, content=target.encode()), lambda path: os.symlink(target, path))

    def _link(self) -> None:
        if (found := self._there(stat.S_IFREG)) is None:
            return
        path, _, _, node = found
        target, place, name, old = self._somewhere()
        words = f"link(2) {path} {target}"
        if self._call(words, errno.EEXIST if old else 0, lambda: os.link(self.top + path, self.top + target)):
            place.entries[name] = node
            node.names += 1

    def _unlink(self) -> None:
        path, place, name, node = self._somewhere()
        wanted = errno.ENOENT if node is None else errno.EISDIR if node.kind == stat.S_IFDIR else 0
        if self._call(f"unlink(2) {path}", wanted, lambda: os.unlink(self.top + path)) and node:
            node.names -= 1
            del place.entries[name]

    def _rmdir(self) -> None:
        path, place, name, node = self._somewhere()
        wanted = errno.ENOENT if node is None else errno.ENOTDIR if node.kind != stat.S_IFDIR else 0
        wanted = errno.ENOTEMPTY if node and node.entries else wanted
        if self._call(f"rmdir(2) {path}", wanted, lambda: os.rmdir(self.top + path)):
            del place.entries[name]

    def _rename(self) -> None:
        kind = self.dice.choice((stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK))
        if (found := self._there(kind)) is None:
            return
        path, place, name, node = found
        target, there, other, old = self._somewhere()
        if old is node:
            return  # two names of a file: nothing changes, or one name goes, as the server sees it
        if node.kind == stat.S_IFDIR:
            wanted = errno.ENOTDIR if old and old.kind != stat.S_IFDIR else 0
            wanted = errno.ENOTEMPTY if old and old.entries else wanted
            wanted = errno.EINVAL if f"{target}/".startswith(f"{path}/") else wanted
        else:
            wanted = errno.EISDIR if old and old.kind == stat.S_IFDIR else 0
        if old and f"{path}/".startswith(f"{target}/"):
            wanted = errno.ENOTEMPTY  # over a folder that it is in
        words = f"rename(2) {path} {target}"
        if self._call(words, wanted, lambda: os.rename(self.top + path, self.top + target)):
            if old:
                old.names -= 1
            del place.entries[name]
            there.entries[other] = node

    def _write(self) -> None:
        if found := self._there(stat.S_IFREG):
            path, _, _, node = found
            at, content = self.dice.randrange(9000), self.dice.randbytes(3000)

            def call() -> None:
                handle = os.open(self.top + path, os.O_WRONLY)
                os.pwrite(handle, content, at)
                os.close(handle)

            self._call(f"write(2) {path}", 0, call)
            node.content = node.content[:at].ljust(at, b"\0") + content + node.content[at + 3000 :]

    def _chmod(self) -> None:
        if found := self._there(self.dice.choice((stat.S_IFREG, stat.S_IFDIR))):
            path, _, _, node = found
            node.mode = self.dice.choice((0o600, 0o755, 0o777, 0o711))
            self._call(f"chmod(2) {path}", 0, lambda: os.chmod(self.top + path, node.mode))

    def _chown(self) -> None:
        if found := self._there(self.dice.choice((stat.S_IFREG, stat.S_IFDIR))):
            path, _, _, node = found
            node.owner = self.dice.choice((0, 1234, 70001))
            self._call(f"chown(2) {path}", 0, lambda: os.chown(self.top + path, node.owner, -1))

    def _setxattr(self) -> None:
        if found := self._there(stat.S_IFREG):
            path, _, _, node = found
            name, value = f"user.{self.dice.choice('abcd')}", self.dice.randbytes(self.dice.choice((0, 1, 40, 150)))
            self._call(f"setxattr(2) {path} {name}", 0, lambda: os.setxattr(self.top + path, name, value))
            node.attributes[name] = value

    def _removexattr(self) -> None:
        if found := self._there(stat.S_IFREG):
            path, _, _, node = found
            name = min(node.attributes, default="")
            if name:
                self._call(f"removexattr(2) {path} {name}", 0, lambda: os.removexattr(self.top + path, name))
                del node.attributes[name]


CHECKS = {"random-names": names, "mounts": mounts}

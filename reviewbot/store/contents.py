# SPDX-License-Identifier: GPL-2.0-or-later
"""What a folder of the store holds: names, modes and hashes of its files.

As a program (`python -m reviewbot.store.contents listing|stamp FOLDER`) it prints the same as JSON. An ordinary user
reads the Debian root of a build so, as root of a user namespace: its files have several owners.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reviewbot.host.files import sha256_file
from reviewbot.host.process import run
from reviewbot.host.rootless import as_root

Contents = Mapping[str, tuple[str, int, str]]
"""Path in the folder -> type (`file`, `link`, `folder`, `other`), mode bits, and the hash of a file, the target of a
link, the device number of anything else; empty for a folder."""

RECORD, CONTENTS = "artifact.json", "contents.json"
"""The store's own files at the top of a folder, which are no part of what it holds."""
_LIMIT = 1800.0
_TYPES = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}


def read_contents(folder: Path) -> dict[str, tuple[str, int, str]]:
    """All that is below a folder; every file is read. Raises OSError, InfraError."""
    return {name: (kind, mode, value) for name, (kind, mode, value) in _ask(_listing, folder).items()}


def recorded(folder: Path) -> dict[str, tuple[str, int, str]]:
    """What was in an artifact's folder when it was made. Raises OSError, ValueError (damaged)."""
    found = json.loads((folder / CONTENTS).read_bytes())
    return {name: (kind, mode, value) for name, (kind, mode, value) in found.items()}


def read_stamp(folder: Path) -> str:
    """Hex digest of size, times and inode of all that is below a folder: the same as long as nobody changed or
    copied any of it. No file is read. Raises OSError, InfraError.
    """
    return str(_ask(_stamp, folder))


def difference(recorded: Contents, found: Contents) -> tuple[str, str] | None:
    """The first path that differs, and how: `missing`, `added` or `changed`."""
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            return name, "missing"
        if name not in recorded:
            return name, "added"
        if recorded[name] != found[name]:
            return name, "changed"
    return None


def _ask(question: Callable[[Path], Any], folder: Path) -> Any:
    try:
        return question(folder)
    except PermissionError:
        if not (words := as_root()):
            raise
    what = question.__name__.strip("_")
    done = run([*words, sys.executable, "-m", "reviewbot.store.contents", what, folder], split=True, timeout=_LIMIT)
    return json.loads(done.output)


def _listing(folder: Path) -> dict[str, tuple[str, int, str]]:
    found = {}
    for name, status in _walk(folder):
        if name == CONTENTS:
            continue
        path = folder / name
        kind = _TYPES.get(stat.S_IFMT(status.st_mode), "other")
        match kind:
            case "file":
                value = sha256_file(path)
            case "link":
                value = str(path.readlink())
            case "folder":
                value = ""
            case _:
                value = f"{stat.S_IFMT(status.st_mode):o} {status.st_rdev}"
        found[name] = (kind, stat.S_IMODE(status.st_mode), value)
    return found


def _stamp(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, status in _walk(folder):
        facts = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        digest.update(f"{name!r} {facts}\n".encode())
    return digest.hexdigest()


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Path in the folder, and lstat(2), of all below it. No link is followed."""
    left = [""]
    while left:
        above = left.pop()
        with os.scandir(f"{folder}/{above}") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{above}/{entry.name}" if above else entry.name
                if name == RECORD:
                    continue
                yield name, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    left.append(name)


if __name__ == "__main__":
    json.dump({"listing": _listing, "stamp": _stamp}[sys.argv[1]](Path(sys.argv[2])), sys.stdout)

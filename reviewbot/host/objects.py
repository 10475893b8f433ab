# SPDX-License-Identifier: GPL-2.0-or-later
"""Commits, trees and blobs of a repository, read through one git process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from git.cmd import Git

from reviewbot.host.git import CLEAN


class Objects:
    """Reads what a name stands for. Not for two threads at once."""

    def __init__(self, repository: Path) -> None:
        self._git = Git(repository)
        self._git.update_environment(**CLEAN, GIT_DIR=str(repository))
        self._git.set_persistent_git_options(c="safe.directory=*")

    def read(self, name: str) -> tuple[str, bytes] | None:
        """Kind (`blob`, `commit`, …) and content of `COMMIT`, `COMMIT:PATH` or an id; None: there is no such object."""
        if "\n" in name:  # git would read a second name, or another one
            return None
        try:
            _, kind, _, content = self._git.get_object_data(name)
        except ValueError:  # also a name of what is no text
            return None
        return os.fsdecode(kind), content  # bytes, whatever its annotation says

    def blob(self, name: str) -> bytes | None:
        """Content of a file; None: it is none."""
        found = self.read(name)
        return found[1] if found and found[0] == "blob" else None

    def size(self, name: str) -> int | None:
        """Bytes of an object; None: there is no such object."""
        if "\n" in name:
            return None
        try:
            return self._git.get_object_header(name)[2]
        except ValueError:
            return None

    def close(self) -> None:
        self._git.clear_cache()


@contextmanager
def objects(repository: Path) -> Iterator[Objects]:
    """Of a repository (its git directory), as long as the block lasts."""
    found = Objects(repository)
    try:
        yield found
    finally:
        found.close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Turn files that are not in git into one commit, the same one everywhere for the same files."""

import fnmatch
import hashlib
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from reviewbot.host.git import CLEAN, find_commit, git
from reviewbot.host.process import CommandFailed, background, no_room
from reviewbot.model.errors import DiskFull

# Fixed, so that the commit id depends on nothing but the files and the message.
IMPORTER = "reviewbot@invalid"
"""Address of the author of imported commits."""
_WHO = f"reviewbot <{IMPORTER}> 1577836800 +0000"
_WHO_ENV = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "reviewbot"), ("EMAIL", IMPORTER), ("DATE", "1577836800 +0000"))
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: path relative to the root, git mode (`100644`, `100755`, `120000`), content or link target."""

    path: str
    mode: str
    content: bytes


def from_tar(archive: IO[bytes]) -> Iterator[Entry]:
    """Files of a tar stream (any compression), without the top folder that all of them share.

    Hard links become files. Raises tarfile.TarError.
    """
    seen: dict[str, tuple[str, bytes]] = {}
    with tarfile.open(fileobj=archive, mode="r|*") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            _, _, path = name.partition("/")
            if not path or ".." in path.split("/"):
                continue
            if member.isfile():
                reader = tar.extractfile(member)
                content = reader.read() if reader else b""
                mode = "100755" if member.mode & stat.S_IXUSR else "100644"
                yield Entry(path, mode, content)
                if len(content) < 1 << 16:
                    seen[name] = (mode, content)
            elif member.issym():
                yield Entry(path, "120000", member.linkname.encode())
            elif member.islnk() and member.linkname.removeprefix("./") in seen:
                mode, content = seen[member.linkname.removeprefix("./")]
                yield Entry(path, mode, content)


def from_folder(folder: Path) -> Iterator[Entry]:
    """Files of a folder, but for `.git` and quilt's `.pc`, in sorted order."""
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(f for f in folders if f not in (".git", ".pc") and not (here / f).is_symlink())
        links = [path.name for path in here.iterdir() if path.is_symlink()]
        for name in sorted({*names, *links} - {".git"}):
            path = here / name
            relative = str(path.relative_to(folder))
            if path.is_symlink():
                yield Entry(relative, "120000", os.fsencode(path.readlink()))
            elif path.is_file():
                mode = "100755" if path.stat().st_mode & stat.S_IXUSR else "100644"
                yield Entry(relative, mode, path.read_bytes())


def import_entries(repository: Path, entries: Iterable[Entry], ref: str, message: str, exclude: Sequence[str]) -> str:
    """Make one parentless commit of the entries and point `ref` at it; returns its id.

    exclude: shell patterns of paths to leave out. Nothing remains when `entries` raises. Raises CommandFailed.
    """
    log = repository / "fast-import.log"
    command = ["git", "-c", "core.compression=1", "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet",
               "--done", "--force", "--max-pack-size=4g"]  # fmt: skip
    env = {**CLEAN, "GIT_DIR": str(repository)}
    with log.open("wb") as said, background(command, env=env, log=said, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            _feed(process.stdin, entries, ref, message, exclude)
            process.stdin.close()
        except BrokenPipeError:
            pass  # its status tells why
        status = process.wait()
    if status:
        words = log.read_text(errors="replace")
        if no_room(repository, said=words):
            raise DiskFull(str(repository))
        raise CommandFailed(command, status, words, log=log)
    log.unlink()
    commit = find_commit(repository, ref)
    assert commit is not None, ref
    return commit


def _feed(out: IO[bytes], entries: Iterable[Entry], ref: str, message: str, exclude: Sequence[str]) -> None:
    text = message.encode()
    out.write(f"commit {ref}\nauthor {_WHO}\ncommitter {_WHO}\ndata {len(text)}\n".encode() + text + b"\n")
    for entry in entries:
        if any(fnmatch.fnmatchcase(entry.path, pattern) for pattern in exclude):
            continue
        out.write(f"M {entry.mode} inline {_quoted(entry.path)}\ndata {len(entry.content)}\n".encode())
        out.write(entry.content)
        out.write(b"\n")
    out.write(b"done\n")


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def import_folder(repository: Path, folder: Path, ref: str, message: str, exclude: Sequence[str]) -> str:
    """One parentless commit of a folder's files, `.git` left out; returns its id. Nothing in the folder changes.

    A kept index remembers which files it has seen, so that a large folder costs a second when little changed.
    exclude: shell patterns of paths to leave out.
    """
    digest = hashlib.sha256(f"{folder.resolve()} {list(exclude)}".encode()).hexdigest()[:16]
    index = repository / f"folder-{digest}.index"
    Path(f"{index}.lock").unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(folder)}
    pathspecs = [".", *(f":(exclude,glob){pattern}" for pattern in exclude)]
    git(repository, "-c", "core.compression=1", "add", "--all", "--force", "--", *pathspecs, env=env, cwd=folder)
    tree = git(repository, "write-tree", env=env, cwd=folder).output.strip()
    commit = git(repository, "commit-tree", "-m", message, tree, env=_WHO_ENV).output.strip()
    git(repository, "update-ref", ref, commit)
    return commit

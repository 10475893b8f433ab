# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches of every shape that git writes, made by git, and what git itself takes of a mail."""

import functools
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.git import CLEAN

_ENV = {
    **CLEAN, "PATH": "/usr/bin:/bin", "GIT_AUTHOR_NAME": "A Developer", "GIT_AUTHOR_EMAIL": "dev@example.org",
    "GIT_COMMITTER_NAME": "A Developer", "GIT_COMMITTER_EMAIL": "dev@example.org",
    "GIT_AUTHOR_DATE": "2026-11-02T09:00:00Z", "GIT_COMMITTER_DATE": "2026-11-02T09:00:00Z",
}  # fmt: skip


def git(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """git, whatever it answers."""
    return subprocess.run(["git", *words], cwd=folder, env=_ENV, input=stdin, capture_output=True, check=False)


@functools.cache
def written_by_git() -> tuple[bytes, ...]:
    """`git format-patch` of commits that add, change, move, delete, chmod; text, binary, CRLF, odd names."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        git(root, "init", "--quiet")
        numbers = [f"line {n}\n" for n in range(1, 60)]

        def commit(words: str, **files: bytes | None) -> None:
            for key, content in files.items():
                path = root / _NAMES[key]
                path.parent.mkdir(parents=True, exist_ok=True)
                if content is None:
                    path.unlink()
                else:
                    path.write_bytes(content)
            git(root, "add", "--all")
            message = f"{words}\n\nFrom here on it {words}.\n\nSigned-off-by: A Developer <dev@example.org>"
            git(root, "commit", "--quiet", "-m", message)

        text = "".join(numbers).encode()
        commit("fuse: start", dev=text, file=text, crlf=b"a\r\nb\r\nc\r\n", blob=bytes(range(256)) * 4)
        other = text.replace(b"line 5\n", b"line five\n--- line 5\n").replace(b"line 50\n", b"")
        commit("fuse: two hunks, a line like a header", dev=other)
        commit("fuse: several files", file=other, dev=text, umlaut="Größe\nµ\n".encode())
        commit("fuse: latin letters", file=text.replace(b"line 7\n", "Jürgen ü\n".encode()), umlaut="Maß\nµ\n".encode())
        commit("fuse: CRLF file", crlf=b"a\r\nB\r\nc\r\nd\r\n")
        commit("fuse: binary", blob=bytes(reversed(range(256))) * 4)
        commit("fuse: new binary", png=b"\x89PNG\x00" * 100)
        commit("fuse: odd names", spaces=b"x\n", quoted=b"y\n")
        commit("fuse: change odd names", spaces=b"x\nx \n", quoted=b"y\n\n")
        commit("fuse: no newline at the end", spaces=b"x\nx \nlast", quoted=b"y")
        commit("fuse: newline again", spaces=b"x\nx \nlast\n", quoted=b"y\n")
        commit("fuse: rename", dev=None, moved=text)
        commit("fuse: rename and change", moved=None, dev=other)
        (root / _NAMES["dev"]).chmod(0o755)
        commit("fuse: mode")
        commit("fuse: empty file", empty=b"")
        commit("fuse: delete", empty=None, file=None, png=None)
        done = git(root, "format-patch", "--quiet", "--signature=2.39.5", "-o", "out", "HEAD~15..HEAD")
        assert done.returncode == 0, done.stderr
        mails = []
        for number, path in enumerate(sorted((root / "out").iterdir())):
            text = path.read_bytes().split(b"\n", 1)[1]
            if b"\r\n" in text:  # as git send-email does
                head, _, body = text.partition(b"\n\n")
                body = body.replace(b"=", b"=3D").replace(b"\r\n", b"=0D\n")
                text = head + b"\nContent-Transfer-Encoding: quoted-printable\n\n" + body
            mails.append(b"Message-ID: <made.%d@example.org>\n" % number + text)
        return tuple(mails)


_NAMES = {
    "dev": "fs/fuse/dev.c", "moved": "fs/fuse/moved.c", "file": "fs/fuse/file.c", "crlf": "fs/fuse/dos.c",
    "blob": "fs/fuse/firmware.bin", "png": "fs/fuse/picture.png", "umlaut": "fs/fuse/größe.c",
    "spaces": "fs/fuse/my file.c", "quoted": 'fs/fuse/a"quote.c', "empty": "fs/fuse/empty.c",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """What git takes of a mail."""

    patch: bytes | None
    """None: `git mailinfo` refuses the mail."""
    paths: frozenset[str] | None
    """None: `git apply` refuses the patch. Of a rename, only the new name."""


@functools.cache
def taken(raw: bytes) -> Taken:
    """Does what `git am` does: drops CR at line ends, asks `git mailinfo`, then `git apply --numstat`."""
    raw = raw.replace(b"\r\n", b"\n")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if git(root, "mailinfo", "-u", "log", "patch", stdin=raw).returncode:
            return Taken(None, None)
        patch = (root / "patch").read_bytes()
        done = git(root, "apply", "--numstat", "-z", "patch")
        if done.returncode:
            return Taken(patch, None)
        rows = done.stdout.decode(errors="replace").split("\0")
        return Taken(patch, frozenset(row.split("\t")[2] for row in rows if row.count("\t") >= 2))

# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a step as a tar archive for the host."""

import glob
import io
import os
import tarfile

FILE_LIMIT = 4 << 20
"""Bytes of one collected file; the end counts."""
STEP_LIMIT = 24 << 20
"""Bytes of all files of a step."""
SERVER_LOG = "/run/reviewbot/server.log"
HALF = 256 << 10
"""Bytes of a step's part of the servers' log: so many of its beginning, so many of its end."""
GIVEN_AWAY = ("/results/", "/run/reviewbot/dead")
"""Files below are the host's once they are in an archive, and make room for the next step's."""


class _Mark:
    """Where a step's part of the servers' log begins; it may be asked for twice, when the step hangs."""

    step = ""
    start = end = 0


def archive(step: str, patterns: list[str]) -> tuple[bytes, int]:
    """The archive, and its length without the end-of-archive blocks: on the results disk the next one follows.

    Nothing in it: empty, 0.
    """
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        if said := server_log(step):
            put(tar, f"{step}/server.log", said)
        for path in sorted({p for pattern in patterns for p in glob.glob(pattern)}):
            add(tar, path, step)
        end = tar.offset
    for path in (p for pattern in patterns if pattern.startswith(GIVEN_AWAY) for p in glob.glob(pattern)):
        remove(path)
    return (data.getvalue(), end) if end else (b"", 0)


def server_log(step: str) -> bytes:
    """What the servers said since the last step's archive; the middle of too much is left out."""
    if step != _Mark.step:
        _Mark.step, _Mark.start = step, _Mark.end
    try:
        with open(SERVER_LOG, "rb") as file:
            _Mark.end = file.seek(0, os.SEEK_END)
            start = file.seek(min(_Mark.start, _Mark.end))
            if _Mark.end - start <= 2 * HALF:
                return file.read(2 * HALF)
            head = file.read(HALF)
            file.seek(_Mark.end - HALF)
            return head + b"\n[... cut by reviewbot ...]\n" + file.read(HALF)
    except OSError:
        return b""


def remove(path: str) -> None:
    """A file, or a folder with all that is below."""
    for root, folders, names in os.walk(path, topdown=False):
        for name in (*names, *folders):
            whole = os.path.join(root, name)
            try:
                os.rmdir(whole) if name in folders and not os.path.islink(whole) else os.unlink(whole)
            except OSError:
                continue
    try:
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    except OSError:
        return


def add(tar: tarfile.TarFile, path: str, step: str) -> None:
    """One file or folder, each file cut to its end, all of them to STEP_LIMIT."""
    paths = [path]
    if os.path.isdir(path) and not os.path.islink(path):
        paths = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
    for one in sorted(paths):
        try:
            if not os.path.isfile(one) or os.path.islink(one) or tar.offset > STEP_LIMIT:
                continue
            with open(one, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - FILE_LIMIT))
                content = file.read(FILE_LIMIT)
        except OSError:
            continue
        inner = os.path.relpath(one, os.path.dirname(path.rstrip("/")))
        put(tar, f"{step}/{inner}", content)


def put(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))

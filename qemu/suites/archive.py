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


def archive(step: str, patterns: list[str]) -> tuple[bytes, int]:
    """The archive, and its length without the end-of-archive blocks: on the results disk the next one follows."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted({p for pattern in patterns for p in glob.glob(pattern)}):
            add(tar, path, step)
        end = tar.offset
    return data.getvalue(), end


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
        info = tarfile.TarInfo(f"{step}/{inner}")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))

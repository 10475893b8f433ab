# SPDX-License-Identifier: GPL-2.0-or-later
"""The posting: patches to kernel, libfuse and e2fsprogs, the last of each switches iomap on.

Numbers, structures and switches are those of the seventh version of fuse-iomap. Data moves by fs/iomap; the server is a
small one for ext4, on libext2fs.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from demo.__main__ import SITE
from tests.mails import mail, mbox
from tests.planted.corpus import subject_of

POSTING = Path(__file__).resolve().parent / "posting"
ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("kernel", "libfuse", "e2fsprogs")
TOP = "iomap.top@example.org"


def patches(component: str) -> list[Path]:
    return sorted((POSTING / component).glob("*.patch"))


def as_mbox(*, early: Sequence[str] = ()) -> bytes:
    """A top cover, a cover per component, the patches below it. early: components whose last patch is left out."""
    found = [mail(TOP, "[PATCHSET v7] fuse: file I/O by iomap")]
    for number, component in enumerate(COMPONENTS, 1):
        cover = f"iomap.{component}@example.org"
        found.append(
            mail(cover, f"[PATCHSET v7 {number}/{len(COMPONENTS)}] {component}: file I/O by iomap", parent=TOP)
        )
        series = patches(component)[: -1 if component in early else None]
        for place, path in enumerate(series, 1):
            body = path.read_bytes().partition(b"\n\n")[2].decode()
            subject = f"[PATCH {place}/{len(series)}] {subject_of(path)}"
            found.append(mail(f"iomap.{component}.{place}@example.org", subject, body, parent=cover))
    return mbox(found)


def reviewbot(folder: Path, *words: str, posting: bytes) -> subprocess.CompletedProcess[str]:
    """A command about the posting, run as a user would, with data of its own in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "posting.mbox").write_bytes(posting)
    (folder / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9"))
    return subprocess.run(
        [sys.executable, "-m", "reviewbot", *words, "--mbox", folder / "posting.mbox", "--site", folder / "site.yaml"],
        cwd=ROOT, env={**os.environ, "REVIEWBOT_DATA": str(folder / "data"), "CI": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

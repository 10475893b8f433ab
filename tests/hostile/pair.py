# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds a hostile kernel and then an honest one with the same cache, as whoever starts this program.

`python -m tests.hostile.pair FOLDER < SCRIPT`: SCRIPT runs whenever make reads the hostile kernel's makefile. Prints
JSON (`Told`).
"""

import contextlib
import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from reviewbot.build.kernel import kernel
from reviewbot.host.process import CommandFailed
from reviewbot.model.artifacts import Artifact
from reviewbot.model.progress import Event
from reviewbot.store import Store
from tests.build.commits import Series
from tests.build.kernels import small_kernel
from tests.host.roots import small_root

PROGRAMS = ("make", "find", "sort", "xargs", "sha256sum", "cmp", "grep")


@dataclass(frozen=True, slots=True)
class Told:
    ran: bool
    """Whether the hostile script did."""
    after: str
    """Digest of the honest kernel, built after the hostile one."""
    clean: str
    """The same, from an empty cache."""
    said: tuple[str, ...]
    compiled: int
    """Objects of the honest kernel that were compiled after the hostile one."""


def main(folder: Path, script: str) -> Told:
    small_root(folder / "root" / "root", PROGRAMS)
    said: list[Event] = []

    def built(series: Series, cache: str, log: Path) -> str:
        root = Artifact(kind="buildroot", key="small", path=str(folder / "root"))
        made = kernel(Store(folder / cache), series.tree(), root, log, progress=said.append)
        return hashlib.sha256((Path(made.path) / "bzImage").read_bytes()).hexdigest()

    base = small_kernel(folder)
    hostile, honest = (Series(base.repository, base.base, "kernel") for _ in range(2))
    poison = f"$(shell {script})\n$(info it ran)\n"
    hostile.patch("poison", {"fs/fuse/Makefile": lambda text: text + poison})
    honest.patch("an honest change", {"fs/fuse/dev.c": lambda text: text.replace("fuse_init()", "fuse_init() + 1")})
    log = folder / "hostile" / "kernel.log"
    with contextlib.suppress(CommandFailed):
        built(hostile, "cache", log)
    after = built(honest, "cache", folder / "honest" / "kernel.log")
    return Told(
        ran="it ran" in log.read_text(),
        after=after,
        clean=built(honest, "empty", folder / "clean" / "kernel.log"),
        said=tuple(event.text for event in said if event.state == "say"),
        compiled=(folder / "honest" / "kernel.log").read_text().count("CC "),
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dataclasses.asdict(main(Path(sys.argv[1]), sys.stdin.read()))))

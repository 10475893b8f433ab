# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one script in a box, as whoever starts this program: `python -m tests.hostile.attack FOLDER < WISHES`.

WISHES is a JSON object (`Wishes`), and so is what it prints (`Told`). The box sees the host's /usr, and may write /out.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host import cgroups
from reviewbot.host.limits import Limits
from reviewbot.host.process import LimitExceeded
from reviewbot.host.sandbox import Bind, Sandbox
from tests.host.roots import host_root


@dataclass(frozen=True, slots=True)
class Wishes:
    script: str
    limits: dict[str, int]
    counted: bool = True
    """False: as on a machine whose control groups are not ours."""
    log_limit: int = 1 << 20
    timeout: float = 300.0
    layered: bool = False
    """/out lies above another folder, as the sources and objects of a build do."""


@dataclass(frozen=True, slots=True)
class Told:
    output: str
    """The kept part of what the script said."""
    status: int | None = None
    """None: it was ended."""
    exceeded: str = ""
    limit: float = 0
    log: int = 0
    """Bytes kept of what it said."""
    memory: int = 0
    """Bytes that this program used at most."""


def main(folder: Path, wishes: Wishes) -> Told:
    if not wishes.counted:
        vars(cgroups)["means"] = lambda: cgroups.Means("none")
    root, out, log = folder / "root", folder / "out", folder / "log"
    binds = host_root(root)
    out.mkdir()
    lower = (folder / "lower",) if wishes.layered else ()
    for below in lower:
        below.mkdir()
    limits = Limits(**wishes.limits)
    status, exceeded, limit = None, "", 0.0
    try:
        status = (
            Sandbox(root)
            .run(
                ["bash", "-c", wishes.script],
                binds={**binds, "/out": Bind(out, writable=True, lower=lower)},
                cwd="/out",
                log=log,
                log_limit=wishes.log_limit,
                timeout=wishes.timeout,
                limits=limits,
                check=False,
            )
            .status
        )
    except LimitExceeded as error:
        exceeded, limit = error.what, error.limit
    said = log.read_bytes() if log.exists() else b""
    # Not ru_maxrss: it is inherited from the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    memory = int(peak.split()[1]) << 10
    return Told(said.decode(errors="replace"), status, exceeded, limit, len(said), memory)


if __name__ == "__main__":
    told = main(Path(sys.argv[1]), Wishes(**json.load(sys.stdin)))
    json.dump(dataclasses.asdict(told), sys.stdout)

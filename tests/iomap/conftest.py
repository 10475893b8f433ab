# SPDX-License-Identifier: GPL-2.0-or-later
"""The posting, tested once by the product for all tests that look at what came of it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reviewbot.host.locks import locked
from reviewbot.host.process import ToolMissing
from reviewbot.lab.accel import qemu_version
from tests.iomap.stack import as_mbox, reviewbot

LEGS = "ext4,fuse4fs,fuse4fs-iomap,fuse4fs-service"


@dataclass(frozen=True, slots=True)
class IomapRun:
    """What `apply-and-test` of the posting left behind."""

    status: int
    output: str
    folder: Path

    @property
    def results(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "results.json").read_bytes())
        return found

    def leg(self, name: str) -> dict[str, Any]:
        return next(leg for leg in self.results["legs"] if leg["leg"] == name)


@pytest.fixture(scope="session")
def iomap_run(tmp_path_factory: pytest.TempPathFactory) -> IomapRun:
    """With this user's cache. Of processes of `pytest -n`, the first runs it, the others read what it said."""
    try:
        qemu_version()
    except ToolMissing as error:
        pytest.skip(str(error))
    ours = tmp_path_factory.getbasetemp()
    shared = ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours
    told = shared / "iomap.json"
    with locked(shared / "iomap.lock"):
        if not told.exists():
            done = reviewbot(
                shared / "iomap",
                "apply-and-test",
                "--no-review",
                "--no-compare",
                "--legs",
                LEGS,
                "--suites",
                "smoke",
                posting=as_mbox(),
            )
            folder = (shared / "iomap" / "data" / "runs" / "latest").resolve()
            told.write_text(json.dumps([done.returncode, done.stdout + done.stderr, str(folder)]))
    status, output, folder_name = json.loads(told.read_text())
    return IomapRun(status, output, Path(folder_name))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick tests first; what needs the fixture data or a machine says so when it cannot run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from demo.inbox import installed
from reviewbot.host.locks import locked
from reviewbot.host.process import ToolMissing
from reviewbot.lab.accel import qemu_version
from tests.machines import DemoRun, Images, images_of

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
BLIZZARD = SHARED / "fixtures" / "blizzard-v7"
# The same examples in every run, however slow the machine; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it; what commands print must not depend on who runs the tests
LONG = ("test_planted_vm.py", "test_harmless_vm.py", "test_kills_vm.py", "test_fallbacks_vm.py")
"""Files that take minutes: the first among their kind, so that no process has one left when the others are done."""
SLOW = 3600
"""Limit in seconds of a test that builds or boots: the first one builds a kernel."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order: unit tests, then those that use the network, then builds, then machines."""

    def weight(item: pytest.Item) -> int:
        marks = [
            3 * bool(item.get_closest_marker("vm")),
            2 * bool(item.get_closest_marker("build")),
            1 * bool(item.get_closest_marker("network")),
        ]
        return max(marks)

    items.sort(key=lambda item: (weight(item), weight(item) > 1 and item.path.name not in LONG))
    for item in items:
        if weight(item) > 1 and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW))


@pytest.fixture
def blizzard() -> Path:
    """Folder of the 203-message posting."""
    if not BLIZZARD.is_dir():
        pytest.skip(f"acceptance data {BLIZZARD.name} is not beside the checkout")
    return BLIZZARD


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Folder of a file system of two MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo, run as its user runs it, with this user's cache: what was built before is not built again.

    Of the processes of `pytest -n`, the first runs it, and the others read what it said.
    """
    if not installed():
        pytest.skip("public-inbox is not installed")
    try:
        qemu_version()
    except ToolMissing as error:
        pytest.skip(str(error))
    ours = tmp_path_factory.getbasetemp()
    shared = ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours
    data, told = shared / "demo", shared / "demo.json"
    with locked(shared / "demo.lock"):
        if not told.exists():
            done = subprocess.run(
                [sys.executable, "-m", "demo"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "REVIEWBOT_DATA": str(data), "CI": ""},
            )
            folder = (data / "runs" / "latest").resolve()  # a test may start another run in there
            told.write_text(json.dumps([done.returncode, done.stdout, done.stderr, str(data), str(folder)]))
    status, stdout, stderr, *folders = json.loads(told.read_text())
    return DemoRun(status, stdout, stderr, *(Path(folder) for folder in folders))


@pytest.fixture(scope="session")
def machine_images(demo_run: DemoRun) -> Images:
    """Kernel, guest and payload of the demo."""
    assert demo_run.status == 0, demo_run.stderr[-2000:] + demo_run.stdout[-2000:]
    return images_of(demo_run)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick tests first; what needs the fixture data or a machine says so when it cannot run."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
BLIZZARD = SHARED / "fixtures" / "blizzard-v7"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order: unit tests, then those that use the network, then builds, then machines."""

    def weight(item: pytest.Item) -> int:
        marks = [3 * bool(item.get_closest_marker("vm")), 2 * bool(item.get_closest_marker("build")),
                 1 * bool(item.get_closest_marker("network"))]  # fmt: skip
        return max(marks)

    items.sort(key=weight)


@pytest.fixture
def blizzard() -> Path:
    """Folder of the 203-message posting."""
    if not BLIZZARD.is_dir():
        pytest.skip(f"acceptance data {BLIZZARD.name} is not beside the checkout")
    return BLIZZARD

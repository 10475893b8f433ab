# SPDX-License-Identifier: GPL-2.0-or-later
"""A world to try the command line in."""

from pathlib import Path

import pytest

from tests.cli.world import COMPONENTS, World
from tests.repos import make_component


@pytest.fixture
def world(tmp_path: Path) -> World:
    for component in COMPONENTS:
        make_component(tmp_path / component, component)
    made = World(tmp_path)
    made.site()
    return made

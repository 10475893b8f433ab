# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet whose workers play their part."""

from collections.abc import Iterator

import pytest

from tests.fleet.world import FleetWorld
from tests.played import made_world


@pytest.fixture
def fleet() -> Iterator[FleetWorld]:
    with made_world() as world:
        yield FleetWorld(world)

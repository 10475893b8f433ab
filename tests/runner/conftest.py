# SPDX-License-Identifier: GPL-2.0-or-later
"""One user's store and a lab that plays its part."""

from collections.abc import Iterator

import pytest

from tests.played import World, made_world


@pytest.fixture
def world() -> Iterator[World]:
    with made_world() as made:
        yield made

# SPDX-License-Identifier: GPL-2.0-or-later
"""Who tries the command line."""

from pathlib import Path

import pytest

from tests.repos import make_component
from tests.user import COMPONENTS, User


@pytest.fixture
def user(tmp_path: Path) -> User:
    for component in COMPONENTS:
        make_component(tmp_path / component, component)
    made = User(tmp_path)
    made.site()
    return made

# SPDX-License-Identifier: GPL-2.0-or-later
"""A run with a machine that is killed and repeated. `python -m tests.hostile.kills --whole` does it thirty times."""

from pathlib import Path

import pytest

from tests.hostile.kills import kills
from tests.hostile.worlds import WholeRun
from tests.machines import DemoRun

pytestmark = pytest.mark.vm


def test_a_killed_run_ends_as_if_nothing_had_been_when_it_is_repeated(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    assert kills(WholeRun(tmp_path), 2, 12) == [], "the second is killed twice"

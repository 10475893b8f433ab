# SPDX-License-Identifier: GPL-2.0-or-later
"""A review that is killed and repeated. `python -m tests.hostile.kills` does it thirty times."""

import shutil
from pathlib import Path

import pytest

from tests.hostile.kills import kills
from tests.hostile.worlds import SmallReview

pytestmark = pytest.mark.build


def test_a_killed_review_ends_as_if_nothing_had_been_when_it_is_repeated(tmp_path: Path) -> None:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    assert kills(SmallReview(tmp_path), 3, 7) == []

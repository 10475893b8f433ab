# SPDX-License-Identifier: GPL-2.0-or-later
"""A small part of the corpus, for real: three defects are found and blamed.

All of it: `make planted`.
"""

from pathlib import Path

import pytest

from tests.machines import DemoRun
from tests.planted import corpus

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", ["lost-rename", "readlink-cut", "server-leak"])
def test_a_defect_is_found_and_its_patch_is_named(name: str, demo_run: DemoRun, tmp_path: Path) -> None:
    found = corpus.run(name, tmp_path)
    assert (found.alarm, found.right_component, found.right_patch) == (True, True, True), found

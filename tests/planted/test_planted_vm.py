# SPDX-License-Identifier: GPL-2.0-or-later
"""Three defects in one posting, for real: each is found and blamed. All of the corpus: `make planted`."""

from pathlib import Path

import pytest

from tests.machines import DemoRun
from tests.planted import corpus

pytestmark = pytest.mark.vm


def test_each_defect_is_found_and_its_patch_is_named(demo_run: DemoRun, tmp_path: Path) -> None:
    found = corpus.run("three-defects", tmp_path)
    assert (found.alarm, found.right_component, found.right_patch) == (True, True, True), found

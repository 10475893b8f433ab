# SPDX-License-Identifier: GPL-2.0-or-later
"""A small part of the corpus, for real: three defects are found and blamed, two harmless postings are not accused.

All of it: `make planted`.
"""

from pathlib import Path

import pytest

from reviewbot.model.verdict import VerdictKind
from tests.machines import DemoRun
from tests.planted import corpus

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", ["lost-rename", "readlink-cut", "server-leak"])
def test_a_defect_is_found_and_its_patch_is_named(name: str, demo_run: DemoRun, tmp_path: Path) -> None:
    found = corpus.run(name, tmp_path)
    assert (found.alarm, found.right_component, found.right_patch) == (True, True, True), found


@pytest.mark.parametrize("name", ["renamed-function", "library-comments"])
def test_a_harmless_posting_is_not_accused(name: str, demo_run: DemoRun, tmp_path: Path) -> None:
    assert corpus.run(name, tmp_path).verdict == VerdictKind.PASS

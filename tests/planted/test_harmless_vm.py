# SPDX-License-Identifier: GPL-2.0-or-later
"""Two postings of the corpus that break nothing, for real: they are not accused."""

from pathlib import Path

import pytest

from reviewbot.model.verdict import VerdictKind
from tests.machines import DemoRun
from tests.planted import corpus

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", ["renamed-function", "library-comments"])
def test_a_harmless_posting_is_not_accused(name: str, demo_run: DemoRun, tmp_path: Path) -> None:
    assert corpus.run(name, tmp_path).verdict == VerdictKind.PASS

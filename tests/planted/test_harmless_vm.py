# SPDX-License-Identifier: GPL-2.0-or-later
"""Two series of the corpus that break nothing, for real, in one posting: it is not accused."""

from pathlib import Path

import pytest

from reviewbot.model.verdict import VerdictKind
from tests.machines import DemoRun
from tests.planted import corpus

pytestmark = pytest.mark.vm


def test_a_harmless_posting_is_not_accused(demo_run: DemoRun, tmp_path: Path) -> None:
    assert corpus.run("two-harmless", tmp_path).verdict == VerdictKind.PASS

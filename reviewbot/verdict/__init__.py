# SPDX-License-Identifier: GPL-2.0-or-later
"""Results and reviews in, Verdict out: facts, no sentences. A pure function of what was measured."""

from reviewbot.verdict.judge import judge, judge_error, with_deep
from reviewbot.verdict.review import judge_review, patch_ref, with_blame, with_review
from reviewbot.verdict.withdrawn import announced, announced_default

__all__ = [
    "announced", "announced_default", "judge", "judge_error", "judge_review", "patch_ref", "with_blame", "with_deep",
    "with_review",
]  # fmt: skip

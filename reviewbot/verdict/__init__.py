# SPDX-License-Identifier: GPL-2.0-or-later
"""Results in, Verdict out. A pure function of what was measured."""

from reviewbot.verdict.judge import judge, judge_error

__all__ = ["judge", "judge_error"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Posting in, Trees out: every component at an exact base and head commit, with every attempt recorded.

Must not know: how anything is built or tested. Never writes to a repository of the user.
"""

from reviewbot.trees.errors import DoesNotApply, PullGone, RefusedPatch, SourceUnreachable, UnusablePull, WrongBase
from reviewbot.trees.resolve import Bases, preview, resolve, try_bases
from reviewbot.trees.sides import above_base, at, without

__all__ = [
    "Bases",
    "DoesNotApply",
    "PullGone",
    "RefusedPatch",
    "SourceUnreachable",
    "UnusablePull",
    "WrongBase",
    "above_base",
    "at",
    "preview",
    "resolve",
    "try_bases",
    "without",
]

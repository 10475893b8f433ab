# SPDX-License-Identifier: GPL-2.0-or-later
"""A result per patch, as Patchwork keeps them."""

from typing import Literal

from reviewbot.model.base import Model


class PatchCheck(Model):
    """One result of one patch."""

    message_id: str
    context: str
    """Who says so: `reviewbot-tests`, `reviewbot-review`; letters, digits, `-` and `_`."""
    state: Literal["success", "warning", "fail"]
    description: str
    """One line."""
    target_url: str = ""
    """Where more is to be seen, or empty."""


class PatchChecks(Model):
    """`checks.json`: of all patches of a run; none when the run says nothing about them."""

    run: str
    checks: tuple[PatchCheck, ...]

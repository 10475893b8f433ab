# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run says of itself, beside what it finds out."""

import datetime

from reviewbot.model.base import Model


class RunRecord(Model):
    """`run.json`: written when the run begins, and again when it ends."""

    schema_version: int = 1
    run: str
    tool: str
    """`reviewbot 0.1.0 (56e70dff1a2b)`: version and commit, if that is known."""
    command: tuple[str, ...] = ()
    """The words of the command line after `reviewbot`; empty: another program called the package."""
    started: datetime.datetime
    """UTC, by this host's clock."""
    ended: datetime.datetime | None = None
    """None: it is running, or was killed and nobody has cleaned up yet; then the time of its last sign."""
    shards: bool = False
    """Its tests are for shards: `merge-shards` gives it its verdict."""

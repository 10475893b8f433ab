# SPDX-License-Identifier: GPL-2.0-or-later
"""The exact stack of one run."""

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.base import Model
from reviewbot.model.trees import Trees


class Lock(Model):
    """What was tested: enough to say it again with the stored mails."""

    schema_version: int = 1
    run: str
    tool: str
    stack: str
    top: str
    """Message-ID of the posting."""
    mails_sha256: str
    """Of `mails.mbox` in the run's folder."""
    trees: Trees
    artifacts: Artifacts
    accelerator: str = ""
    accelerator_why: str = ""
    variant: str = ""
    """As in results.json."""

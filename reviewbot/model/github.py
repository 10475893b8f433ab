# SPDX-License-Identifier: GPL-2.0-or-later
"""What GitHub is told of a run: a check of a commit with remarks on its lines, and a comment."""

from typing import Literal

from reviewbot.model.base import Model

Level = Literal["notice", "warning", "failure"]
Conclusion = Literal["success", "failure", "neutral", "cancelled", "action_required"]


class Annotation(Model):
    """A remark on a line of a file."""

    path: str
    line: int
    level: Level
    title: str
    """One line, at most 255 characters."""
    message: str
    """At most 64 KiB."""


class GithubReport(Model):
    """Markdown and remarks within GitHub's limits."""

    run: str
    topic: str
    """Message-ID of the posting: a comment about it is replaced, not repeated."""
    conclusion: Conclusion
    title: str
    """One line: `REGRESSION: fuse2fs smoke/rename …`."""
    summary: str
    """Markdown, at most 65,535 bytes: what GitHub takes."""
    annotations: dict[str, tuple[Annotation, ...]] = {}
    """Component -> remarks on its files, worst first."""
    url: str = ""
    """Where the run's folder can be seen, or empty."""

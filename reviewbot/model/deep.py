# SPDX-License-Identifier: GPL-2.0-or-later
"""What a deep run found in the variants of its stack."""

from reviewbot.model.base import Model
from reviewbot.model.comparison import Comparison
from reviewbot.model.results import Results


class Deep(Model):
    """One variant of head, compared with base built the same way. Its files are below `deep/VARIANT/`."""

    variant: str
    """`kasan,lockdep`."""
    problem: str = ""
    """Why nothing was tested."""
    results: Results | None = None
    comparison: Comparison | None = None

    @property
    def folder(self) -> str:
        """Relative to the run's folder."""
        return f"deep/{self.variant.replace(',', '+')}"


class DeepRuns(Model):
    """`deep.json`."""

    schema_version: int = 4
    runs: tuple[Deep, ...]

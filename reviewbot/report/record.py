# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything known of one run, in one value; and the schemas of what is published of it."""

from pathlib import Path
from typing import Any

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.base import Model
from reviewbot.model.comparison import Comparison
from reviewbot.model.coverage import Coverage
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.results import Results
from reviewbot.model.review import Review
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import SaidVerdict, Verdict

PUBLISHED: dict[str, type[Model]] = {
    "comparison": Comparison, "coverage": Coverage, "results": Results, "review": Review, "verdict": SaidVerdict,
}  # fmt: skip
"""Files of a run whose shape is promised."""


class Record(Model):
    """A run as far as it got."""

    run: str
    tool: str
    posting: Posting
    plan: Plan | None = None
    trees: Trees | None = None
    artifacts: Artifacts | None = None
    review: Review | None = None
    results: Results | None = None
    comparison: Comparison | None = None
    coverage: Coverage | None = None
    verdict: Verdict | None = None
    url: str = ""
    """Where the run's folder can be seen, or empty."""

    @property
    def command(self) -> str:
        """What made it: `review` plans no legs."""
        return "review" if self.plan and not self.plan.legs else "apply-and-test"

    @property
    def variant(self) -> str:
        """`kasan`; empty: the plain stack was tested."""
        return self.plan.variant.name if self.plan else ""


def known(run: Path) -> dict[str, object]:
    """What a run had already found out, from the files in its folder: fields of its record."""
    found: dict[str, object] = {}
    for name, model in (("trees", Trees), ("review", Review), ("results", Results), ("comparison", Comparison)):
        path = run / f"{name}.json"
        if path.exists():
            found[name] = model.model_validate_json(path.read_bytes())
    return found


def schemas() -> dict[str, dict[str, Any]]:
    """Name -> JSON schema (draft 2020-12) of each published file."""
    found = {}
    for name, model in PUBLISHED.items():
        schema = model.model_json_schema(mode="serialization")
        version = model.model_fields["schema_version"].default
        found[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema",
                       "$id": f"urn:reviewbot:{name}:{version}", **schema}  # fmt: skip
    return found

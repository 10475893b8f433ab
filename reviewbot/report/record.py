# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything known of one run, in one value; and the schemas of what is published of it."""

from typing import Any

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.base import Model
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.results import Results
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Verdict

PUBLISHED: dict[str, type[Model]] = {"results": Results, "verdict": Verdict}
"""Files of a run whose shape is promised."""


class Record(Model):
    """A run as far as it got."""

    run: str
    tool: str
    posting: Posting
    plan: Plan | None = None
    trees: Trees | None = None
    artifacts: Artifacts | None = None
    results: Results | None = None
    verdict: Verdict | None = None


def schemas() -> dict[str, dict[str, Any]]:
    """Name -> JSON schema (draft 2020-12) of each published file."""
    found = {}
    for name, model in PUBLISHED.items():
        schema = model.model_json_schema(mode="serialization")
        version = model.model_fields["schema_version"].default
        found[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema",
                       "$id": f"urn:reviewbot:{name}:{version}", **schema}  # fmt: skip
    return found

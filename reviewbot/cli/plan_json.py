# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan as JSON."""

from collections import Counter
from typing import Any

from reviewbot.model.plan import Plan
from reviewbot.model.posting import Part, Patch, Posting, Prerequisite
from reviewbot.model.trees import Trees


def plan_json(plan: Plan) -> dict[str, Any]:
    """The published shape: parts with their patches as Message-IDs in order, problems, and what would be done.

    `facts` has one entry per part, in the same order; a part itself has only what tells it from others.
    """
    posting = plan.posting
    return {
        "top": posting.top,
        "subject": posting.subject,
        "author": posting.author,
        "source": posting.source,
        "asked": list(posting.asked),
        "manifest": posting.manifest,
        "versions": [version.model_dump(mode="json") for version in posting.versions],
        "attestation": _attestation(posting),
        "parts": [_part(part) for part in posting.parts],
        "facts": [_facts(part) for part in posting.parts],
        "problems": [problem.model_dump(mode="json") for problem in posting.problems],
        "rfc": plan.rfc,
        "sources": [source.model_dump(mode="json") for source in plan.sources],
        "trees": _trees(plan.trees),
        "legs": [leg.leg for leg in plan.legs],
        "suites": list(plan.suites),
        "tests": plan.tests,
        "budget": plan.budget,
        "expected": plan.expected.model_dump(mode="json") if plan.expected else None,
        "variant": plan.variant.name,
    }


def _attestation(posting: Posting) -> dict[str, dict[str, int]]:
    """Patches per answer, prerequisites among them: `{"dkim": {"pass": 20}, "patatt": {"none": 20}}`."""
    found = [patch.attestation for patch in all_patches(posting) if patch.attestation]
    return {"dkim": dict(Counter(a.dkim for a in found)), "patatt": dict(Counter(a.patatt for a in found))}


def all_patches(posting: Posting) -> list[Patch]:
    """Every mailed patch, those of prerequisites too, each once."""
    found: dict[str, Patch] = {}
    for part in posting.parts:
        for patch in (*(p for entry in part.prerequisites for p in entry.patches), *part.patches):
            found.setdefault(patch.message_id, patch)
    return list(found.values())


def _part(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {
        "component": part.component,
        "counter": part.counter,
        "rfc": part.rfc,
        "subject": part.subject,
        "cover": part.cover,
        "patches": [patch.message_id for patch in part.patches],
    }
    if part.pull:
        found["pull"] = part.pull.model_dump(mode="json")
    return found


def _facts(part: Part) -> dict[str, Any]:
    return {
        "version": part.version,
        "base_commit": part.base_commit,
        "change_id": part.change_id,
        "routed_by": part.routed_by,
        "prerequisites": [_prerequisite(entry) for entry in part.prerequisites],
        "versions": [version.model_dump(mode="json") for version in part.versions],
        "attestation": {p.message_id: p.attestation.model_dump(mode="json") for p in part.patches if p.attestation},
    }


def _prerequisite(entry: Prerequisite) -> dict[str, Any]:
    return {
        **entry.declared.model_dump(mode="json"),
        "status": entry.status,
        "why": entry.why,
        "patches": [patch.message_id for patch in entry.patches],
    }


def _trees(trees: Trees | None) -> list[dict[str, Any]] | None:
    """Per component that the posting changes; None when no base was tried."""
    if trees is None:
        return None
    return [tree.model_dump(mode="json", exclude={"repository"}) for tree in trees.trees]

# SPDX-License-Identifier: GPL-2.0-or-later
"""The variants of a deep run: head with debugging checks enabled, compared with base built the same way."""

from dataclasses import replace

from reviewbot.config import choose_variant
from reviewbot.model.deep import Deep
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.progress import Event
from reviewbot.model.results import Results
from reviewbot.model.variants import Variant
from reviewbot.pipeline.compare import Head, compared
from reviewbot.pipeline.request import BENCH
from reviewbot.pipeline.run import TOOL
from reviewbot.runner import Tests, run_legs
from reviewbot.store import RunFolder

VARIANTS = (("kasan", "lockdep"),)
"""Each in one build."""


def deep_runs(head: Head) -> tuple[Deep, ...]:
    """One per variant, with the stack's short selection of tests; none unless the plan says so.

    Raises Stopping, OSError.
    """
    return tuple(_deep(head, choose_variant(names)) for names in VARIANTS) if head.run.plan.deep else ()


def _deep(head: Head, variant: Variant) -> Deep:
    found = Deep(variant=variant.name)
    suites = tuple(suite for suite in head.run.plan.suites if suite != BENCH)  # checks cost time, too
    short = {
        "suites": suites,
        "variant": variant,
        "tests": head.run.stack.default_tests,
        "compat": False,
        "prefixes": False,
    }
    folder = RunFolder(head.run.folder.id, head.run.folder.path / found.folder)
    run = replace(head.run, folder=folder, plan=head.run.plan.model_copy(update=short))
    run.progress(Event("lab", f"variant {variant.name}", "say", "building and testing it"))
    try:
        context = run.context(run.build(head.context.build.trees), Tests(run.plan.tests))
    except (InfraError, SeriesAtFault) as error:
        return found.model_copy(update={"problem": str(error)})
    legs = run_legs(run.legs, run.plan.suites, context)
    results = Results(run=folder.id, tool=TOOL, variant=variant.name, legs=legs)
    folder.write("results.json", results)
    comparison = compared(Head(run, context), legs, mails=head.run.folder.path / "mails.mbox")
    return found.model_copy(update={"results": results, "comparison": comparison})

# SPDX-License-Identifier: GPL-2.0-or-later
"""What would be done: the posting, its bases, legs and tests. Changes nothing but the cache."""

import re

from reviewbot import intake, trees
from reviewbot.config import Network, Site, choose_variant
from reviewbot.host.paths import cache_dir
from reviewbot.intake import Intake
from reviewbot.model.plan import Extent, LegPlan, Plan, SourcePlan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Progress
from reviewbot.model.stack import LegSpec, Stack
from reviewbot.pipeline.request import QUICK, Request, arguments, check_request, components_of
from reviewbot.runner.expected import expected


def make_plan(request: Request, stack: Stack, site: Site, progress: Progress) -> tuple[Plan, Intake]:
    """What would be done. Fetches mails, changes nothing else. Raises ReviewbotError."""
    check_request(request, stack, cache_dir())
    found = take_in(request, stack, site, progress)
    tests = request.tests
    chosen = tests.legs or stack.default_legs
    extent = tests.model_dump(include=set(Extent.model_fields))
    extent["tests"] = tests.tests or (QUICK if tests.deep else stack.default_tests)
    extent["compat"] = tests.compat or tests.deep
    planned = Plan(
        **extent,
        posting=found.posting,
        rfc=request.series.rfc,
        sources=(),
        legs=tuple(_leg(stack.leg(leg), found.posting, request.series.rfc) for leg in chosen),
        variant=choose_variant(tests.variants),
        arguments=arguments(request),
    )
    wanted = components_of(planned, stack)
    sources = tuple(
        SourcePlan(component=p.component, source=p.source, base=p.base, why=p.why)
        for p in trees.preview(found.posting, stack, bases_of(request, found, site.network))
        if p.component in wanted
    )
    time = expected(
        chosen,
        planned.suites,
        planned.tests,
        tuple(source.component for source in sources),
        site,
        cache_dir(),
        rows=planned.rows,
        variant=planned.variant.name,
        budget=planned.budget,
    )
    return planned.model_copy(update={"sources": sources, "expected": time}), found


def _leg(leg: LegSpec, posting: Posting, rfc: bool) -> LegPlan:
    doubts = filter(None, (never_on(posting, word, rfc=rfc) for word in leg.prove))
    return LegPlan(leg=leg.name, why=leg.why, needs=leg.needs, doubt=next(doubts, ""))


def never_on(posting: Posting, word: str, *, rfc: bool) -> str:
    """What the mails tell of a feature that a series brings in many parts and switches on with its last patch.

    A component whose applied patches speak of the feature, and of which none says that it enables it, does not
    have it yet. One line, naming the part that would; empty where nothing is wrong or nothing is known.
    """
    enables = re.compile(rf"\benable {re.escape(word)}\b", re.IGNORECASE)
    brings = re.compile(rf"fuse.*\b{re.escape(word)}", re.IGNORECASE)  # fs/iomap itself is for others, too
    for component in dict.fromkeys(part.component for part in posting.parts):
        parts = posting.component_parts(component)
        applied = [patch for part in parts if rfc or not part.rfc for patch in part.patches]
        if any(enables.search(patch.subject) for patch in applied):
            continue
        if later := next((p for p in parts if any(enables.search(patch.subject) for patch in p.patches)), None):
            return f"{word} cannot be enabled before {component} part {later.counter}, which is not applied"
        if any(brings.search(f"{patch.subject} {' '.join(patch.paths)}") for patch in applied):
            return f"no patch of {component} here enables {word}: unless base does, it cannot be enabled"
    return ""


def try_bases(
    request: Request, planned: Plan, found: Intake, stack: Stack, progress: Progress, network: Network | None = None
) -> Plan:
    """The plan with the bases that the changed components get. Fetches sources. A plan that is blocked stays as it is.

    What does not apply is said in the plan. Raises SourceUnreachable, WrongBase, PullGone, UnusablePull, Blocked.
    """
    if any(problem.blocking for problem in found.posting.problems):
        return planned
    tried = trees.try_bases(
        found.posting,
        found.mails,
        stack,
        components=tuple(component.name for component in stack.components),
        bases=bases_of(request, found, network or Network()),
        cache=cache_dir(),
        progress=progress,
    )
    return planned.model_copy(update={"trees": tried})


def take_in(request: Request, stack: Stack, site: Site, progress: Progress) -> Intake:
    found = intake.take_in(request.series, stack, site, cache_dir(), progress)
    return found if request.series.rfc else intake.leave_out_rfc(found)


def bases_of(request: Request, found: Intake, network: Network) -> trees.Bases:
    """What the manifest names, and above it what the command line names."""
    series = request.series
    from_manifest = [name for name in found.bases if name not in series.bases]
    return trees.Bases({**found.bases, **series.bases}, from_manifest, series.rfc, network)
